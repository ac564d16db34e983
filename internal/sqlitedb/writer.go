package sqlitedb

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"bellhop/internal/crashpoint"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Group describes one committed group, for measurements.
type Group struct {
	// Callers is how many functions the group held.
	Callers int
	// Commit is how long the COMMIT itself took, the disk included.
	Commit time.Duration
	// Synced tells whether the commit waited for the disk.
	Synced bool
}

// write is one caller's function and what became of it.
type write struct {
	ctx  context.Context
	fn   func(*sqlite.Conn) error
	sync bool          // the group must wait for the disk
	ride bool          // the caller returns before the commit
	err  error         // set by the writer before done is closed
	done chan struct{} // closed when the caller may return
}

// Commit runs fn in the next group and returns when that group is on disk.
// fn's own error undoes what fn wrote and is returned as it is. When ctx ends
// before fn was begun nothing is written; once begun, Commit waits for the end.
// fn runs on the writer goroutine: it must not call the DB, and should be short.
func (db *DB) Commit(ctx context.Context, fn func(*sqlite.Conn) error) error {
	return db.submit(&write{ctx: ctx, fn: fn, sync: true, done: make(chan struct{})})
}

// CommitUnsynced runs fn in the next group and returns when that group is
// committed, whether or not it waited for the disk: what fn wrote survives the
// end of the process and is seen by every reader, and is on disk with the next
// synced commit.
func (db *DB) CommitUnsynced(ctx context.Context, fn func(*sqlite.Conn) error) error {
	return db.submit(&write{ctx: ctx, fn: fn, done: make(chan struct{})})
}

// Ride runs fn in the next group and returns when fn has run. What it wrote is
// visible to every later write, and durable with the next synced commit.
func (db *DB) Ride(ctx context.Context, fn func(*sqlite.Conn) error) error {
	return db.submit(&write{ctx: ctx, fn: fn, ride: true, done: make(chan struct{})})
}

func (db *DB) submit(w *write) error {
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	select {
	case db.writes <- w:
	case <-db.closing:
		return ErrClosed
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
	select {
	case <-w.done:
		return w.err
	case <-db.drained:
	}
	select { // the writer may have served w just before it left
	case <-w.done:
		return w.err
	default:
		return ErrClosed
	}
}

// writer owns the write connection. All fields belong to its goroutine.
type writer struct {
	db    *DB
	conn  *sqlite.Conn
	level Durability // what PRAGMA synchronous is set to now
	err   error      // set once a commit has failed
	group []*write   // the callers of the current group
}

func (w *writer) run() {
	defer close(w.db.drained)
	for {
		select {
		case first := <-w.db.writes:
			w.serve(first)
		case <-w.db.closing:
			w.drain()
			return
		}
	}
}

// drain serves what was handed in before Close.
func (w *writer) drain() {
	for {
		select {
		case first := <-w.db.writes:
			w.serve(first)
		default:
			return
		}
	}
}

// serve runs one group: first, and everything that is waiting behind it.
func (w *writer) serve(first *write) {
	// Whoever is ready to run may join: on a busy machine that makes groups
	// several times larger, on an idle one it takes no time.
	runtime.Gosched()
	w.group = append(w.group[:0], first)
	for len(w.group) < w.db.opts.MaxGroup {
		select {
		case next := <-w.db.writes:
			w.group = append(w.group, next)
			continue
		default:
		}
		break
	}
	if w.err == nil {
		w.err = w.commit()
		if w.err != nil {
			close(w.db.failed)
		}
	}
	for _, c := range w.group {
		w.release(c, w.err)
	}
	clear(w.group)
}

// release lets a caller return. A rider has been released already.
func (w *writer) release(c *write, groupErr error) {
	select {
	case <-c.done:
		return
	default:
	}
	if groupErr != nil {
		c.err = fmt.Errorf("%w: %w", ErrFailed, groupErr)
	}
	close(c.done)
}

func (w *writer) commit() error {
	synced := w.db.opts.Durability == Full && w.anySyncs()
	if err := w.setLevel(synced); err != nil {
		return err
	}
	if err := step(w.conn, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for _, c := range w.group {
		if err := w.call(c); err != nil {
			return err
		}
	}
	if w.db.opts.BeforeCommit != nil {
		if err := w.db.opts.BeforeCommit(w.conn); err != nil {
			return fmt.Errorf("before commit: %w", err)
		}
	}
	crashpoint.Here(crashpoint.Committing)
	began := time.Now()
	if err := step(w.conn, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	crashpoint.Here(crashpoint.Synced)
	if w.db.opts.AfterCommit != nil {
		w.db.opts.AfterCommit(Group{Callers: len(w.group), Commit: time.Since(began), Synced: synced})
	}
	return nil
}

func (w *writer) anySyncs() bool {
	for _, c := range w.group {
		if c.sync {
			return true
		}
	}
	return false
}

// setLevel switches between waiting for the disk and not: a group in which
// nobody needs the disk does not wait, and the next synced commit makes its
// pages durable too.
func (w *writer) setLevel(synced bool) error {
	want := w.db.opts.Durability
	if want == Full && !synced {
		want = Normal
	}
	if want == w.level {
		return nil
	}
	w.level = want
	return setSynchronous(w.conn, want)
}

// call runs one caller's function in its savepoint. The error it returns is
// the group's: the savepoint itself could not be handled.
func (w *writer) call(c *write) error {
	if c.err = c.ctx.Err(); c.err != nil {
		return nil
	}
	if err := step(w.conn, "SAVEPOINT caller"); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	c.err = guard(w.conn, c.fn)
	if c.err != nil {
		if err := step(w.conn, "ROLLBACK TO caller"); err != nil {
			return fmt.Errorf("undo a caller: %w (after %w)", err, c.err)
		}
	}
	if err := step(w.conn, "RELEASE caller"); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	if c.ride {
		close(c.done)
	}
	return nil
}

// guard turns a panic of one caller's function into that caller's error.
func guard(conn *sqlite.Conn, fn func(*sqlite.Conn) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sqlitedb: a write panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(conn)
}

// step runs a statement without parameters or rows, prepared once.
func step(conn *sqlite.Conn, sql string) error {
	stmt, err := conn.Prepare(sql)
	if err != nil {
		return err
	}
	if _, err := stmt.Step(); err != nil {
		return err
	}
	return stmt.Reset()
}

func setSynchronous(conn *sqlite.Conn, d Durability) error {
	level := [...]string{Full: "FULL", Normal: "NORMAL", Off: "OFF"}[d]
	return sqlitex.ExecuteTransient(conn, "PRAGMA synchronous = "+level, nil)
}
