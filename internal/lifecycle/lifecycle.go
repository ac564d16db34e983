// Package lifecycle runs the parts of a process together and stops them in
// good order. It knows nothing of what they do.
//
// # The contract
//
// A [Service] is a function that works until its drain channel is closed, then
// takes nothing new, finishes what is under way, and returns. Whatever can
// fail at the start (binding a port, opening a file) is done before the service
// is made, so there is nothing to wait for after starting one, no Stop that
// could come before Start or twice, and no state to get wrong. Package
// lifecycletest holds the contract's test.
//
// # The order
//
// [Run] starts services in the order they are given and drains them one after
// the other from the last to the first. So what is listed first may be relied
// on by what follows, until that has ended. A Bellhop process lists its
// heartbeat, the relay, the sender, the web server and its readiness, and thus
// stops like this:
//
//	readiness off → stop accepting → finish requests → stop claiming mails
//	→ wait for replies after the dot → release what was claimed → heartbeat off
//
// # The limit
//
// All of that together may take the drain timeout. When it is over the context
// of the service being drained ends, and that of each further one when its turn
// comes: what is still under way is cut, recorded, and left to be done again,
// and may still rely on what is listed before it. A second signal does not wait
// even for that, see [Signals]; it is as safe as a crash, which every service
// must survive anyway.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

var (
	// ErrEnded is returned for a service that returned nil without being asked
	// to.
	ErrEnded = errors.New("ended on its own")
	// ErrStuck is returned for a service that goes on after its context has
	// ended. It is left behind: the process is about to exit.
	ErrStuck = errors.New("did not stop when its time was over")
)

// Grace is how long services have to return once the drain timeout has cut
// what was under way: time for one commit, not for a conversation.
const Grace = 5 * time.Second

// Service is one part of a process.
type Service struct {
	// Name is for logs and errors, such as "relay".
	Name string
	// Run works until drain is closed, then takes nothing new, finishes what
	// is under way and returns nil. When ctx ends it gives up what is under
	// way, and returns within [Grace]. Every goroutine it started has ended
	// when it returns.
	//
	// ctx does not end before drain is closed. drain may be closed, and ctx may
	// have ended, before Run is called. An error means that the service cannot
	// go on; it ends the whole process.
	Run func(ctx context.Context, drain <-chan struct{}) error
}

// Worker makes a service of a loop that is stopped by ending its context, with
// nothing to finish. Its context's own error counts as nil once it was asked to
// stop.
func Worker(name string, loop func(ctx context.Context) error) Service {
	return Service{Name: name, Run: func(ctx context.Context, drain <-chan struct{}) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- loop(ctx) }()
		select {
		case err := <-ended:
			if ctx.Err() == nil {
				return err
			}
			ended <- err // it was asked to stop, and was quick
		case <-drain:
		case <-ctx.Done():
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}}
}

// running is a service that was started.
type running struct {
	Service
	drain chan struct{}
	cut   context.CancelFunc // ends Run's context
	done  chan struct{}      // closed when Run has returned and err is set
	err   error
}

// Run runs services until ctx ends or the first of them returns. Then it
// drains all of them and returns, within timeout and [Grace]. It returns nil
// when ctx ended and every service returned nil, and otherwise all errors, the
// one that began it first.
func Run(ctx context.Context, timeout time.Duration, log *slog.Logger, services ...Service) error {
	ended := make(chan *running, len(services))
	var started []*running
	for _, s := range services {
		// ctx says when to begin to stop; the service's own says when it is over.
		work, cut := context.WithCancel(context.WithoutCancel(ctx))
		defer cut()
		r := &running{Service: s, drain: make(chan struct{}), cut: cut, done: make(chan struct{})}
		started = append(started, r)
		go func() {
			r.err = r.Run(work, r.drain)
			close(r.done)
			ended <- r
		}()
	}

	var errs []error
	var first *running
	select {
	case <-ctx.Done():
		log.Info("stopping", "cause", context.Cause(ctx), "timeout", timeout)
	case first = <-ended:
		errs = append(errs, first.unasked())
		log.Error("stopping", "cause", errs[0], "timeout", timeout)
	}

	wait := limits{drain: time.After(timeout), grace: time.After(timeout + Grace), log: log}
	for _, r := range slices.Backward(started) {
		if r != first {
			errs = append(errs, r.stop(&wait))
		}
	}
	return errors.Join(errs...)
}

// unasked is the error of a service that returned before it was told to.
func (r *running) unasked() error {
	if r.err == nil {
		return fmt.Errorf("%s: %w", r.Name, ErrEnded)
	}
	return fmt.Errorf("%s: %w", r.Name, r.err)
}

// stop drains one service and waits for it.
func (r *running) stop(wait *limits) error {
	select {
	case <-r.done:
		return r.unasked()
	default:
	}
	close(r.drain)
	switch {
	case !wait.until(r):
		return fmt.Errorf("%s: %w", r.Name, ErrStuck)
	case r.err != nil:
		return fmt.Errorf("%s: %w", r.Name, r.err)
	}
	return nil
}

// limits are the two ends of the time that stopping may take.
type limits struct {
	drain, grace <-chan time.Time
	over         bool // drain has come
	log          *slog.Logger
}

// until waits for a service and tells whether it returned in time.
func (w *limits) until(r *running) bool {
	if w.over {
		r.cut()
	}
	for {
		select {
		case <-r.done:
			return true
		case <-w.drain:
			w.log.Warn("the drain timeout is over: cutting what is under way", "waiting_for", r.Name)
			w.over = true
			r.cut()
		case <-w.grace:
			w.grace = closed() // nobody who follows is waited for either
			return false
		}
	}
}

// closed returns a channel that is always ready.
func closed() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}
