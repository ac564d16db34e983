package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

// The properties that tell why a message is a dead letter.
const (
	DeadLetterReason           = "DeadLetterReason"
	DeadLetterErrorDescription = "DeadLetterErrorDescription"
)

// The reasons the bus itself gives.
const (
	ReasonMaxDeliveryCount = "MaxDeliveryCountExceeded"
	ReasonExpired          = "TTLExpiredException"
)

const maxReasonBytes = 4096

// bury moves a message to the end of the dead-letter queue.
func (b *Bus) bury(t *txn, e entry, reason, description string, now time.Time) error {
	set := Properties{}
	if reason != "" {
		set[DeadLetterReason] = clip(reason)
	}
	if description != "" {
		set[DeadLetterErrorDescription] = clip(description)
	}
	if err := amend(t, e.message, set, math.MaxInt); err != nil {
		return err
	}
	dead := e.in.queue.dead
	err := t.exec(`INSERT INTO entry (queue, place, seq, message, count, bytes, held, enqueued, expires, origin, since)
		SELECT ?, 0, ?, message, ?, bytes, 0, enqueued, expires, seq, ? FROM entry WHERE queue = ? AND place = ? AND seq = ?`,
		dead.id, dead.nextSeq, e.count, now.UnixMilli(), e.in.id, int64(e.place), e.seq)
	if err != nil {
		return err
	}
	if err := e.removeEntry(t); err != nil {
		return err
	}
	dead.nextSeq++
	b.came(&entry{in: dead, bytes: e.bytes})
	b.left(&e)
	return nil
}

// clip makes a text that may come from anywhere fit to be a property.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= maxReasonBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxReasonBytes], "")
}

// Replay sends a dead letter to the end of its queue again: under a new
// message id, which the queue's duplicate window cannot hold against it, with
// its delivery count at 0, its time to live starting anew and without the
// properties about its death. name is the queue, seq the number in the
// dead-letter queue. [ErrMessageNotFound] if there is no such dead letter, or
// someone holds it.
func (b *Bus) Replay(ctx context.Context, name string, seq int64) error {
	return b.commit(ctx, func(t *txn) error {
		e, err := b.deadLetter(t, name, seq)
		if err != nil {
			return err
		}
		r, err := loadRecord(t, e.message)
		if err != nil {
			return err
		}
		m, err := r.message()
		if err == nil {
			err = r.revive()
		}
		if err != nil {
			return fmt.Errorf("dead letter %d: %w; it can only be discarded", seq, err)
		}
		main := e.in.queue.main
		now := b.opts.Now().UnixMilli()
		fresh := entry{in: main, seq: main.nextSeq, bytes: int64(r.size()), due: main.queue.settings.expiry(now, millis(m.TTL))}
		if err := e.remove(t); err != nil {
			return err
		}
		if fresh.message, err = insertMessage(t, &r); err != nil {
			return err
		}
		if err := fresh.insert(t, now, fresh.due); err != nil {
			return err
		}
		main.nextSeq++
		b.came(&fresh)
		b.left(&e)
		return nil
	})
}

// revive makes a dead letter's content that of a new message.
func (r *record) revive() error {
	r.messageID = NewMessageID()
	for _, encoded := range [...]*[]byte{&r.properties, &r.amended} {
		p, err := decodeProperties(*encoded)
		if err != nil {
			return err
		}
		delete(p, DeadLetterReason)
		delete(p, DeadLetterErrorDescription)
		if *encoded, err = p.encode(); err != nil {
			return err
		}
	}
	return nil
}

// Discard removes a dead letter for good. name is the queue, seq the number in
// the dead-letter queue. [ErrMessageNotFound] if there is no such dead letter,
// or someone holds it.
func (b *Bus) Discard(ctx context.Context, name string, seq int64) error {
	return b.commit(ctx, func(t *txn) error {
		e, err := b.deadLetter(t, name, seq)
		if err != nil {
			return err
		}
		if err := e.remove(t); err != nil {
			return err
		}
		b.left(&e)
		return nil
	})
}

// deadLetter finds a dead letter that nobody holds.
func (b *Bus) deadLetter(t *txn, name string, seq int64) (entry, error) {
	q, err := b.queue(name)
	if err != nil {
		return entry{}, err
	}
	e, held, err := find(t, q.dead, Active, seq)
	if errors.Is(err, ErrMessageNotFound) {
		e, held, err = find(t, q.dead, Deferred, seq)
	}
	if err == nil && held {
		err = fmt.Errorf("%w: dead letter %d is held by a receiver", ErrMessageNotFound, seq)
	}
	return e, err
}

func loadRecord(t *txn, message int64) (r record, err error) {
	err = t.each("SELECT"+recordColumns+"FROM message m WHERE m.id = ?", func(stmt *sqlite.Stmt) bool {
		r = scanRecord(stmt, 0)
		return false
	}, message)
	return r, err
}
