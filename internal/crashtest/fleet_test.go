package crashtest

import (
	"context"
	"math/rand/v2"
	"os"
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

// fleet is processes that share the work over one Redis.
type fleet struct {
	rig     *rig
	members []*member

	kills, stops, terms atomic.Int64
}

// member is a place in the fleet: one process after the other.
type member struct {
	fleet *fleet
	roles string

	mu      sync.Mutex
	process *process  // nil while there is none
	since   time.Time // when it was started or let go on; zero while it stands still
}

// newFleet starts two processes that answer people, two that relay and three
// that send.
func (r *rig) newFleet() *fleet {
	r.t.Helper()
	r.sink.SetScript(slow)
	f := &fleet{rig: r}
	for _, roles := range strings.Fields("web web relay relay sender sender sender") {
		m := &member{fleet: f, roles: roles}
		m.start()
		if m.running() == nil {
			r.t.FailNow()
		}
		f.members = append(f.members, m)
	}
	return f
}

// doors is where people can sign up.
func (f *fleet) doors() (urls []string) {
	for _, m := range f.members {
		if p := m.running(); p != nil && m.roles == "web" {
			urls = append(urls, p.url)
		}
	}
	return urls
}

// crowd is people who sign up at the fleet.
func (f *fleet) crowd(leaves time.Duration) *crowd {
	return &crowd{rig: f.rig, doors: f.doors, leaves: leaves}
}

// audit verifies beside what happens until ctx ends, and returns how often the
// store was there for it. A mail may wait for as long as nobody was up for long
// enough to take it back.
func (f *fleet) audit(ctx context.Context) (times int) {
	for pause(ctx, 2*time.Second) {
		relayed := f.relayed()
		report, err := f.rig.audit()
		if err != nil {
			continue
		}
		times++
		if len(report.Lost)+len(report.Double) > 0 || relayed && len(report.Stuck) > 0 {
			f.rig.t.Errorf("verify beside the processes: lost %v, double %v, stuck %v", report.Lost, report.Double, report.Stuck)
		}
	}
	return times
}

// relayed tells whether a relay has been at work for so long that what the dead
// have left must be taken back.
func (f *fleet) relayed() bool {
	const judges = 15 * time.Second // ten until it may, and the sweep itself
	return slices.ContainsFunc(f.members, func(m *member) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.roles == "relay" && !m.since.IsZero() && time.Since(m.since) > judges
	})
}

// settle waits until every mail is in a finished state, ends all processes in
// good order, and looks again.
func (f *fleet) settle() onboarding.Report {
	f.rig.t.Helper()
	f.rig.town.hear(f.doors()[0])
	before := f.rig.settled()
	f.rig.town.examine(f.doors()[0])
	f.stop()
	report := f.rig.verify()
	if f.rig.open(report) != 0 || report.Accepted != before.Accepted {
		f.rig.t.Errorf("after the end verify says %+v, before it said %+v", report, before)
	}
	return report
}

// stop ends all processes in good order.
func (f *fleet) stop() {
	f.rig.t.Helper()
	var all sync.WaitGroup
	for _, m := range f.members {
		all.Go(m.terminate)
	}
	all.Wait()
}

// unharmed looks whether the processes are still those that were started.
func (f *fleet) unharmed() {
	f.rig.t.Helper()
	for _, m := range f.members {
		select {
		case <-m.running().gone:
			f.rig.t.Errorf("a process with the role %s has ended (%v)", m.roles, m.running().cmd.ProcessState)
		default:
		}
	}
}

func (m *member) running() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

func (m *member) set(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.since = p, time.Time{}
	if p != nil {
		m.since = time.Now()
	}
}

// still notes that the member's process does nothing.
func (m *member) still() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = time.Time{}
}

// start starts the member's next process.
func (m *member) start() {
	p, err := m.fleet.rig.launch(nil, m.roles)
	switch {
	case err != nil:
		m.fleet.rig.t.Error(err)
	case p == nil:
		m.fleet.rig.t.Errorf("a process with the role %s ended as soon as it was started", m.roles)
	default:
		m.set(p)
	}
}

// terminate ends the member's process in good order.
func (m *member) terminate() {
	p := m.running()
	if p == nil {
		return
	}
	if err := p.terminate(p.cmd.Process.Pid); err != nil {
		m.fleet.rig.t.Errorf("%s: %v", m.roles, err)
	}
	m.set(nil)
}

// suffer kills, stops and ends the member's processes until ctx ends. It leaves
// one that runs.
func (m *member) suffer(ctx context.Context, rng *rand.Rand) {
	for pause(ctx, between(rng, time.Second, 14*time.Second)) {
		p := m.running()
		if p == nil {
			return // it could not be started, which was said
		}
		switch rng.IntN(3) {
		case 0:
			m.fleet.kills.Add(1)
			m.set(nil)
			p.kill()
			pause(ctx, between(rng, 0, 2*time.Second))
			m.start()
		case 1:
			m.fleet.stops.Add(1)
			m.still()
			_ = p.cmd.Process.Signal(syscall.SIGSTOP)
			pause(context.WithoutCancel(ctx), between(rng, 11*time.Second, 14*time.Second))
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			m.set(p)
		default:
			m.fleet.terms.Add(1)
			m.terminate()
			m.start()
		}
	}
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)))
}

// seeded is a source of chances that can be had again: CRASHTEST_SEED takes the
// seed that a test has printed. What the machine does meanwhile is chance, too.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("CRASHTEST_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("CRASHTEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// split is another source, for another goroutine.
func split(rng *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())) }

// A2.3, C1.1: two processes that answer people, two that relay and three that
// send share one Redis. They are killed, stopped for longer than their heartbeat
// may be old, and ended and started at random, while people sign up. Everybody
// who was answered 202 has one mail, or copies that the ledger knows of.
func TestC1_1_FleetKilledStoppedAndRestarted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than two minutes")
	}
	t.Parallel()
	rng := seeded(t)
	f := newRedisRig(t, built(t, shipped), durable(t).URL(0)).withTown(citizensOfMany).newFleet()
	ctx, cancel := context.WithTimeout(t.Context(), 70*time.Second)
	defer cancel()
	var chaos sync.WaitGroup
	for _, m := range f.members {
		own := split(rng)
		chaos.Go(func() { m.suffer(ctx, own) })
	}
	audits := 0
	chaos.Go(func() { audits = f.audit(ctx) })
	f.crowd(time.Second).come(ctx, rng)
	chaos.Wait()
	t.Logf("%d killed, %d stopped, %d ended; verified %d times meanwhile", f.kills.Load(), f.stops.Load(), f.terms.Load(), audits)
	f.judge(f.settle())
}

// slow is a mail server that takes its time, so that at every moment mails are
// under way in every phase.
func slow(e smtptest.Event) *smtptest.Fault {
	switch e.Step {
	case smtptest.MailFrom, smtptest.RcptTo, smtptest.Data, smtptest.Dot:
		return &smtptest.Fault{Delay: 50 * time.Millisecond}
	}
	return nil
}

// judge also looks whether each key has exactly one sign-up.
func (f *fleet) judge(report onboarding.Report) {
	f.rig.t.Helper()
	f.rig.judge(report)
	people, more := f.rig.people.Load(), int64(0)
	for _, times := range f.rig.more {
		more += int64(times) // without a key: stored as often as they were sent, or not
	}
	signUps := report.Accepted
	if f.rig.town != nil {
		signUps = f.rig.signUps()
	}
	if signUps < people || signUps > people+more || int64(len(f.rig.acked)) < people || int64(len(f.rig.acked)) > signUps {
		f.rig.fault("%d people came, each with a key, and %d times without; %d were answered, and the ledger has %d sign-ups",
			people, more, len(f.rig.acked), signUps)
	}
}

// signUps counts them in the ledger: each has one mail there.
func (r *rig) signUps() (n int64) {
	r.t.Helper()
	for id := range r.ledger() {
		if _, p, _, _ := id.Parse(); p == onboarding.SignUp {
			n++
		}
	}
	return n
}
