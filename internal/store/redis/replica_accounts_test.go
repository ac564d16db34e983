package redis_test

import (
	"errors"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"
)

// Everything of accounts that is a promise, while the one replica stands still:
// refused, and within the deadline. Repeated afterwards it has happened, and a
// promotion does not undo it.
func TestWithoutItsReplicaNothingIsPromisedToAccounts(t *testing.T) {
	master, replica := pair(t)
	const limit = 1500 * time.Millisecond
	h := newHand(t, master.URL(0))
	h.Store = connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1, Timeout: limit}, redis.Options{Policy: h.policy, Now: h.clock.Now})
	promises, accounts := h.promises()
	replica.Pause()
	ask(promises, func(what string, took time.Duration, err error) {
		if !errors.Is(err, signup.ErrUnavailable) || took > limit+5*time.Second {
			t.Errorf("%s without the replica: %v after %v, want %v within %v", what, err, took, signup.ErrUnavailable, limit)
		}
	})
	for what, look := range map[string]func() error{
		"marking a session": func() error { return h.Seen(h.ctx, session(1)) },
		"a session":         func() error { _, _, err := h.Session(h.ctx, session(1)); return err },
		"a look at a link":  func() error { _, err := h.Mint(h.ctx, h.mail); return err },
	} {
		if err := look(); err != nil {
			t.Errorf("%s is no promise, and needs no replica: %v", what, err)
		}
	}
	replica.Resume()
	for again := true; again; {
		again = errors.Is(h.Ping(h.ctx), signup.ErrUnavailable) // it is catching up
	}
	ask(promises, func(what string, _ time.Duration, err error) {
		if err != nil && !errors.Is(err, signup.ErrNotFound) { // it was ended the first time
			t.Errorf("%s with the replica: %v", what, err)
		}
	})

	master.Kill()
	replica.Promote()
	after := connect(t, redisdb.Settings{URL: replica.URL(0)}, redis.Options{Policy: h.policy, Now: h.clock.Now})
	for number, there := range map[int]bool{1: true, 2: false, 3: false, 4: false, 9: true} {
		_, _, err := after.Session(h.ctx, session(number))
		if there && err != nil || !there && !errors.Is(err, signup.ErrNotFound) {
			t.Errorf("after the promotion session %d: %v; it is there: %v", number, err, there)
		}
	}
	if _, err := after.Person(h.ctx, accounts[3]); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("after the promotion the erased account: %v", err)
	}
	sound(t, after, replica.URL(0))
}

// promises are made of four accounts, whose sessions have their number, and
// of one who was sent the mail that the test is about.
func (h *hand) promises() (calls map[string]func() error, accounts []string) {
	h.t.Helper()
	for number := 1; number <= 4; number++ {
		h.in(onboarding.Sent)
		accounts = append(accounts, h.redeem(number).Account.ID)
	}
	h.in(onboarding.Sent)
	h.clock.Advance(time.Hour)
	link, request, subject := h.redemption(9), h.request(), h.mail.Subject()
	return map[string]func() error{
		"a link":               func() error { _, err := h.Redeem(h.ctx, link); return err },
		"a request to sign in": func() error { return h.Ask(h.ctx, request) },
		"a try": func() error {
			_, err := h.Try(h.ctx, subject, 5)
			if errors.Is(err, signup.ErrUsed) { // the link was faster
				return nil
			}
			return err
		},
		"a resend": func() error {
			_, _, err := h.Resend(h.ctx, signup.Resend{SignUp: subject, Expiry: time.Hour, After: time.Minute, Most: 5})
			return err
		},
		"the next secret":    func() error { _, err := h.Rotate(h.ctx, rotation(0)); return err },
		"the end of one":     func() error { return h.EndSession(h.ctx, accounts[1], session(2)) },
		"the end of all":     func() error { _, err := h.EndSessions(h.ctx, accounts[2]); return err },
		"erasing an account": func() error { return h.Erase(h.ctx, accounts[3]) },
		"purging":            func() error { _, err := h.Purge(h.ctx, retention); return err },
		"setting a document": func() error { _, err := h.SetDocument(h.ctx, "ring", []byte("one"), 0); return err },
	}, accounts
}
