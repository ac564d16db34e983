// Package sqlite keeps people and the ledger of mails in one SQLite file. It
// implements [signup.Store] and [onboarding.Ledger] for one process that owns
// the file, and [Reader] for commands that look at it beside that process.
//
// # Who may open it
//
// The caller of [Open] holds the data directory's exclusive lock. Taking that
// lock proved every former owner dead, so Open takes back at once whatever the
// former incarnations held.
//
// # How it writes
//
// Every step of a mail is one function on the file's writer goroutine (see
// sqlitedb): it loads the mail, decides in Go, and saves it. Nothing else can
// come in between, which is what makes each step a compare-and-set. The steps
// that are answered to somebody wait for the disk. Those that recovery would do
// again wait for their commit, because readers look beside the writer; or ride,
// not waiting for that either, where only the writer must know of it at once.
//
// # Counts
//
// Nothing counts rows. The number of mails per lane and state is kept in
// memory, changed by the same function that moves a mail, and written with the
// group's commit; a function that is undone leaves its counts behind too.
//
// # Addresses
//
// A sign-up looks nobody up and is in no index by its address, which would make
// it twice as dear. The account of an address is found through an index, and so
// is what was charged to its budgets. Who else has signed up with it is asked
// only when somebody leaves, or wants to know what is held: then the list of
// sign-ups that are no accounts is read, beside the writer.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
)

var (
	_ signup.Store      = (*Store)(nil)
	_ onboarding.Ledger = (*Store)(nil)
)

//go:embed schema/*.sql
var schema embed.FS

// Options configure [Open]. Path and Policy are required.
type Options struct {
	// Path is the database file. It is created with mode 0600.
	Path string
	// Policy holds the ledger's times and bounds.
	Policy onboarding.Policy
	// Now is the store's clock. Default: time.Now.
	Now func() time.Time
	// Durability of what waits for the disk. Default: sqlitedb.Full.
	Durability sqlitedb.Durability
	// AfterCommit, if set, is told of every commit, for measurements. It runs
	// on the writer goroutine and must not call the store.
	AfterCommit func(sqlitedb.Group)
	// AfterSync, if set, is told how long each wait for the disk took. It runs
	// on the syncing goroutine and must not call the store.
	AfterSync func(time.Duration)
	// Logger is told what recovery did. Default: nothing is logged.
	Logger *slog.Logger
}

// Store is the open store. All methods may be called concurrently; after Close
// they fail.
type Store struct {
	view
	db     *sqlitedb.DB
	logger *slog.Logger

	mu     sync.Mutex // guards counts, which only the writer goroutine changes
	counts counts

	written counts // owned by the writer goroutine: what the file holds

	erased atomic.Bool  // something, since the log was emptied
	away   atomic.Int64 // when the mail server was last away, in unix milliseconds; 0 if it is not
}

// Open opens or creates the store and recovers what former owners of the data
// directory left behind. A store that was moved away, or that a move has not
// filled to the end, is refused with [transfer.ErrMoved] or
// [transfer.ErrUnfinished].
func Open(opts Options) (*Store, error) {
	s, err := open(opts)
	if err != nil {
		return nil, err
	}
	if err := s.begin(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.db.Close())
	}
	return s, nil
}

// open opens the file and prepares the writer's connection.
func open(opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	migrations, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	s := &Store{logger: opts.Logger}
	s.db, err = sqlitedb.Open(sqlitedb.Options{
		Path: opts.Path, Migrations: migrations, Durability: opts.Durability,
		BeforeCommit: s.writeCounts, AfterCommit: opts.AfterCommit, AfterSync: opts.AfterSync,
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.view = view{read: s.readAll, now: opts.Now, policy: opts.Policy}
	if err := s.prepare(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.db.Close())
	}
	return s, nil
}

// prepare prepares the writer's connection.
func (s *Store) prepare(ctx context.Context) error {
	return s.db.Ride(ctx, func(conn *sqlite.Conn) error {
		loaded, err := loadCounts(conn)
		if err != nil {
			return err
		}
		s.counts, s.written = loaded, loaded
		// What was erased must not stay readable in the file, and not in the
		// log that a crash may have left. What is deleted often has no text.
		s.erased.Store(true)
		_, err = query(conn, "PRAGMA secure_delete = ON", nil)
		return err
	})
}

// begin makes the process that serves from here the owner of everything.
func (s *Store) begin(ctx context.Context) error {
	if err := s.read(ctx, mayServe); err != nil {
		return err
	}
	return s.recoverAll(ctx)
}

// Failed is closed when a commit has failed: the process should end, and will
// recover from the file at its next start.
func (s *Store) Failed() <-chan struct{} { return s.db.Failed() }

// Err is why the store has failed, nil while it has not.
func (s *Store) Err() error { return s.db.Err() }

// Close waits for the writes already handed in, then closes the file. Calling
// it twice is harmless.
func (s *Store) Close() error { return s.db.Close() }

// Ping tells whether the store takes writes: nil once the writer has come
// round to it.
func (s *Store) Ping(ctx context.Context) error {
	return s.db.Ride(ctx, func(*sqlite.Conn) error { return nil })
}

// commit runs fn on the writer and returns when what it wrote is on disk.
func (s *Store) commit(ctx context.Context, fn func(*tx) error) error {
	return s.db.Commit(ctx, s.call(fn))
}

// commitUnsynced runs fn on the writer and returns when what it wrote survives
// the end of the process.
func (s *Store) commitUnsynced(ctx context.Context, fn func(*tx) error) error {
	return s.db.CommitUnsynced(ctx, s.call(fn))
}

// ride runs fn on the writer and returns when it has run, before look sees what
// it wrote. It is for what a crash may undo because recovery or the next sweep
// would do it again.
func (s *Store) ride(ctx context.Context, fn func(*tx) error) error {
	return s.db.Ride(ctx, s.call(fn))
}

// call gives fn a transaction of its own, whose counts become the store's only
// if fn succeeds: on an error its rows are undone as well.
func (s *Store) call(fn func(*tx) error) func(*sqlite.Conn) error {
	return func(conn *sqlite.Conn) error {
		t := &tx{conn: conn, now: s.now().UnixMilli(), policy: s.policy, counts: s.counts}
		if err := fn(t); err != nil {
			return err
		}
		s.mu.Lock()
		s.counts = t.counts
		s.mu.Unlock()
		return nil
	}
}

// look reads beside the writer what has been committed: all that was waited
// for, and not everything that rides.
func (s *Store) look(ctx context.Context, fn func(*tx) error) error {
	return s.db.Read(ctx, func(conn *sqlite.Conn) error { return fn(s.reading(conn)) })
}

// reading is a step that changes nothing.
func (s *Store) reading(conn *sqlite.Conn) *tx {
	return &tx{conn: conn, now: s.now().UnixMilli(), policy: s.policy}
}

// readAll reads beside the writer, after everything that has returned so far
// has been committed.
func (s *Store) readAll(ctx context.Context, fn func(*sqlite.Conn) error) error {
	if err := s.db.CommitUnsynced(ctx, func(*sqlite.Conn) error { return nil }); err != nil {
		return err
	}
	return s.db.Read(ctx, fn)
}
