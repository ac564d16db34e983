package bus_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sqlitedb"
)

// A queue's status is enforced, for those who wait already too, and hinders
// nothing else.
func TestStatus(t *testing.T) {
	everywhere(t, bus.Settings{LockDuration: 10 * time.Second}, func(t *testing.T, b *broker) {
		ctx := t.Context()
		set := func(s bus.Status) {
			t.Helper()
			b.must(b.UpdateQueue(ctx, "q", bus.Settings{LockDuration: 10 * time.Second, Status: s}))
		}
		for _, c := range []struct {
			status        bus.Status
			send, receive error
		}{
			{bus.StatusActive, nil, nil},
			{bus.StatusSendDisabled, bus.ErrDisabled, nil},
			{bus.StatusReceiveDisabled, nil, bus.ErrDisabled},
			{bus.StatusDisabled, bus.ErrDisabled, bus.ErrDisabled},
		} {
			set(c.status)
			_, err := b.Send(ctx, "q", text("a"))
			b.wants(err, c.send)
			for _, name := range []string{"q", dead} {
				_, err = b.Receive(ctx, name, bus.ReceiveOptions{NoWait: true, Delete: true})
				b.wants(err, c.receive)
			}
			if c.receive != nil {
				_, err = b.ReceiveDeferred(ctx, "q", bus.ReceiveOptions{}, 1)
				b.wants(err, c.receive)
			}
		}
		set(bus.StatusActive)
		_, err := b.Purge(ctx, "q")
		b.must(err)
		b.send("settled", "kept")
		held := b.receive("q", 2)
		set(bus.StatusDisabled)
		b.must(b.Complete(ctx, held[0].LockToken))
		_, err = b.Renew(ctx, held[1].LockToken)
		b.must(err)
		b.pass(10 * time.Second) // its lock ends
		got, err := b.Peek(ctx, "q", 0, 10)
		if err != nil || len(got) != 1 || got[0].DeliveryCount != 1 {
			t.Errorf("peeked %+v, error %v", got, err)
		}
	})
}

func TestWaitEndsWhenDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{tb: t, clock: newClock()}
		b.start()
		defer b.stop()
		b.must(b.CreateQueue(t.Context(), "q", bus.Settings{}))
		var waiting sync.WaitGroup
		defer waiting.Wait()
		var ended atomic.Int64
		for _, name := range []string{"q", dead} {
			waiting.Go(func() {
				_, err := b.Receive(t.Context(), name, bus.ReceiveOptions{})
				b.wants(err, bus.ErrDisabled)
				ended.Add(1)
			})
			synctest.Wait()
		}
		b.must(b.UpdateQueue(t.Context(), "q", bus.Settings{Status: bus.StatusSendDisabled}))
		synctest.Wait()
		if ended.Load() > 0 {
			t.Error("a wait has ended although there is something to wait for")
		}
		b.must(b.UpdateQueue(t.Context(), "q", bus.Settings{Status: bus.StatusReceiveDisabled}))
		synctest.Wait()
		if n := ended.Load(); n != 2 {
			t.Errorf("%d waits have ended, want 2", n)
		}
	})
}

// A queue takes no more than its size, dead letters included, and again when
// there is room.
func TestFull(t *testing.T) {
	everywhere(t, bus.Settings{MaxSizeBytes: 5000}, func(t *testing.T, b *broker) {
		ctx := t.Context()
		thousand := bus.Message{MessageID: "m", Body: bus.Body{Kind: bus.BodyData, Bytes: make([]byte, 1000)}}
		size := func() int64 {
			t.Helper()
			q, err := b.Queue(ctx, "q")
			b.must(err)
			return q.SizeBytes
		}
		_, err := b.Send(ctx, "q", thousand, thousand, thousand, thousand)
		b.must(err)
		each := size() / 4
		if each < 1000 || each > 1100 {
			t.Fatalf("a message counts for %d bytes", each)
		}
		_, err = b.Send(ctx, "q", text("small"), thousand)
		b.wants(err, bus.ErrFull)
		b.send("small")
		small := size() - 4*each
		got := b.receive("q", 2)
		b.must(b.DeadLetter(ctx, got[0].LockToken, "Reason", "Description", nil))
		_, err = b.Send(ctx, "q", thousand)
		b.wants(err, bus.ErrFull)
		b.must(b.Discard(ctx, "q", 1))
		_, err = b.Send(ctx, "q", thousand)
		b.must(err)
		b.must(b.Complete(ctx, got[1].LockToken))
		if n := size(); n != 3*each+small {
			t.Errorf("%d bytes, want %d", n, 3*each+small)
		}
		_, err = b.Purge(ctx, "q")
		b.must(err)
		if n := size(); n != 0 {
			t.Errorf("an empty queue has %d bytes", n)
		}
	})
}

// A queue tells when a message last came or went.
func TestAccessed(t *testing.T) {
	b := open(t, bus.Settings{})
	accessed := func(want time.Time) {
		t.Helper()
		q, err := b.Queue(t.Context(), "q")
		if err != nil || !q.Accessed.Equal(want) {
			t.Errorf("accessed %s (%v), want %s", q.Accessed, err, want)
		}
	}
	accessed(time.Time{})
	b.pass(time.Second)
	b.none("q")
	accessed(time.Time{})
	b.send("a")
	sent := b.clock.Now()
	accessed(sent)
	b.pass(time.Second)
	got := b.one("q", "a", 0)
	accessed(sent.Add(time.Second))
	b.must(b.Abandon(t.Context(), got.LockToken, nil))
	b.pass(time.Second)
	b.one("q", "a", 1) // one that came back
	accessed(sent.Add(2 * time.Second))
	b.reopen()
	accessed(sent.Add(2 * time.Second))
	b.send("b")
	b.pass(time.Second)
	accessed(sent.Add(2 * time.Second))
}

// Whoever wants to know is told of each change of a queue, after its commit and
// before the call returns, and of nothing else.
func TestOnQueueChange(t *testing.T) {
	var told []string
	var changes []bus.QueueChange
	b := openWith(t, bus.Settings{}, func(o *bus.Options) {
		o.OnQueueChange = func(name string, change bus.QueueChange) {
			told = append(told, fmt.Sprint(name, change == bus.QueueDeleted))
			changes = append(changes, change)
		}
	})
	ctx := t.Context()
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		told = nil
	}
	expect("qfalse")
	b.must(b.CreateQueue(ctx, "Mixed", bus.Settings{}))
	b.wants(b.CreateQueue(ctx, "mixed", bus.Settings{}), bus.ErrQueueExists)
	expect("Mixedfalse")
	b.must(b.UpdateQueue(ctx, "MIXED", bus.Settings{}))
	b.wants(b.UpdateQueue(ctx, "missing", bus.Settings{}), bus.ErrQueueNotFound)
	b.send("a")
	expect("Mixedfalse")
	b.must(b.DeleteQueue(ctx, "mixed"))
	expect("Mixedtrue")
	b.must(b.Tick(ctx))
	b.reopen()
	expect()
	if want := []bus.QueueChange{bus.QueueCreated, bus.QueueCreated, bus.QueueUpdated, bus.QueueDeleted}; !slices.Equal(changes, want) {
		t.Errorf("the changes were %v, want %v", changes, want)
	}
}

// Purging takes what is there, in whatever state, locked or not, and nothing
// beside it.
func TestPurge(t *testing.T) {
	everywhere(t, bus.Settings{DefaultTTL: time.Hour}, func(t *testing.T, b *broker) {
		ctx := t.Context()
		b.must(b.CreateQueue(ctx, "other", bus.Settings{}))
		_, err := b.Send(ctx, "other", slices.Repeat([]bus.Message{text("kept")}, 20)...)
		b.must(err)
		for range 3 {
			b.send(slices.Repeat([]string{"x"}, 700)...)
		}
		later := text("scheduled")
		later.ScheduledEnqueueTime = b.clock.Now().Add(time.Minute)
		_, err = b.Send(ctx, "q", later)
		b.must(err)
		others := b.receive("other", 20)
		held := b.receive("q", 1000)
		b.must(b.Defer(ctx, held[0].LockToken, nil))
		b.must(b.Defer(ctx, held[1].LockToken, nil))
		deferred, err := b.ReceiveDeferred(ctx, "q", bus.ReceiveOptions{}, held[1].SequenceNumber)
		b.must(err)
		b.must(b.DeadLetter(ctx, held[2].LockToken, "", "", nil))
		b.must(b.Abandon(ctx, held[3].LockToken, nil))
		purge := func(name string, want int) {
			t.Helper()
			if n, err := b.Purge(ctx, name); err != nil || n != want {
				t.Fatalf("purged %d of %s (%v), want %d", n, name, err, want)
			}
		}
		purge("q", 2100)
		b.counts(bus.Counts{DeadLetter: 1})
		for _, token := range []bus.LockToken{held[4].LockToken, held[999].LockToken, deferred[0].LockToken} {
			b.wants(b.Complete(ctx, token), bus.ErrLockLost)
		}
		purge(dead, 1)
		purge("q", 0)
		b.counts(bus.Counts{})
		for _, other := range others { // of the same numbers
			b.must(b.Complete(ctx, other.LockToken))
		}
		b.pass(2 * time.Hour) // nothing is left that could come due
		b.counts(bus.Counts{})
		b.must(b.Tick(ctx))
		b.send("fresh")
		b.one("q", "fresh", 0)
		_, err = b.Purge(ctx, "missing")
		b.wants(err, bus.ErrQueueNotFound)
	})
}

// A purge that is broken off has taken no lock of what it left.
func TestPurgeBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	armed := false
	b := openWith(t, bus.Settings{}, func(o *bus.Options) {
		o.AfterCommit = func(sqlitedb.Group) {
			if armed {
				cancel()
			}
		}
	})
	for range 3 {
		b.send(slices.Repeat([]string{"x"}, 500)...)
	}
	held := append(b.receive("q", 1000), b.receive("q", 1000)...)
	b.must(b.Tick(t.Context()))
	armed = true
	n, err := b.Purge(ctx, "q")
	b.wants(err, context.Canceled)
	if n != 1000 || len(held) != 1500 {
		t.Fatalf("purged %d of %d", n, len(held))
	}
	b.wants(b.Complete(t.Context(), held[999].LockToken), bus.ErrLockLost)
	b.must(b.Complete(t.Context(), held[1000].LockToken))
	b.counts(bus.Counts{Active: 499})
}

// A bus in memory leaves nothing, and knows nothing of another.
func TestInMemoryLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	b := &broker{tb: t, clock: newClock()}
	b.begin(bus.Settings{})
	b.send("a")
	other := &broker{tb: t, clock: newClock()}
	other.begin(bus.Settings{})
	other.none("q")
	b.stop()
	b.start()
	_, err := b.Queue(t.Context(), "q")
	b.wants(err, bus.ErrQueueNotFound)
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("it left %v (%v)", files, err)
	}
}
