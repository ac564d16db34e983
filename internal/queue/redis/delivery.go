package redis

import (
	"context"
	"sync/atomic"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/redisdb"
)

// delivery is one message held under a lock.
type delivery struct {
	receiver *receiver
	entry    string
	count    int
	message  queue.Message
	until    atomic.Pointer[time.Time]
}

// Message implements [queue.Delivery].
func (d *delivery) Message() queue.Message { return d.message }

// Count implements [queue.Delivery].
func (d *delivery) Count() int { return d.count }

// LockedUntil implements [queue.Delivery]. The server's lock ends later, by as
// long as the request was under way.
func (d *delivery) LockedUntil() time.Time { return *d.until.Load() }

// Renew implements [queue.Delivery].
func (d *delivery) Renew(ctx context.Context) error {
	until := time.Now().Add(d.receiver.queue.opts.Lock)
	if err := d.run(ctx, d.receiver.queue.scripts.renew); err != nil {
		return err
	}
	d.until.Store(&until)
	return nil
}

// Complete implements [queue.Delivery].
func (d *delivery) Complete(ctx context.Context) error {
	return d.settle(ctx, d.receiver.queue.scripts.complete)
}

// Abandon implements [queue.Delivery].
func (d *delivery) Abandon(ctx context.Context) error {
	return d.settle(ctx, d.receiver.queue.scripts.abandon)
}

// DeadLetter implements [queue.Delivery].
func (d *delivery) DeadLetter(ctx context.Context, reason, description string) error {
	return d.settle(ctx, d.receiver.queue.scripts.deadLetter, queue.ClipReason(reason), queue.ClipReason(description))
}

// settle makes a step that ends the lock. When it fails the message goes back
// as soon as the receiver looks, instead of at the lock's end.
func (d *delivery) settle(ctx context.Context, s *redisdb.Script, args ...any) error {
	defer d.receiver.release(d)
	return d.run(ctx, s, args...)
}

// run makes a step on the message if it is still held.
func (d *delivery) run(ctx context.Context, s *redisdb.Script, args ...any) error {
	r := d.receiver
	args = append([]any{r.consumer, d.entry, d.count, r.queue.opts.Lock.Milliseconds()}, args...)
	reply, err := r.tag.Run(ctx, s, redisdb.Answered, args...)
	switch {
	case vanished(err):
		return queue.ErrLockLost
	case err != nil:
		return err
	case reply != int64(1):
		return queue.ErrLockLost
	}
	return nil
}
