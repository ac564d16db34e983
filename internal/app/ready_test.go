package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/web"
)

func TestReadiness(t *testing.T) {
	works := func(context.Context) error { return nil }
	broken := func(context.Context) error { return errors.New("broken") }
	for _, test := range []struct {
		name         string
		store, queue func(context.Context) error
		web          bool
		want         web.Ready
	}{
		{"all well", works, works, true, web.Ready{}},
		{"sign-ups need no queue", works, broken, true, web.Ready{Degraded: true, Reason: "the queue does not answer: mails wait"}},
		{"mails do", works, broken, false, web.Ready{Unavailable: true, Reason: "the queue does not answer: mails wait"}},
		{"nothing goes without the store", broken, works, true, web.Ready{Unavailable: true, Reason: "the store does not answer"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newReadiness(test.store, test.queue, test.web, time.Second)
			if got := r.Ready(t.Context()); got != test.want {
				t.Errorf("Ready = %+v, want %+v", got, test.want)
			}
		})
	}
}

// A store that hangs is one that does not answer, and is found out in time.
func TestReadinessIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		works := func(context.Context) error { return nil }
		began := time.Now()
		if got := newReadiness(hangs, works, true, time.Second).Ready(t.Context()); !got.Unavailable {
			t.Errorf("Ready = %+v, want unavailable", got)
		}
		if got := newReadiness(works, hangs, true, time.Second).Ready(t.Context()); !got.Degraded {
			t.Errorf("Ready = %+v, want degraded", got)
		}
		if took := time.Since(began); took != 2*answerWithin {
			t.Errorf("two answers took %v, want %v each", took, answerWithin)
		}
	})
}

// C1.13: whoever watches the readiness learns of the end before the door is
// closed, and nobody waits for a watcher there is not.
func TestReadinessIsTakenBackFirst(t *testing.T) {
	const notice = 5 * time.Second
	for _, test := range []struct {
		name       string
		askedAgo   time.Duration // before the drain; 0 for never
		asksAfter  time.Duration // after it; 0 for not
		want       time.Duration // how long draining waits
		overBefore bool          // the time for draining is over already
	}{
		{name: "nobody watches"},
		{name: "somebody did, long ago", askedAgo: watchedFor + time.Second},
		{name: "a balancer watches", askedAgo: 2 * time.Second, asksAfter: 3 * time.Second, want: 3 * time.Second},
		{name: "it does not ask again", askedAgo: 2 * time.Second, want: notice},
		{name: "no time is left", askedAgo: 2 * time.Second, overBefore: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				works := func(context.Context) error { return nil }
				r := newReadiness(works, works, true, notice)
				if test.askedAgo > 0 {
					r.Ready(t.Context())
					<-time.After(test.askedAgo)
				}
				ctx, cut := context.WithCancel(t.Context())
				defer cut()
				if test.overBefore {
					cut()
				}
				drain, ended := make(chan struct{}), make(chan error, 1)
				go func() { ended <- r.run(ctx, drain) }()
				synctest.Wait()
				began := time.Now()
				close(drain)
				if test.asksAfter > 0 {
					<-time.After(test.asksAfter)
					if got := r.Ready(t.Context()); !got.Unavailable || got.Reason == "" {
						t.Errorf("while draining: %+v", got)
					}
				}
				if err := <-ended; err != nil || time.Since(began) != test.want {
					t.Errorf("run = %v after %v, want nil after %v", err, time.Since(began), test.want)
				}
			})
		})
	}
}
