package crashtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// busKills is how often the bus dies under its clients.
const busKills = 100

// complain makes a test fail with the first of its faults.
func complain(t *testing.T, faults []string) {
	t.Helper()
	const most = 10
	if len(faults) > 0 {
		t.Errorf("%d faults:\n%s", len(faults), strings.Join(faults[:min(most, len(faults))], "\n"))
	}
}

// C1.1: the bus is killed at random moments, again and again over one data
// directory, each time under new clients. A confirmed send is there, a
// confirmed completion never comes again, and what was in flight is either.
func TestC1_1_BusKilledUnderNewClients(t *testing.T) {
	t.Parallel()
	kills := busKills
	if testing.Short() {
		kills = 10
	}
	began := time.Now()
	complain(t, killBus(t, built(t, shipped), kills))
	t.Logf("%d kills in %v", kills, time.Since(began).Round(time.Second))
}

// killBus returns the faults that so many kills have shown.
func killBus(t *testing.T, binary string, kills int) []string {
	t.Helper()
	o := newOrdeal(newBusRig(t, binary, killedQueues()), seeded(t))
	for range kills {
		if o.cycle(); len(o.faults()) > 0 {
			return o.faults()
		}
	}
	return o.judge()
}

// C1.5: a message in whose handling the bus dies is found out by its delivery
// count, which the restarts raise, and what comes after it is not held up.
func TestC1_5_BusDiesOfAMessage(t *testing.T) {
	t.Parallel()
	complain(t, dieOfMessage(t, built(t, shipped)))
}

func dieOfMessage(t *testing.T, binary string) []string {
	t.Helper()
	const deaths = 3
	b := newBusRig(t, binary, busQueues{"poison": {"LockDuration": "PT5M", "MaxDeliveryCount": deaths}})
	n := newNotes()
	deadly, healthy := n.sending("deadly", 1)[0], ""
	for death := range deaths {
		b.start()
		c := b.client(once())
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if s := b.sender(c, "poison"); death == 0 {
			b.must(s.SendMessage(ctx, message(deadly), nil))
			healthy = n.sending("healthy", 1)[0]
			b.must(s.SendMessage(ctx, message(healthy), nil))
			n.sent(deadly, healthy)
		}
		all, err := b.receiver(c, "poison", azservicebus.ReceiverOptions{}).ReceiveMessages(ctx, 1, nil)
		b.must(err)
		if m := all[0]; m.MessageID != deadly || m.DeliveryCount != uint32(death+1) {
			n.blame("after %d deaths %s came with the delivery count %d", death, m.MessageID, m.DeliveryCount)
		}
		n.received(all[0], inQueue)
		b.process.kill()
		cancel()
		leave(c)
	}
	n.asks(deadly, inDeadLetters, "MaxDeliveryCountExceeded")
	b.start()
	c := b.client(azservicebus.RetryOptions{})
	defer leave(c)
	b.drain(c, n.blame, "poison", 0, func(m *azservicebus.ReceivedMessage) {
		if m.MessageID == deadly {
			n.blame("after %d deaths the message came again, with the delivery count %d", deaths, m.DeliveryCount)
		}
		n.taken(m, inQueue)
	})
	b.drain(c, n.blame, "poison", azservicebus.SubQueueDeadLetter, func(m *azservicebus.ReceivedMessage) { n.taken(m, inDeadLetters) })
	n.judge()
	return n.faults
}
