package redis_test

import (
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
)

// C1.6 for people: no step takes longer because there are many accounts,
// sessions, requests and charges, of many people or of one.
func TestNoStepTakesLongerAmongManyAccounts(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	few, many := town(t, server.URL(0), 30), town(t, server.URL(1), rounds(3000, 1000))
	for name, step := range everydayOfAccounts {
		before, after := few.shortest(step), many.shortest(step)
		t.Logf("%-14s %8v among few, %8v among many", name, before, after)
		if after > 3*before+2*time.Millisecond {
			t.Errorf("%s took %v among few accounts and %v among many", name, before, after)
		}
	}
}

// town is a store with so many accounts, sign-ups that were not confirmed, and
// requests to sign in.
func town(t *testing.T, url string, people int) *hand {
	t.Helper()
	h := newHand(t, url)
	h.clock.Advance(-time.Hour)
	for number := range people {
		h.in(onboarding.Sent)
		h.redeem(1000 + number)
		h.ask()
		h.again()
	}
	h.clock.Advance(time.Hour)
	return h
}

// everydayOfAccounts is what people do.
var everydayOfAccounts = map[string]timed{
	"AcceptAgain": {call: func(h *hand) error { h.again(); return nil }},
	"People":      {call: func(h *hand) error { _, err := h.People(h.ctx, fingerprint(1)); return err }},
	"Progress":    {call: func(h *hand) error { _, err := h.Progress(h.ctx, h.first()); return err }},
	"Resend": {prepare: func(h *hand) { h.due() }, call: func(h *hand) error {
		_, _, err := h.Resend(h.ctx, signup.Resend{SignUp: h.mail.Subject(), Expiry: time.Hour, Most: 5})
		return err
	}},
	"Ask":  {call: func(h *hand) error { return h.Ask(h.ctx, h.request()) }},
	"Mint": {prepare: func(h *hand) { h.in(onboarding.Sent) }, call: func(h *hand) error { _, err := h.Mint(h.ctx, h.mail); return err }},
	"Try": {prepare: func(h *hand) { h.in(onboarding.Sent) },
		call: func(h *hand) error { _, err := h.Try(h.ctx, h.mail.Subject(), 5); return err }},
	"Redeem": {prepare: func(h *hand) { h.in(onboarding.Sent) },
		call: func(h *hand) error { _, err := h.Redeem(h.ctx, h.redemption(10_000+h.forms)); return err }},
	"Claim": {prepare: func(h *hand) { h.ask(); h.willClaim() },
		call: func(h *hand) error { _, err := h.Claim(h.ctx, h.claim); return err }},
	"Session":  {call: func(h *hand) error { _, _, err := h.Session(h.ctx, session(1000)); return err }},
	"Seen":     {call: func(h *hand) error { h.clock.Advance(2 * time.Minute); return h.Seen(h.ctx, session(1000)) }},
	"Sessions": {call: func(h *hand) error { _, err := h.Sessions(h.ctx, h.first()); return err }},
	"Export":   {call: func(h *hand) error { _, err := h.Export(h.ctx, h.first()); return err }},
	"Erase": {prepare: func(h *hand) { h.in(onboarding.Sent); h.redeem(20_000 + h.forms) },
		call: func(h *hand) error { return h.Erase(h.ctx, h.mail.Subject()) }},
	"EndSession": {prepare: func(h *hand) { h.in(onboarding.Sent); h.redeem(30_000 + h.forms) },
		call: func(h *hand) error { return h.EndSession(h.ctx, h.mail.Subject(), session(30_000+h.forms)) }},
	"Purge": {call: func(h *hand) error {
		_, err := h.Purge(h.ctx, signup.Retention{Unconfirmed: 24 * time.Hour, SignIns: 24 * time.Hour, Limit: 10})
		return err
	}},
	"Sweep": {call: func(h *hand) error { _, err := h.Sweep(h.ctx, me, 5); return err }},
}
