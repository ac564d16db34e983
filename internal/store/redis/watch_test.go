package redis_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
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
	_, _, err = teller.Accept(ctx, form(uuid.NewString(), 1, false))
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
		_, _, _ = s.Accept(ctx, form(uuid.NewString(), 1, false)) // the server may be away
		select {
		case <-told:
			return
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("nobody was told")
		}
	}
}
