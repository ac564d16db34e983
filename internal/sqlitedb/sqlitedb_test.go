package sqlitedb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"bellhop/internal/sqlitedb"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var schema = fstest.MapFS{
	"0001_first.sql": {Data: []byte(`CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT NOT NULL) STRICT; CREATE UNIQUE INDEX t_v ON t (v);`)},
}

func open(tb testing.TB, edit func(*sqlitedb.Options)) *sqlitedb.DB {
	tb.Helper()
	opts := sqlitedb.Options{Path: filepath.Join(tb.TempDir(), "t.db"), Migrations: schema}
	if edit != nil {
		edit(&opts)
	}
	db, err := sqlitedb.Open(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func insert(v string) func(*sqlite.Conn) error {
	return func(conn *sqlite.Conn) error {
		stmt := conn.Prep("INSERT INTO t (v) VALUES ($v)")
		stmt.SetText("$v", v)
		_, err := stmt.Step()
		return err
	}
}

func count(tb testing.TB, db *sqlitedb.DB) (n int64) {
	tb.Helper()
	err := db.Read(context.Background(), func(conn *sqlite.Conn) (err error) {
		n, err = sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM t"))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// A conflict, an error after a write and a panic each fail one caller and
// leave the rest of the group as it was.
func TestOneCallerFailsAlone(t *testing.T) {
	db := open(t, nil)
	ctx := context.Background()
	odd := errors.New("odd")
	var group sync.WaitGroup
	block, blocked := make(chan struct{}), make(chan struct{})
	group.Go(func() {
		_ = db.Commit(ctx, func(*sqlite.Conn) error { close(blocked); <-block; return nil })
	})
	<-blocked
	errs := make([]error, 4)
	write := func(i int, fn func(*sqlite.Conn) error) {
		group.Go(func() { errs[i] = db.Commit(ctx, fn) })
	}
	write(0, insert("a"))
	write(1, func(conn *sqlite.Conn) error {
		if err := insert("gone")(conn); err != nil {
			return err
		}
		return odd
	})
	write(2, func(conn *sqlite.Conn) error {
		if err := insert("gone too")(conn); err != nil {
			return err
		}
		panic("boom")
	})
	write(3, insert("b"))
	close(block)
	group.Wait()
	if errs[0] != nil || errs[3] != nil {
		t.Errorf("good callers failed: %v, %v", errs[0], errs[3])
	}
	if !errors.Is(errs[1], odd) || errs[2] == nil {
		t.Errorf("bad callers: %v, %v", errs[1], errs[2])
	}
	if n := count(t, db); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if err := db.Commit(ctx, insert("a")); sqlite.ErrCode(err) != sqlite.ResultConstraintUnique {
		t.Errorf("conflict: %v", err)
	}
}

// A database in memory does what one on disk does, knows nothing of its like
// and leaves nothing.
func TestInMemory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	memory := func(o *sqlitedb.Options) { o.Path, o.InMemory, o.Durability = "", true, sqlitedb.Full }
	db, other := open(t, memory), open(t, memory)
	ctx := context.Background()
	if err := errors.Join(db.Commit(ctx, insert("a")), db.Ride(ctx, insert("b")), db.CommitUnsynced(ctx, insert("c"))); err != nil {
		t.Fatal(err)
	}
	odd := errors.New("odd")
	if err := db.Commit(ctx, func(conn *sqlite.Conn) error { return errors.Join(insert("d")(conn), odd) }); !errors.Is(err, odd) {
		t.Errorf("a write that failed: %v", err)
	}
	if n, m := count(t, db), count(t, other); n != 3 || m != 0 {
		t.Errorf("%d rows, and %d in the other, want 3 and 0", n, m)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Read(ctx, func(*sqlite.Conn) error { return nil }); !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("it left %v (%v)", files, err)
	}
}

func TestRideIsSeenByLaterWritesAndSurvivesClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	db, err := sqlitedb.Open(sqlitedb.Options{Path: path, Migrations: schema})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := db.Ride(ctx, insert("rider")); err != nil {
		t.Fatal(err)
	}
	err = db.Commit(ctx, func(conn *sqlite.Conn) error {
		n, err := sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM t"))
		if n != 1 {
			t.Errorf("a later write sees %d rows, want 1", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := sqlitedb.Open(sqlitedb.Options{Path: path, Migrations: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := count(t, again); n != 1 {
		t.Errorf("%d rows after reopening, want 1", n)
	}
}

// A group waits for the disk only when somebody in it asked for that, and an
// unsynced commit is over, and seen by readers, when it returns.
func TestCommitUnsynced(t *testing.T) {
	var synced []bool
	db := open(t, func(o *sqlitedb.Options) {
		o.AfterCommit = func(g sqlitedb.Group) { synced = append(synced, g.Synced) }
	})
	ctx := context.Background()
	if err := db.CommitUnsynced(ctx, insert("a")); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("a reader sees %d rows, want 1", n)
	}
	if err := db.Commit(ctx, insert("b")); err != nil {
		t.Fatal(err)
	}
	if err := db.CommitUnsynced(ctx, insert("a")); sqlite.ErrCode(err) != sqlite.ResultConstraintUnique {
		t.Errorf("conflict: %v", err)
	}
	if want := []bool{false, true, false}; !slices.Equal(synced, want) {
		t.Errorf("synced %v, want %v", synced, want)
	}
}

// C1.15: a failed commit is fatal, for the callers of the group and for every
// later one.
func TestC1_15_FailedCommitIsFatal(t *testing.T) {
	disk := errors.New("disk on fire")
	fail := false
	db := open(t, func(o *sqlitedb.Options) {
		o.BeforeCommit = func(*sqlite.Conn) error {
			if fail {
				return disk
			}
			return nil
		}
	})
	ctx := context.Background()
	if err := db.Commit(ctx, insert("a")); err != nil {
		t.Fatal(err)
	}
	fail = true
	if err := db.Commit(ctx, insert("b")); !errors.Is(err, sqlitedb.ErrFailed) || !errors.Is(err, disk) {
		t.Errorf("commit: %v", err)
	}
	<-db.Failed()
	fail = false
	if err := db.Commit(ctx, insert("c")); !errors.Is(err, sqlitedb.ErrFailed) {
		t.Errorf("later commit: %v", err)
	}
	if err := db.Ride(ctx, insert("c")); !errors.Is(err, sqlitedb.ErrFailed) {
		t.Errorf("later ride: %v", err)
	}
}

func TestNewerFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	two := fstest.MapFS{"0001_first.sql": schema["0001_first.sql"], "0002_second.sql": {Data: []byte("-- a comment\nCREATE TABLE u (k INTEGER PRIMARY KEY) STRICT;")}}
	db, err := sqlitedb.Open(sqlitedb.Options{Path: path, Migrations: two})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlitedb.Open(sqlitedb.Options{Path: path, Migrations: schema}); err == nil {
		t.Error("a file of a newer schema was opened")
	}
}

func TestClosed(t *testing.T) {
	db := open(t, nil)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := db.Commit(ctx, insert("a")); !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
	if err := db.Read(ctx, func(*sqlite.Conn) error { return nil }); !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(map[int]string{1: "callers=1", 64: "callers=64"}[callers], func(b *testing.B) {
			db := open(b, nil)
			b.SetParallelism(callers / 2)
			if callers == 1 {
				b.SetParallelism(1)
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = db.Commit(context.Background(), func(conn *sqlite.Conn) error {
						stmt := conn.Prep("INSERT INTO t (v) VALUES (hex(randomblob(16)))")
						_, err := stmt.Step()
						return err
					})
				}
			})
		})
	}
}
