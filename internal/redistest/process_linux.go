package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// attributes let a process die with the test that started it, even if that
// panics or is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stopped is nil if SIGSTOP has taken hold of a process. The state is the first
// letter behind the name, which stands in parentheses (proc(5)).
func stopped(pid int) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return fmt.Errorf("read state of process: %w", err)
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	if !bytes.HasPrefix(state, []byte("T")) {
		return errors.New("it still runs")
	}
	return nil
}
