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
	// Commit is how long the COMMIT took, without the wait for the disk.
	Commit time.Duration
	// Synced tells whether callers of the group wait for the disk.
	Synced bool
}

// write is one caller's function and what became of it.
type write struct {
	ctx  context.Context
	fn   func(*sqlite.Conn) error
	sync bool          // the group must wait for the disk
	ride bool          // the caller returns before the commit
	err  error         // set before done is closed
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
// committed, without waiting for the disk: what fn wrote survives the
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
	group []*write // the callers of the current group
}

func (w *writer) run() {
	defer close(w.db.syncer.groups)
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

// serve runs one group: first, whoever is waiting behind it, and whoever comes
// while the last group is still being synced.
func (w *writer) serve(first *write) {
	w.group = w.group[:0]
	err := w.db.failedWith()
	if err == nil {
		err = w.transact(first)
	} else {
		w.group = append(w.group, first)
	}
	if err != nil {
		w.db.failWith(err)
	}
	w.passOn(err)
	clear(w.group)
}

// transact runs the callers' functions as they come until it is the group's
// turn at the disk, then those that are waiting already, and commits. On an
// error the turn is not given back: nothing is written any more.
func (w *writer) transact(first *write) error {
	w.group = append(w.group, first)
	if err := step(w.conn, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := w.call(first); err != nil {
		return err
	}
	if err := w.awaitTurn(); err != nil {
		return err
	}
	// The sync that was waited for may have failed: then nothing may follow,
	// least of all another sync, which might succeed.
	if err := w.db.failedWith(); err != nil {
		return err
	}
	// Whoever is ready to run may join: on a busy machine that makes larger
	// groups, on an idle one it takes no time.
	runtime.Gosched()
	for range min(len(w.db.writes), w.room()) {
		if err := w.add(<-w.db.writes); err != nil {
			return err
		}
	}
	return w.commit()
}

// awaitTurn adds whoever comes until the disk is free.
func (w *writer) awaitTurn() error {
	for {
		writes := w.db.writes
		if w.room() == 0 {
			writes = nil
		}
		select {
		case <-w.db.syncer.turn:
			return nil
		default:
		}
		select {
		case <-w.db.syncer.turn:
			return nil
		case next := <-writes:
			if err := w.add(next); err != nil {
				return err
			}
		}
	}
}

// room is how many more callers the group may have.
func (w *writer) room() int { return w.db.opts.MaxGroup - len(w.group) }

func (w *writer) add(c *write) error {
	w.group = append(w.group, c)
	return w.call(c)
}

// passOn lets the callers return who need no more than the commit, and hands
// the others to the syncer with the turn at the disk.
func (w *writer) passOn(err error) {
	var wait []*write
	for _, c := range w.group {
		if err == nil && c.err == nil && c.sync && w.db.opts.Durability == Full {
			wait = append(wait, c)
		} else {
			c.release(err)
		}
	}
	switch {
	case len(wait) > 0:
		w.db.syncer.groups <- wait
	case err == nil:
		w.db.syncer.turn <- struct{}{}
	}
}

// release lets a caller return. A rider has been released already.
func (c *write) release(groupErr error) {
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
	if w.db.opts.AfterCommit != nil {
		w.db.opts.AfterCommit(Group{Callers: len(w.group), Commit: time.Since(began), Synced: w.db.opts.Durability == Full && w.anySyncs()})
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

// setSynchronous tells SQLite what to wait for by itself. Under Full that is no
// more than under Normal: the syncer does the rest.
func setSynchronous(conn *sqlite.Conn, d Durability) error {
	level := [...]string{Full: "NORMAL", Normal: "NORMAL", Off: "OFF"}[d]
	return sqlitex.ExecuteTransient(conn, "PRAGMA synchronous = "+level, nil)
}
