// Package datadir owns the directory that holds everything a Bellhop process
// must not lose: at most one process holds it at a time, and nobody but its
// user can read it.
//
// The hold is a lock (flock) on a file in the directory. The kernel lets it go
// when the process ends, however it ends, so that getting the lock proves that
// the former holder is dead. The file stays; its content, the holder's process
// id, is only for people.
package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

var (
	// ErrLocked is returned when another process holds the directory.
	ErrLocked = errors.New("the data directory is in use")
	// ErrMissing is returned by OpenExisting and Check when there is no such
	// directory.
	ErrMissing = errors.New("there is no data directory")
	// ErrExposed is returned for a directory with something in it that others
	// may read.
	ErrExposed = errors.New("other users can read the data directory")
)

const lockName = "lock"

// Dir is a data directory that this process holds.
type Dir struct {
	path string
	lock *os.File
}

// Open takes hold of the directory at path, and makes it first if need be. It
// is for the owner alone (0700): one that is empty is made so, one that is not
// is refused with [ErrExposed]. [ErrLocked] is returned, with the holder's
// process id and what to do, when another process holds it.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return OpenExisting(path)
}

// OpenExisting is Open for a directory that must be there already: a command
// with a mistyped path should not leave an empty directory behind.
func OpenExisting(path string) (*Dir, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path) // so that a change of directory does no harm
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	if err := protect(absolute); err != nil {
		return nil, err
	}
	lock, err := lockFile(absolute)
	if err != nil {
		return nil, err
	}
	return &Dir{path: absolute, lock: lock}, nil
}

// Check tells whether there is a directory at path, with [ErrMissing] if not.
// It is for those who only read and need no hold.
func Check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w at %s: name the one that bellhop serve uses with --data-dir", ErrMissing, path)
	case err != nil:
		return fmt.Errorf("look at the data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%w at %s: that is a file", ErrMissing, path)
	}
	return nil
}

// Path is where the file of that name is, as an absolute path. An empty name
// gives the directory itself.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Close lets the directory go. Whatever is in it must be closed before. It may
// be called twice.
func (d *Dir) Close() error {
	if err := d.lock.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("unlock the data directory: %w", err)
	}
	return nil
}

// protect takes others' rights away from an empty directory, and refuses one
// whose content they may have read already.
func protect(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	if len(entries) == 0 && os.Chmod(path, 0o700) == nil {
		return nil
	}
	return fmt.Errorf("%w %s (mode %04o): run chmod 700 on it, or name a directory inside it, such as --data-dir %s",
		ErrExposed, path, info.Mode().Perm(), filepath.Join(path, "bellhop"))
}

func lockFile(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		defer f.Close()
		return nil, fmt.Errorf("%w: %s is held by %s; stop that one first, or give this one its own with --data-dir", ErrLocked, dir, holder(f))
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	if err := sign(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("write the lock of the data directory: %w", err)
	}
	return f, nil
}

// sign writes this process's id into its lock.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder names the process that has signed. The lock may have been taken a
// moment ago and not be signed yet.
func holder(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil || len(text) == 0 {
		return "another process"
	}
	return "process " + strings.TrimSpace(string(text))
}
