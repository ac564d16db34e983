package app

import (
	"context"
	"sync/atomic"
	"time"

	"bellhop/internal/web"
)

// answerWithin bounds the questions behind one answer: balancers do not wait,
// and a store that takes longer is no good to anybody.
const answerWithin = 3 * time.Second

// watchedFor is how long somebody who asks for the readiness is taken to ask
// again: balancers ask every few seconds.
const watchedFor = 30 * time.Second

// readiness tells whether this process can do its work. A process that takes
// sign-ups needs only the store; a broken queue delays mails and is worth a
// word. The mail server is never part of it: mails wait.
type readiness struct {
	store  func(context.Context) error
	queue  func(context.Context) error
	web    bool          // the process has the web role
	notice time.Duration // how long a balancer may take to notice the end

	draining atomic.Bool
	asked    atomic.Pointer[time.Time] // when it was asked last; nil for never
	told     chan struct{}             // buffered by one: somebody was told of the draining
}

func newReadiness(store, queue func(context.Context) error, web bool, notice time.Duration) *readiness {
	return &readiness{store: store, queue: queue, web: web, notice: notice, told: make(chan struct{}, 1)}
}

// Ready implements [web.Readiness].
func (r *readiness) Ready(ctx context.Context) web.Ready {
	if r.draining.Load() {
		select {
		case r.told <- struct{}{}:
		default:
		}
		return web.Ready{Unavailable: true, Reason: "the process is stopping"}
	}
	now := time.Now()
	r.asked.Store(&now)
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := r.store(ctx); err != nil {
		return web.Ready{Unavailable: true, Reason: "the store does not answer"}
	}
	if err := r.queue(ctx); err != nil {
		return web.Ready{Unavailable: !r.web, Degraded: r.web, Reason: "the queue does not answer: mails wait"}
	}
	return web.Ready{}
}

// run is the readiness as the last service, so that draining begins here. If a
// balancer has been watching, it is given time to notice while requests are
// still answered: otherwise it would send people to a closed door.
func (r *readiness) run(ctx context.Context, drain <-chan struct{}) error {
	select {
	case <-drain:
	case <-ctx.Done():
	}
	r.draining.Store(true)
	if asked := r.asked.Load(); asked == nil || time.Since(*asked) > watchedFor {
		return nil
	}
	limit := time.NewTimer(r.notice)
	defer limit.Stop()
	select {
	case <-r.told:
	case <-limit.C:
	case <-ctx.Done():
	}
	return nil
}
