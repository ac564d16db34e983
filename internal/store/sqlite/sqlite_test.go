package sqlite_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/store/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Under a mistake that its parent asks for, the suite is meant to fail: see
// mistakes_suite_test.go.
func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Features{SoleOwner: true}, mistaken(t, sqlitedb.Off, mistakes()[os.Getenv(mistakeVariable)]))
}

// TestLedgerModel proves C2 T7. Run it with -rapid.checks=N for longer.
func TestLedgerModel(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		set(t, checks.Name, "30")
	}
	storetest.Model(t, storetest.Features{SoleOwner: true}, opener(t, sqlitedb.Full))
}

// opener opens stores in directories of their own, with a clock in hand.
func opener(tb testing.TB, d sqlitedb.Durability) storetest.Open { return mistaken(tb, d, nil) }

// mistaken is opener for stores that make a mistake; nil for none.
func mistaken(tb testing.TB, d sqlitedb.Durability, mistake mistake) storetest.Open {
	return func(p onboarding.Policy) (*storetest.Harness, error) {
		clock := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		owner := &owner{tb: tb, opts: sqlite.Options{Policy: p, Now: clock.Now, Durability: d}}
		owner.opts.AfterCommit = owner.afterCommit
		s, err := owner.reopen()
		if err != nil {
			return nil, err
		}
		h := &storetest.Harness{
			Store: s, Now: clock.Now, Advance: clock.Advance,
			Reopen: owner.reopen, PowerCut: owner.powerCut, Close: owner.close,
		}
		if mistake != nil {
			h.Store = mistake(owner, s)
		}
		return h, nil
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
// ends it: the next owner opens a copy of the files as they were. After a power
// cut the log ends where the disk was last waited for. (The log of a test is
// too short for a checkpoint, which would change the other file.)
type owner struct {
	tb     testing.TB
	opts   sqlite.Options
	store  *sqlite.Store
	synced atomic.Int64 // how long the log was then
}

func (o *owner) afterCommit(g sqlitedb.Group) {
	if g.Synced {
		o.synced.Store(o.logSize())
	}
}

func (o *owner) logSize() int64 {
	info, err := os.Stat(o.opts.Path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

func (o *owner) reopen() (storetest.Store, error) {
	if o.store == nil {
		return o.open(filepath.Join(o.tb.TempDir(), "store.db"))
	}
	_ = o.store.Ping(context.Background()) // what rides is with the kernel now
	return o.openCopy(o.logSize())
}

func (o *owner) powerCut() (storetest.Store, error) { return o.openCopy(o.synced.Load()) }

func (o *owner) openCopy(log int64) (storetest.Store, error) {
	path := filepath.Join(o.tb.TempDir(), "store.db")
	if err := copyFile(path, o.opts.Path, math.MaxInt64); err != nil {
		return nil, err
	}
	if log > 0 {
		if err := copyFile(path+"-wal", o.opts.Path+"-wal", log); err != nil {
			return nil, err
		}
	}
	if err := o.close(); err != nil {
		return nil, err
	}
	o.synced.Store(log)
	return o.open(path)
}

func (o *owner) open(path string) (s storetest.Store, err error) {
	o.opts.Path = path
	o.store, err = sqlite.Open(o.opts)
	return o.store, err
}

func (o *owner) close() error { return o.store.Close() }

func copyFile(to, from string, limit int64) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, io.LimitReader(source, limit))
	return errors.Join(err, target.Close())
}
