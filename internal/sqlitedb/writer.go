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

// moment is when a caller is told what became of its write.
type moment uint8

const (
	whenSynced    moment = iota // its group is on disk
	whenCommitted               // its group is committed
	whenRun                     // its function has run
	whenEmptied                 // the log was emptied after its group
)

// write is one caller's function and what became of it.
type write struct {
	ctx   context.Context // nil: it cannot be given up
	fn    func(*sqlite.Conn) error
	when  moment
	vital bool // see [Write]
	err   error
	done  func(error) // nil when it has been called
}

// Commit runs fn in the next group and returns when that group is on disk.
// fn's own error undoes what fn wrote and is returned as it is. When ctx ends
// before fn was begun nothing is written; once begun, Commit waits for the end.
// fn runs on the writer goroutine: it must not call the DB, and should be short.
func (db *DB) Commit(ctx context.Context, fn func(*sqlite.Conn) error) error {
	return db.wait(&write{ctx: ctx, fn: fn, when: whenSynced})
}

// CommitUnsynced runs fn in the next group and returns when that group is
// committed, without waiting for the disk: what fn wrote survives the
// end of the process and is seen by every reader, and is on disk with the next
// synced commit.
func (db *DB) CommitUnsynced(ctx context.Context, fn func(*sqlite.Conn) error) error {
	return db.wait(&write{ctx: ctx, fn: fn, when: whenCommitted})
}

// Ride runs fn in the next group and returns when fn has run. What it wrote is
// visible to every later write, and durable with the next synced commit.
func (db *DB) Ride(ctx context.Context, fn func(*sqlite.Conn) error) error {
	return db.wait(&write{ctx: ctx, fn: fn, when: whenRun})
}

// EmptyLog copies the write-ahead log into the file and cuts it off, so that
// what was overwritten or deleted before is nowhere any more. SQLite by itself
// begins the log again from its front, and leaves what is behind that. Writers
// wait for two syncs of the disk meanwhile. [ErrBusy] when a reader needs the
// log for longer than 50 ms; ask again later. In memory there is no log.
func (db *DB) EmptyLog(ctx context.Context) error {
	return db.wait(&write{ctx: ctx, fn: func(*sqlite.Conn) error { return nil }, when: whenEmptied})
}

// wait hands w in and returns what became of it.
func (db *DB) wait(w *write) error {
	answer := make(chan error, 1)
	w.done = func(err error) { answer <- err }
	db.hand(w)
	return <-answer
}

// Write is a write that nobody waits for, see [DB.Start].
type Write struct {
	// Do runs on the writer goroutine, on the same terms as for [DB.Commit].
	Do func(*sqlite.Conn) error
	// Done is called once, with Do's error, or nil when the group is on disk,
	// or [ErrFailed] when it could not be brought there. It runs on a goroutine
	// of the DB (on that of the caller of Start when the DB is closed) and must
	// be quick, must not block and must not call the DB. Those that wait for
	// the disk are called in the order in which they were handed in.
	Done func(error)
	// Unsynced calls Done after the commit and does not ask for the disk, as
	// [DB.CommitUnsynced] does.
	Unsynced bool
	// Vital runs Do without a savepoint of its own: an error or a panic fails
	// the whole group, and with it the database. It is for who changes his
	// memory step by step together with the rows, so that there is no undoing.
	Vital bool
}

// Start hands w in for the next group and returns at once. Calls of one
// goroutine take effect in their order, those that wait included. There is no
// bound on what has been handed in and not yet been committed: callers
// must bound what they keep under way, by a budget of bytes for instance.
func (db *DB) Start(w Write) {
	when := whenSynced
	if w.Unsynced {
		when = whenCommitted
	}
	db.hand(&write{fn: w.Do, when: when, vital: w.Vital, done: w.Done})
}

func (db *DB) hand(w *write) {
	if !db.inbox.put(w) {
		w.done(ErrClosed)
	}
}

// writer owns the write connection. All fields belong to its goroutine.
type writer struct {
	db    *DB
	conn  *sqlite.Conn
	group []*write // the callers of the current group
}

// run serves until the inbox is closed and empty.
func (w *writer) run() {
	defer close(w.db.syncer.groups)
	for w.db.inbox.await() {
		w.serve()
	}
}

// serve runs one group: whoever is waiting, and whoever comes while the last
// group is still being synced.
func (w *writer) serve() {
	err := w.db.failedWith()
	if err == nil {
		err = w.transact()
	} else {
		w.group = w.db.inbox.take(w.group, w.room())
	}
	if err != nil {
		w.db.failWith(err)
	}
	w.passOn(err)
	w.emptyLog()
	clear(w.group)
	w.group = w.group[:0]
}

// transact runs the callers' functions as they come until it is the group's
// turn at the disk, then those that are waiting already, and commits. On an
// error the turn is not given back: nothing is written any more.
func (w *writer) transact() error {
	if err := step(w.conn, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := w.admit(); err != nil {
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
	if err := w.admit(); err != nil {
		return err
	}
	return w.commit()
}

// admit runs whoever is waiting, as far as there is room.
func (w *writer) admit() error {
	had := len(w.group)
	w.group = w.db.inbox.take(w.group, w.room())
	for _, c := range w.group[had:] {
		if err := w.call(c); err != nil {
			return err
		}
	}
	return nil
}

// awaitTurn adds whoever comes until the disk is free.
func (w *writer) awaitTurn() error {
	for {
		stirred := w.db.inbox.stirred
		if w.room() == 0 {
			stirred = nil
		}
		select {
		case <-w.db.syncer.turn:
			return nil
		default:
		}
		select {
		case <-w.db.syncer.turn:
			return nil
		case <-stirred:
			if err := w.admit(); err != nil {
				return err
			}
		}
	}
}

// room is how many more callers the group may have.
func (w *writer) room() int { return w.db.opts.MaxGroup - len(w.group) }

// passOn tells the callers who need no more than the commit, and hands the
// others to the syncer with the turn at the disk. Those who want the log emptied
// stay.
func (w *writer) passOn(err error) {
	var wait []*write
	for _, c := range w.group {
		switch {
		case err == nil && c.err == nil && c.when == whenSynced && w.db.opts.Durability == Full:
			wait = append(wait, c)
		case err == nil && c.err == nil && c.when == whenEmptied:
		default:
			c.tell(err)
		}
	}
	switch {
	case len(wait) > 0:
		w.db.syncer.groups <- wait
	case err == nil:
		w.db.syncer.turn <- struct{}{}
	}
}

// emptyLog empties the log for those of the group who want that. It takes the
// turn at the disk, so that no sync is on its way and none has failed.
func (w *writer) emptyLog() {
	emptied, err := false, error(nil)
	for _, c := range w.group {
		if c.when != whenEmptied || c.done == nil {
			continue
		}
		if !emptied {
			emptied, err = true, w.checkpoint()
		}
		c.err = err
		c.tell(w.db.failedWith())
	}
}

func (w *writer) checkpoint() error {
	<-w.db.syncer.turn
	defer func() { w.db.syncer.turn <- struct{}{} }()
	if w.db.failedWith() != nil || w.db.opts.InMemory {
		return nil
	}
	w.conn.SetBusyTimeout(logPatience)
	defer w.conn.SetBlockOnBusy()
	busy, err := sqlitex.ResultInt(w.conn.Prep("PRAGMA wal_checkpoint(TRUNCATE)"))
	switch {
	case sqlite.ErrCode(err).ToPrimary() == sqlite.ResultBusy, err == nil && busy != 0:
		return ErrBusy
	case err != nil:
		w.db.failWith(fmt.Errorf("empty the log: %w", err))
	}
	return nil
}

// tell says what became of a write, unless that has been done.
func (c *write) tell(groupErr error) {
	if c.done == nil {
		return
	}
	if groupErr != nil {
		c.err = fmt.Errorf("%w: %w", ErrFailed, groupErr)
	}
	c.done(c.err)
	c.done = nil
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
		if c.when == whenSynced {
			return true
		}
	}
	return false
}

// call runs one caller's function in its savepoint. The error it returns is
// the group's: of a vital write, or of the savepoint itself.
func (w *writer) call(c *write) error {
	if c.ctx != nil && c.ctx.Err() != nil {
		c.err = c.ctx.Err()
		return nil
	}
	if c.vital {
		return guard(w.conn, c.fn)
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
	if c.when == whenRun {
		c.tell(nil)
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
