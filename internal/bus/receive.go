package bus

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	// maxReceive bounds the messages of one receive, maxReceiveBytes their
	// size: the writer reads them while others wait.
	maxReceive      = 1000
	maxReceiveBytes = 1 << 20

	// maxFeedBytes bounds what one group hands out to all who wait, for the same
	// reason; one receive may go beyond it.
	maxFeedBytes = 8 << 20
)

// ReceiveOptions configure [Bus.Receive].
type ReceiveOptions struct {
	// Limit is the most messages to return; fewer may come. At most 1000 are
	// taken at once, and no further one after 1 MiB. Default: 1.
	Limit int
	// Delete takes messages without a lock: they are gone when Receive
	// returns, whether or not they are handled.
	Delete bool
	// NoWait returns at once, with no messages if none is there.
	NoWait bool
}

// Receive takes the oldest active messages of a queue or a dead-letter queue,
// waiting until there is at least one. Waiting receivers are served in the
// order in which they came. When ctx ends first Receive returns its error and
// holds nothing.
func (b *Bus) Receive(ctx context.Context, name string, opts ReceiveOptions) ([]Received, error) {
	for {
		w := &waiter{opts: opts, limit: min(max(opts.Limit, 1), maxReceive), done: make(chan struct{})}
		if err := b.wait(ctx, name, w); err != nil {
			return nil, err
		}
		got, err := b.decode(ctx, w)
		if err != nil || len(got) > 0 || opts.NoWait {
			return got, err
		}
	}
}

// ReceiveDeferred takes deferred messages by their sequence numbers, all or
// none: [ErrMessageNotFound] if one is not there or is locked. They stay
// deferred until they are completed or dead-lettered. Limit and NoWait do not
// matter.
func (b *Bus) ReceiveDeferred(ctx context.Context, name string, opts ReceiveOptions, seqs ...int64) ([]Received, error) {
	w := &waiter{opts: opts, done: make(chan struct{})}
	err := b.commitUnsynced(ctx, func(t *txn) error {
		in, err := b.open(name)
		if err != nil {
			return err
		}
		batch := take{txn: t, in: in, place: Deferred}
		for _, seq := range slices.Compact(slices.Sorted(slices.Values(seqs))) {
			_, held, err := find(t, in, Deferred, seq)
			if err != nil {
				return err
			}
			if held {
				return fmt.Errorf("%w: deferred message %d is locked", ErrMessageNotFound, seq)
			}
			if err := batch.collect(seq, seq, 1, 0); err != nil {
				return err
			}
		}
		if err := batch.hold(opts.Delete); err != nil {
			return err
		}
		b.handOut(&batch, w, b.opts.Now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.decode(ctx, w)
}

// waiter is one receive on its way.
type waiter struct {
	opts  ReceiveOptions
	limit int
	done  chan struct{} // closed after the commit that served it

	// Set by the writer before done is closed.
	in    *subqueue
	got   []stored
	bytes int // of got
	until time.Time
	err   error
}

// wait queues w and returns when it has been served.
func (b *Bus) wait(ctx context.Context, name string, w *waiter) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	b.waitings.Add(1)
	b.mu.Unlock()
	defer b.waitings.Done()

	err := b.ride(ctx, func(*txn) error {
		in, err := b.open(name)
		if err != nil {
			return err
		}
		w.in = in
		in.waiters = append(in.waiters, w)
		b.stir[in] = struct{}{}
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return b.withdraw(w, ctx.Err())
	case <-b.closing:
		return b.withdraw(w, ErrClosed)
	case <-b.db.Failed():
		return ErrFailed
	}
}

// open finds a subqueue that may be received from.
func (b *Bus) open(name string) (*subqueue, error) {
	in, err := b.subqueue(name)
	if err == nil && !in.queue.settings.Status.Receives() {
		return nil, fmt.Errorf("%w: %q is not received from", ErrDisabled, name)
	}
	return in, err
}

// withdraw takes a waiter back. If it was served first, that stands: the
// messages are held and must not be lost.
func (b *Bus) withdraw(w *waiter, cause error) error {
	err := b.ride(context.Background(), func(*txn) error {
		w.in.waiters = slices.DeleteFunc(w.in.waiters, func(other *waiter) bool { return other == w })
		return nil
	})
	if err != nil {
		return err
	}
	select { // an earlier group has served it, so its commit is over
	case <-w.done:
		return w.err
	default:
		return cause
	}
}

// decode turns what a waiter got into messages. One that cannot be decoded is
// dead-lettered, so that it does not come back for ever.
func (b *Bus) decode(ctx context.Context, w *waiter) ([]Received, error) {
	all := make([]Received, 0, len(w.got))
	for i := range w.got {
		source := ""
		if w.in.isDead() {
			source = w.in.queue.name
		}
		r, err := w.got[i].received(source)
		if err != nil {
			b.opts.Logger.Error("a stored message is damaged", "queue", w.in.queue.name, "error", err)
			if err := b.dropDamaged(ctx, w, w.got[i].token); err != nil {
				return nil, err
			}
			continue
		}
		if !w.opts.Delete {
			r.LockedUntil = w.until
		}
		all = append(all, r)
	}
	return all, nil
}

func (b *Bus) dropDamaged(ctx context.Context, w *waiter, token LockToken) error {
	if w.opts.Delete || w.in.isDead() {
		return nil // gone, or left to its lock
	}
	err := b.DeadLetter(ctx, token, "DamagedMessage", "The stored message cannot be decoded.", nil)
	if errors.Is(err, ErrLockLost) {
		return nil
	}
	return err
}

// dispatch gives messages to the waiting receivers of the subqueues in which
// this group has changed something.
func (b *Bus) dispatch(t *txn, now time.Time) error {
	var again []*subqueue
	room := maxFeedBytes
	for len(b.stir) > 0 { // feeding one may stir another: its dead letters
		for in := range b.stir {
			delete(b.stir, in)
			more, err := b.feed(t, in, &room, now)
			if err != nil {
				return err
			}
			if more {
				again = append(again, in)
			}
		}
	}
	for _, in := range again {
		b.stir[in] = struct{}{}
		b.nextDue = now.UnixMilli() // come back at once
	}
	return nil
}

// feed serves the waiters of one subqueue. It leaves with more when a heap of
// expired messages is in the way, or no room in bytes is left, so that others
// can commit.
func (b *Bus) feed(t *txn, in *subqueue, room *int, now time.Time) (more bool, err error) {
	for len(in.waiters) > 0 {
		if *room <= 0 {
			return true, nil
		}
		w := in.waiters[0]
		if more, err = b.take(t, in, w, now); more || err != nil {
			return more, err
		}
		if len(w.got) == 0 {
			break
		}
		*room -= w.bytes
		in.waiters = slices.Delete(in.waiters, 0, 1)
	}
	in.waiters = slices.DeleteFunc(in.waiters, func(w *waiter) bool {
		if w.opts.NoWait {
			b.serve(w, nil)
		}
		return w.opts.NoWait
	})
	return false, nil
}

// serve notes that w is to be woken after the commit.
func (b *Bus) serve(w *waiter, err error) {
	w.err = err
	b.served = append(b.served, w)
}

// take hands the oldest active messages to w: first what came back, which is
// all older than the cursor, then from the cursor on.
func (b *Bus) take(t *txn, in *subqueue, w *waiter, now time.Time) (more bool, err error) {
	batch := take{txn: t, in: in}
	for len(in.returned) > 0 && batch.room(w.limit) && len(batch.expired) < sweepPiece {
		seq := heap.Pop(&in.returned).(int64)
		if err := batch.collect(seq, seq, 1, now.UnixMilli()); err != nil {
			return false, err
		}
	}
	if batch.room(w.limit) && in.cursor < in.nextSeq && len(batch.expired) < sweepPiece {
		if err := batch.collect(in.cursor, in.nextSeq-1, w.limit, now.UnixMilli()); err != nil {
			return false, err
		}
		in.cursor = batch.next
		b.dirty[in] = struct{}{}
	}
	for i := range batch.expired {
		if err := b.expire(t, batch.expired[i], now); err != nil {
			return false, err
		}
	}
	if len(batch.got) == 0 {
		return len(batch.expired) > 0, nil
	}
	if err := batch.hold(w.opts.Delete); err != nil {
		return false, err
	}
	b.handOut(&batch, w, now)
	return false, nil
}

// take collects what one receive will get.
type take struct {
	*txn
	in    *subqueue
	place State

	got     []stored
	bytes   int
	expired []entry
	next    int64 // where the next collect should go on
}

func (k *take) room(limit int) bool { return len(k.got) < limit && k.bytes < maxReceiveBytes }

// collect reads the entries from a sequence number to another, at most until
// there are limit in all.
func (k *take) collect(from, to int64, limit int, now int64) error {
	k.next = to + 1
	return k.each("SELECT"+storedColumns+`FROM entry e CROSS JOIN message m ON m.id = e.message
		WHERE e.queue = ? AND e.place = ? AND e.seq BETWEEN ? AND ? ORDER BY e.seq`, func(stmt *sqlite.Stmt) bool {
		s := scanStored(stmt)
		s.in = k.in
		if s.due != 0 && s.due <= now {
			k.expired = append(k.expired, s.entry)
		} else {
			k.got = append(k.got, s)
			k.bytes += s.size()
		}
		if k.room(limit) && len(k.expired) < sweepPiece {
			return true
		}
		k.next = s.seq + 1
		return false
	}, k.in.id, int64(k.place), from, to)
}

// hold writes that the messages are handed out, or deletes them.
func (k *take) hold(remove bool) error {
	if !remove {
		return k.lock()
	}
	for i := range k.got {
		if err := k.got[i].remove(k.txn); err != nil {
			return err
		}
	}
	return nil
}

// lock writes with one statement for all whose sequence numbers follow one
// another: a fifth of what a message's delivery and completion cost together.
func (k *take) lock() error {
	for rest := k.got; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].seq == rest[n-1].seq+1 {
			n++
		}
		err := k.exec("UPDATE entry SET held = 1 WHERE queue = ? AND place = ? AND seq BETWEEN ? AND ?",
			k.in.id, int64(k.place), rest[0].seq, rest[n-1].seq)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// handOut makes the locks and gives the messages to w.
func (b *Bus) handOut(k *take, w *waiter, now time.Time) {
	w.in, w.got, w.bytes = k.in, k.got, k.bytes
	b.serve(w, nil)
	k.in.accessed = now.UnixMilli()
	b.dirty[k.in] = struct{}{}
	if w.opts.Delete {
		for i := range k.got {
			b.left(&k.got[i].entry)
		}
		return
	}
	w.until = now.Add(k.in.queue.settings.LockDuration)
	tokens := make([]LockToken, len(k.got))
	newLockTokens(tokens)
	for i := range k.got {
		w.got[i].token = tokens[i]
		l := &lock{entry: k.got[i].entry, token: tokens[i], until: w.until}
		b.locks[l.token] = l
		heap.Push(&b.expiry, l)
	}
}

// unlock forgets a lock. What becomes of its message is the caller's business.
func (b *Bus) unlock(l *lock) {
	delete(b.locks, l.token)
	heap.Remove(&b.expiry, l.index)
}
