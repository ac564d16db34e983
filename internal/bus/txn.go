package bus

import (
	"errors"

	"zombiezen.com/go/sqlite"
)

// txn is a connection inside the transaction under way on it.
type txn struct {
	conn *sqlite.Conn

	// Its statements. Conn.Prepare clears the bindings of a statement
	// it has prepared before, and SQLite then plans the statement anew: 20 µs
	// for the one that finds messages. All our statements bind all parameters.
	stmts map[string]*sqlite.Stmt
}

// prepare returns a statement that is reset; its parameters may be set.
func (t *txn) prepare(sql string) (*sqlite.Stmt, error) {
	if stmt, ok := t.stmts[sql]; ok {
		return stmt, nil
	}
	stmt, err := t.conn.Prepare(sql)
	if err != nil {
		return nil, err
	}
	t.stmts[sql] = stmt
	return stmt, nil
}

// exec runs a statement whose parameters are numbers and that returns no rows.
func (t *txn) exec(sql string, args ...int64) error {
	stmt, err := t.prepare(sql)
	if err != nil {
		return err
	}
	for i, arg := range args {
		stmt.BindInt64(i+1, arg)
	}
	return finish(stmt)
}

// finish runs a bound statement that returns no rows.
func finish(stmt *sqlite.Stmt) error {
	_, err := stmt.Step()
	return errors.Join(err, stmt.Reset())
}

// each runs a statement whose parameters are numbers, and fn for each row
// until it returns false.
func (t *txn) each(sql string, fn func(*sqlite.Stmt) bool, args ...int64) error {
	stmt, err := t.prepare(sql)
	if err != nil {
		return err
	}
	for i, arg := range args {
		stmt.BindInt64(i+1, arg)
	}
	for {
		row, err := stmt.Step()
		if err != nil || !row || !fn(stmt) {
			return errors.Join(err, stmt.Reset())
		}
	}
}

// bindTime binds a time, or NULL for none (0).
func bindTime(stmt *sqlite.Stmt, param int, ms int64) {
	if ms == 0 {
		stmt.BindNull(param)
		return
	}
	stmt.BindInt64(param, ms)
}

// column reads a blob.
func column(stmt *sqlite.Stmt, col int) []byte {
	n := stmt.ColumnLen(col)
	if n == 0 {
		return nil
	}
	buf := make([]byte, n)
	stmt.ColumnBytes(col, buf)
	return buf
}

// bindBlob binds bytes, and none as an empty blob rather than NULL.
func bindBlob(stmt *sqlite.Stmt, param int, b []byte) {
	if len(b) == 0 {
		stmt.BindZeroBlob(param, 0)
		return
	}
	stmt.BindBytes(param, b)
}
