package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
)

// process is one run of a redis-server, which leads a process group of its own:
// what it forks to rewrite its files dies with it.
type process struct {
	cmd  *exec.Cmd
	log  string        // the file that holds what it printed
	gone chan struct{} // closed when it has ended and been waited for

	paused atomic.Bool
}

// run starts redis-server with the given arguments. What it prints goes to a
// new file in dir.
func run(dir string, args ...string) (*process, error) {
	log, err := os.CreateTemp(dir, "redis-*.log")
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	defer log.Close()
	p := &process{cmd: exec.Command("redis-server", args...), log: log.Name(), gone: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.SysProcAttr = attributes()
	started := make(chan error)
	go func() {
		defer close(p.gone)
		// The kernel kills the child when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start redis-server (dev/setup installs it): %w", err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended is errGone, with what the process said last, once it has ended.
func (p *process) ended() error {
	select {
	case <-p.gone:
		return fmt.Errorf("%w: %s", errGone, p.tail())
	default:
		return nil
	}
}

// portTaken tells whether the process ended because another one listens on its
// port.
func (p *process) portTaken() bool {
	return p.ended() != nil && strings.Contains(p.tail(), "Address already in use")
}

// kill ends the process with SIGKILL and waits for it. It may be called again.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.gone
}

// signal sends a signal to the process and what it has forked.
func (p *process) signal(sig syscall.Signal) error {
	if err := p.ended(); err != nil {
		return fmt.Errorf("send %s: %w", sig, err)
	}
	if err := syscall.Kill(-p.pid(), sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s: %w", sig, err)
	}
	return nil
}

// pause stops the process and waits until it stands still.
func (p *process) pause() error {
	p.paused.Store(true)
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return await("a stopped process", func() error {
		if err := p.ended(); err != nil {
			return err
		}
		return stopped(p.pid())
	})
}

// resume lets a paused process go on.
func (p *process) resume() error {
	p.paused.Store(false)
	return p.signal(syscall.SIGCONT)
}

// awake tells whether the process can be expected to answer.
func (p *process) awake() bool { return p.ended() == nil && !p.paused.Load() }

// tail is the end of what the process printed.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 4000
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return strings.TrimSpace(string(text))
}
