package onboarding_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/onboarding"
)

// away is a store that does not hear anybody for a while.
type away struct {
	onboarding.Presence
	from, until time.Time

	mu   sync.Mutex
	said []time.Time // when somebody was heard
}

func (a *away) Heartbeat(context.Context, onboarding.Incarnation) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if now.After(a.from) && now.Before(a.until) {
		return errors.New("away")
	}
	a.said = append(a.said, now)
	return nil
}

func (a *away) Leave(context.Context, onboarding.Incarnation) error { return nil }

// C1.9: whoever may judge after an outage had no gap longer than Policy.Gap, so
// the outage was no longer than that; then nobody who lives may have been silent
// for as long as the dead.
func TestC1_9_AHeartbeatIsBackSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := onboarding.DefaultPolicy()
		began := time.Now()
		from := began.Add(2*policy.Heartbeat - time.Millisecond) // just before the second
		store := &away{from: from, until: from.Add(policy.Gap())}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := onboarding.KeepPresence(ctx, store, "me", policy, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
		wait(time.Minute)
		cancel()
		running.Wait()
		last, longest := began, time.Duration(0)
		for _, at := range store.said {
			longest, last = max(longest, at.Sub(last)), at
		}
		if longest >= policy.DeadAfter-time.Second {
			t.Errorf("an outage of %v made a gap of %v, and the dead are silent for %v", policy.Gap(), longest, policy.DeadAfter)
		}
		if len(store.said) < 15 {
			t.Errorf("heard %d times in a minute", len(store.said))
		}
	})
}
