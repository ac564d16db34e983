package servicebus

import (
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
	"bellhop/internal/queue/queuetest"
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
