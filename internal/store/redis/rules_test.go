package redis_test

import (
	"errors"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
)

// A process of an older version meets mails that only a later one can send. A
// message that means nothing must be refused all the same, or it comes again for
// ever.
func TestAMailOfAnUnknownPurposeIsRefusedWhenItMeansNothing(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	h := newHand(t, server.URL(0))
	id := h.nextID()
	unknown := onboarding.NewMailID(id, "from-a-later-version", 1)
	claim := h.newClaim(onboarding.Ref{Mail: unknown, Gen: 1}, me)
	if _, err := h.Claim(h.ctx, claim); !errors.Is(err, onboarding.ErrRefused) {
		t.Errorf("a mail that is not there: %v, want %v", err, onboarding.ErrRefused)
	}

	a := form(id, 1, false)
	a.Mails = []onboarding.Owed{{ID: unknown, Expiry: time.Hour}}
	_, _, err := h.Accept(h.ctx, a)
	ok(t, err)
	before := dump(t, server.URL(0))
	if _, err := h.Claim(h.ctx, claim); err == nil || errors.Is(err, onboarding.ErrRefused) {
		t.Errorf("a mail that somebody else can send: %v, want another error than a refusal", err)
	}
	for _, d := range differences(dump(t, server.URL(0)), before) {
		t.Error(d)
	}
	h.clock.Advance(time.Hour)
	held, err := h.Claim(h.ctx, claim)
	ok(t, err)
	if held.State != onboarding.Expired {
		t.Errorf("after its expiry it is %s, want it expired", held.State)
	}
	sound(t, h.Store, server.URL(0))
}

func TestAnAcceptanceThatOwesAMailTwiceStoresNothing(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	h := newHand(t, server.URL(0))
	before := dump(t, server.URL(0))
	a := form(h.nextID(), 1, true)
	a.Mails = append(a.Mails, a.Mails[0])
	if _, _, err := h.Accept(h.ctx, a); err == nil {
		t.Error("a mail was owed twice at once")
	}
	for _, d := range differences(dump(t, server.URL(0)), before) {
		t.Error(d)
	}
}

// C1.9: after the clock was set back, neither keys nor finished mails are kept
// until it comes there again, nor is anything behind them.
func TestLogsFromTheFutureKeepNothingForEver(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	h := newHand(t, server.URL(0))
	const year = 365 * 24 * time.Hour
	both := func() {
		t.Helper()
		_, _, err := h.Accept(h.ctx, form(h.nextID(), h.forms, true))
		ok(t, err)
		h.in(onboarding.Sent)
	}
	h.clock.Advance(year)
	both()
	h.clock.Advance(-year)
	both()
	h.sweep()
	h.clock.Advance(time.Hour)
	both()

	h.clock.Advance(h.policy.Retention - time.Hour)
	swept, err := h.Sweep(h.ctx, me, 1) // one by one
	ok(t, err)
	for swept.More {
		more, err := h.Sweep(h.ctx, me, 1)
		ok(t, err)
		swept.Purged += more.Purged
		swept.More = more.More
	}
	if swept.Purged != 2 {
		t.Errorf("%d mails were purged, want the two whose time has passed", swept.Purged)
	}
	if left := h.keys(server.URL(0)); left != 0 {
		t.Errorf("%d keys are left after a day and a half", left)
	}
	sound(t, h.Store, server.URL(0))
}

// keys is how many idempotency keys are kept.
func (h *hand) keys(url string) (n int) {
	h.t.Helper()
	for key := range dump(h.t, url) {
		if len(key) > len("{bellhop}:key:") && key[:len("{bellhop}:key:")] == "{bellhop}:key:" {
			n++
		}
	}
	return n
}
