package crashtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
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
	budget  string   // of each address, for sign-ups
	ahead   int64    // how many of those who sign up at a process may wait for their mail; 0 for any number

	town   *town // nil if people do nothing but sign up
	people atomic.Int64
	mu     sync.Mutex
	acked  map[string]string // sign-up id → address, of every 202
	more   map[string]int    // address → how often somebody signed up with it once more
	faults *[]string         // where faults go that a test wants to see; nil for the test's own
}

// fault notes that a promise was broken.
func (r *rig) fault(format string, args ...any) {
	r.t.Helper()
	if r.faults == nil {
		r.t.Errorf(format, args...)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.faults = append(*r.faults, fmt.Sprintf(format, args...))
}

// newRig is a rig with the embedded store.
func newRig(t *testing.T, binary string) *rig {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	r := rigOf(t, binary, "--data-dir", dir)
	r.dir, r.looks = dir, 250*time.Millisecond
	return r
}

// newRedisRig is a rig with store and queue in the Redis at a URL.
func newRedisRig(t *testing.T, binary, url string, more ...string) *rig {
	t.Helper()
	return rigOf(t, binary, append([]string{"--store", url, "--queue", "redis"}, more...)...)
}

func rigOf(t *testing.T, binary string, store ...string) *rig {
	t.Helper()
	r := &rig{
		t: t, binary: binary, store: store, looks: time.Second, journal: filepath.Join(t.TempDir(), "mails"),
		acked: make(map[string]string), more: make(map[string]int), budget: wideBudget,
	}
	r.sink = smtptest.Start(t, smtptest.Options{LogPath: r.journal, NoSync: true, Forget: true})
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

// again notes that somebody signs up once more with an address.
func (r *rig) again(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.more[to]++
}

// verify runs "bellhop verify --json" beside whatever runs.
func (r *rig) verify() onboarding.Report {
	r.t.Helper()
	report, err := reportIn(r.asked("verify", "--json"))
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

// audit is verify for when the store may be away.
func (r *rig) audit() (onboarding.Report, error) { return reportIn(r.ask("verify", "--json")) }

// reportIn reads what verify has written, whose exit code says the same.
func reportIn(out []byte, err error) (report onboarding.Report, _ error) {
	if unread := json.Unmarshal(out, &report); unread != nil {
		return report, errors.Join(err, unread)
	}
	return report, nil
}

// errAway means that the store did not answer in time.
var errAway = errors.New("the store is away")

// ask runs a command of the program on the rig's store.
func (r *rig) ask(args ...string) ([]byte, error) {
	out, err := exec.Command(r.binary, append(args, r.store...)...).Output()
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return out, err
	}
	err = fmt.Errorf("%s: %w\n%s", args[0], err, failed.Stderr)
	if bytes.Contains(failed.Stderr, []byte("is not available")) {
		err = errors.Join(errAway, err)
	}
	return out, err
}

// asked asks again for as long as the store is away, as on a busy machine it may
// be for a moment.
func (r *rig) asked(args ...string) (out []byte, err error) {
	r.t.Helper()
	r.awaitEvery(time.Second, "the store to answer", func() bool {
		out, err = r.ask(args...)
		return !errors.Is(err, errAway)
	}, func() any { return err })
	return out, err
}

// settle runs the program until every mail is in a finished state.
func (r *rig) settle() onboarding.Report {
	r.t.Helper()
	p := r.startAgain()
	defer p.stop()
	return r.settled()
}

// finish is settle at the end: whoever lives here is asked, too.
func (r *rig) finish() onboarding.Report {
	r.t.Helper()
	p := r.startAgain()
	defer p.stop()
	r.town.hear(p.url)
	report := r.settled()
	r.town.examine(p.url)
	return report
}

func (r *rig) startAgain() *process {
	r.t.Helper()
	p := r.start()
	if p == nil {
		r.t.Fatal("the program does not start any more")
	}
	return p
}

// settled waits until every mail is in a finished state.
func (r *rig) settled() (report onboarding.Report) {
	r.t.Helper()
	r.awaitEvery(r.looks, "every mail to be settled", func() bool {
		report = r.verify()
		return r.open(report) == 0
	}, func() any { return report })
	return report
}

// open is how many mails are on their way.
func (r *rig) open(report onboarding.Report) (n int64) {
	r.t.Helper()
	for _, s := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing} {
		n += report.States[s]
	}
	// An unknown is settled when its copy ended unknown too, and when there is
	// to be none: it is held, and an operator can read that.
	var doubtful []string
	for _, id := range report.Unknown {
		if !slices.Contains(report.Copies, id) {
			doubtful = append(doubtful, id)
		}
	}
	if n > 0 || len(doubtful) == 0 {
		return n + int64(len(doubtful))
	}
	held := r.held()
	for _, id := range doubtful {
		if !held[onboarding.MailID(id)] {
			n++
		}
	}
	return n
}

// held are the unknown mails that "bellhop dead list" lists.
func (r *rig) held() map[onboarding.MailID]bool {
	r.t.Helper()
	out, err := r.asked("dead", "list", "--json")
	var list []struct {
		ID    onboarding.MailID
		State onboarding.State
	}
	if err = errors.Join(err, json.Unmarshal(out, &list)); err != nil {
		r.t.Fatalf("dead list: %v", err)
	}
	held := make(map[onboarding.MailID]bool)
	for _, mail := range list {
		held[mail.ID] = mail.State == onboarding.Unknown
	}
	return held
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

// evidence is what a judge goes by.
type evidence struct {
	got    map[onboarding.MailID][]smtptest.Mail // what the mail server has taken
	report onboarding.Report
	held   map[onboarding.MailID]bool
	states map[onboarding.MailID]onboarding.State // nil where nobody asks for them
}

// evidence is gathered once nothing is on its way any more.
func (r *rig) evidence(report onboarding.Report) *evidence {
	r.t.Helper()
	mails, err := smtptest.ReadLog(r.journal)
	if err != nil {
		r.t.Fatal(err)
	}
	e := &evidence{got: make(map[onboarding.MailID][]smtptest.Mail), report: report, held: r.held()}
	for _, m := range mails {
		e.got[mailID(m)] = append(e.got[mailID(m)], m)
	}
	if r.town != nil || r.budget != wideBudget {
		e.states = r.ledger()
	}
	return e
}

// doubted tells whether a mail may be missing because its process was killed
// twice between committing and the dot: its one copy is used up, nobody can
// know, and the ledger says so.
func (e *evidence) doubted(mail onboarding.MailID) bool {
	return e.held[mail] && slices.Contains(e.report.Copies, string(mail))
}

// judge compares what was promised with the mail server's own log.
func (r *rig) judge(report onboarding.Report) {
	r.t.Helper()
	e := r.evidence(report)
	copies := r.judgeCopies(e)
	r.judgeSignUps(e)
	missing := r.judgePromises(e)
	if !report.OK {
		r.fault("verify: %+v", report)
	}
	if r.town != nil {
		r.town.judge(e)
	}
	r.t.Logf("%d promised, %d mails in the log, %d of them copies; %d promised ones held as unknown; ledger: accepted %d, copies %d, unknown %d, failed %d",
		len(r.acked), len(e.got)+copies, copies, missing, report.Accepted, len(report.Copies), len(report.Unknown), report.States[onboarding.Failed])
}

// judgePromises looks for the mail of every sign-up that was answered, and
// returns how many are not there, and held.
func (r *rig) judgePromises(e *evidence) (missing int) {
	r.t.Helper()
	for id, to := range r.acked {
		mail := onboarding.NewMailID(id, onboarding.SignUp, 1)
		switch got := e.got[mail]; {
		case len(got) > 0 && got[0].To != to:
			r.fault("sign-up %s was of another person than its mail's", id)
		case len(got) > 0, r.town.calledOff(mail), r.budget != wideBudget && e.states[mail] == onboarding.Suppressed:
		case e.doubted(mail):
			missing++
		default:
			r.fault("sign-up %s was answered 202, its mail is not in the mail server's log and not listed as unknown", id)
		}
	}
	return missing
}

// judgeSignUps looks whether nobody got the mails of more sign-ups than were
// sent in.
func (r *rig) judgeSignUps(e *evidence) {
	r.t.Helper()
	signUps := make(map[string]int)
	for id, mails := range e.got {
		if _, p, _, _ := id.Parse(); p == onboarding.SignUp {
			signUps[mails[0].To]++
		}
	}
	for to, n := range signUps {
		if n > 1+r.more[to] {
			r.fault("%s got mails of %d sign-ups, and %d were sent in", to, n, 1+r.more[to])
		}
	}
}

// judgeCopies looks at what came more than once, and returns how many mails too
// many that is. The ledger must know of each by its name: a Message-ID is a
// mail's id, at our domain.
func (r *rig) judgeCopies(e *evidence) (copies int) {
	r.t.Helper()
	counted := make(map[string]bool)
	for _, id := range e.report.Copies {
		counted[id] = true
	}
	for id, all := range e.got {
		copies += len(all) - 1
		if len(all) > 2 || len(all) == 2 && !counted[string(id)] {
			r.fault("%s came %d times, and the ledger does not know of it", id, len(all))
		}
		for _, m := range all[1:] {
			if m.To != all[0].To || m.SHA256 != all[0].SHA256 {
				r.fault("%s came twice, and is not the same", id)
			}
		}
	}
	return copies
}
