package crashtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
)

// patience is how long anything may take on a busy machine.
const patience = 4 * time.Minute

// rig is a program with its store, its mail server, and what was promised to
// whom.
type rig struct {
	t       *testing.T
	binary  string
	store   []string // the flags that say where the store is, and the queue
	dir     string   // the data directory; "" with a Redis
	looks   time.Duration
	sink    *smtptest.Server
	journal string
	wrap    []string // what the program is run under, such as strace

	people atomic.Int64
	mu     sync.Mutex
	acked  map[string]string // sign-up id → address, of every 202
}

// newRig is a rig with the embedded store.
func newRig(t *testing.T, binary string) *rig {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	r := rigOf(t, binary, "--data-dir", dir)
	r.dir, r.looks = dir, 100*time.Millisecond
	return r
}

// newRedisRig is a rig with store and queue in the Redis at a URL.
func newRedisRig(t *testing.T, binary, url string, more ...string) *rig {
	t.Helper()
	return rigOf(t, binary, append([]string{"--store", url, "--queue", "redis"}, more...)...)
}

func rigOf(t *testing.T, binary string, store ...string) *rig {
	t.Helper()
	r := &rig{t: t, binary: binary, store: store, looks: time.Second, journal: filepath.Join(t.TempDir(), "mails"), acked: make(map[string]string)}
	r.sink = smtptest.Start(t, smtptest.Options{LogPath: r.journal, Forget: true})
	return r
}

// durable starts a Redis that has on disk what it has answered.
func durable(t *testing.T) *redistest.Server {
	t.Helper()
	return redistest.Start(t, redistest.Options{Persistence: redistest.Always})
}

// promise notes a sign-up that was answered with 202.
func (r *rig) promise(id, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked[id] = to
}

// verify runs "bellhop verify --json" beside whatever runs.
func (r *rig) verify() onboarding.Report {
	r.t.Helper()
	report, err := r.audit()
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

// audit is verify for when the store may be away.
func (r *rig) audit() (report onboarding.Report, err error) {
	out, err := exec.Command(r.binary, append([]string{"verify", "--json"}, r.store...)...).Output()
	if json.Unmarshal(out, &report) != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			out = failed.Stderr
		}
		return report, fmt.Errorf("verify: %w\n%s", err, out)
	}
	return report, nil
}

// settle runs the program until every mail is in a finished state.
func (r *rig) settle() onboarding.Report {
	r.t.Helper()
	p := r.start()
	if p == nil {
		r.t.Fatal("the program does not start any more")
	}
	defer p.stop()
	return r.settled()
}

// settled waits until every mail is in a finished state.
func (r *rig) settled() (report onboarding.Report) {
	r.t.Helper()
	r.awaitEvery(r.looks, "every mail to be settled", func() bool {
		report = r.verify()
		return open(report) == 0
	}, func() any { return report })
	return report
}

// open is how many mails are on their way.
func open(report onboarding.Report) (n int64) {
	for _, s := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing} {
		n += report.States[s]
	}
	// An unknown is settled when its copy ended unknown too: it is held.
	for _, id := range report.Unknown {
		if !slices.Contains(report.Copies, id) {
			n++
		}
	}
	return n
}

// await looks until a condition holds.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	r.awaitEvery(100*time.Millisecond, what, holds, func() any { return "" })
}

// awaitEvery is await with a time between two looks, and with what to say of
// the last when there was none that was right.
func (r *rig) awaitEvery(pause time.Duration, what string, holds func() bool, last func() any) {
	r.t.Helper()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain for %s: %+v", what, last())
		}
	}
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
	copies := r.judgeCopies(got, report)
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
	if !report.OK {
		r.t.Errorf("verify: %+v", report)
	}
	r.t.Logf("%d promised, %d mails in the log, %d of them copies; %d promised ones held as unknown; ledger: accepted %d, copies %d, unknown %d, failed %d",
		len(r.acked), len(mails), copies, held, report.Accepted, len(report.Copies), len(report.Unknown), report.States[onboarding.Failed])
}

// judgeCopies looks at what came more than once, and returns how many mails too
// many that is. The ledger must know of each by its name: a Message-ID is a
// mail's id, at our domain.
func (r *rig) judgeCopies(got map[string][]smtptest.Mail, report onboarding.Report) (copies int) {
	r.t.Helper()
	counted := make(map[string]bool)
	for _, id := range report.Copies {
		counted[id] = true
	}
	for to, all := range got {
		copies += len(all) - 1
		id, _, _ := strings.Cut(strings.TrimPrefix(all[0].MessageID, "<"), "@")
		if len(all) > 2 || len(all) == 2 && !counted[id] {
			r.t.Errorf("%s got %s %d times, and the ledger does not know of it", to, id, len(all))
		}
		for _, m := range all[1:] {
			if m.MessageID != all[0].MessageID || m.SHA256 != all[0].SHA256 {
				r.t.Errorf("%s got two different mails: %s and %s", to, all[0].MessageID, m.MessageID)
			}
		}
	}
	return copies
}
