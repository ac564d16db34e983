//go:build !linux

package redistest

import "syscall"

// attributes cannot let a process die with the test's: only its cleanup ends it.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// stopped cannot be asked here; SIGSTOP takes hold within moments.
func stopped(int) error { return nil }
