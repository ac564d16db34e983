package redis

import (
	"context"
	"sync"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/redisdb"
)

const (
	// lookEvery is how often a waiting receiver looks without having been
	// told to, and how often it looks for locks that have ended.
	lookEvery = time.Second
	// maxReceive bounds the messages of one receive: others wait meanwhile.
	maxReceive = 1000
	// cursorStart is where a search through pending entries begins and ends.
	cursorStart = "0-0"
)

// receiver takes messages from one queue, as one consumer of its group.
type receiver struct {
	queue    *Queue
	name     string
	consumer string
	tag      *redisdb.Tag

	bell    chan struct{} // buffered by one: there may be something to take
	closed  chan struct{}
	end     func() // closes closed, once, and ends the listener
	listens sync.WaitGroup

	turn   chan struct{} // one token: whoever has put it there receives
	cursor string        // where to look on for ended locks; by the holder of turn
	looked time.Time     // when the last look was over; by the holder of turn

	mu   sync.Mutex
	held map[string]*delivery // by entry: those handed out and not settled
}

func newReceiver(q *Queue, name, consumer string) *receiver {
	ctx, cancel := context.WithCancel(context.Background())
	r := &receiver{
		queue: q, name: name, consumer: consumer, tag: q.tag(name),
		bell: make(chan struct{}, 1), closed: make(chan struct{}), turn: make(chan struct{}, 1),
		cursor: cursorStart, held: map[string]*delivery{},
	}
	r.end = sync.OnceFunc(func() { close(r.closed); cancel() })
	r.listens.Go(func() { r.listen(ctx) })
	return r
}

// Receive implements [queue.Receiver]. One caller at a time takes or waits.
func (r *receiver) Receive(ctx context.Context, limit int) ([]queue.Delivery, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.closed:
		return nil, queue.ErrClosed
	}
	for {
		if err := r.over(ctx); err != nil {
			return nil, err
		}
		got, err := r.take(ctx, min(max(limit, 1), maxReceive))
		if err != nil || len(got) > 0 {
			return got, err
		}
		r.wait(ctx)
	}
}

// over is the reason why a receive must end.
func (r *receiver) over(ctx context.Context) error {
	select {
	case <-r.closed:
		return queue.ErrClosed
	default:
		return ctx.Err()
	}
}

// take receives what is there. It waits for the answer even when ctx ends: a
// message that was delivered must not be left to its lock.
func (r *receiver) take(ctx context.Context, limit int) ([]queue.Delivery, error) {
	began := time.Now()
	opts := &r.queue.opts
	args := []any{r.consumer, limit, opts.MaxDeliveries, opts.Lock.Milliseconds(), ""}
	if look := r.cursor != cursorStart || began.Sub(r.looked) >= lookEvery; look {
		args[4] = r.cursor
		args = r.appendHeld(args, began)
	}
	reply, err := r.queue.run(context.WithoutCancel(ctx), r.name, r.queue.scripts.take, args...)
	if err != nil {
		return nil, err
	}
	cursor, entries := parseTaken(reply)
	if cursor != "" {
		r.cursor, r.looked = cursor, began
	}
	return r.hand(entries, began.Add(opts.Lock)), nil
}

// hand makes deliveries.
func (r *receiver) hand(entries []taken, until time.Time) []queue.Delivery {
	deliveries := make([]queue.Delivery, len(entries))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range entries {
		d := &delivery{receiver: r, entry: e.id, count: e.count, message: decode(e.id, e.fields)}
		d.until.Store(&until)
		r.held[e.id] = d
		deliveries[i] = d
	}
	return deliveries
}

// appendHeld appends the entries that somebody works on.
func (r *receiver) appendHeld(args []any, now time.Time) []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	for entry, d := range r.held {
		if now.After(d.LockedUntil()) {
			delete(r.held, entry) // never settled
			continue
		}
		args = append(args, entry)
	}
	return args
}

// release forgets a delivery that was settled, or may have been.
func (r *receiver) release(d *delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[d.entry] == d {
		delete(r.held, d.entry)
	}
}

// wait returns when it is time to look again.
func (r *receiver) wait(ctx context.Context) {
	if r.cursor != cursorStart {
		return
	}
	select {
	case <-r.bell:
	case <-time.After(time.Until(r.looked.Add(lookEvery))):
	case <-r.closed:
	case <-ctx.Done():
	}
}

// Close implements [queue.Receiver]. Messages that are held can still be
// settled. The consumer stays in the group until it is forgotten.
func (r *receiver) Close(context.Context) error {
	r.queue.forget(r)
	r.end()
	r.listens.Wait()
	return nil
}
