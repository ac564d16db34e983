package enumerationtest

import (
	"os"
	"syscall"
	"testing"
)

// inMemory is a directory of memory, if there is a gibibyte to spare: the time
// that a disk takes hides what the program does.
func inMemory(t *testing.T) string {
	const memory, enough = "/dev/shm", 1 << 30
	var has syscall.Statfs_t
	if err := syscall.Statfs(memory, &has); err != nil || has.Bavail*uint64(has.Bsize) < enough {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "enumerationtest-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
