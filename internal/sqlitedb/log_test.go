package sqlitedb_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// What was overwritten is nowhere on disk once the log was emptied (B7.7), and
// what was committed is still there.
func TestEmptyLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	db := open(t, func(o *sqlitedb.Options) { o.Path = path })
	for _, fn := range []func(*sqlite.Conn) error{insert("a secret"), func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, "UPDATE t SET v = 'gone'", nil)
	}} {
		if err := db.Commit(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	if !onDisk(t, path+"-wal", "a secret") {
		t.Fatal("the log does not hold what was overwritten: nothing is shown")
	}
	if err := db.EmptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal"} {
		if onDisk(t, file, "a secret") {
			t.Errorf("%s still holds what was overwritten", filepath.Base(file))
		}
	}
	if !onDisk(t, path, "gone") {
		t.Error("what was committed is not in the file")
	}
	if err := db.Commit(t.Context(), insert("next")); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 2 {
		t.Errorf("%d rows are there, not 2", n)
	}
}

func onDisk(t *testing.T, path, text string) bool {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(content, []byte(text))
}

// A reader keeps its state, and writers do not wait for it.
func TestEmptyLogWhileSomebodyReads(t *testing.T) {
	db := open(t, nil)
	if err := db.Commit(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	err := db.Read(t.Context(), func(conn *sqlite.Conn) error {
		before, err := sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM t"))
		if err != nil {
			return err
		}
		if err := db.Commit(t.Context(), insert("b")); err != nil {
			return err
		}
		if err := db.EmptyLog(t.Context()); !errors.Is(err, sqlitedb.ErrBusy) {
			t.Errorf("with a reader: %v", err)
		}
		after, err := sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM t"))
		if before != 1 || after != 1 {
			t.Errorf("the reader saw %d, and then %d", before, after)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.EmptyLog(t.Context()); err != nil {
		t.Errorf("without one: %v", err)
	}
}

func TestEmptyLogInMemory(t *testing.T) {
	db := open(t, func(o *sqlitedb.Options) { o.InMemory = true })
	if err := db.EmptyLog(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEmptyLogClosed(t *testing.T) {
	db := open(t, nil)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.EmptyLog(t.Context()); !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
