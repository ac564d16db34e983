package bus

import (
	"container/heap"
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
)

// purgePiece is how many messages one group removes at most.
const purgePiece = 1000

// Purge removes the messages that a queue or a dead-letter queue has when it is
// called, in whatever state; the locks of those that are held are lost. It
// returns how many went. With an error some may be gone and some not.
func (b *Bus) Purge(ctx context.Context, name string) (n int, err error) {
	var in *subqueue
	end := int64(0) // the first number given after the call
	for more := true; more; {
		gone := 0
		err := b.commit(ctx, func(t *txn) error {
			found, err := b.subqueue(name)
			if err != nil {
				return err
			}
			if in == nil {
				in, end = found, found.nextSeq
			}
			if in != found { // deleted and created again: the new one was not meant
				return fmt.Errorf("%w: %q was deleted", ErrQueueNotFound, name)
			}
			gone, err = b.purge(t, in, end)
			return err
		})
		if err != nil {
			return n, err
		}
		n += gone
		more = gone == purgePiece
	}
	return n, nil
}

// purge removes a piece of the messages below a sequence number.
func (b *Bus) purge(t *txn, in *subqueue, end int64) (n int, err error) {
	rows := make([]entry, 0, purgePiece)
	held := map[position]bool{}
	for place := Active; place < states && len(rows) < purgePiece; place++ {
		err := t.each("SELECT seq, message, bytes, held FROM entry WHERE queue = ? AND place = ? AND seq < ? ORDER BY seq LIMIT ?", func(stmt *sqlite.Stmt) bool {
			e := entry{in: in, place: place, seq: stmt.ColumnInt64(0), message: stmt.ColumnInt64(1), bytes: stmt.ColumnInt64(2)}
			if rows = append(rows, e); stmt.ColumnBool(3) {
				held[position{e.place, e.seq}] = true
			}
			return true
		}, in.id, int64(place), end, int64(purgePiece-len(rows)))
		if err != nil {
			return 0, err
		}
	}
	for i := range rows {
		if err := rows[i].remove(t); err != nil {
			return 0, err
		}
	}
	if len(held) > 0 {
		for _, l := range b.locks {
			if l.in == in && held[position{l.place, l.seq}] {
				b.unlock(l)
			}
		}
	}
	for i := range rows {
		b.left(&rows[i])
	}
	return len(rows), nil
}

// position is a place in a subqueue.
type position struct {
	place State
	seq   int64
}

// LoseLocks ends all locks of a queue or a dead-letter queue as if their time
// had come, and returns how many there were.
func (b *Bus) LoseLocks(ctx context.Context, name string) (n int, err error) {
	err = b.commitUnsynced(ctx, func(*txn) error {
		in, err := b.subqueue(name)
		if err != nil {
			return err
		}
		now := b.opts.Now()
		for _, l := range b.locks {
			if l.in == in {
				l.until = now
				n++
			}
		}
		heap.Init(&b.expiry)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, b.Tick(ctx)
}
