package servicebus

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
	"bellhop/internal/queue/queuetest"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
)

// features are what Service Bus's SDK cannot do, whatever the broker.
func features() queuetest.Features { return queuetest.Features{Unordered: true} }

func (w *wire) endLocks(t *testing.T) {
	t.Helper()
	for _, name := range []string{queuetest.Main, queuetest.Other} {
		if _, err := w.bus.LoseLocks(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *wire) reopen(t *testing.T) queue.Queue {
	t.Helper()
	w.stop()
	w.start()
	return w.queue()
}

func TestContract(t *testing.T) {
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			queuetest.Run(t, features(), func(t *testing.T) queuetest.Broker {
				w := startWire(t, secure)
				for _, name := range []string{queuetest.Main, queuetest.Other} {
					w.makeQueue(name, bus.Settings{MaxDeliveryCount: queuetest.MaxDeliveries, LockDuration: time.Minute})
				}
				return queuetest.Broker{Queue: w.queue(), EndLocks: w.endLocks, Reopen: w.reopen}
			})
		})
	}
}

// namespaceVariable names a connection string with the right Manage, of a
// namespace that is used for nothing else: queues in it are deleted and made.
const namespaceVariable = "BELLHOP_TEST_SERVICEBUS"

// TestContractOnAzure is the contract over a real namespace.
func TestContractOnAzure(t *testing.T) {
	f := features()
	f.Volatile, f.NoLockEnd = true, true // nobody can kill it, or put its clock forward
	opts := Options{ConnectionString: os.Getenv(namespaceVariable)}
	if opts.ConnectionString == "" {
		f.Absent = namespaceVariable + " is not set"
	}
	queuetest.Run(t, f, func(t *testing.T) queuetest.Broker {
		remake(t, opts, queuetest.Main, queuetest.Other)
		opts.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
		q, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := q.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return queuetest.Broker{Queue: q}
	})
}

// remake makes empty queues.
func remake(t *testing.T, opts Options, names ...string) {
	t.Helper()
	client, err := opts.admin()
	if err != nil {
		t.Fatal(err)
	}
	lock, deliveries := wantLock, int32(queuetest.MaxDeliveries)
	for _, name := range names {
		if found, err := client.GetQueue(within(t), name, nil); err != nil {
			t.Fatal(err)
		} else if found != nil {
			if _, err := client.DeleteQueue(within(t), name, nil); err != nil {
				t.Fatal(err)
			}
		}
		_, err := client.CreateQueue(within(t), name, &admin.CreateQueueOptions{Properties: &admin.QueueProperties{LockDuration: &lock, MaxDeliveryCount: &deliveries}})
		if err != nil {
			t.Fatal(err)
		}
	}
}
