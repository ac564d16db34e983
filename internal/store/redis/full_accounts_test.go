package redis_test

import (
	"errors"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
)

// A full store takes nobody in: whatever leads to a new session is refused and
// has left nothing behind, and works once there is room. Who is in stays in, and
// who wants to leave can.
func TestFullMemoryTakesNobodyInAndKeepsWhoIsIn(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	h := newHand(t, server.URL(0))
	account := h.everythingOfAnAccount()
	h.in(onboarding.Sent)
	h.redeem(3)
	h.ask()
	h.in(onboarding.Sent)
	link := h.redemption(9)
	for range 100 { // whose end makes no room
		h.in(onboarding.Sent)
	}
	fill(t, server)
	h.unchanged("what a full store refuses", func() {
		for what, call := range h.intake(link) {
			if err := call(); !errors.Is(err, signup.ErrUnavailable) {
				t.Errorf("a full store says %v to %s, want %v", err, what, signup.ErrUnavailable)
			}
		}
	})
	h.looksAround(account)
	h.staysInAndLeaves(account)
	_, err := server.Do("CONFIG", "SET", "maxmemory", "0")
	ok(t, err)
	for what, call := range h.intake(link) {
		if err := call(); errors.Is(err, signup.ErrUnavailable) {
			t.Errorf("with room the store says %v to %s", err, what)
		}
	}
	sound(t, h.Store, h.url)
}

// intake is what only a store with room takes, beside sign-ups.
func (h *hand) intake(link signup.Redemption) map[string]func() error {
	subject := link.Mail.Subject()
	return map[string]func() error{
		"a resend": func() error {
			_, _, err := h.Resend(h.ctx, signup.Resend{SignUp: subject, Expiry: time.Hour, Most: 5})
			return err
		},
		"a request to sign in": func() error { return h.Ask(h.ctx, h.request()) },
		"a try":                func() error { _, err := h.Try(h.ctx, subject, 5); return err },
		"a link":               func() error { _, err := h.Redeem(h.ctx, link); return err },
	}
}

// looksAround reads what a page, or an operator, wants to see.
func (h *hand) looksAround(account string) {
	h.t.Helper()
	for what, call := range map[string]func() error{
		"a person":       func() error { _, err := h.Person(h.ctx, account); return err },
		"people":         func() error { _, err := h.People(h.ctx, fingerprint(1)); return err },
		"progress":       func() error { _, err := h.Progress(h.ctx, account); return err },
		"a mint":         func() error { _, err := h.Mint(h.ctx, h.mail); return err },
		"a session":      func() error { _, _, err := h.Session(h.ctx, session(1)); return err },
		"sessions":       func() error { _, err := h.Sessions(h.ctx, account); return err },
		"all about them": func() error { _, err := h.Export(h.ctx, account); return err },
		"a document":     func() error { _, _, err := h.Document(h.ctx, "ring"); return err },
	} {
		if err := call(); err != nil && !errors.Is(err, signup.ErrNotFound) {
			h.t.Errorf("reading %s: %v", what, err)
		}
	}
}

// staysInAndLeaves does everything that has to be possible in a full store.
func (h *hand) staysInAndLeaves(account string) {
	h.t.Helper()
	h.clock.Advance(2 * time.Minute)
	ok(h.t, h.Seen(h.ctx, session(2)))
	h.rotate(0)
	ok(h.t, h.EndSession(h.ctx, account, session(2)))
	ended, err := h.EndSessions(h.ctx, account)
	ok(h.t, err)
	if ended != 1 {
		h.t.Errorf("%d sessions were ended, want 1", ended)
	}
	_, err = h.SetDocument(h.ctx, "ring", make([]byte, 1000), 0)
	ok(h.t, err)
	ok(h.t, h.Erase(h.ctx, account))
	h.clock.Advance(48 * time.Hour)
	purged, err := h.Purge(h.ctx, retention)
	ok(h.t, err)
	if want := (signup.Purged{SignUps: 101, SignIns: 1, Sessions: 1}); purged != want {
		h.t.Errorf("purged %+v, want %+v", purged, want)
	}
}
