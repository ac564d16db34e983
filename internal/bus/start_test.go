package bus_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"bellhop/internal/bus"
	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// What one goroutine starts takes effect in its order, and is told in it.
func TestStartKeepsOrder(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		const senders, each = 4, 500
		var group sync.WaitGroup
		var mu sync.Mutex
		told := make([][]int64, senders)
		for s := range senders {
			group.Go(func() {
				var last sync.WaitGroup
				last.Add(each)
				for range each {
					b.StartSend("q", []bus.Message{text("a"), text("b")}, func(seqs []int64, err error) {
						defer last.Done()
						if err != nil {
							t.Error(err)
						}
						mu.Lock()
						defer mu.Unlock()
						told[s] = append(told[s], seqs...)
					})
				}
				last.Wait()
			})
		}
		group.Wait()
		for _, seqs := range told {
			if len(seqs) != 2*each || !slices.IsSorted(seqs) {
				t.Errorf("%d numbers, in order: %v", len(seqs), slices.IsSorted(seqs))
			}
		}
		b.counts(bus.Counts{Active: 2 * senders * each})
	})
}

// A message that cannot be sent, and a queue that is not there, fail their own
// call only, in their turn.
func TestStartSendRefused(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		large := text("large")
		large.Body.Bytes = make([]byte, 256<<10)
		var got []error
		done := make(chan struct{})
		note := func(seqs []int64, err error) {
			if (err == nil) != (len(seqs) > 0) {
				t.Errorf("numbers %v with error %v", seqs, err)
			}
			if got = append(got, err); len(got) == 5 {
				close(done)
			}
		}
		b.StartSend("q", []bus.Message{text("a")}, note)
		b.StartSend("q", []bus.Message{text("b"), large}, note)
		b.StartSend("missing", []bus.Message{text("c")}, note)
		b.StartSend(dead, []bus.Message{text("d")}, note)
		b.StartSend("Q", []bus.Message{text("e")}, note)
		<-done
		for i, want := range []error{nil, bus.ErrTooLarge, bus.ErrQueueNotFound, bus.ErrInvalid, nil} {
			b.wants(got[i], want)
		}
		b.one("q", "a", 0)
		b.one("q", "e", 0)
		b.none("q")
	})
}

// What must survive a power cut waits for the disk, and nothing else does.
func TestStartWaitsForTheDisk(t *testing.T) {
	groups := make(chan bool, 100)
	b := openWith(t, bus.Settings{}, func(o *bus.Options) {
		o.Durability = sqlitedb.Full
		o.AfterCommit = func(g sqlitedb.Group) { groups <- g.Synced }
	})
	for len(groups) > 0 {
		<-groups
	}
	waits := func(name string, want bool, do func()) {
		t.Helper()
		do()
		for len(groups) > 1 { // those before were of the test's own
			<-groups
		}
		if synced := <-groups; synced != want {
			t.Errorf("%s: waited for the disk: %v, want %v", name, synced, want)
		}
	}
	done := make(chan error, 1)
	waits("send", true, func() {
		b.StartSend("q", []bus.Message{text("a"), text("b"), text("c")}, func(_ []int64, err error) { done <- err })
		b.must(<-done)
	})
	note := bus.Properties{"note": "x"}
	for _, c := range []struct {
		name  string
		waits bool
		kinds []bus.Settlement
	}{
		{"release", false, []bus.Settlement{{Kind: bus.Release}}},
		{"abandon", false, []bus.Settlement{{Kind: bus.Abandon}, {Kind: bus.Release}}},
		{"abandon with properties", true, []bus.Settlement{{Kind: bus.Release}, {Kind: bus.Abandon, Modify: note}}},
		{"defer", true, []bus.Settlement{{Kind: bus.Defer}}},
		{"dead-letter", true, []bus.Settlement{{Kind: bus.Release}, {Kind: bus.DeadLetter}}},
		{"complete", true, []bus.Settlement{{Kind: bus.Complete}}},
	} {
		got := b.receive("q", len(c.kinds))
		waits(c.name, c.waits, func() {
			for i := range c.kinds {
				c.kinds[i].Token = got[i].LockToken
			}
			b.must(errors.Join(b.startSettle(c.kinds...)...))
		})
	}
}

// One settlement that fails leaves those beside it be.
func TestStartSettleEachByItself(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		b.must(b.CreateQueue(t.Context(), "other", bus.Settings{}))
		b.send("a", "b", "c", "d", "e")
		got := b.receive("q", 5)
		huge := bus.Properties{"a": make([]byte, 30<<10), "b": make([]byte, 30<<10), "c": make([]byte, 30<<10)}
		errs := b.startSettle(
			bus.Settlement{Kind: bus.Complete, Token: got[0].LockToken},
			bus.Settlement{Kind: bus.Release, Token: got[0].LockToken},
			bus.Settlement{Kind: bus.Complete, Token: bus.LockToken{1}},
			bus.Settlement{Kind: bus.Abandon, Token: got[1].LockToken, Modify: huge},
			bus.Settlement{Token: got[1].LockToken},
			bus.Settlement{Kind: bus.Complete, Token: got[1].LockToken, Queue: "other"},
			bus.Settlement{Kind: bus.Complete, Token: got[1].LockToken, Queue: dead},
			bus.Settlement{Kind: bus.Complete, Token: got[1].LockToken, Queue: "Q"},
			bus.Settlement{Kind: bus.DeadLetter, Token: got[2].LockToken},
			bus.Settlement{Kind: bus.DeadLetter, Token: got[3].LockToken},
			bus.Settlement{Kind: bus.Release, Token: got[4].LockToken},
		)
		for i, want := range []error{
			nil, bus.ErrLockLost, bus.ErrLockLost, bus.ErrTooLarge, bus.ErrInvalid, bus.ErrLockLost, bus.ErrLockLost, nil, nil, nil, nil,
		} {
			if !errors.Is(errs[i], want) {
				t.Errorf("settlement %d: %v, want %v", i, errs[i], want)
			}
		}
		b.one("q", "e", 0)
		b.none("q")
		letters := b.receive(dead, 5)
		if len(letters) != 2 {
			t.Fatalf("dead letters %v, want two", ids(letters))
		}
		errs = b.startSettle(
			bus.Settlement{Kind: bus.DeadLetter, Token: letters[0].LockToken},
			bus.Settlement{Kind: bus.Complete, Token: letters[0].LockToken, Queue: "q"},
			bus.Settlement{Kind: bus.Complete, Token: letters[0].LockToken, Queue: dead},
		)
		b.wants(errs[0], bus.ErrInvalid)
		b.wants(errs[1], bus.ErrLockLost)
		b.wants(errs[2], nil)
		b.counts(bus.Counts{Active: 1, DeadLetter: 1})
	})
}

func TestStartAfterClose(t *testing.T) {
	everywhere(t, bus.Settings{}, func(t *testing.T, b *broker) {
		b.send("a")
		got := b.one("q", "a", 0)
		told := 0
		for range 100 {
			b.StartSend("q", []bus.Message{text("b")}, func(_ []int64, err error) {
				b.wants(err, nil)
				told++
			})
		}
		b.must(b.Close())
		if told != 100 {
			t.Errorf("%d were told when Close returned, want 100", told)
		}
		b.StartSend("q", []bus.Message{text("c")}, func(seqs []int64, err error) {
			b.wants(err, bus.ErrClosed)
			told++
		})
		b.StartSettle([]bus.Settlement{{Kind: bus.Complete, Token: got.LockToken}}, func(errs []error) {
			b.wants(errs[0], bus.ErrClosed)
			told++
		})
		if told != 102 {
			t.Errorf("%d were told, want 102", told)
		}
	})
}

// C1.15: what is started behind a failed commit fails with it, and so does
// everything after it.
func TestC1_15_StartAfterAFailedCommit(t *testing.T) {
	b := open(t, bus.Settings{})
	b.send("a", "b", "c")
	got := b.receive("q", 3)
	b.inSQL("CREATE TRIGGER broken BEFORE DELETE ON message WHEN old.message_id = 'b' BEGIN SELECT RAISE(ABORT, 'disk on fire'); END")
	settlements := make([]bus.Settlement, 3)
	for i := range got {
		settlements[i] = bus.Settlement{Kind: bus.Complete, Token: got[i].LockToken}
	}
	for _, err := range b.startSettle(settlements...) {
		b.wants(err, bus.ErrFailed)
	}
	select {
	case <-b.Failed():
	default:
		t.Error("the bus has not failed")
	}
	done := make(chan error, 1)
	b.StartSend("q", []bus.Message{text("d")}, func(_ []int64, err error) { done <- err })
	b.wants(<-done, bus.ErrFailed)
	for _, err := range b.startSettle(bus.Settlement{Kind: bus.Release, Token: got[2].LockToken}) {
		b.wants(err, bus.ErrFailed)
	}
	b.stop()
	b.inSQL("DROP TRIGGER broken")
	b.start()
	if again := b.receive("q", 9); !slices.Equal(ids(again), []string{"a", "b", "c"}) {
		t.Errorf("after opening again: %v", ids(again))
	}
}

// C1.15: messages whose commit failed have no numbers.
func TestC1_15_StartSendInAFailedCommit(t *testing.T) {
	b := open(t, bus.Settings{})
	b.inSQL("CREATE TRIGGER broken BEFORE UPDATE ON subqueue BEGIN SELECT RAISE(ABORT, 'disk on fire'); END")
	done := make(chan struct{})
	b.StartSend("q", []bus.Message{text("a")}, func(seqs []int64, err error) {
		b.wants(err, bus.ErrFailed)
		if seqs != nil {
			t.Errorf("numbers %v", seqs)
		}
		close(done)
	})
	<-done
}

// inSQL runs a statement behind the back of the bus.
func (b *broker) inSQL(statement string) {
	b.tb.Helper()
	conn, err := sqlite.OpenConn(b.path, sqlite.OpenReadWrite)
	b.must(err)
	b.must(errors.Join(sqlitex.ExecuteTransient(conn, statement, nil), conn.Close()))
}
