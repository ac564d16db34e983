package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/config"
	"bellhop/internal/datadir"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/queue/embedded"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"
)

// The files in a data directory.
const (
	storeFile  = "store.db"
	busFile    = "bus.db"
	mailboxDir = "mailbox"
)

// rooms are the parts of a process that hold files open.
type rooms struct {
	dir   *datadir.Dir
	store *sqlite.Store
	bus   *bus.Bus
	queue *embedded.Queue
}

// openRooms opens the store and the bus of a held directory, and recovers what
// the last process left behind. The bus of a process's own lanes need not wait
// for the disk: the ledger relays again what a power cut takes. It takes the
// directory over, also when it fails.
func openRooms(ctx context.Context, dir *datadir.Dir, policy onboarding.Policy, m *metrics.Metrics, log *slog.Logger) (_ *rooms, err error) {
	r := &rooms{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	r.store, err = sqlite.Open(sqlite.Options{
		Path: dir.Path(storeFile), Policy: policy, Logger: log,
		AfterCommit: func(g sqlitedb.Group) { m.Commit("store", g.Callers, g.Commit) },
		AfterSync:   func(took time.Duration) { m.Sync("store", took) },
	})
	if err != nil {
		return nil, err
	}
	r.bus, err = bus.Open(bus.Options{
		Path: dir.Path(busFile), Durability: sqlitedb.Normal, Logger: log,
		AfterCommit: func(g sqlitedb.Group) { m.Commit("bus", g.Callers, g.Commit) },
	})
	if err != nil {
		return nil, err
	}
	r.queue = embedded.New(r.bus)
	var names []string
	for _, lane := range onboarding.Lanes() {
		names = append(names, lane.Queue())
	}
	return r, r.queue.EnsureQueues(ctx, names...)
}

// close closes what is open, the queue first.
func (r *rooms) close() error {
	var errs []error
	if r.queue != nil {
		errs = append(errs, r.queue.Close(context.Background()))
	}
	if r.bus != nil {
		errs = append(errs, r.bus.Close())
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	return errors.Join(append(errs, r.dir.Close())...)
}

// watch ends the process when a database has failed: after a failed commit
// nothing may be written, and a restart recovers from what is on disk.
func (r *rooms) watch(ctx context.Context, drain <-chan struct{}) error {
	select {
	case <-r.store.Failed():
		return fmt.Errorf("the store: %w", r.store.Err())
	case <-r.bus.Failed():
		return fmt.Errorf("the queue: %w", r.bus.Err())
	case <-drain:
	case <-ctx.Done():
	}
	return nil
}

// queueAnswers tells whether the queue can be used.
func (r *rooms) queueAnswers(ctx context.Context) error {
	_, _, err := r.queue.Depth(ctx, onboarding.Urgent.Queue())
	return err
}

// policyOf is the ledger's policy under the settings.
func policyOf(cfg *config.Serve) onboarding.Policy {
	p := onboarding.DefaultPolicy()
	p.Retry = cfg.MailRetry
	p.Expiry = cfg.MailExpiry
	p.UnknownPause = cfg.UnknownPause
	return p
}
