package busserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"bellhop/internal/bus"
)

var deleting = &azservicebus.ReceiverOptions{ReceiveMode: azservicebus.ReceiveModeReceiveAndDelete}

// sendMany sends n messages whose bodies are their numbers, in batches.
func (r *rig) sendMany(c *azservicebus.Client, queue string, n int) {
	r.Helper()
	s := r.sender(c, queue)
	batch, err := s.NewMessageBatch(r.ctx, nil)
	r.must(err)
	for i := range n {
		m := &azservicebus.Message{Body: fmt.Append(nil, i)}
		if err = batch.AddMessage(m, nil); errors.Is(err, azservicebus.ErrMessageTooLarge) {
			r.must(s.SendMessageBatch(r.ctx, batch, nil))
			batch, err = s.NewMessageBatch(r.ctx, nil)
			r.must(err)
			err = batch.AddMessage(m, nil)
		}
		r.must(err)
	}
	r.must(s.SendMessageBatch(r.ctx, batch, nil))
	r.must(s.Close(r.ctx))
}

// First in, first out, by sequence number.
func TestSDKReceiveInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	r.sendMany(c, "orders", 20)
	for i, m := range r.receive(r.receiver(c, "orders", nil), 20) {
		if string(m.Body) != fmt.Sprint(i) || *m.SequenceNumber != int64(i+1) {
			t.Errorf("message %d: %q with the number %d", i, m.Body, *m.SequenceNumber)
		}
	}
}

// An ended context is DeadlineExceeded, and the credit that was left on the
// link still gets a message.
func TestSDKReceiveCancelled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	rec := r.receiver(c, "orders", nil)
	for range 2 {
		ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
		got, err := rec.ReceiveMessages(ctx, 5, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || len(got) > 0 {
			t.Errorf("got %d messages, %v", len(got), err)
		}
	}
	r.send(c, "orders", "late")
	if m := r.receiveOne(rec); string(m.Body) != "late" {
		t.Errorf("got %q", m.Body)
	}
}

// Messages that come while nobody asks are released, and none is lost or
// counted as delivered.
func TestSDKReleaserLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	rec := r.receiver(c, "orders", nil)
	ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
	_, err := rec.ReceiveMessages(ctx, 2000, nil) // leaves all its credit, and the releaser
	cancel()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	const n = 2000
	r.sendMany(c, "orders", n)
	seen := map[string]bool{}
	for len(seen) < n {
		got, err := rec.ReceiveMessages(r.ctx, 100, nil)
		r.must(err)
		for _, m := range got {
			if seen[string(m.Body)] || m.DeliveryCount != 1 {
				t.Errorf("%s came again, or with the count %d", m.Body, m.DeliveryCount)
			}
			seen[string(m.Body)] = true
			r.must(rec.CompleteMessage(r.ctx, m, nil))
		}
	}
	r.counts("orders", bus.Counts{})
}

// Received and deleted: gone from the queue, and what had come before the
// receiver was closed can still be had.
func TestSDKReceiveAndDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	const n = 600
	r.sendMany(c, "orders", n)
	rec := r.receiver(c, "orders", deleting)
	got, err := rec.ReceiveMessages(r.ctx, n, &azservicebus.ReceiveMessagesOptions{TimeAfterFirstMessage: time.Millisecond})
	r.must(err)
	r.await(func() bool { return r.has("orders") == 0 })
	r.must(rec.Close(r.ctx))
	for {
		more, err := rec.ReceiveMessages(r.ctx, 50, nil)
		var closed *azservicebus.Error
		if errors.As(err, &closed) && closed.Code == azservicebus.CodeClosed {
			break
		}
		r.must(err)
		got = append(got, more...)
	}
	if len(got) > n {
		t.Errorf("%d messages came, %d were sent", len(got), n)
	}
	for i, m := range got {
		if string(m.Body) != fmt.Sprint(i) || m.LockedUntil != nil || m.DeliveryCount != 1 {
			t.Fatalf("message %d: %q, locked until %v, count %d", i, m.Body, m.LockedUntil, m.DeliveryCount)
		}
	}
	if err := rec.CompleteMessage(r.ctx, got[0], nil); err == nil {
		t.Error("a message without a lock could be completed")
	}
}

// has is how many active messages a queue has.
func (r *rig) has(queue string) int64 {
	r.Helper()
	q, err := r.bus.Queue(r.ctx, queue)
	r.must(err)
	return q.Counts.Active
}

// await asks again and again until what must happen has happened.
func (r *rig) await(happened func() bool) {
	r.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			r.Fatal("it did not happen")
		}
	}
}

// Several receivers share a queue; no message goes to two.
func TestSDKCompetingReceivers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	const n, receivers = 300, 3
	r.sendMany(c, "orders", n)
	got := make(chan string, n)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	for range receivers {
		rec := r.receiver(c, "orders", nil)
		r.serving.Go(func() {
			for {
				messages, err := rec.ReceiveMessages(ctx, 10, nil)
				if err != nil {
					return
				}
				for _, m := range messages {
					if err := rec.CompleteMessage(r.ctx, m, nil); err != nil {
						t.Error(err)
					}
					got <- string(m.Body)
				}
			}
		})
	}
	seen := map[string]bool{}
	for range n {
		select {
		case body := <-got:
			if seen[body] {
				t.Errorf("%s came twice", body)
			}
			seen[body] = true
		case <-r.ctx.Done():
			t.Fatalf("%d of %d messages came", len(seen), n)
		}
	}
	r.counts("orders", bus.Counts{})
}

// Peeking goes on where it was, from a number, over gaps, and ends.
func TestSDKPeek(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	r.sendMany(c, "orders", 5)
	rec := r.receiver(c, "orders", nil)
	got := r.receive(rec, 3)
	r.must(rec.CompleteMessage(r.ctx, got[1], nil)) // a gap at 2
	r.must(rec.DeferMessage(r.ctx, got[2], nil))
	numbers, err := r.sender(c, "orders").ScheduleMessages(r.ctx, []*azservicebus.Message{{Body: []byte("later")}}, r.clock.now().Add(time.Hour), nil)
	r.must(err)

	type seen struct {
		seq   int64
		state azservicebus.MessageState
	}
	peek := func(n int, o *azservicebus.PeekMessagesOptions) (all []seen) {
		t.Helper()
		messages, err := rec.PeekMessages(r.ctx, n, o)
		r.must(err)
		for _, m := range messages {
			all = append(all, seen{*m.SequenceNumber, m.State})
			if m.LockToken != [16]byte{} || m.LockedUntil != nil {
				t.Errorf("a peek showed the lock of %d", *m.SequenceNumber)
			}
		}
		return all
	}
	active, deferred, scheduled := azservicebus.MessageStateActive, azservicebus.MessageStateDeferred, azservicebus.MessageStateScheduled
	for _, c := range []struct {
		n    int
		from *int64
		want []seen
	}{
		{2, nil, []seen{{1, active}, {3, deferred}}},
		{10, nil, []seen{{4, active}, {5, active}, {numbers[0], scheduled}}},
		{10, nil, nil},
		{10, ptr[int64](2), []seen{{3, deferred}, {4, active}, {5, active}, {numbers[0], scheduled}}},
		{1, ptr[int64](1), []seen{{1, active}}},
		{1, ptr[int64](100), nil},
	} {
		if got := peek(c.n, &azservicebus.PeekMessagesOptions{FromSequenceNumber: c.from}); !slices.Equal(got, c.want) {
			t.Errorf("peek %d from %v: %v, want %v", c.n, c.from, got, c.want)
		}
	}
}

// A peek is bounded by the bytes of its answer, and goes on from there.
func TestSDKPeekIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s := r.sender(c, "orders")
	const n = 12
	for range n {
		r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: make([]byte, 200_000)}, nil))
	}
	rec := r.receiver(c, "orders", nil)
	for seen, calls := 0, 0; seen < n; calls++ {
		got, err := rec.PeekMessages(r.ctx, n, nil)
		r.must(err)
		if len(got) == 0 || len(got) > 5 || calls > n {
			t.Fatalf("call %d showed %d messages of 200 kB", calls, len(got))
		}
		seen += len(got)
	}
}

// Scheduled messages come when they are due, under a new number, and can be
// cancelled before.
func TestSDKScheduleAndCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s, rec := r.sender(c, "orders"), r.receiver(c, "orders", nil)
	at := r.clock.now().Add(time.Hour)
	numbers, err := s.ScheduleMessages(r.ctx, []*azservicebus.Message{{Body: []byte("a")}, {Body: []byte("b")}}, at, nil)
	r.must(err)
	r.counts("orders", bus.Counts{Scheduled: 2})
	if len(numbers) != 2 || numbers[0] == numbers[1] {
		t.Fatalf("numbers %v", numbers)
	}
	r.must(s.CancelScheduledMessages(r.ctx, numbers[:1], nil))
	r.code(s.CancelScheduledMessages(r.ctx, numbers[:1], nil), azservicebus.CodeNotFound)
	r.counts("orders", bus.Counts{Scheduled: 1})

	// By the message itself, not by a request.
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: []byte("c"), ScheduledEnqueueTime: &at}, nil))
	r.counts("orders", bus.Counts{Scheduled: 2})

	r.advance(time.Hour + time.Second)
	got := r.receive(rec, 2)
	if !slices.Equal(bodies(got), []string{"b", "c"}) {
		t.Errorf("got %q", bodies(got))
	}
	for _, m := range got {
		if m.ScheduledEnqueueTime.UnixMilli() != at.UnixMilli() || m.State != azservicebus.MessageStateActive || *m.SequenceNumber <= numbers[1] || m.EnqueuedTime.UnixMilli() < at.UnixMilli() {
			t.Errorf("%q: scheduled for %v, state %v, number %d, enqueued %v", m.Body, m.ScheduledEnqueueTime, m.State, *m.SequenceNumber, m.EnqueuedTime)
		}
	}

	// A time that has passed is now.
	_, err = s.ScheduleMessages(r.ctx, []*azservicebus.Message{{Body: []byte("past")}}, r.clock.now().Add(-time.Hour), nil)
	r.must(err)
	if m := r.receiveOne(rec); string(m.Body) != "past" {
		t.Errorf("got %q", m.Body)
	}
}

// What expires is gone, or a dead letter.
func TestSDKExpiry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("keeping", bus.Settings{DeadLetterOnExpiration: true})
	c := r.client()
	for _, queue := range []string{"orders", "keeping"} {
		r.must(r.sender(c, queue).SendMessage(r.ctx, &azservicebus.Message{TimeToLive: ptr(time.Minute)}, nil))
	}
	r.advance(time.Minute + time.Second)
	r.counts("orders", bus.Counts{})
	dead := r.receiveOne(r.receiver(c, "keeping", fromDeadLetters))
	if *dead.DeadLetterReason != "TTLExpiredException" {
		t.Errorf("reason %q", *dead.DeadLetterReason)
	}
}
