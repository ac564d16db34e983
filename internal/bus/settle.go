package bus

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bellhop/internal/sqlitedb"

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
	// Without savepoints: what a settlement can be refused for is found out
	// before it changes anything.
	w := sqlitedb.Write{Vital: true, Unsynced: !slices.ContainsFunc(settlements, Settlement.lasts)}
	b.start(w, func(t *txn) error {
		now := b.opts.Now()
		for i := range settlements {
			if errs[i] = b.settle(t, &settlements[i], now); errs[i] != nil && !isRefusal(errs[i]) {
				return errs[i]
			}
		}
		return nil
	}, func(err error) {
		for i := range errs {
			if err != nil {
				errs[i] = err
			}
		}
		done(errs)
	})
}

// lasts tells whether a settlement must survive a power cut. The others are
// made again by reopening, apart from the delivery count.
func (s Settlement) lasts() bool {
	return s.Kind != Release && (s.Kind != Abandon || len(s.Modify) > 0)
}

// isRefusal tells an error about what was asked for from one of the disk.
func isRefusal(err error) bool {
	return errors.Is(err, ErrLockLost) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrTooLarge)
}

// settle ends one lock. When it returns a refusal it has changed nothing.
func (b *Bus) settle(t *txn, s *Settlement, now time.Time) error {
	l, err := b.held(s.Token, s.Queue, now)
	if err != nil {
		return err
	}
	if s.Kind == DeadLetter && l.in.isDead() {
		return fmt.Errorf("%w: this message is in the dead-letter queue already; complete it instead", ErrInvalid)
	}
	if s.Kind == Abandon || s.Kind == Defer || s.Kind == DeadLetter {
		err = amend(t, l.message, s.Modify, maxPropertiesBytes)
	}
	if err != nil {
		return err
	}
	switch s.Kind {
	case Complete:
		err = b.finish(t, l.entry)
	case Abandon:
		err = b.giveBack(t, l.entry, now)
	case Defer:
		err = b.setAside(t, l.entry)
	case DeadLetter:
		err = b.bury(t, l.entry, s.Reason, s.Description, now)
	case Release:
		err = b.putBack(t, l.entry)
	default:
		err = fmt.Errorf("%w: unknown kind of settlement %d", ErrInvalid, s.Kind)
	}
	if err == nil {
		b.unlock(l)
	}
	return err
}

// settleNow is StartSettle for one who waits.
func (b *Bus) settleNow(ctx context.Context, s Settlement) error {
	write := b.commitUnsynced
	if s.lasts() {
		write = b.commit
	}
	return write(ctx, func(t *txn) error { return b.settle(t, &s, b.opts.Now()) })
}

// Complete removes a locked message for good. [ErrLockLost] if the lock has
// ended or the message was settled before; the other settlements too.
func (b *Bus) Complete(ctx context.Context, token LockToken) error {
	return b.settleNow(ctx, Settlement{Kind: Complete, Token: token})
}

// Abandon gives a locked message back at once, in its old place, and raises
// its delivery count; at the queue's maximum it is dead-lettered. A deferred
// message stays deferred. modify, which may be nil, is set in its properties.
func (b *Bus) Abandon(ctx context.Context, token LockToken, modify Properties) error {
	return b.settleNow(ctx, Settlement{Kind: Abandon, Token: token, Modify: modify})
}

// Defer sets a locked message aside under its sequence number, for
// [Bus.ReceiveDeferred]. It raises the delivery count, but never dead-letters.
func (b *Bus) Defer(ctx context.Context, token LockToken, modify Properties) error {
	return b.settleNow(ctx, Settlement{Kind: Defer, Token: token, Modify: modify})
}

// DeadLetter moves a locked message to the dead-letter queue. reason and
// description, unless empty, become the properties [DeadLetterReason] and
// [DeadLetterErrorDescription], cut after 4096 bytes; modify, which may be
// nil, is set as well. A dead letter cannot be dead-lettered: [ErrInvalid].
func (b *Bus) DeadLetter(ctx context.Context, token LockToken, reason, description string, modify Properties) error {
	return b.settleNow(ctx, Settlement{Kind: DeadLetter, Token: token, Reason: reason, Description: description, Modify: modify})
}

// Release gives a locked message back at once, in its old place, as if it had
// not been received: its delivery count stays.
func (b *Bus) Release(ctx context.Context, token LockToken) error {
	return b.settleNow(ctx, Settlement{Kind: Release, Token: token})
}

// Renew sets a lock's end to now plus the queue's lock duration.
func (b *Bus) Renew(ctx context.Context, token LockToken) (until time.Time, err error) {
	all, err := b.RenewLocks(ctx, "", token)
	if err != nil {
		return time.Time{}, err
	}
	return all[0], nil
}

// RenewLocks sets the ends of locks to now plus the queue's lock duration, all
// or none, and returns the end of each. name, unless empty, is the queue or
// dead-letter queue whose locks these must be. [ErrLockLost] if one is not, or
// has ended.
func (b *Bus) RenewLocks(ctx context.Context, name string, tokens ...LockToken) ([]time.Time, error) {
	ends := make([]time.Time, len(tokens))
	err := b.ride(ctx, func(*txn) error {
		now := b.opts.Now()
		locks := make([]*lock, len(tokens))
		for i, token := range tokens {
			var err error
			if locks[i], err = b.held(token, name, now); err != nil {
				return fmt.Errorf("lock %d: %w", i+1, err)
			}
		}
		for i, l := range locks {
			ends[i] = now.Add(l.in.queue.settings.LockDuration)
			l.until = ends[i]
			heap.Fix(&b.expiry, l.index)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ends, nil
}

// held is the live lock of a token, which must be of the queue name unless that
// is empty.
func (b *Bus) held(token LockToken, name string, now time.Time) (*lock, error) {
	l, ok := b.locks[token]
	if !ok || !now.Before(l.until) {
		return nil, ErrLockLost
	}
	if name != "" {
		if in, err := b.subqueue(name); err != nil || in != l.in {
			return nil, fmt.Errorf("%w: it is not a lock of %q", ErrLockLost, name)
		}
	}
	return l, nil
}

// finish removes a message that was completed.
func (b *Bus) finish(t *txn, e entry) error {
	if err := e.remove(t); err != nil {
		return err
	}
	b.left(&e)
	return nil
}

// setAside puts a message among the deferred ones.
func (b *Bus) setAside(t *txn, e entry) error {
	err := t.exec("UPDATE entry SET place = ?, held = 0, due = NULL, count = count + ? WHERE queue = ? AND place = ? AND seq = ?",
		int64(Deferred), e.in.step(), e.in.id, int64(e.place), e.seq)
	if err != nil {
		return err
	}
	b.left(&e)
	b.came(&entry{in: e.in, place: Deferred, bytes: e.bytes})
	return nil
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
	return b.putBack(t, e)
}

// putBack ends a hold: the message is where it was.
func (b *Bus) putBack(t *txn, e entry) error {
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

// amend sets properties of a stored message. [ErrInvalid] if they are not ones,
// [ErrTooLarge] if the message would have more than limit bytes of them, those
// counted that were sent and are now hidden.
func amend(t *txn, message int64, set Properties, limit int) error {
	if len(set) == 0 {
		return nil
	}
	sent, before := 0, []byte(nil)
	err := t.each("SELECT length(properties), amended FROM message WHERE id = ?", func(stmt *sqlite.Stmt) bool {
		sent, before = stmt.ColumnInt(0), column(stmt, 1)
		return false
	}, message)
	if err != nil {
		return err
	}
	amended, _ := decodeProperties(before) // what is damaged cannot be kept
	buf, err := merge(amended, set).encodeWithin(limit - sent)
	if err != nil {
		return err
	}
	stmt, err := t.prepare("UPDATE message SET amended = ? WHERE id = ?")
	if err != nil {
		return err
	}
	bindBlob(stmt, 1, buf)
	stmt.BindInt64(2, message)
	return finish(stmt)
}
