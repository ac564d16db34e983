package sqlitedb

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// However much is handed in while the disk is busy, handing in returns, and
// all is told in order, each after the sync that covers it.
func TestStartNeverWaits(t *testing.T) {
	db := openTable(t)
	syncing, release := make(chan struct{}), make(chan struct{})
	var syncs atomic.Int64
	db.syncer.fdatasync = func(*os.File) error {
		if syncs.Add(1) == 1 {
			close(syncing)
			<-release
		}
		return nil
	}
	db.Start(Write{Do: insert, Done: func(error) {}})
	<-syncing
	const n = 20_000 // many times what one group takes
	var ran atomic.Int64
	var told []int64 // by the syncing goroutine
	done := make(chan struct{})
	for i := range int64(n) {
		db.Start(Write{
			Do: func(*sqlite.Conn) error {
				if at := ran.Add(1) - 1; at != i {
					t.Errorf("write %d was run as number %d", i, at)
				}
				return nil
			},
			Done: func(err error) {
				if err != nil || syncs.Load() < 2 {
					t.Errorf("write %d was told %v after %d syncs", i, err, syncs.Load())
				}
				if told = append(told, i); i == n-1 {
					close(done)
				}
			},
		})
	}
	close(release)
	<-done
	if len(told) != n || !slices.IsSorted(told) {
		t.Errorf("%d were told, in order: %v", len(told), slices.IsSorted(told))
	}
}

// Writes that wait and writes that do not keep the order of their goroutine,
// and one that needs no disk is told while the disk is busy.
func TestStartKeepsOrder(t *testing.T) {
	db := openTable(t)
	syncing, release := make(chan struct{}), make(chan struct{})
	db.syncer.fdatasync = func(*os.File) error {
		close(syncing)
		<-release
		return nil
	}
	var order []int // by the writer goroutine
	note := func(n int) func(*sqlite.Conn) error {
		return func(*sqlite.Conn) error { order = append(order, n); return nil }
	}
	synced, unsynced := make(chan error, 1), make(chan error, 1)
	db.Start(Write{Do: note(1), Done: func(err error) { synced <- err }})
	<-syncing
	db.Start(Write{Do: note(2), Done: func(error) {}, Unsynced: true})
	if err := db.Ride(context.Background(), note(3)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-synced:
		t.Error("a synced write was told before its sync")
	default:
	}
	close(release)
	db.Start(Write{Do: note(4), Done: func(err error) { unsynced <- err }, Unsynced: true})
	if err := errors.Join(<-synced, <-unsynced); err != nil {
		t.Error(err)
	}
	if want := []int{1, 2, 3, 4}; !slices.Equal(order, want) {
		t.Errorf("ran %v, want %v", order, want)
	}
}

// An unsynced write does not ask for the disk.
func TestStartUnsynced(t *testing.T) {
	db := openTable(t)
	db.syncer.fdatasync = func(*os.File) error {
		t.Error("the disk was waited for")
		return nil
	}
	done := make(chan error, 1)
	db.Start(Write{Do: insert, Done: func(err error) { done <- err }, Unsynced: true})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// An error undoes its own write only.
func TestStartFailsAlone(t *testing.T) {
	db := openTable(t)
	odd := errors.New("odd")
	first, second := make(chan error, 1), make(chan error, 1)
	db.Start(Write{Done: func(err error) { first <- err }, Do: func(conn *sqlite.Conn) error {
		return errors.Join(insert(conn), odd)
	}})
	db.Start(Write{Do: insert, Done: func(err error) { second <- err }})
	if err := <-first; !errors.Is(err, odd) {
		t.Errorf("the first was told %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("the second was told %v", err)
	}
	if n := rows(t, db); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func rows(t *testing.T, db *DB) (n int64) {
	t.Helper()
	err := db.Read(context.Background(), func(conn *sqlite.Conn) (err error) {
		n, err = sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM t"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// C1.15: a vital write that fails, or panics, ends the database, and with it
// everybody who was in its group or comes later.
func TestC1_15_VitalWriteIsFatal(t *testing.T) {
	for name, do := range map[string]func(*sqlite.Conn) error{
		"error": func(*sqlite.Conn) error { return errors.New("odd") },
		"panic": func(*sqlite.Conn) error { panic("odd") },
	} {
		t.Run(name, func(t *testing.T) {
			db := openTable(t)
			told := make(chan error, 3)
			done := func(err error) { told <- err }
			begun, block := make(chan struct{}), make(chan struct{})
			db.Start(Write{Done: done, Unsynced: true, Do: func(conn *sqlite.Conn) error {
				close(begun)
				<-block
				return insert(conn)
			}})
			<-begun
			db.Start(Write{Do: do, Done: done, Vital: true})
			db.Start(Write{Do: insert, Done: done})
			close(block)
			for range 3 {
				// The first may have had a group of its own.
				if err := <-told; err != nil && !errors.Is(err, ErrFailed) {
					t.Errorf("told %v", err)
				}
			}
			if db.Err() == nil {
				t.Fatal("the database has not failed")
			}
			if err := db.Commit(context.Background(), insert); !errors.Is(err, ErrFailed) {
				t.Errorf("a later commit: %v", err)
			}
		})
	}
}

// C1.15: after a failed sync nobody is told that all is well, those who were
// handed in behind it included.
func TestC1_15_StartBehindAFailedSync(t *testing.T) {
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
	told := make(chan error, 2000)
	start := func() { db.Start(Write{Do: insert, Done: func(err error) { told <- err }}) }
	start()
	<-syncing
	for range 1998 {
		start()
	}
	close(fail)
	<-db.Failed()
	start()
	for i := range 2000 {
		if err := <-told; !errors.Is(err, ErrFailed) {
			t.Fatalf("write %d was told %v", i, err)
		}
	}
}

// Close waits for what was handed in; later writes are refused at once.
func TestStartAndClose(t *testing.T) {
	db := openTable(t)
	var told atomic.Int64
	for range 1000 {
		db.Start(Write{Do: insert, Done: func(err error) {
			if err != nil {
				t.Error(err)
			}
			told.Add(1)
		}})
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if told.Load() != 1000 {
		t.Errorf("%d were told, want 1000", told.Load())
	}
	var after error
	db.Start(Write{Do: insert, Done: func(err error) { after = err }})
	if !errors.Is(after, ErrClosed) {
		t.Errorf("after Close: %v", after)
	}
}
