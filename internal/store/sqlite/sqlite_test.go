package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/store/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Features{SoleOwner: true}, opener(t))
}

// opener opens stores in directories of their own, with a clock in hand.
func opener(tb testing.TB) storetest.Open {
	return func(p onboarding.Policy) (*storetest.Harness, error) {
		clock := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		owner := &owner{tb: tb, opts: sqlite.Options{Policy: p, Now: clock.Now, Durability: sqlitedb.Off}}
		s, err := owner.reopen()
		if err != nil {
			return nil, err
		}
		return &storetest.Harness{Store: s, Now: clock.Now, Advance: clock.Advance, Reopen: owner.reopen, Close: owner.close}, nil
	}
}

// clock is a store's clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// owner is the one process that has the store open. It ends the way kill -9
// ends it: the next owner opens a copy of the files as they were.
type owner struct {
	tb    testing.TB
	opts  sqlite.Options
	store *sqlite.Store
}

func (o *owner) reopen() (storetest.Store, error) {
	path := filepath.Join(o.tb.TempDir(), "store.db")
	if o.store != nil {
		_ = o.store.Ping(context.Background()) // what rides is with the kernel now
		for _, suffix := range []string{"", "-wal"} {
			if err := copyFile(path+suffix, o.opts.Path+suffix); err != nil {
				return nil, err
			}
		}
		if err := o.close(); err != nil {
			return nil, err
		}
	}
	o.opts.Path = path
	var err error
	o.store, err = sqlite.Open(o.opts)
	return o.store, err
}

func (o *owner) close() error { return o.store.Close() }

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
