package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/limit"
	"bellhop/internal/limit/limittest"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"
)

func TestLimits(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	var databases atomic.Int32
	limittest.Run(t, func(t *testing.T) limittest.Subject {
		clock := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		store := connect(t, redisdb.Settings{URL: server.URL(int(databases.Add(1)))}, redis.Options{Now: clock.Now})
		return limittest.Subject{Limiter: store, Advance: clock.Advance}
	})
}

// B5.2: what one process took counts in the others, what is counted goes by
// itself, and a memory is bounded by the time of the longest limit.
func TestLimitsAreSharedAndGoByThemselves(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	settings := redisdb.Settings{URL: server.URL(0)}
	one, two := connect(t, settings, redis.Options{}), connect(t, settings, redis.Options{})
	ctx := within(t)
	charge := limit.Charge{Key: limittest.Key("a"), Rate: limit.Rate{Events: 2, Per: time.Hour}}
	for i, store := range []*redis.Store{one, two, one, two} {
		over, wait, err := store.Take(ctx, charge)
		ok(t, err)
		if (over < 0) != (i < 2) || over == 0 && (wait <= 29*time.Minute || wait > 30*time.Minute) {
			t.Errorf("try %d: Take = %d, %v", i, over, wait)
		}
	}
	key := fmt.Sprintf("{bellhop}:limit:%x", charge.Key[:])
	left, err := server.Do("PTTL", key)
	ok(t, err)
	var ms int64
	if _, err := fmt.Sscan(fmt.Sprint(left), &ms); err != nil || ms <= 59*60_000 || ms > 60*60_000 {
		t.Errorf("%s is kept for %v ms, want an hour", key, left)
	}
	sound(t, one, server.URL(0))
}

// A full Redis is no reason to let everybody wait for a limit: it says that it
// cannot count.
func TestLimitsOfAFullServer(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	store := connect(t, redisdb.Settings{URL: server.URL(0)}, redis.Options{})
	fill(t, server)
	over, _, err := store.Take(within(t), limit.Charge{Key: limittest.Key("a"), Rate: limit.Rate{Events: 2, Per: time.Hour}})
	if over != -1 || !errors.Is(err, signup.ErrUnavailable) {
		t.Errorf("Take = %d, %v, want -1 and %v", over, err, signup.ErrUnavailable)
	}
}

// A server that does not answer is not waited for as long as a sign-up would
// wait; and what is not limited asks no server.
func TestLimitsOfASilentServer(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	store := connect(t, redisdb.Settings{URL: server.URL(0), Timeout: patience}, redis.Options{})
	server.Pause()
	defer server.Resume()
	never := limit.Charge{Key: limittest.Key("a")}
	if over, _, err := store.Take(within(t), never, never); over != -1 || err != nil {
		t.Errorf("without a limit: Take = %d, %v", over, err)
	}
	over, _, err := store.Take(within(t), limit.Charge{Key: limittest.Key("a"), Rate: limit.Rate{Events: 2, Per: time.Hour}})
	if over != -1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Take = %d, %v, want -1 and %v", over, err, context.DeadlineExceeded)
	}
}

func BenchmarkTake(b *testing.B) {
	for _, p := range []struct {
		name string
		kept redistest.Persistence
	}{{"keeping nothing", redistest.None}, {"synced always", redistest.Always}} {
		b.Run(p.name, func(b *testing.B) {
			store := connect(b, redisdb.Settings{URL: redistest.Start(b, redistest.Options{Persistence: p.kept}).URL(0)}, redis.Options{})
			rate := limit.Rate{Events: 30, Per: 10 * time.Minute}
			total := limit.Charge{Key: limittest.Key("total"), Rate: limit.Rate{Events: 1_000_000, Per: time.Second}}
			var n atomic.Int64
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					own := limit.Charge{Key: limittest.Key(fmt.Sprint(n.Add(1) % 10_000)), Rate: rate}
					if _, _, err := store.Take(b.Context(), own, total); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
