package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
)

// maxPeek is the most messages of one peek.
const maxPeek = 250

// Peek shows up to limit messages (at most 250) of a queue or a dead-letter
// queue from a sequence number on, in their order, and takes none: active
// ones, locked or not, deferred and scheduled ones, as of the latest commit. It
// shows none that has expired, unless that is locked. Of a message that is
// damaged it shows what can be read.
func (b *Bus) Peek(ctx context.Context, name string, from int64, limit int) ([]Received, error) {
	var rows []stored
	source := ""
	err := b.read(ctx, func(t *txn) error {
		id, queue, err := lookUp(t, name)
		if err != nil {
			return err
		}
		if id < 0 {
			source = queue
		}
		rows, err = peek(t, id, from, min(limit, maxPeek), b.opts.Now().UnixMilli())
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]Received, 0, len(rows))
	for i := range rows {
		r, err := rows[i].received(source)
		if err != nil { // it must be seen, to be discarded
			b.opts.Logger.Error("a stored message is damaged", "queue", name, "error", err)
		}
		all = append(all, r)
	}
	return all, nil
}

// lookUp finds a subqueue's id and its queue's name from a reader.
func lookUp(t *txn, name string) (id int64, queue string, err error) {
	base, dead := splitName(name)
	stmt, err := t.prepare("SELECT id, display FROM queue WHERE name = ?")
	if err != nil {
		return 0, "", err
	}
	stmt.BindText(1, strings.ToLower(base))
	row, err := stmt.Step()
	if err == nil && row {
		id, queue = stmt.ColumnInt64(0), stmt.ColumnText(1)
	} else if err == nil {
		err = fmt.Errorf("%w: %q", ErrQueueNotFound, base)
	}
	if dead {
		id = -id
	}
	return id, queue, errors.Join(err, stmt.Reset())
}

// peek merges the three places, each of which is in order on disk.
func peek(t *txn, id, from int64, limit int, now int64) (rows []stored, err error) {
	err = t.each(`WITH
		a AS (SELECT * FROM entry WHERE queue = ?1 AND place = 0 AND seq >= ?2 AND (due IS NULL OR due > ?4 OR held = 1) ORDER BY seq LIMIT ?3),
		d AS (SELECT * FROM entry WHERE queue = ?1 AND place = 1 AND seq >= ?2 ORDER BY seq LIMIT ?3),
		s AS (SELECT * FROM entry WHERE queue = ?1 AND place = 2 AND seq >= ?2 ORDER BY seq LIMIT ?3),
		e AS (SELECT * FROM a UNION ALL SELECT * FROM d UNION ALL SELECT * FROM s ORDER BY seq LIMIT ?3)
		SELECT`+storedColumns+`FROM e CROSS JOIN message m ON m.id = e.message ORDER BY e.seq`, func(stmt *sqlite.Stmt) bool {
		rows = append(rows, scanStored(stmt))
		return true
	}, id, from, int64(limit), now)
	return rows, err
}
