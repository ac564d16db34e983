package redis_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"

	"github.com/google/uuid"
)

// Nobody looks for due mails here: whoever hears of one was told.
func TestAnotherProcessIsToldOfASignUpAtOnceAndAgainAfterARestart(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	settings := redisdb.Settings{URL: server.URL(0)}
	teller := connect(t, settings, redis.Options{Announce: true})
	listener := connect(t, settings, redis.Options{})
	told := make(chan onboarding.Lane, 1000)
	ctx, end := context.WithCancel(within(t))
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := listener.Watch(ctx, func(l onboarding.Lane) { told <- l }); err != nil {
			t.Errorf("when it is told to end, Watch says %v", err)
		}
	})
	defer watching.Wait()
	defer end()

	signUpUntilTold(t, teller, told) // until the listener is there
	ok(t, teller.Close())
	_, err := server.Do("PUBLISH", redis.Tag+":news", "the last of its words")
	ok(t, err)
	for receive(t, told) == onboarding.Urgent {
	}

	teller = connect(t, settings, redis.Options{Announce: true})
	_, err = teller.Accept(ctx, form(uuid.NewString(), 1, false))
	ok(t, err)
	if lane := receive(t, told); lane != onboarding.Urgent {
		t.Errorf("the listener was told of lane %q", lane)
	}

	server.Kill()
	server.Restart()
	signUpUntilTold(t, teller, told)
}

func receive(t *testing.T, told chan onboarding.Lane) onboarding.Lane {
	t.Helper()
	select {
	case lane := <-told:
		return lane
	case <-time.After(patience):
		t.Fatal("nobody was told")
		return ""
	}
}

// signUpUntilTold makes up for what was announced before anyone listened.
func signUpUntilTold(t *testing.T, s *redis.Store, told chan onboarding.Lane) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for ctx := within(t); ; {
		_, _ = s.Accept(ctx, form(uuid.NewString(), 1, false)) // the server may be away
		select {
		case <-told:
			return
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("nobody was told")
		}
	}
}

// Whatever owes a mail tells it, and nothing else does.
func TestAnotherProcessIsToldOfWhatAccountsAreOwed(t *testing.T) {
	h := startHand(t)
	settings := redisdb.Settings{URL: h.url}
	listener := connect(t, settings, redis.Options{})
	told := make(chan onboarding.Lane, 1000)
	ctx, end := context.WithCancel(h.ctx)
	var watching sync.WaitGroup
	watching.Go(func() { _ = listener.Watch(ctx, func(l onboarding.Lane) { told <- l }) })
	defer watching.Wait()
	defer end()
	teller := connect(t, settings, redis.Options{Announce: true})
	signUpUntilTold(t, teller, told)
	ok(t, teller.Close())
	ok(t, h.raw().Publish(ctx, redis.Tag+":news", "the last of its words").Err())
	for receive(t, told) == onboarding.Urgent {
	}

	h.forms = 10 // others have signed up
	h.in(onboarding.Sent)
	h.clock.Advance(time.Hour)
	h.Store = connect(t, settings, redis.Options{Policy: h.policy, Now: h.clock.Now, Announce: true})
	link := h.redemption(1)
	again := signup.Resend{SignUp: h.mail.Subject(), Expiry: time.Hour, After: time.Minute, Most: 5}
	for _, tt := range []struct {
		what string
		lane onboarding.Lane
		call func() error
	}{
		{"a resend", onboarding.Urgent, func() error { _, _, err := h.Resend(h.ctx, again); return err }},
		{"a request to sign in", onboarding.Urgent, func() error { return h.Ask(h.ctx, h.request()) }},
		{"a welcome, and not of a resend that was too soon", onboarding.Bulk, func() error {
			_, _, err := h.Resend(h.ctx, again)
			ok(t, err)
			_, err = h.Redeem(h.ctx, link)
			return err
		}},
	} {
		ok(t, tt.call())
		if lane := receive(t, told); lane != tt.lane {
			t.Errorf("of %s the lane %s was told, want %s", tt.what, lane, tt.lane)
		}
	}
}
