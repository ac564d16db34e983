package sqlitedb

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/fstest"

	"zombiezen.com/go/sqlite"
)

// C1.15: a sync that fails is fatal too, for those who waited for it and for
// everyone after them, although the group was committed.
func TestC1_15_FailedSyncIsFatal(t *testing.T) {
	db, err := Open(Options{
		Path:       filepath.Join(t.TempDir(), "t.db"),
		Migrations: fstest.MapFS{"0001_first.sql": {Data: []byte("CREATE TABLE t (k INTEGER PRIMARY KEY) STRICT;")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	insert := func(conn *sqlite.Conn) error {
		_, err := conn.Prep("INSERT INTO t DEFAULT VALUES").Step()
		return err
	}
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
