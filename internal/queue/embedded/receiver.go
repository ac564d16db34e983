package embedded

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
)

// receiver takes messages from one queue of the bus.
type receiver struct {
	queue *Queue
	name  string

	mu     sync.Mutex
	closed bool
	waits  map[*context.CancelCauseFunc]struct{} // receives under way
}

// Receive implements [queue.Receiver].
func (r *receiver) Receive(ctx context.Context, limit int) ([]queue.Delivery, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !r.enter(&cancel) {
		return nil, queue.ErrClosed
	}
	defer r.leave(&cancel)
	got, err := r.queue.bus.Receive(ctx, r.name, bus.ReceiveOptions{Limit: limit})
	if err != nil {
		if ctx.Err() != nil && errors.Is(context.Cause(ctx), queue.ErrClosed) {
			return nil, queue.ErrClosed
		}
		return nil, translate(err)
	}
	deliveries := make([]queue.Delivery, len(got))
	for i := range got {
		d := &delivery{bus: r.queue.bus, received: got[i]}
		d.until.Store(&got[i].LockedUntil)
		deliveries[i] = d
	}
	return deliveries, nil
}

// enter notes a receive under way, unless the receiver is closed.
func (r *receiver) enter(cancel *context.CancelCauseFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.waits[cancel] = struct{}{}
	}
	return !r.closed
}

func (r *receiver) leave(cancel *context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waits, cancel)
}

// Close implements [queue.Receiver].
func (r *receiver) Close(context.Context) error {
	r.queue.forget(r)
	r.end()
	return nil
}

func (r *receiver) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for cancel := range r.waits {
		(*cancel)(queue.ErrClosed)
	}
}

// delivery is one message held under a lock of the bus.
type delivery struct {
	bus      *bus.Bus
	received bus.Received
	until    atomic.Pointer[time.Time]
}

// Message implements [queue.Delivery].
func (d *delivery) Message() queue.Message { return message(d.received) }

// Count implements [queue.Delivery].
func (d *delivery) Count() int { return d.received.DeliveryCount + 1 }

// LockedUntil implements [queue.Delivery].
func (d *delivery) LockedUntil() time.Time { return *d.until.Load() }

// Renew implements [queue.Delivery].
func (d *delivery) Renew(ctx context.Context) error {
	until, err := d.bus.Renew(ctx, d.received.LockToken)
	if err != nil {
		return translate(err)
	}
	d.until.Store(&until)
	return nil
}

// Complete implements [queue.Delivery].
func (d *delivery) Complete(ctx context.Context) error {
	return translate(d.bus.Complete(ctx, d.received.LockToken))
}

// Abandon implements [queue.Delivery].
func (d *delivery) Abandon(ctx context.Context) error {
	return translate(d.bus.Abandon(ctx, d.received.LockToken, nil))
}

// DeadLetter implements [queue.Delivery].
func (d *delivery) DeadLetter(ctx context.Context, reason, description string) error {
	return translate(d.bus.DeadLetter(ctx, d.received.LockToken, reason, description, nil))
}
