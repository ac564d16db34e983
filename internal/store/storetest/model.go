package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bellhop/internal/onboarding"

	"pgregory.net/rapid"
)

// Model drives a store through random histories of people, relays, senders and
// a mail server that goes wrong in every way it can, and checks after each
// step: nothing owns two mails (I2), the conservation law holds (I3), and the
// server never took a mail twice unless the first time was unknown and the
// second is counted as a copy. An address has one account at most, nothing is
// redeemed twice, no budget is overdrawn, and no mail is kept back or called off
// without a reason. In the end everything is drained, and every mail must be
// finished or held as unknown.
//
// The model knows the truth the ledger can only infer: what the server took.
func Model(t rapid.TB, f Features, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		policy := modelPolicy()
		h, err := open(policy)
		if err != nil {
			rt.Fatal(err)
		}
		m := &model{T: rt, Harness: h, ctx: context.Background(), policy: policy, truth: map[onboarding.MailID]*truth{}}
		m.openMailboxes()
		defer func() {
			if err := m.Close(); err != nil {
				rt.Error(err)
			}
		}()
		m.startProcess()
		m.startProcess()
		for range 2 { // one is too short for much to go wrong
			rt.Repeat(m.actions(f))
		}
		m.drain()
	})
}

// modelPolicy is the default, with budgets small enough to be used up by a
// handful of addresses, and large enough for most mails to be sent.
func modelPolicy() onboarding.Policy {
	p := onboarding.DefaultPolicy()
	p.Budgets = onboarding.Budgets{
		onboarding.BudgetSignUp: {{Mails: 2, Per: time.Minute}, {Mails: 8, Per: time.Hour}},
		onboarding.BudgetSignIn: {{Mails: 2, Per: time.Minute}},
	}
	return p
}

// model is one history.
type model struct {
	*rapid.T
	*Harness
	ctx    context.Context
	policy onboarding.Policy

	mono      time.Duration // time as it really passes, whatever the store's clock says
	setBack   bool          // whether that was ever set back
	names     int           // for all that must be unique
	mailboxes []*mailbox
	people    []*person
	truth     map[onboarding.MailID]*truth
	messages  []onboarding.Ref // in the queue; a delivery may leave its message there
	unmarked  []onboarding.Ref // sent and not yet marked
	everSent  []onboarding.Ref // for deliveries that come very late
	processes []*process
}

// truth is what really became of a mail.
type truth struct {
	of       *person
	taken    int // how often the server took it
	attempts int // that reached committing
	lastMint int // of the latest of them
	mintedAt time.Time
	sent     bool // that it was taken is on record
	variant  onboarding.Variant
	perhaps  onboarding.Variant // what it is unless a power cut undid that
	charged  bool               // to its budget
	excused  bool               // there was a reason to keep it back or to call it off
	dropped  bool               // an operator may have discarded it
}

// process is one incarnation.
type process struct {
	name   onboarding.Incarnation
	paused bool // it says and does nothing, and may go on later
	tries  []*try
}

// try is one claim, from the holder's side.
type try struct {
	held      onboarding.Held
	stage     stage
	committed time.Duration // when Committing returned
	verdict   onboarding.State
	cut       bool // the server's answer never came
}

type stage int

const (
	claimed   stage = iota // may go on to committing
	doubtful               // Committing failed, nobody knows whether it happened: no dot
	committed              // may write the dot
	dotted                 // has a verdict to record
	recorded               // may hear late, or say it again
)

var errOutage = errors.New("storetest: the store cannot be reached")

// call makes a request to the store over a line that may break before the
// request arrives, or before the answer does.
func (m *model) call(op func() error) error {
	switch rapid.IntRange(0, 19).Draw(m.T, "line") {
	case 18:
		return errOutage
	case 19:
		_ = op()
		return errOutage
	}
	return op()
}

// insist repeats a request until an answer comes.
func (m *model) insist(op func() error) error {
	for range 10 {
		if err := m.call(op); !errors.Is(err, errOutage) {
			return err
		}
	}
	return op()
}

// normal fails the history on an error that is neither an outage nor a refusal.
func (m *model) normal(err error) {
	m.Helper()
	switch {
	case err == nil, errors.Is(err, errOutage), errors.Is(err, onboarding.ErrRefused), errors.Is(err, onboarding.ErrStale):
	default:
		m.Fatal(err)
	}
}

func (m *model) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

// pick draws one of the items, or skips the step when there are none.
func pick[T any](m *model, what string, items []T) T {
	if len(items) == 0 {
		m.Skip("no " + what)
	}
	return items[rapid.IntRange(0, len(items)-1).Draw(m.T, what)]
}

func (m *model) chance(what string) bool { return rapid.Bool().Draw(m.T, what) }

func (m *model) startProcess() *process {
	m.names++
	p := &process{name: onboarding.Incarnation(fmt.Sprint("process-", m.names))}
	m.must(m.Store.Heartbeat(m.ctx, p.name))
	m.processes = append(m.processes, p)
	return p
}

// running are the processes that are not paused.
func (m *model) running() []*process {
	return slices.DeleteFunc(slices.Clone(m.processes), func(p *process) bool { return p.paused })
}

// tries are all claims of running processes at one of the stages.
func (m *model) tries(stages ...stage) (found []*try) {
	for _, p := range m.running() {
		for _, t := range p.tries {
			if slices.Contains(stages, t.stage) {
				found = append(found, t)
			}
		}
	}
	return found
}

func (m *model) mailIDs() []onboarding.MailID {
	var ids []onboarding.MailID
	for _, p := range m.people {
		ids = append(ids, p.mails...)
	}
	return ids
}

func (m *model) rows() []onboarding.AuditRow {
	rows, err := allRows(m.ctx, m.Store)
	m.must(err)
	return rows
}

// pass lets time pass in steps short enough for heartbeats.
func (m *model) pass(d time.Duration) {
	for d > 0 {
		step := min(d, m.policy.Heartbeat)
		m.Advance(step)
		m.mono += step
		d -= step
		for _, p := range m.running() {
			m.must(m.Store.Heartbeat(m.ctx, p.name))
		}
	}
}

// check is run after every step.
func (m *model) check() {
	books, rows, err := audit(m.ctx, m.Store) // I3
	m.must(err)
	known := map[onboarding.MailID]bool{}
	copies := int64(0)
	for _, row := range rows {
		if known[row.ID] {
			m.Fatalf("I2: mail %s is in the ledger twice", row.ID)
		}
		known[row.ID] = true
		truth := m.truth[row.ID]
		if truth == nil {
			m.Fatalf("mail %s was never owed", row.ID)
		}
		copies += m.checkMail(row, truth)
	}
	for id, truth := range m.truth {
		if truth.of.stored && !known[id] {
			m.Fatalf("mail %s is lost", id)
		}
	}
	if books.Copies != copies {
		m.Fatalf("%d copies are counted, %d were made", books.Copies, copies)
	}
}

// checkMail compares one mail with the truth and returns its number of copies.
func (m *model) checkMail(row onboarding.AuditRow, truth *truth) (copies int64) {
	doubt := false // an earlier attempt may have been taken
	for i, a := range row.Attempts {
		if a.Copy && a.Outcome != onboarding.Undelivered {
			copies++
		}
		if doubt && !a.Copy {
			m.Fatalf("mail %s: attempt %d may be a second mail and is not called a copy", row.ID, i+1)
		}
		doubt = doubt || a.Outcome == onboarding.Uncertain
		if last := i == len(row.Attempts)-1; !last && a.Outcome != onboarding.Undelivered && a.Outcome != onboarding.Uncertain {
			m.Fatalf("mail %s: another attempt follows one that ended %q", row.ID, a.Outcome)
		}
	}
	if truth.taken > 1+int(copies) {
		m.Fatalf("mail %s was taken %d times, and only %d copies are counted", row.ID, truth.taken, copies)
	}
	if row.State == onboarding.Sent && truth.taken == 0 {
		m.Fatalf("mail %s is sent, and the server never took it", row.ID)
	}
	if truth.sent && row.State != onboarding.Sent {
		m.Fatalf("mail %s was recorded as sent and is %s now", row.ID, row.State)
	}
	if (row.State == onboarding.Suppressed || row.State == onboarding.Cancelled) && !truth.excused {
		m.Fatalf("mail %s is %s, and there was no reason", row.ID, row.State)
	}
	return copies
}

// drain ends all trouble and lets one new process do the work that is left.
func (m *model) drain() {
	m.processes = nil
	last := m.startProcess()
	for range 100 {
		m.pass(3 * m.policy.DeadAfter)
		for _, lane := range onboarding.Lanes() {
			m.must(m.Store.Arrived(m.ctx, lane, m.Now()))
		}
		m.sweepAll(last)
		if m.workOff(last) == 0 && m.idle() {
			m.checkEnd()
			return
		}
		m.Advance(time.Hour) // retries, and mails dated by a clock that was ahead
	}
	m.Fatal("there is work left after a hundred rounds")
}

func (m *model) sweepAll(by *process) {
	for more := true; more; {
		swept, err := m.Store.Sweep(m.ctx, by.name, 100)
		m.must(err)
		more = swept.More
	}
}

// workOff relays, claims and sends everything that is due, on a good day.
func (m *model) workOff(by *process) int {
	refs := m.messages
	m.messages = nil
	for _, lane := range onboarding.Lanes() {
		due, _, err := m.Store.DueMails(m.ctx, lane, 10_000)
		m.must(err)
		m.must(m.Store.Relayed(m.ctx, due))
		refs = append(refs, due...)
	}
	for _, ref := range refs {
		t := m.take(by, ref)
		if t == nil {
			continue
		}
		m.must(m.Store.Committing(m.ctx, t.held.Claim, m.rendered(t)))
		m.noteMint(t)
		m.serverTakes(t)
		m.must(m.recordTruth(t))
	}
	return len(refs)
}

// idle tells whether nothing is on its way any more.
func (m *model) idle() bool {
	for _, row := range m.rows() {
		switch row.State {
		case onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing:
			return false
		case onboarding.Unknown:
			if !row.Held {
				return false
			}
		}
	}
	return true
}

// checkEnd finds every mail sent, or listed for what it is.
func (m *model) checkEnd() {
	m.check()
	for _, box := range m.mailboxes {
		m.inspect(box)
	}
	dead, _, err := m.Store.DeadMails(m.ctx, "", 1_000_000)
	m.must(err)
	listed := map[onboarding.MailID]bool{}
	for _, d := range dead {
		listed[d.ID] = true
	}
	for _, row := range m.rows() {
		switch row.State {
		case onboarding.Sent, onboarding.Cancelled, onboarding.Suppressed, onboarding.Purged:
		default:
			if !listed[row.ID] {
				m.Fatalf("mail %s is %s and listed nowhere", row.ID, row.State)
			}
		}
	}
	missing, _, err := m.Store.MissingMails(m.ctx, 0, 1_000_000)
	m.must(err)
	if len(missing) > 0 {
		m.Fatalf("sign-ups without a mail: %v", missing)
	}
}
