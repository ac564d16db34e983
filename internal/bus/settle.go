package bus

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"time"

	"zombiezen.com/go/sqlite"
)

// SettleKind is what becomes of a message whose lock is settled.
type SettleKind uint8

// The ways to settle. Release gives the message back like Abandon, but leaves
// its delivery count and its properties as they are.
const (
	Complete SettleKind = iota + 1
	Abandon
	Defer
	DeadLetter
	Release
)

// Settlement is one settling of one lock.
type Settlement struct {
	Kind  SettleKind
	Token LockToken
	// Queue, unless empty, is the queue or dead-letter queue whose lock this
	// must be; otherwise it is [ErrLockLost].
	Queue string
	// Reason and Description are for DeadLetter, see [Bus.DeadLetter].
	Reason, Description string
	// Modify is set in the message's properties by Abandon, Defer and
	// DeadLetter. It must not be changed afterwards.
	Modify Properties
}

// StartSettle settles each by itself: one that fails leaves the others be. done
// gets one error per settlement, nil if it took place; the rest is as for
// [Bus.StartSend]. Releases, and abandonments without properties, do not wait
// for the disk if nothing else is among them. The slice must not be changed
// before done is called.
func (b *Bus) StartSettle(settlements []Settlement, done func([]error)) {
	errs := make([]error, len(settlements))
	for i := range errs {
		errs[i] = errUnfinished
	}
	done(errs)
}

// Release gives a locked message back at once, in its old place, as if it had
// not been received.
func (b *Bus) Release(ctx context.Context, token LockToken) error { return errUnfinished }

// RenewLocks sets the ends of locks of a queue or a dead-letter queue to now
// plus the queue's lock duration, all or none, and returns the end of each.
// [ErrLockLost] if one has ended or is not of this queue.
func (b *Bus) RenewLocks(ctx context.Context, name string, tokens ...LockToken) ([]time.Time, error) {
	return nil, errUnfinished
}

// held is the live lock of a token.
func (b *Bus) held(token LockToken) (*lock, error) {
	l, ok := b.locks[token]
	if !ok || !b.opts.Now().Before(l.until) {
		return nil, ErrLockLost
	}
	return l, nil
}

// Complete removes a locked message for good. [ErrLockLost] if the lock has
// ended or the message was settled before; the other settlements too.
func (b *Bus) Complete(ctx context.Context, token LockToken) error {
	return b.commit(ctx, func(t *txn) error {
		l, err := b.held(token)
		if err != nil {
			return err
		}
		if err := l.remove(t); err != nil {
			return err
		}
		b.unlock(l)
		l.in.counts[l.place]--
		b.touch(l.in)
		return nil
	})
}

// Abandon gives a locked message back at once, in its old place, and raises
// its delivery count; at the queue's maximum it is dead-lettered. A deferred
// message stays deferred. modify, which may be nil, is set in its properties.
func (b *Bus) Abandon(ctx context.Context, token LockToken, modify Properties) error {
	write := b.commitUnsynced // without properties, reopening does the same
	if len(modify) > 0 {
		write = b.commit
	}
	return write(ctx, func(t *txn) error {
		l, err := b.held(token)
		if err != nil {
			return err
		}
		if err := amend(t, l.message, modify, Properties.encodeLimited); err != nil {
			return err
		}
		if err := b.giveBack(t, l.entry, b.opts.Now()); err != nil {
			return err
		}
		b.unlock(l)
		return nil
	})
}

// Defer sets a locked message aside under its sequence number, for
// [Bus.ReceiveDeferred]. It raises the delivery count, but never dead-letters.
func (b *Bus) Defer(ctx context.Context, token LockToken, modify Properties) error {
	return b.commit(ctx, func(t *txn) error {
		l, err := b.held(token)
		if err != nil {
			return err
		}
		if err := amend(t, l.message, modify, Properties.encodeLimited); err != nil {
			return err
		}
		err = t.exec("UPDATE entry SET place = ?, held = 0, due = NULL, count = count + ? WHERE queue = ? AND place = ? AND seq = ?",
			int64(Deferred), l.in.step(), l.in.id, int64(l.place), l.seq)
		if err != nil {
			return err
		}
		b.unlock(l)
		l.in.counts[l.place]--
		l.in.counts[Deferred]++
		b.touch(l.in)
		return nil
	})
}

// DeadLetter moves a locked message to the dead-letter queue. reason and
// description, unless empty, become the properties [DeadLetterReason] and
// [DeadLetterErrorDescription], cut after 4096 bytes; modify, which may be
// nil, is set as well. A dead letter cannot be dead-lettered: [ErrInvalid].
func (b *Bus) DeadLetter(ctx context.Context, token LockToken, reason, description string, modify Properties) error {
	return b.commit(ctx, func(t *txn) error {
		l, err := b.held(token)
		if err != nil {
			return err
		}
		if l.in.isDead() {
			return fmt.Errorf("%w: this message is in the dead-letter queue already; complete it instead", ErrInvalid)
		}
		if err := amend(t, l.message, modify, Properties.encodeLimited); err != nil {
			return err
		}
		if err := b.bury(t, l.entry, reason, description, b.opts.Now()); err != nil {
			return err
		}
		b.unlock(l)
		return nil
	})
}

// Renew sets a lock's end to now plus the queue's lock duration.
func (b *Bus) Renew(ctx context.Context, token LockToken) (until time.Time, err error) {
	err = b.ride(ctx, func(*txn) error {
		l, err := b.held(token)
		if err != nil {
			return err
		}
		until = b.opts.Now().Add(l.in.queue.settings.LockDuration)
		l.until = until
		heap.Fix(&b.expiry, l.index)
		return nil
	})
	return until, err
}

// step is what the end of a lock adds to a delivery count.
func (s *subqueue) step() int64 {
	if s.isDead() {
		return 0
	}
	return 1
}

// giveBack ends a hold that counts.
func (b *Bus) giveBack(t *txn, e entry, now time.Time) error {
	e.count += e.in.step()
	if limit := e.in.queue.settings.MaxDeliveryCount; !e.in.isDead() && e.count >= int64(limit) {
		return b.bury(t, e, ReasonMaxDeliveryCount, fmt.Sprintf("The message was delivered %d times without being completed.", e.count), now)
	}
	err := t.exec("UPDATE entry SET held = 0, count = ? WHERE queue = ? AND place = ? AND seq = ?", e.count, e.in.id, int64(e.place), e.seq)
	if err != nil {
		return err
	}
	if e.place == Active {
		heap.Push(&e.in.returned, e.seq)
		b.nextDue = earlier(b.nextDue, e.due)
	}
	b.touch(e.in)
	return nil
}

// amend sets properties of a stored message.
func amend(t *txn, message int64, set Properties, encode func(Properties) ([]byte, error)) error {
	if len(set) == 0 {
		return nil
	}
	var old []byte
	err := t.each("SELECT properties FROM message WHERE id = ?", func(stmt *sqlite.Stmt) bool {
		old = column(stmt, 0)
		return false
	}, message)
	if err != nil {
		return err
	}
	properties, err := decodeProperties(old)
	if err != nil || properties == nil { // what is damaged cannot be kept
		properties = Properties{}
	}
	maps.Copy(properties, set)
	buf, err := encode(properties)
	if err != nil {
		return err
	}
	stmt, err := t.prepare("UPDATE message SET properties = ? WHERE id = ?")
	if err != nil {
		return err
	}
	bindBlob(stmt, 1, buf)
	stmt.BindInt64(2, message)
	return finish(stmt)
}
