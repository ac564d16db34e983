package sqlitedb

import (
	"os"

	"golang.org/x/sys/unix"
)

// fdatasync waits until a file's content is on disk, and as much of the rest
// as is needed to read it.
func fdatasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}
