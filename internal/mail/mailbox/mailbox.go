// Package mailbox keeps mails in a directory instead of sending them, so that
// a developer can read them in the browser. To the sender it is a transport
// like any other. It knows nothing of users or the ledger.
//
// Each mail is one file whose name sorts by time: its receiving time in
// nanoseconds and its length. The file is on disk before the mail is accepted.
package mailbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bellhop/internal/durable"
	"bellhop/internal/mail"
)

// DefaultKeep is how many mails are kept unless said otherwise.
const DefaultKeep = 1000

const (
	ending  = ".eml"
	partial = ".part"
)

// ErrNotFound is returned for a mail that is not, or no longer, there.
var ErrNotFound = errors.New("no such mail in the mailbox")

// Mailbox keeps the newest mails. It implements [mail.Transport], and may be
// used by many goroutines; one Mailbox at a time owns a directory.
type Mailbox struct {
	dir  string
	keep int

	mu      sync.Mutex
	open    map[*transaction]bool // begun and not ended
	closed  bool                  // nothing new is begun
	drained chan struct{}         // closed when closed is set and nothing is open
	last    int64                 // the newest time given out, in Unix nanoseconds
	kept    []Summary             // oldest first, sorted by ID
}

var _ mail.Transport = (*Mailbox)(nil)

// Open opens the mailbox in dir, which is made (0700) if need be. It keeps the
// newest keep mails; 0 means DefaultKeep. What a crash left half-written is
// removed, what it left whole but unnamed is kept.
func Open(dir string, keep int) (*Mailbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open mailbox: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open mailbox: %w", err)
	}
	m := &Mailbox{dir: dir, keep: cmp.Or(keep, DefaultKeep), open: map[*transaction]bool{}, drained: make(chan struct{})}
	for _, entry := range entries {
		if err := m.recover(entry); err != nil {
			return nil, fmt.Errorf("open mailbox: %w", err)
		}
	}
	slices.SortFunc(m.kept, byID)
	return m, m.remove(m.excess())
}

// recover takes one file into the mailbox, or out of the directory.
func (m *Mailbox) recover(entry fs.DirEntry) error {
	id, whole := strings.CutSuffix(entry.Name(), ending)
	if !whole {
		if id, whole = strings.CutSuffix(entry.Name(), partial); !whole {
			return nil // not ours
		}
	}
	received, size, ok := parseID(id)
	if !ok {
		return nil // not ours
	}
	path := filepath.Join(m.dir, entry.Name())
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(source) != size {
		return os.Remove(path)
	}
	if err := os.Rename(path, m.path(id)); err != nil {
		return err
	}
	m.last = max(m.last, received.UnixNano())
	m.kept = append(m.kept, summarise(id, source))
	return nil
}

// Begin implements [mail.Transport]. Nothing is written yet.
func (m *Mailbox) Begin(ctx context.Context, envelope mail.Envelope, body []byte) (mail.Transaction, *mail.Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil || m.closed {
		o := mail.Cancelled(mail.PhaseData)
		return nil, &o
	}
	t := &transaction{mailbox: m, to: envelope.To, body: body, written: make(chan struct{})}
	m.open[t] = true
	return t, nil
}

// Close implements [mail.Transport]. Keeping a mail takes no longer than the
// disk does, so that transactions are not cut when ctx ends.
func (m *Mailbox) Close(ctx context.Context) error {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	if first && len(m.open) == 0 {
		close(m.drained)
	}
	m.mu.Unlock()
	select {
	case <-m.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave ends one transaction.
func (m *Mailbox) leave(t *transaction) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, t)
	if m.closed && len(m.open) == 0 {
		close(m.drained)
	}
}

// transaction is a mail about to be kept. It implements [mail.Transaction].
type transaction struct {
	mailbox *Mailbox
	to      string
	body    []byte
	ended   bool
	written chan struct{} // closed when nothing more comes of it

	// Guarded by the mailbox's mu.
	writing   bool // Commit has begun
	forgotten bool // the mail must not be kept
}

// Commit keeps the mail. One that was forgotten meanwhile is not kept, and the
// sender may ask its ledger whether it is owed still.
func (t *transaction) Commit(ctx context.Context) mail.Outcome {
	if ctx.Err() != nil {
		t.Abort()
	}
	if t.ended {
		return mail.Cancelled(mail.PhaseData)
	}
	defer t.Abort()
	err := t.mailbox.start(t)
	if err == nil {
		err = t.mailbox.add(t)
	}
	if errors.Is(err, errForgotten) {
		return mail.Cancelled(mail.PhaseData)
	}
	if err != nil {
		// Whatever is in the directory now is not in the mailbox.
		return mail.ClassifyError(mail.PhaseDot, fmt.Errorf("%w: %w", mail.ErrDotNotWritten, err))
	}
	return mail.Classify(mail.PhaseDot, mail.Reply{Code: 250, Status: [3]int{2, 0, 0}, Text: "kept in the mailbox"})
}

// Abort ends the transaction.
func (t *transaction) Abort() {
	if !t.ended {
		t.ended = true
		t.mailbox.leave(t)
		close(t.written)
	}
}

// start marks that a mail is being written.
func (m *Mailbox) start(t *transaction) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.forgotten {
		return errForgotten
	}
	t.writing = true
	return nil
}

// add writes a mail under a name that says how long it is, waits for the disk
// and renames it. That one fsync is enough: if the new name is lost in a power
// cut, the file is found whole under its first one.
func (m *Mailbox) add(t *transaction) error {
	id := m.nextID(len(t.body))
	temporary := filepath.Join(m.dir, id+partial)
	err := durable.Create(temporary, t.body)
	if err == nil {
		err = os.Rename(temporary, m.path(id))
	}
	if err != nil {
		_ = os.Remove(temporary)
		return err
	}
	excess, err := m.list(t, summarise(id, t.body))
	if err != nil {
		return errors.Join(err, os.Remove(m.path(id)))
	}
	_ = m.remove(excess) // the next Open tries again
	return nil
}

// list puts a written mail on the list, unless it was forgotten meanwhile, and
// returns those that had to make room.
func (m *Mailbox) list(t *transaction, s Summary) (excess []Summary, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.forgotten {
		return nil, errForgotten
	}
	at, _ := slices.BinarySearchFunc(m.kept, s, byID)
	m.kept = slices.Insert(m.kept, at, s)
	return m.excess(), nil
}

// nextID names a mail by the time, made unique and growing.
func (m *Mailbox) nextID(size int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last+1, time.Now().UnixNano())
	return fmt.Sprintf("%020d-%d", m.last, size)
}

func parseID(id string) (received time.Time, size int, ok bool) {
	before, after, _ := strings.Cut(id, "-")
	nanoseconds, err := strconv.ParseInt(before, 10, 64)
	if err != nil || len(before) != 20 {
		return time.Time{}, 0, false
	}
	size, err = strconv.Atoi(after)
	return time.Unix(0, nanoseconds).UTC(), size, err == nil
}

// excess takes what is over the limit off the list. It is called with mu held.
func (m *Mailbox) excess() []Summary {
	over := max(0, len(m.kept)-m.keep)
	excess := slices.Clone(m.kept[:over])
	m.kept = m.kept[over:]
	return excess
}

func (m *Mailbox) remove(mails []Summary) error {
	var faults []error
	for _, s := range mails {
		if err := os.Remove(m.path(s.ID)); !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (m *Mailbox) path(id string) string { return filepath.Join(m.dir, id+ending) }

func byID(a, b Summary) int { return strings.Compare(a.ID, b.ID) }
