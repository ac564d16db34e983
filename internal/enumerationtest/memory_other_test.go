//go:build !linux

package enumerationtest

import "testing"

// inMemory is a directory of its own, on disk.
func inMemory(t *testing.T) string { return t.TempDir() }
