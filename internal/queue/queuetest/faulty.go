package queuetest

import (
	"context"
	"errors"
	"sync"

	"bellhop/internal/queue"
)

var (
	// ErrInjected is the error of a fault that was asked for.
	ErrInjected = errors.New("queuetest: injected fault")
	// ErrOutage is returned by everything during an outage.
	ErrOutage = errors.New("queuetest: the broker is down")
)

// Fault is what happens to one message on its way, or to one settlement.
type Fault int

// The faults. Where one makes no sense nothing happens.
const (
	// Pass lets it through.
	Pass Fault = iota
	// Fail does nothing and answers [ErrInjected].
	Fail
	// LoseAnswer does it, and answers [ErrInjected] all the same.
	LoseAnswer
	// Drop answers as if all were well: a message is not sent; one received is
	// completed and never shown.
	Drop
	// Twice sends a message a second time, under a fresh id.
	Twice
	// Hold keeps a received message back, locked, until [Faulty.Release].
	Hold
	// LoseLock answers a settlement or a renewal with [queue.ErrLockLost] and
	// gives the message back to the queue.
	LoseLock
)

// Faults decide what goes wrong. Each may be nil for nothing. They are called
// in the order of events, never two at once, and must not call the Faulty.
type Faults struct {
	// Send is asked for each message sent. The first of a batch that is Fail or
	// LoseAnswer decides for the batch.
	Send func(name string, m queue.Message) Fault
	// Receive is asked for each message received: Drop, Hold or Pass.
	Receive func(name string, m queue.Message) Fault
	// Settle is asked for each settlement or renewal, with the name of the
	// method: Fail, LoseAnswer, LoseLock or Pass.
	Settle func(method string, m queue.Message) Fault
}

// Times returns a fault for the first n messages or settlements.
func Times(n int, fault Fault) func(string, queue.Message) Fault {
	return func(string, queue.Message) Fault {
		if n--; n < 0 {
			return Pass
		}
		return fault
	}
}

// Faulty is a queue with faults. Without any it behaves as the queue inside.
type Faulty struct {
	inner queue.Queue

	mu       sync.Mutex // guards all below
	faults   Faults
	outage   bool
	held     map[string][]queue.Delivery // kept back, by queue
	released map[string][]queue.Delivery // to be received next, by queue
	changed  chan struct{}               // closed, and made anew, to wake receivers
	handed   map[*faultyDelivery]struct{}
}

var _ queue.Queue = (*Faulty)(nil)

// NewFaulty wraps a queue. Closing the Faulty closes the queue.
func NewFaulty(inner queue.Queue) *Faulty {
	return &Faulty{
		inner: inner, changed: make(chan struct{}), handed: map[*faultyDelivery]struct{}{},
		held: map[string][]queue.Delivery{}, released: map[string][]queue.Delivery{},
	}
}

// Set replaces the faults for what happens from now on.
func (f *Faulty) Set(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// Outage begins or ends an outage: sends, receives, also those that wait, and
// settlements return [ErrOutage] and do nothing.
func (f *Faulty) Outage(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = on
	f.wake()
}

// Held is how many messages of a queue are kept back.
func (f *Faulty) Held(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held[name])
}

// Release lets a queue's held messages be received, late: newest first, if
// reversed, so that they come out of order.
func (f *Faulty) Release(name string, reversed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	late := f.held[name]
	delete(f.held, name)
	for i := range late {
		if reversed {
			i = len(late) - 1 - i
		}
		f.released[name] = append(f.released[name], late[i])
	}
	f.wake()
}

// LoseLocks gives every message now in somebody's hands back to its queue, as
// if all locks had ended: their settlements return [queue.ErrLockLost].
func (f *Faulty) LoseLocks(ctx context.Context) error {
	f.mu.Lock()
	handed := f.handed
	f.handed = map[*faultyDelivery]struct{}{}
	f.mu.Unlock()
	var errs []error
	for d := range handed {
		if err := d.Delivery.Abandon(ctx); err != nil && !errors.Is(err, queue.ErrLockLost) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// wake must be called with f.mu held.
func (f *Faulty) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Send implements [queue.Sender].
func (f *Faulty) Send(ctx context.Context, name string, messages ...queue.Message) error {
	out, answer, err := f.onSend(name, messages)
	if err != nil {
		return err
	}
	if err := f.inner.Send(ctx, name, out...); err != nil {
		return err
	}
	return answer
}

// onSend returns what to send and what to answer then, or an error at once.
func (f *Faulty) onSend(name string, messages []queue.Message) (out []queue.Message, answer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outage {
		return nil, nil, ErrOutage
	}
	if f.faults.Send == nil {
		return messages, nil, nil
	}
	for _, m := range messages {
		switch f.faults.Send(name, m) {
		case Fail:
			return nil, nil, ErrInjected
		case LoseAnswer:
			return messages, ErrInjected, nil
		case Drop:
			continue
		case Twice:
			copied := m
			copied.ID += "-twice"
			out = append(out, copied)
		}
		out = append(out, m)
	}
	return out, nil, nil
}

// Receiver implements [queue.Queue].
func (f *Faulty) Receiver(name string) (queue.Receiver, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outage {
		return nil, ErrOutage
	}
	inner, err := f.inner.Receiver(name)
	if err != nil {
		return nil, err
	}
	return &faultyReceiver{Receiver: inner, faulty: f, name: name}, nil
}

// Close implements [queue.Queue].
func (f *Faulty) Close(ctx context.Context) error { return f.inner.Close(ctx) }

type faultyReceiver struct {
	queue.Receiver
	faulty *Faulty
	name   string
}

// Receive implements [queue.Receiver].
func (r *faultyReceiver) Receive(ctx context.Context, limit int) ([]queue.Delivery, error) {
	for {
		late, changed, err := r.faulty.late(r.name, limit)
		if err != nil || len(late) > 0 {
			return late, err
		}
		got, err := r.receiveUntil(ctx, changed, limit)
		if err != nil {
			if woken(changed) && ctx.Err() == nil && !isClosed(err) {
				continue
			}
			return nil, err
		}
		shown, drop := r.faulty.onReceive(r.name, got)
		for _, d := range drop {
			if err := d.Complete(ctx); err != nil {
				return nil, err
			}
		}
		if len(shown) > 0 {
			return shown, nil
		}
	}
}

// receiveUntil receives from the queue inside until changed is closed.
func (r *faultyReceiver) receiveUntil(ctx context.Context, changed <-chan struct{}, limit int) ([]queue.Delivery, error) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	})
	defer watch.Wait()
	defer cancel()
	return r.Receiver.Receive(ctx, limit)
}

func woken(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

// late returns released messages, and the channel to wait for more.
func (f *Faulty) late(name string, limit int) ([]queue.Delivery, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outage {
		return nil, nil, ErrOutage
	}
	all := f.released[name]
	n := min(limit, len(all))
	f.released[name] = all[n:]
	out := make([]queue.Delivery, 0, n)
	for _, d := range all[:n] {
		out = append(out, f.hand(d))
	}
	return out, f.changed, nil
}

// onReceive sorts what was received into what to show and what to drop, and
// keeps the rest.
func (f *Faulty) onReceive(name string, got []queue.Delivery) (shown, drop []queue.Delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range got {
		fault := Pass
		if f.faults.Receive != nil {
			fault = f.faults.Receive(name, d.Message())
		}
		switch fault {
		case Drop:
			drop = append(drop, d)
		case Hold:
			f.held[name] = append(f.held[name], d)
		default:
			shown = append(shown, f.hand(d))
		}
	}
	return shown, drop
}

// hand must be called with f.mu held.
func (f *Faulty) hand(d queue.Delivery) queue.Delivery {
	wrapped := &faultyDelivery{Delivery: d, faulty: f}
	f.handed[wrapped] = struct{}{}
	return wrapped
}

// faultyDelivery is in Faulty.handed until it is settled or its lock is lost.
type faultyDelivery struct {
	queue.Delivery
	faulty *Faulty
}

// Renew implements [queue.Delivery].
func (d *faultyDelivery) Renew(ctx context.Context) error {
	return d.settle(ctx, "Renew", d.Delivery.Renew)
}

// Complete implements [queue.Delivery].
func (d *faultyDelivery) Complete(ctx context.Context) error {
	return d.settle(ctx, "Complete", d.Delivery.Complete)
}

// Abandon implements [queue.Delivery].
func (d *faultyDelivery) Abandon(ctx context.Context) error {
	return d.settle(ctx, "Abandon", d.Delivery.Abandon)
}

// DeadLetter implements [queue.Delivery].
func (d *faultyDelivery) DeadLetter(ctx context.Context, reason, description string) error {
	return d.settle(ctx, "DeadLetter", func(ctx context.Context) error {
		return d.Delivery.DeadLetter(ctx, reason, description)
	})
}

func (d *faultyDelivery) settle(ctx context.Context, method string, do func(context.Context) error) error {
	fault, err := d.onSettle(method)
	if err != nil {
		return err
	}
	switch fault {
	case Fail:
		return ErrInjected
	case LoseLock:
		return errors.Join(queue.ErrLockLost, d.Delivery.Abandon(ctx))
	}
	if err := do(ctx); err != nil {
		return err
	}
	if fault == LoseAnswer {
		return ErrInjected
	}
	return nil
}

func (d *faultyDelivery) onSettle(method string) (Fault, error) {
	f := d.faulty
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outage {
		return Pass, ErrOutage
	}
	if _, ok := f.handed[d]; !ok {
		return Pass, queue.ErrLockLost
	}
	fault := Pass
	if f.faults.Settle != nil {
		fault = f.faults.Settle(method, d.Message())
	}
	if fault == LoseLock || fault != Fail && method != "Renew" {
		delete(f.handed, d)
	}
	return fault, nil
}
