package bus_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"bellhop/internal/bus"
)

// A released message comes back in its old place as if nobody had had it, to
// whoever waits, and opening again does not count it either.
func TestRelease(t *testing.T) {
	b := open(t, bus.Settings{MaxDeliveryCount: 2, DefaultTTL: time.Minute, DeadLetterOnExpiration: true})
	ctx := t.Context()
	b.send("a", "b")
	for range 5 {
		got := b.receive("q", 2)
		b.must(b.Release(ctx, got[1].LockToken))
		b.must(b.Release(ctx, got[0].LockToken))
		b.wants(b.Release(ctx, got[0].LockToken), bus.ErrLockLost)
		if len(got) != 2 || got[0].MessageID != "a" || got[0].DeliveryCount != 0 || got[0].Amended != nil {
			t.Fatalf("received %+v", got)
		}
	}
	b.reopen()
	got := b.one("q", "a", 0)
	b.must(b.Abandon(ctx, got.LockToken, nil))
	got = b.one("q", "a", 1)
	b.must(b.Defer(ctx, got.LockToken, nil))
	deferred, err := b.ReceiveDeferred(ctx, "q", bus.ReceiveOptions{}, got.SequenceNumber)
	b.must(err)
	b.must(b.Release(ctx, deferred[0].LockToken))
	b.counts(bus.Counts{Active: 1, Deferred: 1})
	held := b.one("q", "b", 0)
	b.pass(time.Minute - time.Second)
	b.must(func() error { _, err := b.Renew(ctx, held.LockToken); return err }())
	b.pass(2 * time.Second)
	b.must(b.Release(ctx, held.LockToken)) // its time has come while it was held
	b.counts(bus.Counts{Deferred: 1, DeadLetter: 1})
}

// What a settlement sets is told apart from what was sent, in the queue and in
// the dead-letter queue, and is bounded.
func TestAmended(t *testing.T) {
	b := open(t, bus.Settings{})
	ctx := t.Context()
	m := text("a")
	m.Properties = bus.Properties{"sent": int64(1), "both": "sent"}
	_, err := b.Send(ctx, "q", m)
	b.must(err)
	expect := func(got bus.Received, properties, amended bus.Properties) bus.LockToken {
		t.Helper()
		if g, w := fmt.Sprintf("%#v %#v", got.Properties, got.Amended), fmt.Sprintf("%#v %#v", properties, amended); g != w {
			t.Errorf("properties and amended\n%s\nwant\n%s", g, w)
		}
		return got.LockToken
	}
	token := expect(b.one("q", "a", 0), m.Properties, nil)
	b.must(b.Abandon(ctx, token, bus.Properties{"both": bus.Symbol("set")}))
	b.reopen()
	token = expect(b.one("q", "a", 1), bus.Properties{"sent": int64(1), "both": bus.Symbol("set")}, bus.Properties{"both": bus.Symbol("set")})
	for range 2 { // setting the same again needs no more room
		b.must(b.Abandon(ctx, token, bus.Properties{"large": make([]byte, 32000), "larger": make([]byte, 32000)}))
		token = b.receive("q", 1)[0].LockToken
	}
	b.wants(b.Abandon(ctx, token, bus.Properties{"too large": make([]byte, 2000)}), bus.ErrTooLarge)
	b.must(b.Abandon(ctx, token, bus.Properties{"large": nil, "larger": nil}))
	token = b.receive("q", 1)[0].LockToken
	b.must(b.DeadLetter(ctx, token, "Why", "Because", bus.Properties{"last": true}))
	amended := bus.Properties{
		"both": bus.Symbol("set"), "large": nil, "larger": nil, "last": true, bus.DeadLetterReason: "Why", bus.DeadLetterErrorDescription: "Because",
	}
	all := bus.Properties{"sent": int64(1)}
	for name, value := range amended {
		all[name] = value
	}
	got := b.receive(dead, 1)[0]
	expect(got, all, amended)
	b.must(b.Release(ctx, got.LockToken))
	b.must(b.Replay(ctx, "q", got.SequenceNumber)) // as it was when it died, but for its death
	for _, p := range []bus.Properties{all, amended} {
		delete(p, bus.DeadLetterReason)
		delete(p, bus.DeadLetterErrorDescription)
	}
	expect(b.receive("q", 1)[0], all, amended)
}

// The bound of a message's properties is for those sent and those set together.
func TestAmendedAreBoundedWithThoseSent(t *testing.T) {
	b := open(t, bus.Settings{})
	m := text("a")
	m.Properties = bus.Properties{"a": make([]byte, 30000), "b": make([]byte, 10000)}
	_, err := b.Send(t.Context(), "q", m)
	b.must(err)
	token := b.one("q", "a", 0).LockToken
	b.wants(b.Defer(t.Context(), token, bus.Properties{"c": make([]byte, 30000)}), bus.ErrTooLarge)
	b.must(b.Defer(t.Context(), token, bus.Properties{"c": make([]byte, 20000)}))
}

// Locks are renewed all or none, and only those of the queue that is named.
func TestRenewLocks(t *testing.T) {
	everywhere(t, bus.Settings{LockDuration: 30 * time.Second}, func(t *testing.T, b *broker) {
		ctx := t.Context()
		b.send("a", "b", "c")
		got := b.receive("q", 3)
		b.must(b.DeadLetter(ctx, got[2].LockToken, "", "", nil))
		letter := b.one(dead, "c", 0).LockToken
		one, two := got[0].LockToken, got[1].LockToken
		b.pass(20 * time.Second)
		refuse := func(name string, tokens ...bus.LockToken) {
			t.Helper()
			_, err := b.RenewLocks(ctx, name, tokens...)
			b.wants(err, bus.ErrLockLost)
		}
		refuse("", one, bus.LockToken{1})
		refuse("q", one, letter)
		refuse(dead, letter, one)
		refuse("missing", one)
		ends, err := b.RenewLocks(ctx, "Q", two, two)
		b.must(err)
		if want := b.clock.Now().Add(30 * time.Second); !slices.Equal(ends, []time.Time{want, want}) {
			t.Errorf("renewed until %v, want %v twice", ends, want)
		}
		b.pass(20 * time.Second)
		refuse("", one)
		refuse("", letter)
		b.must(b.Complete(ctx, two))
		b.one("q", "a", 1)
	})
}

// Locks lost on demand are lost as if their time had come: counted, and at
// once, however many there are.
func TestLoseLocks(t *testing.T) {
	everywhere(t, bus.Settings{MaxDeliveryCount: 2}, func(t *testing.T, b *broker) {
		ctx := t.Context()
		b.send(slices.Repeat([]string{"x"}, 700)...)
		got := b.receive("q", 700)
		b.must(b.DeadLetter(ctx, got[0].LockToken, "", "", nil))
		letter := b.receive(dead, 1)[0]
		lose := func(name string, want int) {
			t.Helper()
			if n, err := b.LoseLocks(ctx, name); err != nil || n != want {
				t.Fatalf("lost %d (%v), want %d", n, err, want)
			}
		}
		lose("q", 699)
		b.wants(b.Complete(ctx, got[1].LockToken), bus.ErrLockLost)
		again := b.receive("q", 700)
		if len(again) != 699 || again[0].DeliveryCount != 1 {
			t.Fatalf("received %d messages", len(again))
		}
		lose("q", 699)
		lose("q", 0)
		b.counts(bus.Counts{DeadLetter: 700})
		b.must(b.Complete(ctx, letter.LockToken))
		_, err := b.LoseLocks(ctx, "missing")
		b.wants(err, bus.ErrQueueNotFound)
	})
}

// A message that has expired is not shown, even when nobody has come to take it
// away yet; one that is held is.
func TestPeekShowsNothingExpired(t *testing.T) {
	everywhere(t, bus.Settings{DefaultTTL: 10 * time.Second}, func(t *testing.T, b *broker) {
		b.send("held", "a", "b")
		b.one("q", "held", 0)
		long := b.clock.Now().Add(time.Minute)
		later := text("scheduled")
		later.ScheduledEnqueueTime = long
		_, err := b.Send(t.Context(), "q", later)
		b.must(err)
		b.clock.advance(10 * time.Second)
		got, err := b.Peek(t.Context(), "q", 0, 10)
		b.must(err)
		if !slices.Equal(ids(got), []string{"held", "scheduled"}) {
			t.Errorf("peeked %v", ids(got))
		}
	})
}
