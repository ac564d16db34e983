package redis_test

import (
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
)

// C1.6: no step takes longer because much is due, given up or finished. Its
// shortest time among many mails is compared with that among few; a step that
// read them all would take hundreds of times as long.
func TestNoStepTakesLongerAmongManyMails(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	few, many := crowd(t, server.URL(0), 1000), crowd(t, server.URL(1), rounds(50_000, 20_000))
	for name, step := range everyday {
		hardlyLonger(t, name, few.shortest(step), func() time.Duration { return many.shortest(step) })
	}
}

// hardlyLonger fails the test if what a step takes among much is not about what
// it takes among little. Before that it measures again: a busy machine makes a
// step longer, and never shorter.
func hardlyLonger(t *testing.T, name string, little time.Duration, measure func() time.Duration) {
	t.Helper()
	much, most := measure(), 3*little+2*time.Millisecond
	for again := 0; much > most && again < 5; again++ {
		much = min(much, measure())
	}
	t.Logf("%-14s %8v among little, %8v among much", name, little, much)
	if much > most {
		t.Errorf("%s took %v among little and %v among much", name, little, much)
	}
}

// crowd is a store with so many mails due, given up and finished.
func crowd(t *testing.T, url string, mails int) *hand {
	t.Helper()
	h := newHand(t, url)
	for _, subject := range h.many(mails, h.policy.Expiry) {
		_, err := h.Cancel(h.ctx, subject, "finished")
		ok(t, err)
	}
	h.many(mails, time.Minute)
	h.beat(me)
	h.live(2*time.Minute, me)
	for more := true; more; {
		swept, err := h.Sweep(h.ctx, me, 1000)
		ok(t, err)
		h.clock.Advance(time.Millisecond)
		more = swept.More
	}
	h.many(mails, h.policy.Expiry)
	h.beat(me)
	books, err := h.Books(h.ctx)
	ok(t, err)
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Expired, onboarding.Cancelled} {
		if n := books.States[state]; n != int64(mails) {
			t.Fatalf("%d mails are %s, want %d", n, state, mails)
		}
	}
	return h
}

// shortest is the shortest time that a step takes. What it needs is made before.
func (h *hand) shortest(s timed) time.Duration {
	h.t.Helper()
	shortest := time.Hour
	for range 15 {
		if s.prepare != nil {
			s.prepare(h)
		}
		began := time.Now()
		err := s.call(h)
		shortest = min(shortest, time.Since(began))
		ok(h.t, err)
	}
	return shortest
}

type timed struct {
	prepare func(h *hand)
	call    func(h *hand) error
}

// everyday is what is done while a store serves.
var everyday = map[string]timed{
	"Accept": {call: func(h *hand) error { _, err := h.Accept(h.ctx, form(h.nextID(), h.forms, true)); return err }},
	"Person": {prepare: func(h *hand) { h.due() }, call: func(h *hand) error { _, err := h.Person(h.ctx, h.mail.Subject()); return err }},
	"DueMails": {call: func(h *hand) error {
		_, _, err := h.DueMails(h.ctx, onboarding.Urgent, 100)
		return err
	}},
	"Relayed": {prepare: func(h *hand) { h.due() }, call: func(h *hand) error {
		return h.Relayed(h.ctx, []onboarding.Ref{{Mail: h.mail, Gen: 1}})
	}},
	"Claim": {prepare: func(h *hand) { h.claim = h.newClaim(h.due(), me) },
		call: func(h *hand) error { _, err := h.Claim(h.ctx, h.claim); return err }},
	"Committing": {prepare: (*hand).sending, call: func(h *hand) error { _, err := commitAgain(7)(h); return err }},
	"Check":      {prepare: (*hand).committing, call: func(h *hand) error { return h.Check(h.ctx, h.claim) }},
	"Record": {prepare: (*hand).committing,
		call: func(h *hand) error { _, err := h.Record(h.ctx, h.claim, result(onboarding.Sent)); return err }},
	"Replay":       {prepare: func(h *hand) { h.in(onboarding.Failed) }, call: func(h *hand) error { return h.Replay(h.ctx, h.mail) }},
	"Discard":      {prepare: func(h *hand) { h.in(onboarding.Failed) }, call: func(h *hand) error { return h.Discard(h.ctx, h.mail) }},
	"Erase":        {prepare: func(h *hand) { h.due() }, call: func(h *hand) error { return h.Erase(h.ctx, h.mail.Subject()) }},
	"Cancel":       {prepare: func(h *hand) { h.due() }, call: func(h *hand) error { _, err := h.Cancel(h.ctx, h.mail.Subject(), ""); return err }},
	"Heartbeat":    {call: func(h *hand) error { return h.Heartbeat(h.ctx, me) }},
	"Leave":        {call: func(h *hand) error { return h.Leave(h.ctx, other) }},
	"Arrived":      {call: func(h *hand) error { return h.Arrived(h.ctx, onboarding.Urgent, h.clock.Now()) }},
	"Lane":         {call: func(h *hand) error { _, err := h.Lane(h.ctx, onboarding.Urgent); return err }},
	"Sweep":        {call: func(h *hand) error { _, err := h.Sweep(h.ctx, me, 100); return err }},
	"Books":        {call: func(h *hand) error { _, err := h.Books(h.ctx); return err }},
	"DeadMails":    {call: func(h *hand) error { return h.pages(1) }},
	"DeadMails2":   {call: func(h *hand) error { return h.pages(5) }},
	"Audit":        {call: func(h *hand) error { _, err := h.Audit(h.ctx, 900, 100); return err }},
	"MissingMails": {call: func(h *hand) error { _, _, err := h.MissingMails(h.ctx, 0, 10); return err }},
	"Ping":         {call: func(h *hand) error { return h.Ping(h.ctx) }},
}

// pages lists mails that were given up.
func (h *hand) pages(n int) error {
	after := ""
	for range n {
		_, next, err := h.DeadMails(h.ctx, after, 100)
		if err != nil {
			return err
		}
		after = next
	}
	return nil
}
