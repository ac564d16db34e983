package embedded_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
	"bellhop/internal/queue/embedded"
	"bellhop/internal/queue/queuetest"
	"bellhop/internal/sqlitedb"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a bus whose clock can be moved forward.
type broker struct {
	*bus.Bus
	path string
	jump atomic.Int64
}

func (b *broker) open(t *testing.T) {
	t.Helper()
	var err error
	b.Bus, err = bus.Open(bus.Options{
		Path: b.path, Durability: sqlitedb.Off,
		Now: func() time.Time { return time.Now().Add(time.Duration(b.jump.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *broker) stop(t *testing.T) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func (b *broker) endLocks(t *testing.T) {
	t.Helper()
	b.jump.Add(int64(time.Hour))
	if err := b.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *broker) reopen(t *testing.T) queue.Queue {
	t.Helper()
	b.stop(t)
	b.open(t)
	return embedded.New(b.Bus)
}

func TestContract(t *testing.T) {
	queuetest.Run(t, queuetest.Features{}, func(t *testing.T) queuetest.Broker {
		b := &broker{path: filepath.Join(t.TempDir(), "bus.db")}
		b.open(t)
		t.Cleanup(func() { b.stop(t) })
		for _, name := range []string{queuetest.Main, queuetest.Other} {
			if err := b.CreateQueue(t.Context(), name, bus.Settings{MaxDeliveryCount: queuetest.MaxDeliveries}); err != nil {
				t.Fatal(err)
			}
		}
		return queuetest.Broker{Queue: embedded.New(b.Bus), EndLocks: b.endLocks, Reopen: b.reopen}
	})
}

func TestEnsureQueues(t *testing.T) {
	b := &broker{path: filepath.Join(t.TempDir(), "bus.db")}
	b.open(t)
	defer b.stop(t)
	if err := b.CreateQueue(t.Context(), "bulk", bus.Settings{MaxDeliveryCount: 3}); err != nil {
		t.Fatal(err)
	}
	q := embedded.New(b.Bus)
	for range 2 {
		if err := q.EnsureQueues(t.Context(), "urgent", "bulk"); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"urgent": 100, "bulk": 3} {
		got, err := b.Bus.Queue(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got.Settings.MaxDeliveryCount != want {
			t.Errorf("%s: maximum delivery count %d, want %d", name, got.Settings.MaxDeliveryCount, want)
		}
	}
}
