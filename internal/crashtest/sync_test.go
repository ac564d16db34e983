package crashtest

import (
	"bufio"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bellhop/internal/onboarding"
)

// C1.1, T2: fdatasync has returned before the 202 is written, and before the
// answer to whoever uses the link. The system calls of the real program are the
// witness.
func TestC1_1_SyncedBeforeAnswered(t *testing.T) {
	t.Parallel()
	if err := checkSynced(t, built(t, shipped)); err != "" {
		t.Error(err)
	}
}

// T13: a build that does not wait for the disk, and one that answers before the
// commit, must not pass the test above.
func TestT13_SyncCheckNoticesMistakes(t *testing.T) {
	t.Parallel()
	for name, mistake := range map[string]seed{
		"no sync": {
			"internal/sqlitedb/syncer.go",
			"if err := s.fdatasync(s.log); err != nil {", "if err := error(nil); err != nil {",
		},
		"answer before commit": {
			"internal/store/sqlite/people.go",
			"err = s.commit(ctx, func(t *tx) error {\n\t\taccepted, err = t.accept(a)",
			"err = s.ride(ctx, func(t *tx) error {\n\t\taccepted, err = t.accept(a)",
		},
		"redeem answered before commit": {
			"internal/store/sqlite/redeem.go",
			"err = s.commit(ctx, func(t *tx) (err error) {\n\t\tdone, err = t.redeem(r)",
			"err = s.ride(ctx, func(t *tx) (err error) {\n\t\tdone, err = t.redeem(r)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			binary := mistaken(t, "build", []seed{mistake}, program)
			t.Parallel()
			if found := checkSynced(t, binary); found == "" {
				t.Error("the mistake passed the check")
			}
		})
	}
}

// canary is in the person's row, and so in the pages that must be on disk; and
// welcome in the row that comes with the account.
const (
	canary  = "canary.of.the.disk@example.com"
	welcome = ".welcome.1"
)

// checkSynced signs one person up under strace, uses the link, and says what is
// wrong, "" for nothing.
func checkSynced(t *testing.T, binary string) string {
	t.Helper()
	wrap, trace := traced(t, "8192", "pwrite64,write,fsync,fdatasync")
	r := newRig(t, binary).withTown(1)
	r.wrap = wrap
	p := r.start()
	if p == nil {
		t.Fatal("did not start under strace")
	}
	id := p.ask("/createUser", `{"first":"Ada","last":"L","email":"`+canary+`"}`)
	token := ""
	r.await("the mail", func() bool {
		var err error
		if token, err = r.town.post.link(onboarding.NewMailID(id, onboarding.SignUp, 1)); err != nil {
			t.Fatal(err)
		}
		return token != ""
	})
	p.ask("/confirm/"+token, "{}")
	p.stop()
	if wrong := synced(t, trace, canary, "HTTP/1.1 202"); wrong != "" {
		return wrong
	}
	return synced(t, trace, welcome, "access_token")
}

// ask posts something and returns the id in the answer.
func (p *process) ask(path, body string) string {
	p.rig.t.Helper()
	resp, err := http.Post(p.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		p.rig.t.Fatal(err)
	}
	defer resp.Body.Close()
	id, err := signUpID(resp.Body)
	if err != nil {
		p.rig.t.Fatal(err)
	}
	return id
}

// traced is what to run a program with, so that some of its system calls, with
// so many bytes of each text, are in a file.
func traced(t *testing.T, bytes, calls string) (wrap []string, trace string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is needed: make test installs it")
	}
	trace = filepath.Join(t.TempDir(), "trace")
	return []string{strace, "-f", "-y", "-s", bytes, "-e", "trace=" + calls, "-o", trace}, trace
}

// call is one system call, path the file it is about when it began.
type call struct{ thread, name, path, rest string }

var callPattern = regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?(read|pwrite64|writev|write|fsync|fdatasync)(?:\(\d+<([^>]*)>)?(.*)$`)

// calls reads a trace in the order in which calls began or ended.
func calls(t *testing.T, trace string) iter.Seq[call] {
	t.Helper()
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(call) bool) {
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			m := callPattern.FindStringSubmatch(lines.Text())
			if m != nil && !yield(call{m[1], m[2], m[3], m[4]}) {
				return
			}
		}
	}
}

// synced reads a trace: after the first write of something to the log there must
// be a sync of that file that began later and succeeded, before the answer.
func synced(t *testing.T, trace, what, answer string) string {
	t.Helper()
	var (
		written, done bool
		wal           string
		under         = make(map[string]bool) // threads in a sync that began after the write
	)
	for c := range calls(t, trace) {
		switch c.name {
		case "pwrite64":
			if !written && strings.HasSuffix(c.path, "store.db-wal") && strings.Contains(c.rest, what) {
				written, wal = true, c.path
			}
		case "fsync", "fdatasync":
			if c.path != "" && c.path == wal && written {
				under[c.thread] = true
			}
			if under[c.thread] && strings.HasSuffix(c.rest, "= 0") {
				done = true
			}
		case "write":
			if strings.Contains(c.rest, answer) {
				switch {
				case !written:
					return "the answer was written before what it is about: " + answer
				case !done:
					return "the answer was written before what it is about was synced to disk: " + answer
				}
				return ""
			}
		}
	}
	return "nothing was answered with " + answer
}
