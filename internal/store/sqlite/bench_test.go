package sqlite_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"

	"github.com/google/uuid"
	zombie "zombiezen.com/go/sqlite"
)

// callers is how many goroutines share the commits of a benchmark.
const callers = 64

// BenchmarkAccept stands beside the floor: the same two rows with the same two
// unique ids, written by the same engine, and nothing else.
func BenchmarkAccept(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		db, err := sqlitedb.Open(sqlitedb.Options{Path: filepath.Join(b.TempDir(), "floor.db"), Migrations: floorSchema})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		b.ResetTimer()
		inParallel(b, func(int64) error {
			id := newID()
			return db.Commit(context.Background(), func(conn *zombie.Conn) error { return floorInsert(conn, id) })
		})
	})
	for _, withKey := range []bool{false, true} {
		b.Run(fmt.Sprintf("key=%v", withKey), func(b *testing.B) {
			s := benchStore(b)
			b.ResetTimer()
			inParallel(b, func(n int64) error {
				_, err := s.Accept(context.Background(), acceptance(b, n, withKey))
				return err
			})
		})
	}
}

// BenchmarkMailLife takes mails from due to sent, relayed 256 at a time.
func BenchmarkMailLife(b *testing.B) {
	for _, owed := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("owed=%d", owed), func(b *testing.B) {
			s := benchStore(b)
			fill(b, s, owed+b.N)
			ctx := context.Background()
			b.ResetTimer()
			var refs []onboarding.Ref
			for len(refs) < b.N {
				more, _, err := s.DueMails(ctx, onboarding.Urgent, 256)
				if err == nil {
					err = s.Relayed(ctx, more)
				}
				if err != nil {
					b.Fatal(err)
				}
				refs = append(refs, more...)
			}
			inParallel(b, func(n int64) error { return sendOne(ctx, s, refs[n-1]) })
		})
	}
}

func sendOne(ctx context.Context, s *sqlite.Store, ref onboarding.Ref) error {
	c := onboarding.Claim{Ref: ref, Holder: "bench", Op: "1"}
	h, err := s.Claim(ctx, c)
	if err != nil {
		return err
	}
	if err := s.Committing(ctx, c, onboarding.Rendered{Mint: h.NextMint(), BodyHash: [32]byte{1}}); err != nil {
		return err
	}
	_, err = s.Record(ctx, c, onboarding.Result{To: onboarding.Sent, Counts: true, Reply: onboarding.Reply{Phase: "dot", Code: 250, Text: "queued as 4711"}})
	return err
}

func benchStore(b *testing.B) *sqlite.Store {
	s, err := sqlite.Open(sqlite.Options{Path: filepath.Join(b.TempDir(), "store.db"), Policy: onboarding.DefaultPolicy()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// fill owes n mails, many to a sign-up: it is about the ledger's size.
func fill(b *testing.B, s *sqlite.Store, n int) {
	b.Helper()
	const perPerson = 500
	for done := 0; done < n; done += perPerson {
		a := acceptance(b, int64(done), false)
		a.Mails = nil
		for step := range min(perPerson, n-done) {
			a.Mails = append(a.Mails, onboarding.Owed{ID: onboarding.NewMailID(a.Person.ID, onboarding.SignUp, step+1), Expiry: 72 * time.Hour})
		}
		if _, err := s.Accept(context.Background(), a); err != nil {
			b.Fatal(err)
		}
	}
}

// inParallel runs fn b.N times on 64 goroutines, with numbers from 1.
func inParallel(b *testing.B, fn func(n int64) error) {
	b.SetParallelism(callers / runtime.GOMAXPROCS(0))
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := fn(n.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func acceptance(tb testing.TB, n int64, withKey bool) signup.Acceptance {
	to, err := address.Parse(fmt.Sprintf("person%d@example.com", n))
	if err != nil {
		tb.Fatal(err)
	}
	a := signup.Acceptance{
		Person: signup.Person{
			ID: newID(), First: "Ada", Last: "Lovelace", Address: to, Locale: "en",
			Consent: signup.Consent{Text: "2026-01", Origin: [16]byte{1}},
		},
	}
	binary.BigEndian.PutUint64(a.Fingerprint[:], uint64(n)*0x9E3779B97F4A7C15) // anywhere, as real ones are
	a.Mails = []onboarding.Owed{{ID: onboarding.NewMailID(a.Person.ID, onboarding.SignUp, 1), Expiry: 72 * time.Hour}}
	if withKey {
		a.Key = &signup.Key{Form: [16]byte{1}}
		copy(a.Key.Hash[:], a.Person.ID)
	}
	return a
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

var floorSchema = fstest.MapFS{"0001_floor.sql": {Data: []byte(`
	CREATE TABLE people (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, first TEXT, last TEXT, email TEXT) STRICT;
	CREATE TABLE mails (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT, at INTEGER) STRICT;`)}}

func floorInsert(conn *zombie.Conn, id string) error {
	stmt := conn.Prep("INSERT INTO people (id, first, last, email) VALUES (?, 'Ada', 'Lovelace', 'person@example.com')")
	stmt.BindText(1, id)
	if _, err := stmt.Step(); err != nil {
		return err
	}
	stmt = conn.Prep("INSERT INTO mails (id, state, at) VALUES (?, 'due', 1)")
	stmt.BindText(1, id+".sign-up.1")
	_, err := stmt.Step()
	return err
}
