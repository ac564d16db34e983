package servicebus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// delivery is one message held under a lock.
type delivery struct {
	receiver *receiver
	link     *link // by which it came
	received *azservicebus.ReceivedMessage
	message  queue.Message
	until    atomic.Pointer[time.Time]
	settled  atomic.Bool // or its lock is lost
}

// Message implements [queue.Delivery].
func (d *delivery) Message() queue.Message { return d.message }

// Count implements [queue.Delivery].
func (d *delivery) Count() int { return int(d.received.DeliveryCount) }

// LockedUntil implements [queue.Delivery]. It is never more than a minute ahead.
func (d *delivery) LockedUntil() time.Time { return *d.until.Load() }

// Renew implements [queue.Delivery].
func (d *delivery) Renew(ctx context.Context) error {
	token := d.token()
	err := d.byToken(ctx, func(ctx context.Context, sdk sdkReceiver) error {
		return sdk.RenewMessageLock(ctx, token, nil)
	})
	if err != nil {
		return fmt.Errorf("renew the lock on a message of %q: %w", d.receiver.name, err)
	}
	until := lockEnd(token.LockedUntil)
	d.until.Store(&until)
	return nil
}

// Complete implements [queue.Delivery].
func (d *delivery) Complete(ctx context.Context) error {
	return d.settle(ctx, "complete", func(ctx context.Context, sdk sdkReceiver, m *azservicebus.ReceivedMessage) error {
		return sdk.CompleteMessage(ctx, m, nil)
	})
}

// Abandon implements [queue.Delivery].
func (d *delivery) Abandon(ctx context.Context) error {
	return d.settle(ctx, "abandon", func(ctx context.Context, sdk sdkReceiver, m *azservicebus.ReceivedMessage) error {
		return sdk.AbandonMessage(ctx, m, nil)
	})
}

// DeadLetter implements [queue.Delivery].
func (d *delivery) DeadLetter(ctx context.Context, reason, description string) error {
	reason, description = queue.ClipReason(reason), queue.ClipReason(description)
	return d.settle(ctx, "dead-letter", func(ctx context.Context, sdk sdkReceiver, m *azservicebus.ReceivedMessage) error {
		return sdk.DeadLetterMessage(ctx, m, &azservicebus.DeadLetterOptions{Reason: &reason, ErrorDescription: &description})
	})
}

// settle settles on the link that the message came by, and by its lock token on
// another when that is gone or fails.
func (d *delivery) settle(ctx context.Context, verb string, op func(context.Context, sdkReceiver, *azservicebus.ReceivedMessage) error) error {
	defer d.receiver.release(d)
	err := d.onLink(ctx, op)
	if err != nil && !errors.Is(err, queue.ErrLockLost) && ctx.Err() == nil {
		token := d.token()
		err = d.byToken(ctx, func(ctx context.Context, sdk sdkReceiver) error { return op(ctx, sdk, token) })
	}
	if err == nil {
		d.settled.Store(true)
		return nil
	}
	return fmt.Errorf("%s a message of %q: %w", verb, d.receiver.name, err)
}

// onLink settles on the link that the message came by, for a shorter time than
// the SDK waits before it tries to mend what is broken.
func (d *delivery) onLink(ctx context.Context, op func(context.Context, sdkReceiver, *azservicebus.ReceivedMessage) error) error {
	r := d.receiver
	if d.settled.Load() {
		return queue.ErrLockLost
	}
	if !r.has(d.link) {
		return errReplaced
	}
	_, err := call(ctx, d.link.client, r.queue.timing.settle, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, op(ctx, d.link.sdk, d.received)
	}, nil)
	if err = d.lost(err); err != nil && !d.settled.Load() && ctx.Err() == nil {
		r.drop(d.link)
	}
	return err
}

// byToken makes a call on whichever link there is.
func (d *delivery) byToken(ctx context.Context, op func(context.Context, sdkReceiver) error) error {
	r := d.receiver
	if d.settled.Load() {
		return queue.ErrLockLost
	}
	bound, cancel := context.WithTimeout(ctx, r.queue.timing.call)
	defer cancel()
	l, err := r.attach(bound)
	if l == nil {
		return err
	}
	if err == nil {
		_, err = call(bound, l.client, r.queue.timing.call, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, op(ctx, l.sdk)
		}, nil)
	}
	err = d.lost(inTime(ctx, err))
	if err != nil && !d.settled.Load() && ctx.Err() == nil {
		r.drop(l) // the SDK does not mend each of them
		r.queue.doubt(ctx, l.client, err)
	}
	return err
}

// lost translates an error, and notes that there is nothing left to be settled.
func (d *delivery) lost(err error) error {
	err = translate(err)
	if errors.Is(err, queue.ErrLockLost) {
		d.settled.Store(true)
	}
	return err
}

// token is a message of which nothing is known but its lock. The SDK settles it
// on any link.
func (d *delivery) token() *azservicebus.ReceivedMessage {
	return &azservicebus.ReceivedMessage{LockToken: d.received.LockToken}
}

// has tells whether a link is the present one.
func (r *receiver) has(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link == l && r.queue.isCurrent(l.client)
}
