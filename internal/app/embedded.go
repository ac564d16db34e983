package app

import (
	"context"
	"errors"
	"time"

	"bellhop/internal/bus"
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

func (r *rooms) embeddedStore() (store, error) {
	s, err := sqlite.Open(sqlite.Options{
		Path: r.dir.Path(storeFile), Policy: r.policy, Logger: r.log,
		AfterCommit: func(g sqlitedb.Group) { r.metrics.Commit("store", g.Callers, g.Commit) },
		AfterSync:   func(took time.Duration) { r.metrics.Sync("store", took) },
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// embeddedQueue need not wait for the disk as long as it carries only the lanes
// of a process of its own: the ledger relays again what a power cut takes. What
// is confirmed to other clients is on disk.
func (r *rooms) embeddedQueue(ctx context.Context) (broker, error) {
	options := bus.Options{
		Path: r.dir.Path(busFile), Durability: sqlitedb.Normal, Logger: r.log,
		AfterCommit: func(g sqlitedb.Group) { r.metrics.Commit("bus", g.Callers, g.Commit) },
	}
	if r.wiring != nil {
		options = r.wiring.Bus(options)
		options.Durability = sqlitedb.Full
	}
	b, err := bus.Open(options)
	if err != nil {
		return nil, err
	}
	q := busQueue{embedded.New(b), b}
	if err := q.EnsureQueues(ctx, laneQueues()...); err != nil {
		return nil, errors.Join(err, q.Close(ctx))
	}
	return q, nil
}

// busQueue is an embedded queue together with its bus.
type busQueue struct {
	*embedded.Queue
	bus *bus.Bus
}

// Failed implements [failing].
func (q busQueue) Failed() <-chan struct{} { return q.bus.Failed() }

// Err implements [failing].
func (q busQueue) Err() error { return q.bus.Err() }

// Close closes the queue, then its bus.
func (q busQueue) Close(ctx context.Context) error {
	return errors.Join(q.Queue.Close(ctx), q.bus.Close())
}
