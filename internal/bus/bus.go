// Package bus is Bellhop's embedded message broker: named queues with Azure
// Service Bus's terms and rules, in one SQLite file or in memory. It knows no
// network, no users and no mail.
//
// # Queues and what a message goes through
//
// A queue has messages, and beside them its dead-letter queue, reached under
// the queue's name with [DeadLetterSuffix]. A sent message is active, or
// scheduled until its time has come. A receiver takes the oldest active
// messages, each under a lock of its own (peek-lock), and settles each: it
// completes it, abandons it, defers it (it must then be asked for by its
// sequence number) or dead-letters it. A lock that ends by itself or by
// abandoning raises the delivery count and puts the message back in its old
// place; at the queue's maximum the message is dead-lettered instead. Releasing
// puts it back as if nobody had had it.
//
// # What survives what
//
// What a sender was told is taken, and what a receiver was told is settled, is
// on disk, as far as [Options].Durability says. A delivery is written before it
// is handed out, by a commit that does not wait for the disk: it survives the
// end of the process, which is what matters, for a message may be the reason
// for that end. Opening the file ends every lock and raises those messages'
// delivery counts, so a message whose handler kills the process is
// dead-lettered in the end. Nothing else is remembered about locks: abandoning
// need not be durable, because reopening does the same. After a power cut a
// message that was received and deleted at once may come again.
//
// # How it works
//
// All writes run on the one goroutine of [sqlitedb.DB], in groups. What the
// bus keeps in memory (locks, cursors, counters, waiting receivers) belongs to
// that goroutine and needs no mutex. A write changes memory last, when none of
// its statements can fail any more, because a failed statement undoes only the
// rows. (Where many are settled in one go, or the group's end is at work, a
// failed statement fails the bus, and memory no longer matters.) At the end of each group, inside its transaction, the bus settles what
// has come due and gives messages to waiting receivers in the order in which
// they came; the commit then wakes them. So a message sent to a waiting
// receiver costs one commit, not two.
//
// Sends and settlements can be started without being waited for, so that whoever
// reads a connection never waits for the disk. What was handed in waits in memory
// without a bound; callers bound what they have under way.
//
// One timer waits for the earliest due time (a lock's end, an expiry, a
// schedule). An idle bus does nothing.
package bus

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
)

var (
	// ErrClosed is returned by everything after Close.
	ErrClosed = errors.New("bus: closed")
	// ErrFailed is returned by writes after a commit has failed. Nobody knows
	// then what the disk holds: end the process, start it again.
	ErrFailed = errors.New("bus: an earlier commit failed; restart to recover")
	// ErrQueueNotFound is returned for a queue that does not exist.
	ErrQueueNotFound = errors.New("bus: no such queue")
	// ErrQueueExists is returned when a queue's name is taken.
	ErrQueueExists = errors.New("bus: a queue of this name exists")
	// ErrMessageNotFound is returned for a sequence number that names no
	// message of the kind asked for.
	ErrMessageNotFound = errors.New("bus: no such message")
	// ErrLockLost is returned when the lock of a token has ended, or never was.
	ErrLockLost = errors.New("bus: the lock has ended, or the message was settled before")
	// ErrTooLarge is returned for a message or a property over its limit.
	ErrTooLarge = errors.New("bus: too large")
	// ErrFull is returned when a message would take a queue over its size.
	ErrFull = errors.New("bus: the queue is full")
	// ErrDisabled is returned when a queue's status forbids what was asked.
	ErrDisabled = errors.New("bus: the queue is disabled")
	// ErrInvalid is returned for a message, a name or a setting that breaks a rule.
	ErrInvalid = errors.New("bus: invalid")
)

// cacheBytes is small, so that a backlog costs no memory: what is at work is the
// head and the tail of each queue, and the rest is as near as the system's cache.
const cacheBytes = 2 << 20

//go:embed migrations/*.sql
var migrations embed.FS

// Options configure [Open]. Path is required, unless the bus is in memory.
type Options struct {
	// Path is the database file; it is created when missing.
	Path string
	// InMemory keeps nothing on disk: Path and Durability are ignored, and
	// everything is gone after Close.
	InMemory bool
	// Durability of what senders and receivers are told. Default: sqlitedb.Full.
	Durability sqlitedb.Durability
	// Now is the clock of schedules, expiry and locks. Default: time.Now.
	Now func() time.Time
	// Logger. Default: none.
	Logger *slog.Logger
	// MaxMessageBytes bounds a message with everything in it. Default: 256 KiB.
	MaxMessageBytes int
	// AfterCommit, if set, is called after each commit, on the writer's
	// goroutine: for measurements.
	AfterCommit func(sqlitedb.Group)
	// OnQueueChange, if set, is called after the commit that created, updated
	// or deleted a queue, with the name it was created under, on the writer's
	// goroutine and before the call that did it returns. It must be quick, must
	// not block and must not call the Bus.
	OnQueueChange func(name string, change QueueChange)
}

// Bus is one open broker. All methods may be called concurrently.
type Bus struct {
	opts Options
	db   *sqlitedb.DB

	closing chan struct{} // closed by Close
	close   sync.Once
	timer   *time.Timer    // reset by the writer, awaited by watch
	watcher sync.WaitGroup // the goroutine of watch
	readers sync.Map       // *sqlite.Conn to its *txn

	mu       sync.Mutex // guards the two below
	closed   bool
	waitings sync.WaitGroup // receives under way; Add only while !closed

	state // owned by the writer's goroutine
}

// state is what the writer's goroutine knows. Nobody else may touch it.
type state struct {
	txn txn

	queues    map[string]*queue // by lower-case name
	subqueues map[int64]*subqueue
	doomed    []int64 // ids of deleted queues that still have rows

	locks   map[LockToken]*lock
	expiry  lockHeap
	nextDue int64     // no entry is due before; 0: none
	armed   time.Time // when the timer fires; zero: it does not

	dirty  map[*subqueue]struct{} // numbers to be written in this group
	stir   map[*subqueue]struct{} // new messages or new waiters in this group
	served []*waiter              // to be woken after this group's commit
	edited []edit                 // queues changed in this group
}

// Open opens or creates a bus. It ends the locks of whoever held the file
// before. One process only may have a file open.
func Open(opts Options) (*Bus, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.MaxMessageBytes == 0 {
		opts.MaxMessageBytes = 256 << 10
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	b := &Bus{opts: opts, closing: make(chan struct{}), timer: time.NewTimer(time.Hour)}
	b.timer.Stop()
	b.state = state{
		txn:    txn{stmts: map[string]*sqlite.Stmt{}},
		queues: map[string]*queue{}, subqueues: map[int64]*subqueue{}, locks: map[LockToken]*lock{},
		dirty: map[*subqueue]struct{}{}, stir: map[*subqueue]struct{}{},
	}
	b.db, err = sqlitedb.Open(sqlitedb.Options{
		Path: opts.Path, InMemory: opts.InMemory, Durability: opts.Durability, Migrations: files, CacheBytes: cacheBytes,
		BeforeCommit: b.finishGroup, AfterCommit: b.afterCommit,
	})
	if err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	if err := b.commit(context.Background(), b.restart); err != nil {
		return nil, errors.Join(fmt.Errorf("recover bus: %w", err), b.db.Close())
	}
	b.watcher.Go(b.watch)
	return b, nil
}

// Failed is closed when a commit has failed and the process should end.
func (b *Bus) Failed() <-chan struct{} { return b.db.Failed() }

// Err is why the bus has failed, nil while it has not.
func (b *Bus) Err() error { return b.db.Err() }

// Close ends waiting receivers with [ErrClosed], waits for writes under way
// and closes the file. Locks still held count as ended at the next Open.
// Calling it twice is harmless.
func (b *Bus) Close() error {
	var err error
	b.close.Do(func() {
		b.mu.Lock()
		b.closed = true
		b.mu.Unlock()
		close(b.closing)
		b.watcher.Wait()
		b.waitings.Wait()
		err = b.db.Close()
	})
	return err
}

// commit runs fn in a group and returns when the group is durable.
func (b *Bus) commit(ctx context.Context, fn func(*txn) error) error {
	return translate(b.db.Commit(ctx, func(conn *sqlite.Conn) error { return fn(b.writing(conn)) }))
}

// commitUnsynced runs fn in a group and returns when the group is committed,
// which the end of the process cannot undo but a power cut can.
func (b *Bus) commitUnsynced(ctx context.Context, fn func(*txn) error) error {
	return translate(b.db.CommitUnsynced(ctx, func(conn *sqlite.Conn) error { return fn(b.writing(conn)) }))
}

// ride runs fn in a group and returns before the group's commit.
func (b *Bus) ride(ctx context.Context, fn func(*txn) error) error {
	return translate(b.db.Ride(ctx, func(conn *sqlite.Conn) error { return fn(b.writing(conn)) }))
}

// read runs fn on a snapshot of what is committed.
func (b *Bus) read(ctx context.Context, fn func(*txn) error) error {
	return translate(b.db.Read(ctx, func(conn *sqlite.Conn) error { return fn(b.reading(conn)) }))
}

// start runs fn in a group and returns at once; done is told later.
func (b *Bus) start(w sqlitedb.Write, fn func(*txn) error, done func(error)) {
	w.Do = func(conn *sqlite.Conn) error { return fn(b.writing(conn)) }
	w.Done = func(err error) { done(translate(err)) }
	b.db.Start(w)
}

// reading is a reader's connection with its statements. Whoever reads has the
// connection to himself.
func (b *Bus) reading(conn *sqlite.Conn) *txn {
	t, ok := b.readers.Load(conn)
	if !ok {
		t = &txn{conn: conn, stmts: map[string]*sqlite.Stmt{}}
		b.readers.Store(conn, t)
	}
	return t.(*txn)
}

// writing is the writer's connection with its statements.
func (b *Bus) writing(conn *sqlite.Conn) *txn {
	b.txn.conn = conn
	return &b.txn
}

func translate(err error) error {
	switch {
	case errors.Is(err, sqlitedb.ErrClosed):
		return ErrClosed
	case errors.Is(err, sqlitedb.ErrFailed):
		return fmt.Errorf("%w (%w)", ErrFailed, err)
	}
	return err
}

// finishGroup ends a group, inside its transaction. An error fails the group
// and with it the bus, so it may change memory as it goes.
func (b *Bus) finishGroup(conn *sqlite.Conn) error {
	t := b.writing(conn)
	now := b.opts.Now()
	if err := b.sweep(t, now); err != nil {
		return fmt.Errorf("settle what is due: %w", err)
	}
	if err := b.dispatch(t, now); err != nil {
		return fmt.Errorf("give messages to receivers: %w", err)
	}
	if err := b.writeNumbers(t); err != nil {
		return fmt.Errorf("write counters: %w", err)
	}
	return nil
}

func (b *Bus) afterCommit(g sqlitedb.Group) {
	for _, w := range b.served {
		close(w.done)
	}
	clear(b.served)
	b.served = b.served[:0]
	if b.opts.OnQueueChange != nil {
		for _, e := range b.edited {
			b.opts.OnQueueChange(e.name, e.change)
		}
	}
	b.edited = b.edited[:0]
	b.arm()
	if b.opts.AfterCommit != nil {
		b.opts.AfterCommit(g)
	}
}

// writeNumbers stores the counters of the subqueues this group has changed.
func (b *Bus) writeNumbers(t *txn) error {
	for s := range b.dirty {
		err := t.exec("UPDATE subqueue SET next_seq = ?, cursor = ?, bytes = ?, accessed = ?, active = ?, deferred = ?, scheduled = ? WHERE id = ?",
			s.nextSeq, s.cursor, s.bytes, s.accessed, s.counts[Active], s.counts[Deferred], s.counts[Scheduled], s.id)
		if err != nil {
			return err
		}
	}
	clear(b.dirty)
	return nil
}
