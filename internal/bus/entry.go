package bus

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
)

// entry is where one message is, and what the bus must know to move it.
type entry struct {
	in      *subqueue
	place   State
	seq     int64
	message int64 // row of its content
	count   int64 // delivery count
	bytes   int64 // of the message as it was sent
	due     int64 // 0: never; see the schema
}

func (e *entry) insert(t *txn, enqueued, expires int64) error {
	stmt, err := t.prepare("INSERT INTO entry (queue, place, seq, message, count, bytes, held, enqueued, expires, due) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)")
	if err != nil {
		return err
	}
	for i, n := range [...]int64{e.in.id, int64(e.place), e.seq, e.message, e.count, e.bytes, enqueued} {
		stmt.BindInt64(i+1, n)
	}
	bindTime(stmt, 8, expires)
	bindTime(stmt, 9, e.due)
	return finish(stmt)
}

// remove deletes the entry and its message.
func (e *entry) remove(t *txn) error {
	if err := e.removeEntry(t); err != nil {
		return err
	}
	return t.exec("DELETE FROM message WHERE id = ?", e.message)
}

func (e *entry) removeEntry(t *txn) error {
	return t.exec("DELETE FROM entry WHERE queue = ? AND place = ? AND seq = ?", e.in.id, int64(e.place), e.seq)
}

// find looks an entry up; [ErrMessageNotFound] if there is none.
func find(t *txn, in *subqueue, place State, seq int64) (e entry, held bool, err error) {
	ok := false
	err = t.each("SELECT message, count, due, bytes, held FROM entry WHERE queue = ? AND place = ? AND seq = ?", func(stmt *sqlite.Stmt) bool {
		e = entry{in: in, place: place, seq: seq, message: stmt.ColumnInt64(0), count: stmt.ColumnInt64(1), due: stmt.ColumnInt64(2), bytes: stmt.ColumnInt64(3)}
		held = stmt.ColumnBool(4)
		ok = true
		return false
	}, in.id, int64(place), seq)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %d", ErrMessageNotFound, seq)
	}
	return e, held, err
}

// insertMessage stores a message's content and returns its row.
func insertMessage(t *txn, r *record) (int64, error) {
	stmt, err := t.prepare("INSERT INTO message (message_id, head, properties, body_kind, body, extra, amended) VALUES (?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return 0, err
	}
	stmt.BindText(1, r.messageID)
	bindBlob(stmt, 2, r.head)
	bindBlob(stmt, 3, r.properties)
	stmt.BindInt64(4, int64(r.kind))
	bindBlob(stmt, 5, r.body)
	bindBlob(stmt, 6, r.extra)
	bindBlob(stmt, 7, r.amended)
	if err := finish(stmt); err != nil {
		return 0, err
	}
	return t.conn.LastInsertRowID(), nil
}

// stored is a message as it was read, not yet decoded.
type stored struct {
	entry
	record
	enqueued, expires, origin, since int64

	token LockToken
}

// What scanStored and scanRecord read, from entry e and message m.
const (
	storedColumns = " e.place, e.seq, e.message, e.count, e.due, e.bytes, e.enqueued, e.expires, e.origin, e.since," + recordColumns
	recordColumns = " m.message_id, m.head, m.properties, m.body_kind, m.body, m.extra, m.amended "
)

func scanStored(stmt *sqlite.Stmt) stored {
	return stored{
		entry: entry{
			place: State(stmt.ColumnInt64(0)), seq: stmt.ColumnInt64(1), message: stmt.ColumnInt64(2),
			count: stmt.ColumnInt64(3), due: stmt.ColumnInt64(4), bytes: stmt.ColumnInt64(5),
		},
		enqueued: stmt.ColumnInt64(6), expires: stmt.ColumnInt64(7), origin: stmt.ColumnInt64(8), since: stmt.ColumnInt64(9),
		record: scanRecord(stmt, 10),
	}
}

func scanRecord(stmt *sqlite.Stmt, col int) record {
	return record{
		messageID: stmt.ColumnText(col), head: column(stmt, col+1), properties: column(stmt, col+2),
		kind: BodyKind(stmt.ColumnInt64(col + 3)), body: column(stmt, col+4), extra: column(stmt, col+5), amended: column(stmt, col+6),
	}
}

// received decodes a stored message. source is the name of the queue a dead
// letter came from, or empty. What is damaged is left out, and is the error.
func (s *stored) received(source string) (Received, error) {
	m, err := s.record.message()
	amended, damage := decodeProperties(s.amended)
	if damage != nil {
		err = errors.Join(err, fmt.Errorf("read amended properties: %w", damage))
	}
	if m.Properties = merge(m.Properties, amended); err != nil {
		err = fmt.Errorf("message %d: %w", s.seq, err)
	}
	if s.expires != 0 {
		m.TTL = duration(s.expires - s.enqueued)
	}
	return Received{
		Message: m, Amended: amended, SequenceNumber: s.seq, EnqueuedSequenceNumber: s.origin,
		EnqueuedTime: fromMillis(s.enqueued), ExpiresAt: fromMillis(s.expires),
		DeliveryCount: int(s.count), State: s.place,
		DeadLetterSource: source, DeadLetteredAt: fromMillis(s.since), LockToken: s.token,
	}, err
}
