package bus

import (
	"context"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

// sweepPiece is how many due things one group settles at most, so that a heap
// of them does not hold up everybody else's commit.
const sweepPiece = 256

// watch waits for the timer until Close.
func (b *Bus) watch() {
	defer b.timer.Stop()
	for {
		select {
		case <-b.timer.C:
			// The group's end does the work. An error means that the bus has
			// failed, which is reported through Failed.
			_ = b.ride(context.Background(), func(*txn) error {
				b.armed = time.Time{}
				return nil
			})
		case <-b.closing:
			return
		case <-b.db.Failed():
			return
		}
	}
}

// Tick settles everything that is due by the clock of [Options].Now. The bus
// does so by itself; Tick is for clocks that jump.
func (b *Bus) Tick(ctx context.Context) error {
	for again := true; again; {
		err := b.commit(ctx, func(*txn) error {
			next, some := b.next()
			again = some && !next.After(b.opts.Now())
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// next is the earliest time at which something is due.
func (b *Bus) next() (next time.Time, some bool) {
	if len(b.doomed) > 0 {
		return b.opts.Now(), true
	}
	if len(b.expiry) > 0 {
		next, some = b.expiry[0].until, true
	}
	if due := time.UnixMilli(b.nextDue); b.nextDue != 0 && (!some || due.Before(next)) {
		next, some = due, true
	}
	return next, some
}

// arm sets the timer, unless it fires early enough already.
func (b *Bus) arm() {
	next, some := b.next()
	if !some || !b.armed.IsZero() && !next.Before(b.armed) {
		return
	}
	b.armed = next
	b.timer.Reset(max(0, next.Sub(b.opts.Now())))
}

// sweep settles a piece of what is due.
func (b *Bus) sweep(t *txn, now time.Time) error {
	for n := 0; n < sweepPiece && len(b.expiry) > 0 && !now.Before(b.expiry[0].until); n++ {
		l := b.expiry[0]
		b.unlock(l)
		if err := b.giveBack(t, l.entry, now); err != nil {
			return err
		}
	}
	if b.nextDue != 0 && b.nextDue <= now.UnixMilli() {
		if err := b.sweepDue(t, now); err != nil {
			return err
		}
	}
	if len(b.doomed) > 0 {
		return b.clear(t, b.doomed[0])
	}
	return nil
}

// sweepDue expires and activates the entries that are due, and looks up when
// the next one is.
func (b *Bus) sweepDue(t *txn, now time.Time) error {
	due := make([]entry, 0, sweepPiece)
	err := t.each(`SELECT queue, place, seq, message, count, due, bytes FROM entry INDEXED BY entry_due
		WHERE due IS NOT NULL AND held = 0 AND due <= ? ORDER BY due LIMIT ?`, func(stmt *sqlite.Stmt) bool {
		in := b.subqueues[stmt.ColumnInt64(0)]
		if in == nil { // of a deleted queue, not yet cleared
			in = &subqueue{id: stmt.ColumnInt64(0)}
		}
		e := entry{in: in, place: State(stmt.ColumnInt64(1)), seq: stmt.ColumnInt64(2),
			message: stmt.ColumnInt64(3), count: stmt.ColumnInt64(4), due: stmt.ColumnInt64(5), bytes: stmt.ColumnInt64(6)}
		due = append(due, e)
		return true
	}, now.UnixMilli(), sweepPiece)
	if err != nil {
		return err
	}
	for _, e := range due {
		switch {
		case e.in.queue == nil:
			err = e.remove(t)
		case e.place == Scheduled:
			err = b.activate(t, e, now)
		default:
			err = b.expire(t, e, now)
		}
		if err != nil {
			return err
		}
	}
	b.nextDue = 0
	return t.each("SELECT due FROM entry INDEXED BY entry_due WHERE due IS NOT NULL AND held = 0 ORDER BY due LIMIT 1", func(stmt *sqlite.Stmt) bool {
		b.nextDue = stmt.ColumnInt64(0)
		return false
	})
}

// activate puts a scheduled message at the end of its queue.
func (b *Bus) activate(t *txn, e entry, now time.Time) error {
	r, err := loadRecord(t, e.message)
	if err != nil {
		return err
	}
	var m Message
	if err := decodeHead(r.head, &m); err != nil {
		b.opts.Logger.Error("a stored message is damaged", "queue", e.in.queue.name, "sequence", e.seq, "error", err)
	}
	if err := e.removeEntry(t); err != nil {
		return err
	}
	active := entry{in: e.in, seq: e.in.nextSeq, message: e.message, bytes: e.bytes, due: e.in.queue.settings.expiry(now.UnixMilli(), millis(m.TTL))}
	if err := active.insert(t, now.UnixMilli(), active.due); err != nil {
		return err
	}
	e.in.nextSeq++
	b.left(&e)
	b.came(&active)
	return nil
}

// expire drops or dead-letters an active message whose time is over.
func (b *Bus) expire(t *txn, e entry, now time.Time) error {
	if e.in.queue.settings.DeadLetterOnExpiration {
		return b.bury(t, e, ReasonExpired, "The message expired and was dead lettered.", now)
	}
	if err := e.remove(t); err != nil {
		return err
	}
	b.left(&e)
	return nil
}

// clear removes a piece of a deleted queue, and in the end its row.
func (b *Bus) clear(t *txn, id int64) error {
	var rows []entry
	err := t.each("SELECT queue, place, seq, message FROM entry WHERE queue IN (?, ?) LIMIT ?", func(stmt *sqlite.Stmt) bool {
		rows = append(rows, entry{in: &subqueue{id: stmt.ColumnInt64(0)}, place: State(stmt.ColumnInt64(1)), seq: stmt.ColumnInt64(2), message: stmt.ColumnInt64(3)})
		return true
	}, id, -id, sweepPiece)
	if err != nil {
		return err
	}
	for _, e := range rows {
		if err := e.remove(t); err != nil {
			return err
		}
	}
	if len(rows) > 0 {
		return nil
	}
	err = t.exec("DELETE FROM recent WHERE queue = ?1 AND message_id IN (SELECT message_id FROM recent WHERE queue = ?1 LIMIT ?2)", id, sweepPiece)
	if err != nil || t.conn.Changes() > 0 {
		return err
	}
	b.doomed = b.doomed[1:]
	return t.exec("DELETE FROM queue WHERE id = ?", id)
}

// restart reads the queues and ends the locks of whoever had the file before.
func (b *Bus) restart(t *txn) error {
	if err := b.loadQueues(t); err != nil {
		return err
	}
	ended := 0
	for _, s := range b.subqueues {
		held, err := heldEntries(t, s)
		if err != nil {
			return err
		}
		for _, e := range held {
			if err := b.giveBack(t, e, b.opts.Now()); err != nil {
				return err
			}
		}
		ended += len(held)
		s.cursor, s.returned = 1, nil // nothing is held: begin at the beginning
	}
	if ended > 0 {
		b.opts.Logger.Info("ended the locks of the process before", "messages", ended)
	}
	b.nextDue = b.opts.Now().UnixMilli() // look
	return nil
}

func (b *Bus) loadQueues(t *txn) error {
	err := t.each(`SELECT id, name, display, lock_duration, max_deliveries, default_ttl, dead_letter_expired, duplicate_window,
		max_size, status, metadata, described FROM queue`, func(stmt *sqlite.Stmt) bool {
		if stmt.ColumnIsNull(1) {
			b.doomed = append(b.doomed, stmt.ColumnInt64(0))
			return true
		}
		b.adopt(&queue{id: stmt.ColumnInt64(0), name: strings.Clone(stmt.ColumnText(2)), settings: scanSettings(stmt, 3)})
		return true
	})
	if err != nil {
		return err
	}
	return t.each("SELECT id, next_seq, cursor, bytes, accessed, active, deferred, scheduled FROM subqueue", func(stmt *sqlite.Stmt) bool {
		s := b.subqueues[stmt.ColumnInt64(0)]
		s.nextSeq, s.cursor, s.bytes, s.accessed = stmt.ColumnInt64(1), stmt.ColumnInt64(2), stmt.ColumnInt64(3), stmt.ColumnInt64(4)
		for i := range s.counts {
			s.counts[i] = stmt.ColumnInt64(5 + i)
		}
		return true
	})
}

// heldEntries are the entries that were handed out: before the cursor, or
// among the deferred ones.
func heldEntries(t *txn, s *subqueue) (held []entry, err error) {
	err = t.each(`SELECT place, seq, message, count, due, bytes FROM entry WHERE held = 1 AND queue = ?1 AND place = 0 AND seq < ?2
		UNION ALL SELECT place, seq, message, count, due, bytes FROM entry WHERE held = 1 AND queue = ?1 AND place = 1`, func(stmt *sqlite.Stmt) bool {
		held = append(held, entry{in: s, place: State(stmt.ColumnInt64(0)), seq: stmt.ColumnInt64(1), message: stmt.ColumnInt64(2),
			count: stmt.ColumnInt64(3), due: stmt.ColumnInt64(4), bytes: stmt.ColumnInt64(5)})
		return true
	}, s.id, s.cursor)
	return held, err
}
