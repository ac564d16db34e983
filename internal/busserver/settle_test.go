package busserver

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"bellhop/internal/bus"
)

var fromDeadLetters = &azservicebus.ReceiverOptions{SubQueue: azservicebus.SubQueueDeadLetter}

// settling is one of the four ways, as the SDK calls them.
type settling struct {
	name   string
	settle func(*rig, *azservicebus.Receiver, *azservicebus.ReceivedMessage) error
	counts bus.Counts // after it, of a queue that had one message
}

func settlings() []settling {
	return []settling{
		{"complete", func(r *rig, rec *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return rec.CompleteMessage(r.ctx, m, nil)
		}, bus.Counts{}},
		{"abandon", func(r *rig, rec *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return rec.AbandonMessage(r.ctx, m, &azservicebus.AbandonMessageOptions{PropertiesToModify: map[string]any{"set": "abandoned"}})
		}, bus.Counts{Active: 1}},
		{"defer", func(r *rig, rec *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return rec.DeferMessage(r.ctx, m, &azservicebus.DeferMessageOptions{PropertiesToModify: map[string]any{"set": "deferred"}})
		}, bus.Counts{Deferred: 1}},
		{"dead-letter", func(r *rig, rec *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return rec.DeadLetterMessage(r.ctx, m, &azservicebus.DeadLetterOptions{
				Reason: ptr("reason"), ErrorDescription: ptr("description"), PropertiesToModify: map[string]any{"set": "dead"},
			})
		}, bus.Counts{DeadLetter: 1}},
	}
}

// All four on the link, each with its properties.
func TestSDKSettleOnTheLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	for _, s := range settlings() {
		r.queue(s.name, bus.Settings{})
		r.must(r.sender(c, s.name).SendMessage(r.ctx, &azservicebus.Message{ApplicationProperties: map[string]any{"own": "o"}}, nil))
		rec := r.receiver(c, s.name, nil)
		m := r.receiveOne(rec)
		if m.DeliveryCount != 1 {
			t.Errorf("%s: first delivery count %d", s.name, m.DeliveryCount)
		}
		r.must(s.settle(r, rec, m))
		r.counts(s.name, s.counts)
		again := func() *azservicebus.ReceivedMessage {
			switch {
			case s.counts.Active > 0:
				return r.receiveOne(rec)
			case s.counts.Deferred > 0:
				got, err := rec.ReceiveDeferredMessages(r.ctx, []int64{*m.SequenceNumber}, nil)
				r.must(err)
				return got[0]
			case s.counts.DeadLetter > 0:
				return r.receiveOne(r.receiver(c, s.name, fromDeadLetters))
			}
			return nil
		}()
		if again == nil {
			continue
		}
		wantCount := map[string]uint32{"abandon": 2, "defer": 2, "dead-letter": 1}[s.name]
		wantSet := map[string]any{"abandon": "abandoned", "defer": "deferred", "dead-letter": "dead"}[s.name]
		if again.DeliveryCount != wantCount || again.ApplicationProperties["set"] != wantSet || again.ApplicationProperties["own"] != "o" {
			t.Errorf("%s: count %d (want %d), properties %v", s.name, again.DeliveryCount, wantCount, again.ApplicationProperties)
		}
	}
}

// By $management when the link is lost, and when the connection is.
func TestSDKSettleAfterTheLinkIsLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*rig) int{
		"link":       func(r *rig) int { return r.faults.DetachLinks("orders", "amqp:link:detach-forced", "gone") },
		"connection": func(r *rig) int { return r.faults.DropConnections() },
	} {
		for _, s := range settlings() {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				c := r.client()
				r.send(c, "orders", "body")
				rec := r.receiver(c, "orders", nil)
				m := r.receiveOne(rec)
				if lose(r) == 0 {
					t.Fatal("nothing was lost")
				}
				if name == "connection" { // else the SDK tries the dead one again and again
					m = &azservicebus.ReceivedMessage{LockToken: m.LockToken}
				}
				r.must(s.settle(r, rec, m))
				r.counts("orders", s.counts)
			})
		}
	}
}

// With nothing but the lock token, on another receiver, after a renewal.
func TestSDKSettleWithOnlyTheLockToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	for _, s := range settlings() {
		r.queue(s.name, bus.Settings{})
		r.send(c, s.name, "body")
		first := r.receiver(c, s.name, nil)
		m := r.receiveOne(first)
		r.must(first.Close(r.ctx))
		r.advance(10 * time.Second)
		bare := &azservicebus.ReceivedMessage{LockToken: m.LockToken}
		other := r.receiver(r.client(), s.name, nil)
		r.must(other.RenewMessageLock(r.ctx, bare, nil))
		if after := bare.LockedUntil.Sub(*m.LockedUntil); after < 9*time.Second || after > patience {
			t.Errorf("%s: renewing moved the end of the lock by %v", s.name, after)
		}
		r.must(s.settle(r, other, bare))
		r.counts(s.name, s.counts)
		r.code(s.settle(r, other, bare), azservicebus.CodeLockLost)
	}
}

// The count goes from 1 to 2, and to the dead letters at the maximum.
func TestSDKAbandonRaisesTheDeliveryCount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("thrice", bus.Settings{MaxDeliveryCount: 3})
	c := r.client()
	r.send(c, "thrice", "poison")
	rec := r.receiver(c, "thrice", nil)
	for n := range uint32(3) {
		m := r.receiveOne(rec)
		if m.DeliveryCount != n+1 {
			t.Errorf("delivery %d has the count %d", n+1, m.DeliveryCount)
		}
		r.must(rec.AbandonMessage(r.ctx, m, nil))
	}
	dead := r.receiveOne(r.receiver(c, "thrice", fromDeadLetters))
	if *dead.DeadLetterReason != "MaxDeliveryCountExceeded" || dead.DeliveryCount != 4 || *dead.DeadLetterSource != "thrice" {
		t.Errorf("dead letter: %q, count %d, from %q", *dead.DeadLetterReason, dead.DeliveryCount, *dead.DeadLetterSource)
	}
}

// Reason and description of a dead letter; a dead letter abandoned keeps its
// count and can be completed.
func TestSDKDeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	r.send(c, "orders", "one", "two")
	rec := r.receiver(c, "orders", nil)
	got := r.receive(rec, 2)
	r.must(rec.DeadLetterMessage(r.ctx, got[0], &azservicebus.DeadLetterOptions{Reason: ptr("why"), ErrorDescription: ptr("because")}))
	r.must(rec.DeadLetterMessage(r.ctx, got[1], nil))
	drec := r.receiver(c, "ORDERS", fromDeadLetters)
	dead := r.receive(drec, 2)
	for i, want := range [][2]string{{"why", "because"}, {"", ""}} {
		m := dead[i]
		if *m.DeadLetterReason != want[0] || *m.DeadLetterErrorDescription != want[1] || *m.EnqueuedSequenceNumber != *got[i].SequenceNumber || m.DeliveryCount != 1 {
			t.Errorf("dead letter %d: %q, %q, number %d, count %d", i, *m.DeadLetterReason, *m.DeadLetterErrorDescription, *m.EnqueuedSequenceNumber, m.DeliveryCount)
		}
	}
	r.must(drec.AbandonMessage(r.ctx, dead[0], nil))
	again := r.receiveOne(drec)
	if again.DeliveryCount != 1 || *again.SequenceNumber != *dead[0].SequenceNumber {
		t.Errorf("abandoned: %+v", again)
	}
	err := drec.DeadLetterMessage(r.ctx, again, nil)
	r.says(err, "amqp:not-allowed")
	r.must(drec.CompleteMessage(r.ctx, &azservicebus.ReceivedMessage{LockToken: again.LockToken}, nil))
	r.counts("orders", bus.Counts{DeadLetter: 1})
}

// Settling after the lock has ended, by time and by fault: lock lost, and no
// retry.
func TestSDKSettleAfterExpiryIsLockLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	for _, s := range settlings() {
		r.queue(s.name, bus.Settings{})
		r.send(c, s.name, "body")
		rec := r.receiver(c, s.name, nil)
		m := r.receiveOne(rec)
		r.advance(time.Minute + time.Second)
		r.code(s.settle(r, rec, m), azservicebus.CodeLockLost)
		r.code(rec.RenewMessageLock(r.ctx, m, nil), azservicebus.CodeLockLost)
		again := r.receiveOne(rec)
		if again.DeliveryCount != 2 || again.LockToken == m.LockToken {
			t.Errorf("%s: delivered again with the count %d", s.name, again.DeliveryCount)
		}
		n, err := r.faults.LoseLocks(r.ctx, s.name)
		if r.must(err); n != 1 {
			t.Errorf("%s: %d locks were lost", s.name, n)
		}
		r.code(s.settle(r, rec, again), azservicebus.CodeLockLost)
	}
}

// Locks live on when the receiver is closed.
func TestSDKLocksSurviveTheirLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	r.send(c, "orders", "locked", "next")
	rec := r.receiver(c, "orders", nil)
	m := r.receiveOne(rec)
	r.must(rec.Close(r.ctx))
	other := r.receiver(c, "orders", nil)
	if got := r.receiveOne(other); string(got.Body) != "next" {
		t.Errorf("the locked message came again: %q", got.Body)
	}
	r.must(other.CompleteMessage(r.ctx, m, nil))
	r.counts("orders", bus.Counts{Active: 1})
}

// Deferred messages: receive, complete, abandon, defer, dead-letter, renew.
func TestSDKDeferred(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	for _, s := range settlings() {
		r.queue(s.name, bus.Settings{})
		r.send(c, s.name, "body")
		rec := r.receiver(c, s.name, nil)
		m := r.receiveOne(rec)
		r.must(rec.DeferMessage(r.ctx, m, nil))
		numbers := []int64{*m.SequenceNumber}
		got, err := rec.ReceiveDeferredMessages(r.ctx, numbers, nil)
		r.must(err)
		d := got[0]
		if len(got) != 1 || string(d.Body) != "body" || d.State != azservicebus.MessageStateDeferred || d.DeliveryCount != 2 || d.LockToken == m.LockToken || d.LockToken == [16]byte{} {
			t.Errorf("%s: got %+v", s.name, d)
		}
		_, err = rec.ReceiveDeferredMessages(r.ctx, numbers, nil)
		r.code(err, azservicebus.CodeNotFound) // somebody has it
		was := *d.LockedUntil
		r.advance(time.Second)
		r.must(rec.RenewMessageLock(r.ctx, d, nil))
		if !d.LockedUntil.After(was) {
			t.Errorf("%s: renewed until %v, was %v", s.name, d.LockedUntil, was)
		}
		r.must(s.settle(r, rec, d))
		want := s.counts
		if s.name == "abandon" { // stays deferred
			want = bus.Counts{Deferred: 1}
		}
		r.counts(s.name, want)
		again, err := rec.ReceiveDeferredMessages(r.ctx, numbers, nil)
		if want.Deferred == 0 {
			r.code(err, azservicebus.CodeNotFound)
			continue
		}
		r.must(err)
		if again[0].DeliveryCount != 3 {
			t.Errorf("%s: delivery count %d", s.name, again[0].DeliveryCount)
		}
	}
}

// Deferred messages of a receiver that deletes.
func TestSDKDeferredReceiveAndDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	r.send(c, "orders", "a", "b")
	rec := r.receiver(c, "orders", nil)
	var numbers []int64
	for _, m := range r.receive(rec, 2) {
		r.must(rec.DeferMessage(r.ctx, m, nil))
		numbers = append(numbers, *m.SequenceNumber)
	}
	deleting := r.receiver(c, "orders", &azservicebus.ReceiverOptions{ReceiveMode: azservicebus.ReceiveModeReceiveAndDelete})
	got, err := deleting.ReceiveDeferredMessages(r.ctx, numbers, nil)
	r.must(err)
	if !slices.Equal(bodies(got), []string{"a", "b"}) || got[0].LockToken != [16]byte{} {
		t.Errorf("got %q, %x", bodies(got), got[0].LockToken)
	}
	r.counts("orders", bus.Counts{})
}

// Many settled at once from many goroutines, each confirmed.
func TestSDKSettleManyAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	const n = 400
	s := r.sender(c, "orders")
	batch, err := s.NewMessageBatch(r.ctx, nil)
	r.must(err)
	for i := range n {
		r.must(batch.AddMessage(&azservicebus.Message{Body: fmt.Append(nil, i)}, nil))
	}
	r.must(s.SendMessageBatch(r.ctx, batch, nil))
	rec := r.receiver(c, "orders", nil)
	seen := map[string]int{}
	errs := make(chan error, n)
	for _, m := range r.receive(rec, n) {
		seen[string(m.Body)]++
		go func() { errs <- rec.CompleteMessage(r.ctx, m, nil) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if len(seen) != n || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		t.Errorf("saw %d of %d messages", len(seen), n)
	}
	r.counts("orders", bus.Counts{})
}
