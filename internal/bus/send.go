package bus

import (
	"context"
	"fmt"
	"slices"

	"bellhop/internal/sqlitedb"
)

// Send puts messages in a queue, all or none, and returns the sequence number
// of each. A message with a schedule keeps its number until it is due and then
// goes to the queue's end under a new one. A message that duplicate detection
// drops has the number 0. Sending to a dead-letter queue is [ErrInvalid].
func (b *Bus) Send(ctx context.Context, name string, messages ...Message) ([]int64, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	p, err := b.pack(name, messages)
	if err != nil {
		return nil, err
	}
	var seqs []int64
	err = b.commit(ctx, func(t *txn) (err error) {
		seqs, err = b.post(t, p)
		return err
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
	p, err := b.pack(name, messages)
	var seqs []int64
	b.start(sqlitedb.Write{}, func(t *txn) error {
		if err == nil {
			seqs, err = b.post(t, p)
		}
		return err
	}, func(err error) {
		if err != nil {
			seqs = nil
		}
		done(seqs, err)
	})
}

// parcel is what one Send brings.
type parcel struct {
	name     string
	messages []Message
	records  []record
	bytes    int64
}

// pack validates and encodes messages.
func (b *Bus) pack(name string, messages []Message) (p parcel, err error) {
	p = parcel{name: name, messages: messages, records: make([]record, len(messages))}
	for i := range messages {
		if p.records[i], err = newRecord(&messages[i], b.opts.MaxMessageBytes); err != nil {
			return p, fmt.Errorf("message %d: %w", i+1, err)
		}
		p.bytes += int64(p.records[i].size())
	}
	return p, nil
}

// post puts a parcel in its queue.
func (b *Bus) post(t *txn, p parcel) ([]int64, error) {
	in, err := b.subqueue(p.name)
	if err != nil {
		return nil, err
	}
	if err := in.admits(&p); err != nil {
		return nil, err
	}
	s := sending{txn: t, in: in, now: b.opts.Now().UnixMilli(), seq: in.nextSeq, seqs: make([]int64, 0, len(p.messages))}
	for i := range p.records {
		if err := s.add(&p.records[i], &p.messages[i]); err != nil {
			return nil, err
		}
	}
	b.sent(&s)
	return s.seqs, nil
}

// admits tells whether a sender may put a parcel in a subqueue.
func (s *subqueue) admits(p *parcel) error {
	settings := &s.queue.settings
	switch limit := settings.MaxSizeBytes; {
	case s.isDead():
		return fmt.Errorf("%w: %q takes no messages from senders", ErrInvalid, p.name)
	case !settings.Status.Sends():
		return fmt.Errorf("%w: %q is not sent to", ErrDisabled, p.name)
	case limit > 0 && s.queue.main.bytes+s.queue.dead.bytes+p.bytes > limit:
		return fmt.Errorf("%w: %q may have %d bytes", ErrFull, p.name, limit)
	}
	return nil
}

// sending collects what a Send will change in memory.
type sending struct {
	*txn
	in     *subqueue
	now    int64
	seq    int64 // the next to give
	seqs   []int64
	counts [states]int64
	bytes  int64
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
	e := entry{in: s.in, seq: s.seq, message: row, bytes: int64(r.size())}
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
	s.bytes += e.bytes
	s.due = earlier(s.due, e.due)
	return nil
}

// sent makes the writer's memory agree with the rows of a Send.
func (b *Bus) sent(s *sending) {
	s.in.nextSeq = s.seq
	for place, n := range s.counts {
		s.in.counts[place] += n
	}
	s.in.bytes += s.bytes
	s.in.accessed = s.now
	b.nextDue = earlier(b.nextDue, s.due)
	b.touch(s.in)
}

// came counts an entry that has come into its place.
func (b *Bus) came(e *entry) {
	e.in.counts[e.place]++
	e.in.bytes += e.bytes
	b.nextDue = earlier(b.nextDue, e.due)
	b.touch(e.in)
}

// left counts an entry that has gone from its place.
func (b *Bus) left(e *entry) {
	e.in.counts[e.place]--
	e.in.bytes -= e.bytes
	b.touch(e.in)
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
		cancelled := make([]entry, len(sorted))
		for i, seq := range sorted {
			if cancelled[i], _, err = find(t, in, Scheduled, seq); err != nil {
				return err
			}
			if err := cancelled[i].remove(t); err != nil {
				return err
			}
		}
		for i := range cancelled {
			b.left(&cancelled[i])
		}
		return nil
	})
}
