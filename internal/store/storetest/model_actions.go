package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bellhop/internal/onboarding"

	"pgregory.net/rapid"
)

// step is one thing that happens, and how often compared to others.
type step struct {
	name  string
	often int
	run   func()
}

// steps are what a history is made of. Most of it is work going on, or nothing
// would ever be under way when trouble comes.
func (m *model) steps(f Features) []step {
	steps := []step{
		{"work", 20, m.work},
		{"accept", 3, m.accept},
		{"accept again", 1, m.acceptAgain},
		{"lose a message", 1, m.loseMessage},
		{"deliver late", 2, m.deliverLate},
		{"give back", 2, m.giveBack},
		{"hear late", 2, m.hearLate},
		{"die", 1, m.die},
		{"pause", 1, m.pause},
		{"resume", 2, m.resume},
		{"start", 3, func() { m.startProcess() }},
		{"pass", 4, m.passSome},
		{"jump", 1, m.jump},
		{"sweep", 5, m.sweep},
		{"marker", 2, m.marker},
		{"resend", 3, m.resend},
		{"ask", 3, m.ask},
		{"redeem", 10, m.redeem},
		{"inspect", 1, func() { m.inspect(pick(m, "mailbox", m.mailboxes)) }},
		{"purge", 1, m.purge},
		{"cancel", 1, m.cancel},
		{"erase", 1, m.erase},
		{"replay", 2, m.replay},
		{"discard", 1, m.discard},
	}
	if f.SoleOwner {
		steps = append(steps,
			step{"crash", 1, func() { m.crash(m.Reopen) }},
			step{"power cut", 1, m.cutPower})
	}
	return steps
}

// actions gives rapid each step as often as it should come. The empty name is
// what it runs after each of them.
func (m *model) actions(f Features) map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){"": func(*rapid.T) { m.check() }}
	for _, step := range m.steps(f) {
		for i := range step.often {
			actions[fmt.Sprintf("%s %d", step.name, i)] = func(t *rapid.T) {
				m.T = t
				step.run()
			}
		}
	}
	return actions
}

// work moves mails on: a few of the things that would come next on a good day.
func (m *model) work() {
	for range rapid.IntRange(1, 15).Draw(m.T, "amount") {
		var next []func()
		for _, w := range []struct {
			there bool
			run   func()
		}{
			{len(m.tries(dotted)) > 0, m.record},
			{len(m.tries(committed)) > 0, m.dot},
			{len(m.tries(claimed, doubtful)) > 0, m.committing},
			{len(m.messages) > 0 && len(m.running()) > 0, m.deliver},
			{len(m.unmarked) > 0, m.mark},
			{true, m.relay},
		} {
			if w.there {
				next = append(next, w.run)
			}
		}
		pick(m, "work", next)()
	}
}

func (m *model) relay() {
	limit := rapid.IntRange(1, 5).Draw(m.T, "limit")
	lane := rapid.SampledFrom([]onboarding.Lane{onboarding.Urgent, onboarding.Urgent, onboarding.Bulk}).Draw(m.T, "lane")
	var refs []onboarding.Ref
	err := m.call(func() (err error) {
		refs, _, err = m.Store.DueMails(m.ctx, lane, limit)
		return err
	})
	if m.normal(err); err != nil {
		return
	}
	for _, ref := range refs {
		m.messages = append(m.messages, ref)
		m.unmarked = append(m.unmarked, ref)
		m.everSent = append(m.everSent, ref)
	}
}

// mark comes after the messages were sent: some have been handled before it.
func (m *model) mark() {
	m.normal(m.call(func() error { return m.Store.Relayed(m.ctx, m.unmarked) }))
	m.unmarked = nil
}

func (m *model) loseMessage() {
	pick(m, "message", m.messages)
	m.messages = m.messages[1:]
}

// deliver hands a message to a process. It may come again.
func (m *model) deliver() {
	ref := pick(m, "message", m.messages)
	p := pick(m, "process", m.running())
	if !m.chance("comes again") {
		i := slices.Index(m.messages, ref)
		m.messages = slices.Delete(m.messages, i, i+1)
	}
	m.take(p, ref)
}

// deliverLate delivers any message there ever was, or one that never was.
func (m *model) deliverLate() {
	ref := pick(m, "message", m.everSent)
	ref.Gen += int64(rapid.IntRange(-1, 1).Draw(m.T, "generation"))
	m.take(pick(m, "process", m.running()), ref)
}

func (m *model) take(p *process, ref onboarding.Ref) *try {
	m.names++
	c := onboarding.Claim{Ref: ref, Holder: p.name, Op: fmt.Sprint("op-", m.names)}
	var held onboarding.Held
	err := m.insist(func() (err error) {
		held, err = m.Store.Claim(m.ctx, c)
		return err
	})
	if m.normal(err); err != nil {
		return nil
	}
	truth := m.truth[ref.Mail]
	if truth == nil {
		m.Fatalf("mail %s was claimed and never owed", ref.Mail)
	}
	if m.checkClaim(held, truth); held.State != onboarding.Sending {
		return nil
	}
	if held.Mint != truth.lastMint {
		m.Fatalf("mail %s: the last mint number is told as %d, it was %d", ref.Mail, held.Mint, truth.lastMint)
	}
	t := &try{held: held}
	p.tries = append(p.tries, t)
	return t
}

// giveBack ends a claim before the dot.
func (m *model) giveBack() {
	t := pick(m, "claim", m.tries(claimed, doubtful, committed))
	r := onboarding.Result{
		To:      onboarding.Due,
		After:   time.Duration(rapid.IntRange(0, 600).Draw(m.T, "seconds")) * time.Second,
		Counts:  m.chance("counts"),
		Drained: m.chance("drained"),
	}
	if m.chance("for good") {
		r.To = onboarding.Failed
	}
	m.say(t, r)
}

// say records a result, again and again until an answer comes.
func (m *model) say(t *try, r onboarding.Result) {
	var state onboarding.State
	err := m.insist(func() (err error) {
		state, err = m.Store.Record(m.ctx, t.held.Claim, r)
		return err
	})
	m.normal(err)
	if err == nil && state == onboarding.Sent {
		m.truth[t.held.Claim.Mail].sent = true
	}
	t.stage = recorded
}

func (m *model) rendered(t *try) onboarding.Rendered {
	return onboarding.Rendered{Mint: t.held.NextMint(), BodyHash: [32]byte{byte(t.held.NextMint())}}
}

func (m *model) committing() {
	t := pick(m, "claim", m.tries(claimed, doubtful))
	err := m.call(func() error { return m.Store.Committing(m.ctx, t.held.Claim, m.rendered(t)) })
	m.normal(err)
	switch {
	case err == nil:
		t.stage, t.committed = committed, m.mono
	case errors.Is(err, errOutage):
		t.stage = doubtful
	default:
		t.stage = recorded
	}
	m.noteMint(t)
}

// noteMint keeps the mint number of the latest attempt that reached committing.
// It asks the ledger, for the answer may have been lost.
func (m *model) noteMint(t *try) {
	truth := m.truth[t.held.Claim.Mail]
	for _, row := range m.rows() {
		switch {
		case row.ID != t.held.Claim.Mail:
		case len(row.Attempts) > truth.attempts:
			truth.attempts, truth.lastMint, truth.mintedAt = len(row.Attempts), t.held.NextMint(), m.Now()
			m.charge(row.ID, truth)
		case row.State == onboarding.Suppressed && !truth.excused:
			m.keptBack(row.ID, truth)
		}
	}
}

// dot writes the final dot, if the ledger lets it.
func (m *model) dot() {
	t := pick(m, "commit", m.tries(committed))
	if m.mono-t.committed > m.policy.RecheckAfter {
		err := m.insist(func() error { return m.Store.Check(m.ctx, t.held.Claim) })
		m.normal(err)
		if err != nil { // the connection is closed hard
			m.say(t, onboarding.Result{To: onboarding.Due})
			return
		}
	}
	if of := m.truth[t.held.Claim.Mail].of; of.erased && m.mono-of.erasedAt > m.policy.RecheckAfter {
		m.Fatalf("mail %s was submitted %v after its person was erased", t.held.Claim.Mail, m.mono-of.erasedAt)
	}
	t.cut = m.chance("the answer is lost")
	switch rapid.IntRange(0, 3).Draw(m.T, "verdict") {
	case 0, 1:
		m.serverTakes(t)
	case 2:
		t.stage, t.verdict = dotted, onboarding.Due
	case 3:
		t.stage, t.verdict = dotted, onboarding.Failed
	}
}

func (m *model) serverTakes(t *try) {
	m.truth[t.held.Claim.Mail].taken++
	t.stage, t.verdict = dotted, onboarding.Sent
}

// record records what the holder knows.
func (m *model) record() {
	t := pick(m, "verdict", m.tries(dotted))
	if t.cut {
		m.say(t, onboarding.Result{To: onboarding.Unknown, Counts: true})
		return
	}
	m.say(t, onboarding.Result{To: t.verdict, Counts: true})
}

func (m *model) recordTruth(t *try) error {
	_, err := m.Store.Record(m.ctx, t.held.Claim, onboarding.Result{To: t.verdict, Counts: true})
	m.truth[t.held.Claim.Mail].sent = true
	t.stage = recorded
	return err
}

// hearLate records the truth after all, or says again what was said.
func (m *model) hearLate() {
	t := pick(m, "record", m.tries(recorded))
	if t.verdict == "" {
		return
	}
	m.say(t, onboarding.Result{To: t.verdict, Counts: true})
}

func (m *model) forget(p *process) {
	m.processes = slices.DeleteFunc(m.processes, func(q *process) bool { return p == q })
}

// die ends a process without a word, or with one.
func (m *model) die() {
	p := pick(m, "process", m.processes)
	m.forget(p)
	if m.chance("says so") {
		m.normal(m.call(func() error { return m.Store.Leave(m.ctx, p.name) }))
	}
}

func (m *model) pause() { pick(m, "process", m.running()).paused = true }

// resume lets a paused process go on, a heartbeat first or not.
func (m *model) resume() {
	p := pick(m, "paused process", slices.DeleteFunc(slices.Clone(m.processes), func(p *process) bool { return !p.paused }))
	p.paused = false
	if m.chance("heartbeat") {
		m.normal(m.call(func() error { return m.Store.Heartbeat(m.ctx, p.name) }))
	}
}

func (m *model) passSome() {
	m.pass(rapid.SampledFrom([]time.Duration{
		200 * time.Millisecond, time.Second, 5 * time.Second, 15 * time.Second, time.Minute,
	}).Draw(m.T, "time"))
}

// jump sets the store's clock, or keeps everybody from the store for a while.
func (m *model) jump() {
	d := rapid.SampledFrom([]time.Duration{
		time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour,
	}).Draw(m.T, "jump")
	m.Advance(d)
	if d < 0 {
		m.doubtClock()
	}
}

// sweep comes at once or after a pause.
func (m *model) sweep() {
	p := pick(m, "process", m.running())
	if m.chance("pause") {
		m.passSome()
	}
	limit := rapid.IntRange(1, 5).Draw(m.T, "limit")
	m.normal(m.call(func() error {
		_, err := m.Store.Sweep(m.ctx, p.name, limit)
		return err
	}))
}

func (m *model) marker() {
	lane := rapid.SampledFrom(onboarding.Lanes()).Draw(m.T, "lane")
	m.normal(m.call(func() error { return m.Store.Arrived(m.ctx, lane, m.Now()) }))
}

func (m *model) cancel() {
	p := pick(m, "person", m.people)
	p.excuse(m)
	m.normal(m.insist(func() error {
		_, err := m.Store.Cancel(m.ctx, p.id, "the model says so")
		return err
	}))
}

func (m *model) replay() {
	m.operate(func(id onboarding.MailID) error { return m.Store.Replay(m.ctx, id) })
}

func (m *model) discard() {
	m.operate(func(id onboarding.MailID) error {
		m.truth[id].dropped = true
		return m.Store.Discard(m.ctx, id)
	})
}

func (m *model) operate(op func(onboarding.MailID) error) {
	id := pick(m, "mail", m.mailIDs())
	err := m.call(func() error { return op(id) })
	if !errors.Is(err, onboarding.ErrWrongState) && !errors.Is(err, onboarding.ErrNoMail) {
		m.normal(err)
	}
}

// cutPower is a crash that may undo claims, and with them the choice of a
// variant, of mails that never reached committing.
func (m *model) cutPower() {
	for _, t := range m.truth {
		if t.attempts == 0 && t.variant != "" {
			t.variant, t.perhaps = "", t.variant
		}
	}
	m.crash(m.PowerCut)
}

// crash ends every process and the store's owner with them.
func (m *model) crash(reopen func() (Store, error)) {
	s, err := reopen()
	m.must(err)
	m.Store, m.processes = s, nil
	m.startProcess()
}
