package sqlitedb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"zombiezen.com/go/sqlite"
)

func openTable(t *testing.T) *DB {
	t.Helper()
	db, err := Open(Options{
		Path:       filepath.Join(t.TempDir(), "t.db"),
		Migrations: fstest.MapFS{"0001_first.sql": {Data: []byte("CREATE TABLE t (k INTEGER PRIMARY KEY) STRICT;")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func insert(conn *sqlite.Conn) error {
	_, err := conn.Prep("INSERT INTO t DEFAULT VALUES").Step()
	return err
}

// C1.15: after a sync has failed the next one may well succeed, because the
// kernel has dropped the pages. Whoever gathered behind it must not be told
// that all is well.
func TestC1_15_NobodyBehindAFailedSyncIsServed(t *testing.T) {
	db := openTable(t)
	syncing, fail := make(chan struct{}), make(chan struct{})
	calls := 0
	db.syncer.fdatasync = func(*os.File) error {
		if calls++; calls > 1 {
			return nil
		}
		close(syncing)
		<-fail
		return errors.New("disk on fire")
	}
	ctx := context.Background()
	first, second, ran := make(chan error, 1), make(chan error, 1), make(chan struct{})
	go func() { first <- db.Commit(ctx, insert) }()
	<-syncing
	go func() {
		second <- db.Commit(ctx, func(conn *sqlite.Conn) error {
			close(ran)
			return insert(conn)
		})
	}()
	<-ran
	close(fail)
	for name, got := range map[string]chan error{"the group that was synced": first, "the group behind it": second} {
		if err := <-got; !errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// C1.15: a sync that fails is fatal too, for those who waited for it and for
// everyone after them, although the group was committed.
func TestC1_15_FailedSyncIsFatal(t *testing.T) {
	db := openTable(t)
	ctx := context.Background()
	if err := db.Commit(ctx, insert); err != nil {
		t.Fatal(err)
	}
	if err := db.syncer.log.Close(); err != nil { // the disk is gone
		t.Fatal(err)
	}
	if err := db.Commit(ctx, insert); !errors.Is(err, ErrFailed) {
		t.Errorf("a commit that was not synced: %v", err)
	}
	<-db.Failed()
	for name, write := range map[string]func(context.Context, func(*sqlite.Conn) error) error{
		"Commit": db.Commit, "CommitUnsynced": db.CommitUnsynced, "Ride": db.Ride,
	} {
		if err := write(ctx, insert); !errors.Is(err, ErrFailed) {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
}
