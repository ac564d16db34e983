package bus_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// The timer, not a caller, ends locks, starts scheduled messages and expires
// others, each at its time.
func TestDueTimesNeedNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bus.Open(bus.Options{Path: filepath.Join(t.TempDir(), "bus.db"), Durability: sqlitedb.Off})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		ctx := t.Context()
		if err := b.CreateQueue(ctx, "q", bus.Settings{DeadLetterOnExpiration: true}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		later, short := text("scheduled"), text("short")
		later.ScheduledEnqueueTime = began.Add(10 * time.Minute)
		short.TTL = 30 * time.Second
		for _, m := range []bus.Message{text("held"), later, short} {
			if _, err := b.Send(ctx, "q", m); err != nil {
				t.Fatal(err)
			}
		}
		await := func(name, id string, at time.Duration) bus.Received {
			t.Helper()
			got, err := b.Receive(ctx, name, bus.ReceiveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began).Round(10 * time.Millisecond); got[0].MessageID != id || took != at {
				t.Fatalf("received %s after %s, want %s after %s", got[0].MessageID, took, id, at)
			}
			return got[0]
		}
		await("q", "held", 0)
		await(dead, "short", 30*time.Second)
		await("q", "held", time.Minute)
		for i := range 7 {
			await("q", "held", time.Duration(i+2)*time.Minute)
		}
		await("q", "held", 9*time.Minute)
		await("q", "scheduled", 10*time.Minute)
	})
}

// A message that expires while it is held goes when it is given back.
func TestHeldMessageExpiresAfterItsLock(t *testing.T) {
	everywhere(t, bus.Settings{DefaultTTL: 10 * time.Second, LockDuration: 30 * time.Second, DeadLetterOnExpiration: true}, func(t *testing.T, b *broker) {
		b.send("a", "b")
		held := b.receive("q", 2)
		b.pass(15 * time.Second)
		b.counts(bus.Counts{Active: 2})
		b.must(b.Abandon(t.Context(), held[0].LockToken, nil))
		b.counts(bus.Counts{Active: 1, DeadLetter: 1})
		b.must(b.Complete(t.Context(), held[1].LockToken))
		letter := b.one(dead, "a", 1)
		if letter.Properties[bus.DeadLetterReason] != bus.ReasonExpired {
			t.Errorf("reason %v", letter.Properties)
		}
	})
}

// More due things than one commit settles are settled all the same, and those
// that expired in front of a receiver's message are not in its way.
func TestManyDueAtOnce(t *testing.T) {
	everywhere(t, bus.Settings{DefaultTTL: time.Minute, LockDuration: 30 * time.Second, MaxDeliveryCount: 1}, func(t *testing.T, b *broker) {
		for range 4 {
			b.send(slices.Repeat([]string{"x"}, 300)...)
		}
		b.receive("q", 600)
		b.pass(40 * time.Second)
		b.counts(bus.Counts{Active: 600, DeadLetter: 600})
		b.clock.advance(time.Minute)
		b.send("fresh")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := b.Receive(ctx, "q", bus.ReceiveOptions{})
		if err != nil || got[0].MessageID != "fresh" {
			t.Fatalf("received %v, error %v", ids(got), err)
		}
		b.must(b.Tick(ctx))
		b.counts(bus.Counts{Active: 1, DeadLetter: 600})
	})
}

// Waiting receivers are served in the order in which they came.
func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bus.Open(bus.Options{Path: filepath.Join(t.TempDir(), "bus.db"), Durability: sqlitedb.Off})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		ctx := t.Context()
		if err := b.CreateQueue(ctx, "q", bus.Settings{}); err != nil {
			t.Fatal(err)
		}
		got := make([]string, 5)
		var group sync.WaitGroup
		gone, cancel := context.WithCancel(ctx)
		for i := range got {
			group.Go(func() {
				ctx := ctx
				if i == 2 {
					ctx = gone
				}
				all, err := b.Receive(ctx, "q", bus.ReceiveOptions{})
				if err == nil {
					got[i] = all[0].MessageID
				}
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		if _, err := b.Send(ctx, "q", text("a"), text("b")); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Send(ctx, "q", text("c"), text("d")); err != nil {
			t.Fatal(err)
		}
		group.Wait()
		if want := []string{"a", "b", "", "c", "d"}; !slices.Equal(got, want) {
			t.Errorf("served %q, want %q", got, want)
		}
	})
}

func TestClose(t *testing.T) {
	b := open(t, bus.Settings{})
	ctx := t.Context()
	b.send("a")
	held := b.one("q", "a", 0)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, err := b.Receive(ctx, "q", bus.ReceiveOptions{}); err == nil || ctx.Err() != nil {
			t.Errorf("a wait ended with %v", err)
		}
	})
	b.stop()
	waiting.Wait()
	_, err := b.Receive(ctx, "q", bus.ReceiveOptions{})
	b.wants(err, bus.ErrClosed)
	_, err = b.Send(ctx, "q", text("b"))
	b.wants(err, bus.ErrClosed)
	b.wants(b.Complete(ctx, held.LockToken), bus.ErrClosed)
	_, err = b.Peek(ctx, "q", 0, 1)
	b.wants(err, bus.ErrClosed)
	b.start()
	b.one("q", "a", 1)
}

// C1.15: after a commit that failed nothing is accepted and nothing is handed
// out any more.
func TestC1_15_FailedCommitEndsTheBus(t *testing.T) {
	b := open(t, bus.Settings{})
	ctx := t.Context()
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_, err := b.Receive(ctx, "q", bus.ReceiveOptions{})
		b.wants(err, bus.ErrFailed)
	})
	conn, err := sqlite.OpenConn(b.path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Counters are written at the end of each group: this makes that fail.
	if err := sqlitex.ExecuteTransient(conn, "CREATE TRIGGER broken BEFORE UPDATE ON subqueue BEGIN SELECT RAISE(ABORT, 'disk on fire'); END", nil); err != nil {
		t.Fatal(err)
	}
	_, err = b.Send(ctx, "q", text("a"))
	b.wants(err, bus.ErrFailed)
	<-b.Failed()
	waiting.Wait()
	_, err = b.Send(ctx, "q", text("b"))
	b.wants(err, bus.ErrFailed)
	_, err = b.Receive(ctx, "q", bus.ReceiveOptions{})
	b.wants(err, bus.ErrFailed)
	b.stop()
	if err := sqlitex.ExecuteTransient(conn, "DROP TRIGGER broken", nil); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.none("q")
	b.counts(bus.Counts{})
}

func TestQueueNamesAndSettings(t *testing.T) {
	b := open(t, bus.Settings{})
	ctx := t.Context()
	for _, name := range []string{"", "-a", "a/", "a b", "ü", strings.Repeat("a", 261), "t/Subscriptions/s", dead} {
		b.wants(b.CreateQueue(ctx, name, bus.Settings{}), bus.ErrInvalid)
	}
	for _, name := range []string{"1", "a/b-c_d.e", strings.Repeat("a", 260)} {
		b.must(b.CreateQueue(ctx, name, bus.Settings{}))
	}
	b.wants(b.CreateQueue(ctx, "Q", bus.Settings{}), bus.ErrQueueExists)
	for _, s := range []bus.Settings{
		{MaxSizeBytes: -1}, {Status: bus.StatusReceiveDisabled + 1}, {UserMetadata: strings.Repeat("ß", 1025)}, {UserMetadata: "\xff"}, {Described: "\xff"},
		{LockDuration: time.Second}, {LockDuration: 6 * time.Minute}, {MaxDeliveryCount: -1}, {MaxDeliveryCount: 2001}, {DefaultTTL: -1}, {DuplicateWindow: 8 * 24 * time.Hour},
	} {
		b.wants(b.CreateQueue(ctx, "bad", s), bus.ErrInvalid)
		b.wants(b.UpdateQueue(ctx, "q", s), bus.ErrInvalid)
	}
	want := bus.Settings{LockDuration: 5 * time.Second, MaxDeliveryCount: 2000, DefaultTTL: time.Hour, DeadLetterOnExpiration: true, DuplicateWindow: time.Minute,
		MaxSizeBytes: 1 << 40, Status: bus.StatusSendDisabled, UserMetadata: strings.Repeat("ß", 1024), Described: "PT1H"}
	b.must(b.UpdateQueue(ctx, "Q", want))
	b.reopen()
	q, err := b.Queue(ctx, "Q")
	b.must(err)
	if q.Name != "q" || q.Settings != want || !q.Created.Equal(b.clock.Now()) {
		t.Errorf("queue %+v", q)
	}
	all, err := b.Queues(ctx)
	b.must(err)
	if len(all) != 4 || all[0].Name != "1" {
		t.Errorf("%d queues", len(all))
	}
	for _, name := range []string{"missing", "missing" + bus.DeadLetterSuffix} {
		_, err = b.Receive(ctx, name, bus.ReceiveOptions{})
		b.wants(err, bus.ErrQueueNotFound)
		_, err = b.Peek(ctx, name, 0, 1)
		b.wants(err, bus.ErrQueueNotFound)
	}
	_, err = b.Send(ctx, dead, text("a"))
	b.wants(err, bus.ErrInvalid)
}

// A deleted queue takes its messages, locks and waiting receivers with it, in
// pieces, across an opening too, and a new one of its name is empty.
func TestDeleteQueue(t *testing.T) {
	b := open(t, bus.Settings{DuplicateWindow: time.Hour, DefaultTTL: time.Minute})
	ctx := t.Context()
	many := make([]string, 700)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	b.send(many...)
	held := b.receive("q", 10)
	b.must(b.DeadLetter(ctx, held[0].LockToken, "r", "d", nil))
	var waiting sync.WaitGroup
	b.one(dead, "0", 0)
	waiting.Go(func() {
		_, err := b.Receive(ctx, dead, bus.ReceiveOptions{})
		b.wants(err, bus.ErrQueueNotFound)
	})
	b.must(b.DeleteQueue(ctx, "q"))
	waiting.Wait()
	b.wants(b.Complete(ctx, held[1].LockToken), bus.ErrLockLost)
	b.wants(b.DeleteQueue(ctx, "q"), bus.ErrQueueNotFound)
	b.reopen()
	b.must(b.CreateQueue(ctx, "q", bus.Settings{DuplicateWindow: time.Hour}))
	b.counts(bus.Counts{})
	b.clock.advance(time.Hour)
	b.must(b.Tick(ctx))
	b.send("0")
	b.one("q", "0", 0)
	conn, err := sqlite.OpenConn(b.path, sqlite.OpenReadOnly)
	b.must(err)
	defer conn.Close()
	for table, want := range map[string]int64{"queue": 1, "subqueue": 2, "entry": 1, "message": 1, "recent": 1} {
		if n, err := sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM " + table)); err != nil || n != want {
			t.Errorf("%s has %d rows (%v), want %d", table, n, err, want)
		}
	}
}

// A message that cannot be read is set aside, and the next one comes.
func TestDamagedMessageIsDeadLettered(t *testing.T) {
	b := open(t, bus.Settings{})
	b.send("damaged", "good")
	b.stop()
	conn, err := sqlite.OpenConn(b.path, sqlite.OpenReadWrite)
	b.must(err)
	b.must(sqlitex.ExecuteTransient(conn, "UPDATE message SET head = x'ff' WHERE message_id = 'damaged'", nil))
	b.must(conn.Close())
	b.start()
	got, err := b.Receive(t.Context(), "q", bus.ReceiveOptions{Limit: 2})
	if err != nil || len(got) != 1 || got[0].MessageID != "good" {
		t.Fatalf("received %v, error %v", ids(got), err)
	}
	b.counts(bus.Counts{Active: 1, DeadLetter: 1})
	letters, err := b.Peek(t.Context(), dead, 0, 10)
	if err != nil || len(letters) != 1 || letters[0].MessageID != "damaged" || letters[0].Properties[bus.DeadLetterReason] != "DamagedMessage" {
		t.Fatalf("dead letters %+v, error %v", letters, err)
	}
	if err := b.Replay(t.Context(), "q", 1); err == nil {
		t.Error("a damaged message was replayed")
	}
	b.must(b.Discard(t.Context(), "q", 1))
}

// C1.5: when a message is handed out its mark is committed, so that it is
// there whatever the handler does to the process.
func TestC1_5_MarkIsCommittedBeforeHandOut(t *testing.T) {
	b := open(t, bus.Settings{})
	conn, err := sqlite.OpenConn(b.path, sqlite.OpenReadOnly)
	b.must(err)
	defer conn.Close()
	for i := range 200 {
		b.send("a")
		b.one("q", "a", 0)
		held, err := sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM entry WHERE held = 1"))
		if err != nil || held != int64(i+1) {
			t.Fatalf("%d messages are marked (%v), want %d", held, err, i+1)
		}
	}
}

func TestEveryFieldComesBack(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		session := "s"
		extra := make([]byte, 1000)
		for i := range extra {
			extra[i] = byte(rand.IntN(256))
		}
		want := bus.Message{
			MessageID: "id", CorrelationID: "c", Subject: "s", To: "t", ReplyTo: "r", SessionID: &session, ReplyToSessionID: "rs", ContentType: "ct",
			PartitionKey: "p", TTL: time.Hour, Properties: bus.Properties{"n": int64(1), "u": bus.UUID{1}, "none": nil},
			Body: bus.Body{Kind: bus.BodySequence, Bytes: []byte{1, 2, 3}}, Extra: extra,
		}
		_, err := b.Send(t.Context(), "q", want)
		b.must(err)
		got := b.one("q", "id", 0)
		if fmt.Sprintf("%#v", *got.SessionID) != `"s"` {
			t.Errorf("session %q", *got.SessionID)
		}
		got.SessionID = want.SessionID
		if g, w := fmt.Sprintf("%#v", got.Message), fmt.Sprintf("%#v", want); g != w {
			t.Errorf("got\n%s\nwant\n%s", g, w)
		}
		if !got.ExpiresAt.Equal(b.clock.Now().Add(time.Hour)) || !got.EnqueuedTime.Equal(b.clock.Now()) {
			t.Errorf("enqueued %s, expires %s", got.EnqueuedTime, got.ExpiresAt)
		}
		large := text("large")
		large.Body.Bytes = make([]byte, 256<<10)
		_, err = b.Send(t.Context(), "q", text("small"), large)
		b.wants(err, bus.ErrTooLarge)
		b.none("q")
	})
}

// One receive reads no more than about a megabyte.
func TestReceiveIsBounded(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		for range 3 {
			large := text("large")
			large.Body.Bytes = make([]byte, 200<<10)
			_, err := b.Send(t.Context(), "q", large, large, large)
			b.must(err)
		}
		if got := b.receive("q", 100); len(got) != 6 {
			t.Errorf("received %d messages at once, want 6", len(got))
		}
		if got := b.receive("q", 100); len(got) != 3 {
			t.Errorf("then received %d messages, want 3", len(got))
		}
	})
}
