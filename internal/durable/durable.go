// Package durable writes small files for their owner alone that are there whole
// or not at all, and on disk when the call returns. It imports no other package
// of Bellhop.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a file that must not be there yet (0600) and waits for the disk.
// Its name may still be lost in a power cut.
func Create(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Replace writes a file beside its place, moves it there, over one that is there
// already, and waits for the disk. Whoever calls holds the directory: two calls
// at once for one file are a race.
func Replace(path string, content []byte) error {
	unfinished := path + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := Create(unfinished, content); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir waits until the disk has the names in a directory as they are now.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
