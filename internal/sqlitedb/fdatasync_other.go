//go:build !linux

package sqlitedb

import "os"

// fdatasync waits until a file is on disk.
func fdatasync(f *os.File) error { return f.Sync() }
