package bus

import (
	"context"
	"fmt"
	"slices"
)

// Send puts messages in a queue, all or none, and returns the sequence number
// of each. A message with a schedule keeps its number until it is due and then
// goes to the queue's end under a new one. A message that duplicate detection
// drops has the number 0. Sending to a dead-letter queue is [ErrInvalid].
func (b *Bus) Send(ctx context.Context, name string, messages ...Message) ([]int64, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	records := make([]record, len(messages))
	for i := range messages {
		var err error
		if records[i], err = newRecord(&messages[i], b.opts.MaxMessageBytes); err != nil {
			return nil, fmt.Errorf("message %d: %w", i+1, err)
		}
	}
	var seqs []int64
	err := b.commit(ctx, func(t *txn) error {
		in, err := b.subqueue(name)
		if err != nil {
			return err
		}
		if in.isDead() {
			return fmt.Errorf("%w: %q takes no messages from senders", ErrInvalid, name)
		}
		s := sending{txn: t, in: in, now: b.opts.Now().UnixMilli(), seq: in.nextSeq, seqs: make([]int64, 0, len(messages))}
		for i := range records {
			if err := s.add(&records[i], &messages[i]); err != nil {
				return err
			}
		}
		seqs = s.seqs
		b.sent(&s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return seqs, nil
}

// StartSend is [Bus.Send] without waiting. done is called once, with the
// sequence numbers after the commit that holds the messages is as durable as
// [Options].Durability says, or with the error. It is called on a goroutine of
// the bus (after Close on the caller's, before StartSend returns); it must be
// quick, must not block and must not call the Bus.
//
// Calls of one goroutine take effect in their order. What is handed in and not
// yet committed is kept in memory without a bound: that is the caller's to set.
// The messages must not be changed afterwards; bodies are not copied.
func (b *Bus) StartSend(name string, messages []Message, done func(seqs []int64, err error)) {
	done(nil, errUnfinished)
}

// sending collects what a Send will change in memory.
type sending struct {
	*txn
	in     *subqueue
	now    int64
	seq    int64 // the next to give
	seqs   []int64
	counts [states]int64
	due    int64 // the earliest
}

func (s *sending) add(r *record, m *Message) error {
	duplicate, err := s.isDuplicate(r.messageID)
	if err != nil || duplicate {
		s.seqs = append(s.seqs, 0)
		return err
	}
	row, err := insertMessage(s.txn, r)
	if err != nil {
		return err
	}
	e := entry{in: s.in, seq: s.seq, message: row}
	if at := m.ScheduledEnqueueTime.UnixMilli(); !m.ScheduledEnqueueTime.IsZero() && at > s.now {
		e.place, e.due = Scheduled, at
		err = e.insert(s.txn, at, 0)
	} else {
		e.due = s.in.queue.settings.expiry(s.now, millis(m.TTL))
		err = e.insert(s.txn, s.now, e.due)
	}
	if err != nil {
		return err
	}
	s.seqs = append(s.seqs, s.seq)
	s.seq++
	s.counts[e.place]++
	s.due = earlier(s.due, e.due)
	return nil
}

// sent makes the writer's memory agree with the rows of a Send.
func (b *Bus) sent(s *sending) {
	s.in.nextSeq = s.seq
	for place, n := range s.counts {
		s.in.counts[place] += n
	}
	b.nextDue = earlier(b.nextDue, s.due)
	b.touch(s.in)
}

// touch notes that a subqueue's numbers and perhaps its messages have changed.
func (b *Bus) touch(s *subqueue) {
	b.dirty[s] = struct{}{}
	if len(s.waiters) > 0 {
		b.stir[s] = struct{}{}
	}
}

// earlier is the earlier of two times, where 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// isDuplicate looks a message id up in the duplicate window and enters it.
func (s *sending) isDuplicate(id string) (bool, error) {
	window := millis(s.in.queue.settings.DuplicateWindow)
	if window == 0 {
		return false, nil
	}
	// Two are forgotten for each one entered, so the table cannot grow.
	err := s.exec(`DELETE FROM recent WHERE queue = ?1 AND message_id IN
		(SELECT message_id FROM recent WHERE queue = ?1 AND seen <= ?2 ORDER BY seen LIMIT 2)`, s.in.id, s.now-window)
	if err != nil {
		return false, err
	}
	stmt, err := s.prepare(`INSERT INTO recent (queue, message_id, seen) VALUES (?1, ?2, ?3)
		ON CONFLICT DO UPDATE SET seen = excluded.seen WHERE seen <= ?4`)
	if err != nil {
		return false, err
	}
	stmt.BindInt64(1, s.in.id)
	stmt.BindText(2, id)
	stmt.BindInt64(3, s.now)
	stmt.BindInt64(4, s.now-window)
	if err := finish(stmt); err != nil {
		return false, err
	}
	return s.conn.Changes() == 0, nil
}

// CancelScheduled removes scheduled messages that are not yet due, all or
// none. [ErrMessageNotFound] if one of the numbers names none.
func (b *Bus) CancelScheduled(ctx context.Context, name string, seqs ...int64) error {
	return b.commit(ctx, func(t *txn) error {
		in, err := b.subqueue(name)
		if err != nil {
			return err
		}
		sorted := slices.Compact(slices.Sorted(slices.Values(seqs)))
		for _, seq := range sorted {
			e, _, err := find(t, in, Scheduled, seq)
			if err != nil {
				return err
			}
			if err := e.remove(t); err != nil {
				return err
			}
		}
		in.counts[Scheduled] -= int64(len(sorted))
		b.touch(in)
		return nil
	})
}
