package servicebus

import (
	"context"
	"errors"
	"sync"
	"time"

	"bellhop/internal/queue"
)

var (
	// errLimit is returned for a call that took as long as it may.
	errLimit = errors.New("no answer from Service Bus in time")
	// errHung is returned for a call that was left behind.
	errHung = errors.New("the SDK of Service Bus does not return from a call")
	// errReplaced is returned for a call on a client that was given up.
	errReplaced = errors.New("the connection to Service Bus was made anew")
	// errLinkLost is what a receive without messages and without error means.
	errLinkLost = errors.New("the link to Service Bus was lost")
)

// client is one connection to the namespace, with what is open on it.
type client struct {
	sdk      sdkClient
	timing   timing
	senders  *pool[sdkSender]
	browsers *pool[sdkReceiver] // they look and never receive

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // Add only while !closed
}

// client returns the present client.
func (q *Queue) client() (*client, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, queue.ErrClosed
	}
	if q.current != nil {
		return q.current, nil
	}
	sdk, err := q.dial()
	if err != nil {
		return nil, err
	}
	c := &client{sdk: sdk, timing: q.timing}
	c.senders, c.browsers = newPool[sdkSender](c), newPool[sdkReceiver](c)
	q.current = c
	return c, nil
}

// isCurrent tells whether a client has not been given up.
func (q *Queue) isCurrent(c *client) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.current == c
}

// replace gives a client up, so that whoever needs one next makes it anew. It
// does nothing if somebody did that before, or if it was done just now: the
// more often it did not help, the more rarely it is done.
func (q *Queue) replace(c *client, why error) {
	q.mu.Lock()
	if q.current != c || time.Since(q.replaced) < q.quiet {
		q.mu.Unlock()
		return
	}
	q.current = nil
	q.replaced = time.Now()
	q.quiet = min(max(2*q.quiet, q.timing.backoff), q.timing.patience)
	q.retire(c, q.timing.grace)
	q.mu.Unlock()
	q.log.Warn("the connection to Service Bus is made anew", "reason", why)
}

// doubt replaces a client that did not answer in time.
func (q *Queue) doubt(ctx context.Context, c *client, err error) {
	if errors.Is(err, errHung) || errors.Is(err, errLimit) && ctx.Err() == nil {
		q.replace(c, err)
	}
}

// healthy notes that messages come through.
func (q *Queue) healthy() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.quiet = 0
}

// retire closes a client without waiting for it.
func (q *Queue) retire(c *client, within time.Duration) {
	q.clients.Go(func() { c.shut(within) })
}

// shut closes everything, and returns when no call is under way any more.
func (c *client) shut(within time.Duration) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.senders.stop()
	c.browsers.stop()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_ = c.sdk.Close(ctx) // its errors are about links that are gone
	c.calls.Wait()
}

// start runs fn on a goroutine that shut waits for, or tells that the client
// has been given up.
func (c *client) start(fn func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.calls.Go(fn)
	}
	return !c.closed
}

type result[T any] struct {
	value T
	err   error
}

// call makes a call of the SDK, which must not hang. After limit it is errLimit;
// if op does not return even then, or not when ctx ends, it is left behind and
// the error is errHung. What op brings later is given to late, which may be nil.
func call[T any](ctx context.Context, c *client, limit time.Duration, op func(context.Context) (T, error), late func(T)) (none T, _ error) {
	bound, cancel := context.WithTimeout(ctx, limit)
	results, left := make(chan result[T]), make(chan struct{})
	started := c.start(func() {
		defer cancel()
		value, err := op(bound)
		select {
		case results <- result[T]{value, err}:
		case <-left:
			if late != nil {
				late(value)
			}
		}
	})
	if !started {
		cancel()
		return none, errReplaced
	}
	select {
	case r := <-results:
		return r.value, inTime(ctx, r.err)
	case <-bound.Done():
	}
	grace := time.NewTimer(c.timing.grace)
	defer grace.Stop()
	select {
	case r := <-results:
		return r.value, inTime(ctx, r.err)
	case <-grace.C:
		close(left)
		return none, errHung
	}
}

// inTime tells a deadline of ours from the caller's.
func inTime(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return errLimit
	}
	return err
}

// closer is a link.
type closer interface {
	Close(ctx context.Context) error
}

// closeLink closes a link without waiting for it. The returned channel is
// closed when that is over.
func (c *client) closeLink(link closer) <-chan struct{} {
	over := make(chan struct{})
	started := c.start(func() {
		defer close(over)
		c.hangUp(link)
	})
	if !started { // shut closes it
		close(over)
	}
	return over
}

// hangUp closes a link, with a deadline.
func (c *client) hangUp(link closer) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timing.close)
	defer cancel()
	_ = link.Close(ctx)
}
