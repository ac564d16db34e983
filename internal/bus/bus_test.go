package bus_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sqlitedb"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that only moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// broker is a bus under test that can be opened again.
type broker struct {
	*bus.Bus
	tb     testing.TB
	path   string // empty: in memory
	clock  *clock
	change func(*bus.Options) // what a test wants otherwise, may be nil
}

// open opens a bus on disk with one queue, "q".
func open(tb testing.TB, settings bus.Settings) *broker {
	tb.Helper()
	return openWith(tb, settings, nil)
}

func openWith(tb testing.TB, settings bus.Settings, change func(*bus.Options)) *broker {
	tb.Helper()
	b := &broker{tb: tb, path: filepath.Join(tb.TempDir(), "bus.db"), clock: newClock(), change: change}
	b.begin(settings)
	return b
}

// everywhere runs a test of what a bus on disk and one in memory have in common.
func everywhere(t *testing.T, settings bus.Settings, test func(t *testing.T, b *broker)) {
	t.Helper()
	t.Run("disk", func(t *testing.T) { test(t, open(t, settings)) })
	t.Run("memory", func(t *testing.T) {
		b := &broker{tb: t, clock: newClock()}
		b.begin(settings)
		test(t, b)
	})
}

func (b *broker) begin(settings bus.Settings) {
	b.tb.Helper()
	b.start()
	b.tb.Cleanup(b.stop)
	b.must(b.CreateQueue(b.tb.Context(), "q", settings))
}

func (b *broker) start() {
	b.tb.Helper()
	opts := bus.Options{Path: b.path, InMemory: b.path == "", Durability: sqlitedb.Off, Now: b.clock.Now}
	if b.change != nil {
		b.change(&opts)
	}
	var err error
	if b.Bus, err = bus.Open(opts); err != nil {
		b.tb.Fatal(err)
	}
}

func (b *broker) stop() {
	if err := b.Close(); err != nil {
		b.tb.Error(err)
	}
}

func (b *broker) reopen() {
	b.tb.Helper()
	b.stop()
	b.start()
}

// pass lets time go by and settles what has come due.
func (b *broker) pass(d time.Duration) {
	b.tb.Helper()
	b.clock.advance(d)
	if err := b.Tick(b.tb.Context()); err != nil {
		b.tb.Fatal(err)
	}
}

// startSettle settles many at once and waits for what becomes of each.
func (b *broker) startSettle(settlements ...bus.Settlement) []error {
	done := make(chan []error, 1)
	b.StartSettle(settlements, func(errs []error) { done <- errs })
	return <-done
}

func text(s string) bus.Message {
	return bus.Message{MessageID: s, Body: bus.Body{Kind: bus.BodyData, Bytes: []byte(s)}}
}

func (b *broker) send(ids ...string) []int64 {
	b.tb.Helper()
	messages := make([]bus.Message, len(ids))
	for i, id := range ids {
		messages[i] = text(id)
	}
	seqs, err := b.Send(b.tb.Context(), "q", messages...)
	if err != nil {
		b.tb.Fatal(err)
	}
	return seqs
}

// receive takes what is there.
func (b *broker) receive(name string, limit int) []bus.Received {
	b.tb.Helper()
	got, err := b.Receive(b.tb.Context(), name, bus.ReceiveOptions{Limit: limit, NoWait: true})
	if err != nil {
		b.tb.Fatal(err)
	}
	return got
}

// one takes exactly one message and checks which.
func (b *broker) one(name, id string, count int) bus.Received {
	b.tb.Helper()
	got := b.receive(name, 1)
	if len(got) != 1 || got[0].MessageID != id || got[0].DeliveryCount != count {
		b.tb.Fatalf("received %v, want %q with delivery count %d", ids(got), id, count)
	}
	return got[0]
}

func (b *broker) none(name string) {
	b.tb.Helper()
	if got := b.receive(name, 1); len(got) != 0 {
		b.tb.Fatalf("received %v, want nothing", ids(got))
	}
}

func ids(all []bus.Received) (ids []string) {
	for _, r := range all {
		ids = append(ids, r.MessageID)
	}
	return ids
}

func (b *broker) counts(want bus.Counts) {
	b.tb.Helper()
	q, err := b.Queue(b.tb.Context(), "q")
	if err != nil {
		b.tb.Fatal(err)
	}
	if q.Counts != want {
		b.tb.Fatalf("counts %+v, want %+v", q.Counts, want)
	}
}

func (b *broker) must(err error) {
	b.tb.Helper()
	if err != nil {
		b.tb.Fatal(err)
	}
}

func (b *broker) wants(err, want error) {
	b.tb.Helper()
	if !errors.Is(err, want) {
		b.tb.Errorf("error %v, want %v", err, want)
	}
}

const dead = "q" + bus.DeadLetterSuffix

func TestSendReceiveComplete(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		ctx := t.Context()
		b.send("a", "b", "c")
		b.counts(bus.Counts{Active: 3})
		first := b.one("q", "a", 0)
		rest := b.receive("Q", 10)
		if len(rest) != 2 || rest[0].MessageID != "b" || string(rest[1].Body.Bytes) != "c" {
			t.Fatalf("received %v", ids(rest))
		}
		b.must(b.Complete(ctx, first.LockToken))
		b.wants(b.Complete(ctx, first.LockToken), bus.ErrLockLost)
		b.must(b.Abandon(ctx, rest[0].LockToken, nil))
		b.counts(bus.Counts{Active: 2})
		again := b.one("q", "b", 1)
		b.must(b.Complete(ctx, again.LockToken))
		b.must(b.Complete(ctx, rest[1].LockToken))
		b.none("q")
		b.counts(bus.Counts{})
	})
}

// A long wait is woken by a send, and the send's own commit serves it.
func TestWaitIsWoken(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var group sync.WaitGroup
		defer group.Wait()
		got := make(chan string, 3)
		for range 3 {
			group.Go(func() {
				all, err := b.Receive(ctx, "q", bus.ReceiveOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				got <- all[0].MessageID
			})
		}
		seen := map[string]bool{}
		for _, id := range []string{"a", "b", "c"} {
			b.send(id)
		}
		for range 3 {
			select {
			case id := <-got:
				seen[id] = true
			case <-ctx.Done():
				t.Fatal("a waiting receiver was not served")
			}
		}
		if len(seen) != 3 {
			t.Errorf("received %v", seen)
		}
	})
}

// C1.5: each opening counts the deliveries that were held.
func TestC1_5_MessageThatKillsItsProcessIsDeadLettered(t *testing.T) {
	b := open(t, bus.Settings{MaxDeliveryCount: 3})
	b.send("poison", "good")
	for i := range 3 {
		b.one("q", "poison", i)
		b.reopen()
	}
	b.one("q", "good", 0)
	letter := b.one(dead, "poison", 3)
	if letter.Properties[bus.DeadLetterReason] != bus.ReasonMaxDeliveryCount {
		t.Errorf("reason %v", letter.Properties[bus.DeadLetterReason])
	}
	b.counts(bus.Counts{Active: 1, DeadLetter: 1})
}
