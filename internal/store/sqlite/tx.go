package sqlite

import (
	"errors"
	"fmt"
	"time"

	"bellhop/internal/onboarding"

	"zombiezen.com/go/sqlite"
)

// tx is what one caller's function works with on the writer goroutine.
type tx struct {
	conn   *sqlite.Conn
	now    int64 // one time for the whole step
	policy onboarding.Policy
	counts counts
}

// ms is a duration in the unit of the tables.
func ms(d time.Duration) int64 { return d.Milliseconds() }

// at is a time of the tables.
func at(ms int64) time.Time { return time.UnixMilli(ms) }

// since is how long ago a time of the tables was, 0 if it is to come.
func since(now, at int64) time.Duration {
	return time.Duration(max(0, now-at)) * time.Millisecond
}

// exec runs a statement that returns no rows and tells how many it changed.
func (t *tx) exec(sql string, args ...any) (int, error) {
	if _, err := query(t.conn, sql, nil, args...); err != nil {
		return 0, err
	}
	return t.conn.Changes(), nil
}

// query runs a prepared statement and calls fn for each row. It tells whether
// there was one. A nil fn ignores them.
func query(conn *sqlite.Conn, sql string, fn func(*row) error, args ...any) (found bool, err error) {
	stmt, err := conn.Prepare(sql)
	if err != nil {
		return false, err
	}
	if err := bind(stmt, args); err != nil {
		return false, err
	}
	for {
		more, err := stmt.Step()
		if err != nil {
			return false, err
		}
		if !more {
			return found, stmt.Reset()
		}
		found = true
		if fn == nil {
			continue
		}
		if err := fn(&row{stmt: stmt}); err != nil {
			return false, errors.Join(err, stmt.Reset())
		}
	}
}

// bind sets a statement's parameters in order.
func bind(stmt *sqlite.Stmt, args []any) error {
	for i, arg := range args {
		switch v := arg.(type) {
		case nil:
			stmt.BindNull(i + 1)
		case int64:
			stmt.BindInt64(i+1, v)
		case int:
			stmt.BindInt64(i+1, int64(v))
		case bool:
			stmt.BindBool(i+1, v)
		case string:
			stmt.BindText(i+1, v)
		case []byte:
			stmt.BindBytes(i+1, v)
		case optional:
			if v == 0 {
				stmt.BindNull(i + 1)
			} else {
				stmt.BindInt64(i+1, int64(v))
			}
		default:
			return fmt.Errorf("bind parameter %d: no rule for %T", i+1, arg)
		}
	}
	return nil
}

// optional is a time that may be missing: NULL in the tables, 0 here.
type optional int64

// orNull is how a fingerprint, or an HMAC of another kind, is bound: NULL for
// none.
func orNull[T ~[16]byte](value T) any {
	if value == (T{}) {
		return nil
	}
	b := [16]byte(value)
	return b[:]
}

// row reads one result row, column by column.
type row struct {
	stmt *sqlite.Stmt
	col  int
}

func (r *row) next() int {
	r.col++
	return r.col - 1
}

func (r *row) int() int64         { return r.stmt.ColumnInt64(r.next()) }
func (r *row) bool() bool         { return r.int() != 0 }
func (r *row) text() string       { return r.stmt.ColumnText(r.next()) }
func (r *row) optional() optional { return optional(r.int()) } // SQLite reads NULL as 0

func (r *row) hash() (h [32]byte) {
	r.stmt.ColumnBytes(r.next(), h[:])
	return h
}

// short reads what may be NULL or empty: then it is zero.
func (r *row) short() (b [16]byte) {
	r.stmt.ColumnBytes(r.next(), b[:])
	return b
}

func (r *row) bytes() []byte {
	i := r.next()
	b := make([]byte, r.stmt.ColumnLen(i))
	r.stmt.ColumnBytes(i, b)
	return b
}

// one collects the single value of a query such as SELECT max(x).
func one(conn *sqlite.Conn, sql string, args ...any) (n int64, found bool, err error) {
	found, err = query(conn, sql, func(r *row) error {
		n = r.int()
		return nil
	}, args...)
	return n, found, err
}
