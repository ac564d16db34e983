// Package sqlitedb runs one SQLite file the way both of Bellhop's databases
// (the store and the bus) need it: one goroutine writes, and commits in groups;
// readers have connections of their own and never wait for it.
//
// # Groups
//
// A group is whatever arrived while the last one was on its way to disk. There is
// no linger: a lone caller pays one commit, a thousand callers share one. Each
// caller's function runs inside a savepoint of its own, so an error or a panic
// undoes that caller's writes and nobody else's.
//
// # Ways to write
//
// [DB.Commit] returns after the group's commit is on disk (with [Full]), and
// is for everything that is answered to somebody. [DB.Ride] returns as soon as
// the function has run, before the commit, and is for writes that may be lost
// in a crash because recovery would redo them. [DB.CommitUnsynced] lies
// between: it returns after the commit, which survives the end of the process,
// but does not ask for the disk. A group without a [DB.Commit] is committed
// without waiting for the disk; the next synced commit covers it. [DB.Start]
// is for whoever cannot wait at all: it returns at once, and the caller is told
// later.
//
// # Failure
//
// A commit that fails is never retried: after a failed fsync nobody knows what
// the disk holds. The database then refuses every further write with
// [ErrFailed], closes [DB.Failed], and the process is expected to exit and to
// recover from the file at its next start.
package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

var (
	// ErrFailed is returned by writes after a commit has failed.
	ErrFailed = errors.New("sqlitedb: an earlier commit failed; restart to recover")
	// ErrClosed is returned by reads and writes after Close.
	ErrClosed = errors.New("sqlitedb: closed")
	// ErrBusy is returned by EmptyLog while somebody reads.
	ErrBusy = errors.New("sqlitedb: the log is being read")
)

// Durability says what a commit of a [DB.Commit] group waits for.
type Durability int

const (
	// Full waits for the disk on every commit.
	Full Durability = iota
	// Normal survives a crash of the process, and after a power cut may lose
	// the latest commits but never consistency (PRAGMA synchronous=NORMAL).
	Normal
	// Off never waits for the disk. It is for tests that must lose something.
	Off
)

// Options configure [Open]. Migrations are required, and so is Path, unless the
// database is in memory.
type Options struct {
	// Path is the database file. It is created with mode 0600.
	Path string
	// InMemory keeps the database in memory until it is closed: Path is
	// ignored, Durability is Off, and there are no readers: [DB.Read] takes its
	// turn on the writer goroutine.
	InMemory bool
	// Migrations holds files NNNN_name.sql, applied in order, each in a
	// transaction. The number of the last one is kept in PRAGMA user_version.
	Migrations fs.FS
	// Durability of [DB.Commit]. Default: Full.
	Durability Durability
	// MaxGroup bounds the callers that share one commit. Default: 512.
	MaxGroup int
	// CacheBytes bounds the pages that the writer keeps in memory; the process
	// grows by up to twice as much. Default: 64 MiB.
	CacheBytes int
	// Readers is the number of read connections. Default: 2.
	Readers int
	// BeforeCommit, if set, runs on the writer goroutine inside each group's
	// transaction, after the callers' functions. An error fails the group.
	BeforeCommit func(*sqlite.Conn) error
	// AfterCommit, if set, runs on the writer goroutine after each commit,
	// before the callers return and before the disk is waited for.
	AfterCommit func(Group)
	// AfterSync, if set, is told how long each sync took. It runs on the
	// syncing goroutine.
	AfterSync func(time.Duration)
}

// DB is one open database file. All methods may be called concurrently.
type DB struct {
	opts    Options
	inbox   *inbox
	readers chan *sqlite.Conn

	closing chan struct{} // closed by Close: no new reads
	drained chan struct{} // closed when the writer and the syncer have left
	close   sync.Once

	failed  chan struct{} // closed after a failed commit or sync
	fail    sync.Once
	failure error // set before failed is closed

	writer writer // owned by the writer goroutine
	syncer syncer // owned by the syncing goroutine
}

// Open opens or creates the file, applies missing migrations and starts the
// writer. A file written by a newer version is refused.
func Open(opts Options) (*DB, error) {
	if opts.MaxGroup == 0 {
		opts.MaxGroup = 512
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = 64 << 20
	}
	if opts.Readers == 0 {
		opts.Readers = 2
	}
	open := openWriter
	if opts.InMemory {
		opts.Readers, opts.Durability = 0, Off
		open = openMemory
	}
	conn, err := open(opts)
	if err != nil {
		return nil, err
	}
	db := &DB{
		opts:    opts,
		inbox:   newInbox(),
		readers: make(chan *sqlite.Conn, opts.Readers),
		closing: make(chan struct{}),
		drained: make(chan struct{}),
		failed:  make(chan struct{}),
	}
	db.writer = writer{db: db, conn: conn}
	for range opts.Readers {
		r, err := openReader(opts.Path)
		if err != nil {
			return nil, errors.Join(err, db.closeReaders(len(db.readers)), conn.Close())
		}
		db.readers <- r
	}
	if db.syncer, err = newSyncer(db); err != nil {
		return nil, errors.Join(err, db.closeReaders(len(db.readers)), conn.Close())
	}
	db.start()
	return db, nil
}

// start runs the two goroutines. The syncer ends when the writer has left and
// the last group is on disk.
func (db *DB) start() {
	var running sync.WaitGroup
	running.Go(db.writer.run)
	running.Go(db.syncer.run)
	go func() {
		running.Wait()
		close(db.drained)
	}()
}

func openWriter(opts Options) (*sqlite.Conn, error) {
	f, err := os.OpenFile(opts.Path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(opts.Path, sqlite.OpenReadWrite, sqlite.OpenWAL)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", opts.Path, err)
	}
	err = sqlitex.ExecuteScript(conn, fmt.Sprintf(`
		PRAGMA foreign_keys = ON;
		PRAGMA temp_store = MEMORY;
		PRAGMA cache_size = -%d;
		PRAGMA wal_autocheckpoint = %d;`, opts.CacheBytes>>10, checkpointPages), nil)
	if err == nil {
		err = setSynchronous(conn, opts.Durability)
	}
	if err == nil {
		err = migrate(conn, opts.Migrations)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", opts.Path, err), conn.Close())
	}
	return conn, nil
}

func openMemory(opts Options) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(":memory:", sqlite.OpenReadWrite)
	if err != nil {
		return nil, fmt.Errorf("open a database in memory: %w", err)
	}
	err = sqlitex.ExecuteScript(conn, "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;", nil)
	if err == nil {
		err = migrate(conn, opts.Migrations)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare a database in memory: %w", err), conn.Close())
	}
	return conn, nil
}

// checkpointPages is how many WAL pages are collected before a commit copies
// them into the database file: 16 MiB. SQLite's own default of 4 MiB syncs the
// database file four times as often for the same work.
const checkpointPages = 4096

// logPatience is how long the writer waits for readers when it empties the log.
const logPatience = 50 * time.Millisecond

func openReader(path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	return conn, nil
}

// Failed is closed when a commit has failed and the process should end.
func (db *DB) Failed() <-chan struct{} { return db.failed }

// Err is why the database has failed, nil while it has not.
func (db *DB) Err() error { return db.failedWith() }

// Read runs fn on a read-only connection inside one transaction, so that it
// sees one state of the database. It holds back the log's clean-up while it
// runs: read in short pieces.
func (db *DB) Read(ctx context.Context, fn func(*sqlite.Conn) error) (err error) {
	if db.opts.InMemory {
		return db.wait(&write{ctx: ctx, fn: fn, when: whenRun})
	}
	var conn *sqlite.Conn
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	select {
	case conn = <-db.readers:
	case <-db.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.readers <- conn }()
	defer sqlitex.Transaction(conn)(&err)
	return fn(conn)
}

// Close waits for the writes already handed in, then closes the file. Calling
// it twice is harmless.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() {
		close(db.closing)
		db.inbox.close()
		<-db.drained
		err = errors.Join(db.syncer.close(), db.closeReaders(db.opts.Readers), db.writer.conn.Close())
	})
	return err
}

// closeReaders closes n read connections, waiting for those in use.
func (db *DB) closeReaders(n int) error {
	var errs []error
	for range n {
		errs = append(errs, (<-db.readers).Close())
	}
	return errors.Join(errs...)
}
