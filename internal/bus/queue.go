package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"zombiezen.com/go/sqlite"
)

// DeadLetterSuffix after a queue's name names its dead-letter queue, in any case.
const DeadLetterSuffix = "/$DeadLetterQueue"

const (
	// MaxNameBytes is how long a queue's name may be.
	MaxNameBytes = 260
	// MaxMetadata is how many characters Settings.UserMetadata may have.
	MaxMetadata = 1024
	// MaxDeliveries is the most that Settings.MaxDeliveryCount may be.
	MaxDeliveries = 2000
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]$|^[A-Za-z0-9][\w\-./]*[A-Za-z0-9]$`)

// Settings are a queue's rules. The zero value has the defaults.
type Settings struct {
	// LockDuration is how long a delivery may be held: 5 s to 5 min.
	// Default: 1 min.
	LockDuration time.Duration
	// MaxDeliveryCount is how many locks of a message may end uncompleted
	// before it is dead-lettered: 1 to 2000. Default: 10.
	MaxDeliveryCount int
	// DefaultTTL is the life of messages without one, and the longest that
	// any can have. Default: 0, for ever.
	DefaultTTL time.Duration
	// DeadLetterOnExpiration dead-letters expired messages instead of
	// dropping them.
	DeadLetterOnExpiration bool
	// DuplicateWindow is how long a message id is remembered: a second message
	// of that id is taken and dropped. At most 7 days. Default: 0, off.
	DuplicateWindow time.Duration
	// MaxSizeBytes is how large the queue and its dead letters together may
	// grow by sending: a send beyond it is [ErrFull]. Default: 0, no limit.
	MaxSizeBytes int64
	// Status says what the queue takes part in. Default: StatusActive.
	Status Status
	// UserMetadata is text of the queue's owner, at most 1024 characters.
	UserMetadata string
	// Described is text of whoever describes queues to others (the wording of
	// durations, rules of access). The bus never looks inside.
	Described string
}

// Status says whether a queue, its dead letters included, may be sent to and
// received from. Settling, renewing, peeking and what comes due go on.
type Status uint8

// The statuses, as Service Bus has them.
const (
	StatusActive          Status = iota
	StatusDisabled               // neither
	StatusSendDisabled           // only received from
	StatusReceiveDisabled        // only sent to
	statuses
)

// Sends tells whether such a queue may be sent to.
func (s Status) Sends() bool { return s == StatusActive || s == StatusReceiveDisabled }

// Receives tells whether such a queue may be received from.
func (s Status) Receives() bool { return s == StatusActive || s == StatusSendDisabled }

func (s *Settings) complete() error {
	if s.LockDuration == 0 {
		s.LockDuration = time.Minute
	}
	if s.MaxDeliveryCount == 0 {
		s.MaxDeliveryCount = 10
	}
	var errs []error
	check := func(ok bool, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: %s", ErrInvalid, rule))
		}
	}
	check(s.LockDuration >= 5*time.Second && s.LockDuration <= 5*time.Minute, "a lock duration must be 5 s to 5 min")
	check(s.MaxDeliveryCount >= 1 && s.MaxDeliveryCount <= MaxDeliveries, "a maximum delivery count must be 1 to 2000")
	check(s.DefaultTTL >= 0, "a time to live cannot be negative")
	check(s.MaxSizeBytes >= 0, "a maximum size cannot be negative")
	check(s.Status < statuses, "a status must be one of those named")
	check(utf8.ValidString(s.UserMetadata) && utf8.RuneCountInString(s.UserMetadata) <= MaxMetadata, "user metadata must be text of at most 1024 characters")
	check(utf8.ValidString(s.Described), "a description must be text")
	check(s.DuplicateWindow >= 0 && s.DuplicateWindow <= 7*24*time.Hour, "a duplicate window must be at most 7 days")
	return errors.Join(errs...)
}

// expiry is when a message that becomes active now expires, 0 for never. own
// is its time to live, all in ms.
func (s *Settings) expiry(now, own int64) int64 {
	ttl := own
	if ceiling := millis(s.DefaultTTL); ttl == 0 || ceiling != 0 && ceiling < ttl {
		ttl = ceiling
	}
	if ttl == 0 || ttl > math.MaxInt64-now {
		return 0
	}
	return now + ttl
}

// Counts are how many messages a queue has, by state. Locked messages count
// as active, or as deferred.
type Counts struct{ Active, Deferred, Scheduled, DeadLetter int64 }

// Queue describes one queue.
type Queue struct {
	Name             string // as it was created
	Settings         Settings
	Counts           Counts
	SizeBytes        int64 // of all messages as they were sent, dead letters included
	Created, Updated time.Time
	Accessed         time.Time // latest send or receive of a message; zero: never
}

// queue and subqueue belong to the writer's goroutine.
type queue struct {
	id         int64
	name       string // as it was created
	settings   Settings
	main, dead *subqueue
}

// subqueue is a queue's messages, or its dead letters.
type subqueue struct {
	id       int64 // queue.id, negative for dead letters
	queue    *queue
	nextSeq  int64
	counts   [states]int64
	bytes    int64 // of all messages
	accessed int64 // latest send or receive

	// No active entry from cursor on is held. Those before it are held, or in
	// returned (which may also name entries that have gone since).
	cursor   int64
	returned seqHeap

	waiters []*waiter // in order of arrival
}

func (s *subqueue) isDead() bool { return s.id < 0 }

// checkName returns the lower-case form of a valid queue name.
func checkName(name string) (string, error) {
	if !ValidName(name) {
		return "", fmt.Errorf("%w: queue name %q: want 1 to %d letters, digits, '.', '-', '_' or '/', beginning and ending with a letter or digit, without /subscriptions/",
			ErrInvalid, name, MaxNameBytes)
	}
	return strings.ToLower(name), nil
}

// ValidName tells whether a queue may have this name.
func ValidName(name string) bool {
	return len(name) <= MaxNameBytes && namePattern.MatchString(name) && !strings.Contains(strings.ToLower(name), "/subscriptions/")
}

// queue finds a queue by name.
func (b *Bus) queue(name string) (*queue, error) {
	q, ok := b.queues[name]
	if !ok {
		q, ok = b.queues[strings.ToLower(name)]
	}
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrQueueNotFound, name)
	}
	return q, nil
}

// splitName tells a queue's name from its dead-letter queue's.
func splitName(name string) (base string, dead bool) {
	at := len(name) - len(DeadLetterSuffix)
	if at < 0 || !strings.EqualFold(name[at:], DeadLetterSuffix) {
		return name, false
	}
	return name[:at], true
}

// subqueue finds a queue, or with the suffix its dead-letter queue, by name.
func (b *Bus) subqueue(name string) (*subqueue, error) {
	base, dead := splitName(name)
	q, err := b.queue(base)
	if err != nil {
		return nil, err
	}
	if dead {
		return q.dead, nil
	}
	return q.main, nil
}

// CreateQueue creates a queue. [ErrQueueExists] if the name is taken, in
// whatever case.
func (b *Bus) CreateQueue(ctx context.Context, name string, settings Settings) error {
	lower, err := checkName(name)
	if err != nil {
		return err
	}
	if err := settings.complete(); err != nil {
		return fmt.Errorf("queue %q: %w", name, err)
	}
	return b.commit(ctx, func(t *txn) error {
		if _, ok := b.queues[lower]; ok {
			return fmt.Errorf("%w: %q", ErrQueueExists, name)
		}
		now := b.opts.Now().UnixMilli()
		stmt, err := t.prepare(`INSERT INTO queue (lock_duration, max_deliveries, default_ttl, dead_letter_expired, duplicate_window,
			max_size, status, metadata, described, updated, name, display, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		bindSettings(stmt, &settings, now)
		stmt.BindText(11, lower)
		stmt.BindText(12, name)
		stmt.BindInt64(13, now)
		if err := finish(stmt); err != nil {
			return err
		}
		id := t.conn.LastInsertRowID()
		if err := t.exec("INSERT INTO subqueue (id) VALUES (?), (?)", id, -id); err != nil {
			return err
		}
		b.adopt(&queue{id: id, name: name, settings: settings})
		b.edited = append(b.edited, edit{name, QueueCreated})
		return nil
	})
}

// adopt makes a new, empty queue known.
func (b *Bus) adopt(q *queue) {
	q.main = &subqueue{id: q.id, queue: q, nextSeq: 1, cursor: 1}
	q.dead = &subqueue{id: -q.id, queue: q, nextSeq: 1, cursor: 1}
	b.queues[strings.ToLower(q.name)] = q
	b.subqueues[q.id], b.subqueues[-q.id] = q.main, q.dead
}

// bindSettings binds parameters 1 to 10.
func bindSettings(stmt *sqlite.Stmt, s *Settings, now int64) {
	stmt.BindInt64(1, millis(s.LockDuration))
	stmt.BindInt64(2, int64(s.MaxDeliveryCount))
	stmt.BindInt64(3, millis(s.DefaultTTL))
	stmt.BindBool(4, s.DeadLetterOnExpiration)
	stmt.BindInt64(5, millis(s.DuplicateWindow))
	stmt.BindInt64(6, s.MaxSizeBytes)
	stmt.BindInt64(7, int64(s.Status))
	stmt.BindText(8, s.UserMetadata)
	stmt.BindText(9, s.Described)
	stmt.BindInt64(10, now)
}

// UpdateQueue changes a queue's settings for what happens from now on: locks
// and expiry times given out before stay as they are. Whoever waits for a message
// of a queue that is no longer received from gets [ErrDisabled].
func (b *Bus) UpdateQueue(ctx context.Context, name string, settings Settings) error {
	if err := settings.complete(); err != nil {
		return fmt.Errorf("queue %q: %w", name, err)
	}
	return b.commit(ctx, func(t *txn) error {
		q, err := b.queue(name)
		if err != nil {
			return err
		}
		stmt, err := t.prepare(`UPDATE queue SET lock_duration = ?, max_deliveries = ?, default_ttl = ?, dead_letter_expired = ?,
			duplicate_window = ?, max_size = ?, status = ?, metadata = ?, described = ?, updated = ? WHERE id = ?`)
		if err != nil {
			return err
		}
		bindSettings(stmt, &settings, b.opts.Now().UnixMilli())
		stmt.BindInt64(11, q.id)
		if err := finish(stmt); err != nil {
			return err
		}
		q.settings = settings
		if !settings.Status.Receives() {
			b.dismiss(q, fmt.Errorf("%w: %q is not received from", ErrDisabled, q.name))
		}
		b.edited = append(b.edited, edit{q.name, QueueUpdated})
		return nil
	})
}

// DeleteQueue removes a queue with everything in it. Its waiting receivers get
// [ErrQueueNotFound], its locks are lost. The name is free at once; the rows
// go in pieces, later.
func (b *Bus) DeleteQueue(ctx context.Context, name string) error {
	return b.commit(ctx, func(t *txn) error {
		q, err := b.queue(name)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE queue SET name = NULL WHERE id = ?", q.id); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM subqueue WHERE id IN (?, ?)", q.id, -q.id); err != nil {
			return err
		}
		b.forget(q)
		return nil
	})
}

func (b *Bus) forget(q *queue) {
	b.dismiss(q, fmt.Errorf("%w: %q was deleted", ErrQueueNotFound, q.name))
	delete(b.queues, strings.ToLower(q.name))
	for _, s := range []*subqueue{q.main, q.dead} {
		delete(b.subqueues, s.id)
		delete(b.dirty, s)
		delete(b.stir, s)
	}
	for _, l := range b.locks {
		if l.in.queue == q {
			b.unlock(l)
		}
	}
	b.doomed = append(b.doomed, q.id)
	b.edited = append(b.edited, edit{q.name, QueueDeleted})
}

// dismiss ends the waits for a queue's messages.
func (b *Bus) dismiss(q *queue, err error) {
	for _, s := range [...]*subqueue{q.main, q.dead} {
		for _, w := range s.waiters {
			b.serve(w, err)
		}
		s.waiters = nil
	}
}

// QueueChange is what became of a queue, see [Options].OnQueueChange.
type QueueChange uint8

// The changes of a queue.
const (
	QueueCreated QueueChange = iota + 1
	QueueUpdated
	QueueDeleted
)

// edit is a change of a queue that others are told about.
type edit struct {
	name   string
	change QueueChange
}

const selectQueues = `SELECT q.display, q.lock_duration, q.max_deliveries, q.default_ttl, q.dead_letter_expired, q.duplicate_window,
	q.max_size, q.status, q.metadata, q.described, q.created, q.updated, max(m.accessed, d.accessed), m.bytes + d.bytes,
	m.active, m.deferred, m.scheduled, d.active + d.deferred
	FROM queue q JOIN subqueue m ON m.id = q.id JOIN subqueue d ON d.id = -q.id WHERE q.name `

// Queue describes one queue as of the latest commit.
func (b *Bus) Queue(ctx context.Context, name string) (found Queue, err error) {
	err = b.read(ctx, func(t *txn) error {
		stmt, err := t.prepare(selectQueues + "= ?")
		if err != nil {
			return err
		}
		stmt.BindText(1, strings.ToLower(name))
		row, err := stmt.Step()
		if err == nil && row {
			found = scanQueue(stmt)
		} else if err == nil {
			err = fmt.Errorf("%w: %q", ErrQueueNotFound, name)
		}
		return errors.Join(err, stmt.Reset())
	})
	return found, err
}

// Queues describes all queues in the order of their names.
func (b *Bus) Queues(ctx context.Context) (all []Queue, err error) {
	err = b.read(ctx, func(t *txn) error {
		return t.each(selectQueues+"IS NOT NULL ORDER BY q.name", func(stmt *sqlite.Stmt) bool {
			all = append(all, scanQueue(stmt))
			return true
		})
	})
	return all, err
}

func scanQueue(stmt *sqlite.Stmt) Queue {
	return Queue{
		Name: stmt.ColumnText(0), Settings: scanSettings(stmt, 1),
		Created: fromMillis(stmt.ColumnInt64(10)), Updated: fromMillis(stmt.ColumnInt64(11)), Accessed: fromMillis(stmt.ColumnInt64(12)),
		SizeBytes: stmt.ColumnInt64(13),
		Counts: Counts{
			Active: stmt.ColumnInt64(14), Deferred: stmt.ColumnInt64(15), Scheduled: stmt.ColumnInt64(16), DeadLetter: stmt.ColumnInt64(17),
		},
	}
}

func scanSettings(stmt *sqlite.Stmt, col int) Settings {
	return Settings{
		LockDuration: duration(stmt.ColumnInt64(col)), MaxDeliveryCount: stmt.ColumnInt(col + 1),
		DefaultTTL: duration(stmt.ColumnInt64(col + 2)), DeadLetterOnExpiration: stmt.ColumnBool(col + 3),
		DuplicateWindow: duration(stmt.ColumnInt64(col + 4)), MaxSizeBytes: stmt.ColumnInt64(col + 5), Status: Status(stmt.ColumnInt64(col + 6)),
		UserMetadata: stmt.ColumnText(col + 7), Described: stmt.ColumnText(col + 8),
	}
}

// fromMillis is the time of a stored number, zero for none.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
