package app

import (
	"context"
	"sync/atomic"

	"bellhop/internal/web"
)

// readiness tells whether this process can do its work. A process that takes
// sign-ups needs only the store; a broken queue delays mails and is worth a
// word. The mail server is never part of it: mails wait.
type readiness struct {
	store    func(context.Context) error
	queue    func(context.Context) error
	web      bool // the process has the web role
	draining atomic.Bool
}

// Ready implements [web.Readiness].
func (r *readiness) Ready(ctx context.Context) web.Ready {
	if r.draining.Load() {
		return web.Ready{Unavailable: true, Reason: "the process is stopping"}
	}
	if err := r.store(ctx); err != nil {
		return web.Ready{Unavailable: true, Reason: "the store does not answer"}
	}
	if err := r.queue(ctx); err != nil {
		return web.Ready{Unavailable: !r.web, Degraded: r.web, Reason: "the queue does not answer: mails wait"}
	}
	return web.Ready{}
}

// run is the readiness as the last service: draining begins here.
func (r *readiness) run(ctx context.Context, drain <-chan struct{}) error {
	select {
	case <-drain:
	case <-ctx.Done():
	}
	r.draining.Store(true)
	return nil
}
