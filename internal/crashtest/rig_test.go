package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/onboarding"
)

// patience is how long anything may take on a busy machine.
const patience = 2 * time.Minute

// build builds the program with the given tags, once per set of tags.
func build(t *testing.T, args ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "bellhop")
	cmd := exec.Command("go", append(append([]string{"build"}, args...), "-o", binary, "bellhop/cmd/bellhop")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// rig is a program with its data directory, its mail server, and what was
// promised to whom.
type rig struct {
	t       *testing.T
	binary  string
	dir     string
	sink    *smtptest.Server
	journal string
	wrap    []string // what the program is run under, such as strace

	people atomic.Int64
	mu     sync.Mutex
	acked  map[string]string // sign-up id → address, of every 202
}

func newRig(t *testing.T, binary string) *rig {
	t.Helper()
	r := &rig{t: t, binary: binary, dir: filepath.Join(t.TempDir(), "data"), journal: filepath.Join(t.TempDir(), "mails"), acked: make(map[string]string)}
	r.sink = smtptest.Start(t, smtptest.Options{LogPath: r.journal})
	return r
}

// process is one run of the program.
type process struct {
	rig    *rig
	cmd    *exec.Cmd
	url    string
	output bytes.Buffer
	gone   chan struct{} // closed when it has ended
}

// start starts "bellhop serve" and waits until it answers. It returns nil if
// the process died first, as it may at an armed point.
func (r *rig) start(env ...string) *process {
	r.t.Helper()
	address := freeAddress(r.t)
	p := &process{rig: r, url: "http://" + address, gone: make(chan struct{})}
	command := append(slices.Clone(r.wrap), r.binary, "serve", "--listen", address, "--data-dir", r.dir, "--public-url", "http://bellhop.test",
		"--smtp", r.sink.URL(),
		"--unknown-pause", "50ms", "--mail-retry", "50ms", "--drain-timeout", "30s")
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.gone)
	}()
	r.t.Cleanup(p.kill)
	if p.ready() {
		return p
	}
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *process) ready() bool {
	p.rig.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := http.Get(p.url + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-p.gone:
			return false
		case <-tick.C:
		case <-deadline:
			p.kill()
			p.rig.t.Fatalf("not ready:\n%s", p.output.String())
		}
	}
}

// holder is the process that holds the data directory: the program itself,
// also when it runs under another.
func (p *process) holder() int {
	p.rig.t.Helper()
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

// kill ends the process as kill -9 does, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.gone
}

// stop ends it in good order.
func (p *process) stop() {
	p.rig.t.Helper()
	_ = syscall.Kill(p.holder(), syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.kill()
		p.rig.t.Fatalf("did not stop:\n%s", p.output.String())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.rig.t.Fatalf("exit code %d:\n%s", code, p.output.String())
	}
}

// load signs people up from several clients until the process is gone or ctx
// ends, and keeps what it was promised.
func (p *process) load(ctx context.Context, clients int) {
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil && p.signUp(ctx, client) == nil {
			}
		})
	}
	all.Wait()
}

// signUp signs one new person up. Only a 202 is a promise.
func (p *process) signUp(ctx context.Context, client *http.Client) error {
	to := fmt.Sprintf("person.%d@example.com", p.rig.people.Add(1))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/createUser",
		strings.NewReader(fmt.Sprintf(`{"first":"Ada","last":"Lovelace","email":%q}`, to)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		return errors.Join(err, errors.New(resp.Status))
	}
	var got struct{ ID string }
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	p.rig.mu.Lock()
	defer p.rig.mu.Unlock()
	p.rig.acked[got.ID] = to
	return nil
}

// verify runs "bellhop verify --json" beside whatever runs.
func (r *rig) verify() onboarding.Report {
	r.t.Helper()
	out, err := exec.Command(r.binary, "verify", "--json", "--data-dir", r.dir).Output()
	var report onboarding.Report
	if json.Unmarshal(out, &report) != nil {
		r.t.Fatalf("verify: %v\n%s", err, out)
	}
	return report
}

// settle runs the program until every mail is in a finished state.
func (r *rig) settle() onboarding.Report {
	r.t.Helper()
	p := r.start()
	if p == nil {
		r.t.Fatal("the program does not start any more")
	}
	defer p.stop()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		report := r.verify()
		open := int64(0)
		for _, s := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing} {
			open += report.States[s]
		}
		// An unknown is settled when its copy ended unknown too: it is held.
		for _, id := range report.Unknown {
			if !slices.Contains(report.Copies, id) {
				open++
			}
		}
		if open == 0 {
			return report
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not settled: %+v\n%s", report, p.output.String())
		}
	}
	panic("unreachable")
}

// judge compares what was promised with the mail server's own log.
func (r *rig) judge(report onboarding.Report) {
	r.t.Helper()
	mails, err := smtptest.ReadLog(r.journal)
	if err != nil {
		r.t.Fatal(err)
	}
	got := make(map[string][]smtptest.Mail)
	for _, m := range mails {
		got[m.To] = append(got[m.To], m)
	}
	copies := 0
	for to, all := range got {
		copies += len(all) - 1
		for _, m := range all[1:] {
			if m.MessageID != all[0].MessageID || m.SHA256 != all[0].SHA256 {
				r.t.Errorf("%s got two different mails: %s and %s", to, all[0].MessageID, m.MessageID)
			}
		}
	}
	held := 0
	for id, to := range r.acked {
		if len(got[to]) > 0 {
			continue
		}
		// Killed twice between committing and the dot: its one copy is used
		// up, nobody can know, and the ledger must say so.
		mail := string(onboarding.NewMailID(id, onboarding.SignUp, 1))
		if !slices.Contains(report.Unknown, mail) || !slices.Contains(report.Copies, mail) {
			r.t.Errorf("sign-up %s was answered 202, its mail is not in the mail server's log and not listed as unknown", id)
		}
		held++
	}
	if copies > len(report.Copies) {
		r.t.Errorf("the mail server's log holds %d copies, the ledger knows of %d", copies, len(report.Copies))
	}
	if !report.OK {
		r.t.Errorf("verify: %+v", report)
	}
	r.t.Logf("%d promised, %d mails in the log, %d of them copies; %d promised ones held as unknown; ledger: accepted %d, copies %d, unknown %d",
		len(r.acked), len(mails), copies, held, report.Accepted, len(report.Copies), len(report.Unknown))
}
