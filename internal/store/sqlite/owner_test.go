package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"

	zombie "zombiezen.com/go/sqlite"
)

func mustOpen(tb testing.TB, opts Options) *Store {
	tb.Helper()
	opts.Policy = onboarding.DefaultPolicy()
	s, err := Open(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// owe creates people with 500 mails each until there are n mails.
func owe(tb testing.TB, s *Store, n int) {
	tb.Helper()
	to, err := address.Parse("canary@example.com")
	if err != nil {
		tb.Fatal(err)
	}
	for done := 0; done < n; {
		a := signup.Acceptance{Person: signup.Person{ID: fmt.Sprintf("person-%d", done), First: "Canaria", Last: "Serinus", Address: to}}
		for step := 1; step <= 500 && done < n; step++ {
			a.Mails = append(a.Mails, onboarding.Owed{ID: onboarding.NewMailID(a.Person.ID, onboarding.SignUp, step), Expiry: time.Hour})
			done++
		}
		if _, err := s.Accept(context.Background(), a); err != nil {
			tb.Fatal(err)
		}
	}
}

// hold makes every mail held, every second one past the point of no return.
func hold(tb testing.TB, s *Store) {
	tb.Helper()
	ctx := context.Background()
	err := s.commit(ctx, func(t *tx) error {
		for _, sql := range []string{
			"UPDATE mails SET state = 'sending', holder = 'dead', op = 'op' WHERE state = 'due'",
			"UPDATE mails SET state = 'committing', commits = 1, variant = 'confirm' WHERE seq % 2 = 0",
		} {
			if _, err := t.exec(sql); err != nil {
				return err
			}
		}
		total := t.counts[accepted]
		t.counts[mailsIn(onboarding.Urgent, onboarding.Due)] = 0
		t.counts[mailsIn(onboarding.Urgent, onboarding.Sending)] = total - total/2
		t.counts[mailsIn(onboarding.Urgent, onboarding.Committing)] = total / 2
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// C1.14: recovery may be killed after any of its steps and begun again.
func TestC1_14_RecoveryIsKillSafe(t *testing.T) {
	const mails = 3500 // several steps of each kind
	path := filepath.Join(t.TempDir(), "store.db")
	s := mustOpen(t, Options{Path: path, Durability: sqlitedb.Off})
	owe(t, s, mails)
	hold(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var killed []string // copies of the files, taken after each commit
	s = mustOpen(t, Options{Path: path, Durability: sqlitedb.Off, AfterCommit: func(sqlitedb.Group) {
		killed = append(killed, copyStore(t, path))
	}})
	recovered := s.booksNow(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(killed) < 6 {
		t.Fatalf("recovery took %d commits, want several to be killed after", len(killed))
	}
	for _, path := range killed {
		if got := mustOpen(t, Options{Path: path, Durability: sqlitedb.Off}).booksNow(t); got != recovered {
			t.Errorf("killed and begun again: %v, want %v", got, recovered)
		}
	}
	if want := fmt.Sprintf("%d due, %d unknown", mails/2, mails/2); recovered != want {
		t.Errorf("recovered %s, want %s", recovered, want)
	}
}

// booksNow checks the counts against the rows and returns those of recovery.
func (s *Store) booksNow(tb testing.TB) string {
	tb.Helper()
	books, err := s.Books(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	err = s.db.Read(context.Background(), func(conn *zombie.Conn) error {
		_, err := query(conn, "SELECT state, count(*) FROM mails GROUP BY state", func(r *row) error {
			state, n := onboarding.State(r.text()), r.int()
			if books.States[state] != n {
				tb.Errorf("%d mails are counted as %s, and %d are", books.States[state], state, n)
			}
			return nil
		})
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("%d due, %d unknown", books.States[onboarding.Due], books.States[onboarding.Unknown])
}

func copyStore(tb testing.TB, path string) string {
	to := filepath.Join(tb.TempDir(), "store.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(to+suffix, content, 0o600)
		}
		if err != nil {
			tb.Error(err)
		}
	}
	return to
}

// I5: once the log has been copied into the file, nothing of an erased person
// can be found in it, not even in what SQLite no longer uses.
func TestErasedPersonIsNotInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := mustOpen(t, Options{Path: path})
	owe(t, s, 1)
	found := func() (words []string) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"canary", "Canaria", "Serinus"} {
			if strings.Contains(string(content), word) {
				words = append(words, word)
			}
		}
		return words
	}
	if words := found(); len(words) != 3 {
		t.Fatalf("found only %v before erasing: the test looks in the wrong place", words)
	}
	s = mustOpen(t, Options{Path: path})
	if err := s.Erase(context.Background(), "person-0"); err != nil {
		t.Fatal(err)
	}
	if words := found(); len(words) > 0 {
		t.Errorf("%v can still be read in the file", words)
	}
}

// C2 T3: a full disk answers sign-ups as unavailable and ends the store, like
// every commit that fails: SQLite has undone the others of the group as well.
// What was accepted before is there when it is opened with room again.
func TestC2_T3_FullDiskIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := mustOpen(t, Options{Path: path})
	owe(t, s, 1000)
	ctx := context.Background()
	before := s.booksNow(t)
	err := s.db.Ride(ctx, func(conn *zombie.Conn) error {
		_, err := query(conn, "PRAGMA max_page_count = 1", nil) // SQLite takes the file's size
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	to, err := address.Parse("late@example.com")
	if err != nil {
		t.Fatal(err)
	}
	late := signup.Acceptance{Person: signup.Person{ID: "late", First: strings.Repeat("x", 100_000), Last: "y", Address: to}}
	if _, err := s.Accept(ctx, late); !errors.Is(err, signup.ErrUnavailable) {
		t.Fatalf("accept on a full disk: %v, want %v", err, signup.ErrUnavailable)
	}
	<-s.Failed()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Path: path})
	if after := s.booksNow(t); after != before {
		t.Errorf("the books went from %s to %s", before, after)
	}
	if _, err := s.Accept(ctx, late); err != nil {
		t.Errorf("accept with room again: %v", err)
	}
}

// C1.15: after a failed commit nothing is taken any more, and it shows.
func TestC1_15_AFailedCommitShows(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "store.db")})
	ctx := context.Background()
	if err := s.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	_ = s.db.Commit(ctx, func(conn *zombie.Conn) error {
		_, err := query(conn, "ROLLBACK", nil) // the group's transaction is gone
		return err
	})
	<-s.Failed()
	if err := s.Ping(ctx); !errors.Is(err, sqlitedb.ErrFailed) {
		t.Errorf("ping: %v, want %v", err, sqlitedb.ErrFailed)
	}
	if _, err := s.Accept(ctx, signup.Acceptance{}); !errors.Is(err, signup.ErrUnavailable) {
		t.Errorf("accept: %v, want %v", err, signup.ErrUnavailable)
	}
	if _, err := s.Record(ctx, onboarding.Claim{}, onboarding.Result{}); !errors.Is(err, onboarding.ErrGone) {
		t.Errorf("record: %v, want %v", err, onboarding.ErrGone)
	}
}

// BenchmarkRecovery is C1.14's bound: what opening costs with 100 000 held.
func BenchmarkRecovery(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	s := mustOpen(b, Options{Path: path})
	owe(b, s, 100_000)
	for range b.N {
		b.StopTimer()
		hold(b, s)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s = mustOpen(b, Options{Path: path})
		b.StopTimer()
		err := s.commit(context.Background(), func(t *tx) error {
			_, err := t.exec("DELETE FROM attempts")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// C1.1: what a killed process had written and not yet synced is there again
// after a restart, and may be answered: a repeat of its idempotency key finds
// it and writes nothing. So opening waits for the disk once.
func TestC1_1_OpeningSyncsWhatAKilledProcessLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := mustOpen(t, Options{Path: path})
	if err := s.Heartbeat(context.Background(), "killed"); err != nil {
		t.Fatal(err)
	}
	owe(t, s, 1)
	synced := false
	mustOpen(t, Options{Path: copyStore(t, path), AfterCommit: func(g sqlitedb.Group) { synced = synced || g.Synced }})
	if !synced {
		t.Error("opening committed nothing that waited for the disk")
	}
}
