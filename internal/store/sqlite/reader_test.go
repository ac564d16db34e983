package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"bellhop/internal/onboarding"
	"bellhop/internal/store/sqlite"

	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func openReader(t *testing.T, path string) *sqlite.Reader {
	t.Helper()
	r, err := sqlite.OpenReader(sqlite.Options{Path: path, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// look reads all that a reader can.
func look(t *testing.T, r interface {
	Books(context.Context) (onboarding.Books, error)
	Audit(context.Context, int64, int) ([]onboarding.AuditRow, error)
	DeadMails(context.Context, string, int) ([]onboarding.DeadMail, string, error)
	MissingMails(context.Context, int64, int) ([]string, int64, error)
}) string {
	t.Helper()
	ctx := context.Background()
	books, err := r.Books(ctx)
	rows, err2 := r.Audit(ctx, 0, 1000)
	dead, _, err3 := r.DeadMails(ctx, "", 1000)
	missing, scanned, err4 := r.MissingMails(ctx, 0, 1000)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	books.OldestDue = 0
	for i := range rows {
		rows[i].Overdue = 0
	}
	return fmt.Sprint(books, rows, dead, missing, scanned)
}

// A reader sees what the process beside it has committed, and disturbs nothing.
func TestReaderBesideTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := sqlite.Open(sqlite.Options{Path: path, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := openReader(t, path)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 50 {
				if _, err := s.Accept(context.Background(), acceptance(t, int64(i), true)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Go(func() {
		for last := int64(0); last < 200; {
			books, err := r.Books(context.Background())
			if err != nil || books.Accepted < last || books.States[onboarding.Due] != books.Accepted {
				t.Errorf("read %+v after %d: %v", books, last, err)
				return
			}
			last = books.Accepted
		}
	})
	group.Wait()
	hold(t, s)
	if got, want := look(t, r), look(t, s); got != want {
		t.Errorf("the reader sees\n%s, the owner\n%s", got, want)
	}
}

// hold leaves one mail in sending and one in committing.
func hold(t *testing.T, s *sqlite.Store) {
	t.Helper()
	ctx := context.Background()
	if err := s.Heartbeat(ctx, "holder"); err != nil {
		t.Fatal(err)
	}
	refs, _, err := s.DueMails(ctx, onboarding.Urgent, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range refs {
		c := onboarding.Claim{Ref: ref, Holder: "holder", Op: "op"}
		_, err := s.Claim(ctx, c)
		if err == nil && i == 1 {
			err = s.Committing(ctx, c, onboarding.Rendered{Mint: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Without a process a reader sees what a crash or a clean end has left, and
// leaves its recovery to the next owner.
func TestReaderWithoutAProcess(t *testing.T) {
	for _, end := range []string{"crash", "clean end"} {
		t.Run(end, func(t *testing.T) {
			o := &owner{tb: t, opts: sqlite.Options{Policy: onboarding.DefaultPolicy()}}
			if _, err := o.reopen(); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if _, err := o.store.Accept(context.Background(), acceptance(t, int64(i), true)); err != nil {
					t.Fatal(err)
				}
			}
			hold(t, o.store)
			want := look(t, o.store)
			path := o.opts.Path
			if end == "crash" {
				if err := o.store.Ping(context.Background()); err != nil {
					t.Fatal(err)
				}
				path = filepath.Join(t.TempDir(), "store.db")
				for _, suffix := range []string{"", "-wal"} {
					if err := copyFile(path+suffix, o.opts.Path+suffix, 1<<40); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := o.close(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := look(t, openReader(t, path)); got != want {
					t.Errorf("the reader sees\n%s, the owner saw\n%s", got, want)
				}
			}
		})
	}
}

func TestReaderRefusesWhatIsNoStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	opts := sqlite.Options{Path: path, Policy: onboarding.DefaultPolicy()}
	if _, err := sqlite.OpenReader(opts); err == nil {
		t.Error("a reader was opened on a file that is not there")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking for the file: %v", err)
	}
	conn, err := zombie.OpenConn(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteTransient(conn, "PRAGMA user_version = 99", nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.OpenReader(opts); !errors.Is(err, sqlite.ErrSchema) {
		t.Errorf("opening a newer file: %v, want %v", err, sqlite.ErrSchema)
	}
}

// A reader is all that commands need to look; it must not grow methods that
// change something.
func TestReaderOnlyReads(t *testing.T) {
	want := map[string]bool{"Audit": true, "Books": true, "Close": true, "DeadMails": true, "Lane": true, "MissingMails": true}
	typ := reflect.TypeFor[*sqlite.Reader]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; !want[name] {
			t.Errorf("Reader has a method %s", name)
		}
	}
}
