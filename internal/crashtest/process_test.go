package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one run of the program.
type process struct {
	rig    *rig
	cmd    *exec.Cmd
	url    string // where people sign up, or where only its operator asks
	output transcript
	gone   chan struct{} // closed when it has ended

	signedUp  atomic.Int64 // people, who were answered
	sentSoFar int          // mails, when it was started
}

// transcript is what a process has written so far.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail is the end of it.
func (o *transcript) tail() string {
	text := o.String()
	return text[max(0, len(text)-3000):]
}

// start starts "bellhop serve" and waits until it is ready. It returns nil if
// the process died first, as it may at an armed point.
func (r *rig) start(env ...string) *process {
	r.t.Helper()
	p, err := r.launch(env, "web,relay,sender")
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// wide is a limit that is counted against, as always, and never reached; and
// wideBudget such a budget.
const (
	wide       = "1000000/1s"
	wideBudget = "100/1h"
)

// launch is start for other goroutines than the test's, and for some of the
// roles. It tries again while the store is away, as on a busy machine it may be
// for a moment: a process that has never been ready ends then.
func (r *rig) launch(env []string, roles string) (*process, error) {
	for deadline := time.Now().Add(patience); ; {
		p, err := r.launchOnce(env, roles)
		if !errors.Is(err, errAway) || time.Now().After(deadline) {
			return p, err
		}
	}
}

func (r *rig) launchOnce(env []string, roles string) (*process, error) {
	p := &process{rig: r, gone: make(chan struct{}), sentSoFar: r.sink.Count()}
	command := slices.Concat(r.wrap, []string{r.binary, "serve", "--roles", roles}, r.store, []string{
		"--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--public-url", "http://bellhop.test", "--smtp", r.sink.URL(),
		"--unknown-pause", "50ms", "--mail-retry", "50ms", "--drain-timeout", "30s",
		"--limit-ip", wide, "--limit-total", wide, "--limit-address", wide,
		"--mail-budget", r.budget, "--sign-in-budget", wideBudget, "--sign-in-expiry", "30m", "--access-life", "1h"})
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start bellhop: %w", err)
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait()
	}()
	r.t.Cleanup(func() {
		p.kill()
		if r.t.Failed() {
			r.t.Logf("bellhop serve --roles %s said last:\n%s", roles, p.output.tail())
		}
	})
	return p.reached()
}

// Where a process says that it listens.
var (
	forPeople   = regexp.MustCompile(`Listens +(http://\S+)\n`)
	forOperator = regexp.MustCompile(`Metrics +(http://\S+)/metrics\n`)
)

// noStore is what a process says that ends because the store does not answer.
var noStore = regexp.MustCompile(`(?m)^bellhop: .* is not available`)

// reached waits until the process is ready. It returns nil if it has died.
func (p *process) reached() (*process, error) {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !p.greeted() || !p.ready() {
		select {
		case <-p.gone:
			if said := p.output.tail(); noStore.MatchString(said) {
				return nil, fmt.Errorf("%w: %s", errAway, said)
			}
			return nil, nil
		case <-tick.C:
		case <-deadline:
			p.kill()
			return nil, fmt.Errorf("not ready:\n%s", p.output.tail())
		}
	}
	return p, nil
}

// greeted tells whether the process has said where it listens, and notes it.
func (p *process) greeted() bool {
	text := p.output.String()
	for _, place := range []*regexp.Regexp{forPeople, forOperator} {
		if found := place.FindStringSubmatch(text); found != nil {
			p.url = found[1]
			return true
		}
	}
	return false
}

func (p *process) ready() bool { return p.readyz() == http.StatusOK }

// readyz is the answer to the question whether the process is ready, 0 for
// none.
func (p *process) readyz() int {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get(p.url + "/readyz")
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// holder is the process that holds the data directory: the program itself,
// also when it runs under another.
func (p *process) holder() int {
	p.rig.t.Helper()
	if p.rig.dir == "" {
		return p.cmd.Process.Pid
	}
	raw, err := os.ReadFile(filepath.Join(p.rig.dir, "lock"))
	if err != nil {
		p.rig.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		p.rig.t.Fatal(err)
	}
	return pid
}

// running tells whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// kill ends the process as kill -9 does, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.gone
}

// stop ends it in good order.
func (p *process) stop() {
	p.rig.t.Helper()
	if err := p.terminate(p.holder()); err != nil {
		p.rig.t.Fatal(err)
	}
}

// terminate asks the process pid to end in good order, and waits until it has.
// As a balancer does, it goes on asking whether the process is ready: nobody is
// waited for who has been told.
func (p *process) terminate(pid int) error {
	_ = syscall.Kill(pid, syscall.SIGTERM)
	deadline := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.gone:
			if code := p.cmd.ProcessState.ExitCode(); code != 0 {
				return fmt.Errorf("exit code %d after SIGTERM:\n%s", code, p.output.tail())
			}
			return nil
		case <-tick.C:
			p.readyz()
		case <-deadline:
			p.kill()
			return fmt.Errorf("did not stop:\n%s", p.output.tail())
		}
	}
}
