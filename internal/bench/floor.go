package bench

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"bellhop/internal/sqlitedb"

	"golang.org/x/sys/unix"
	"zombiezen.com/go/sqlite"
)

// floorSchema is the least that a sign-up must write: a person and a mail.
const floorSchema = `
CREATE TABLE people (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, email TEXT NOT NULL) STRICT;
CREATE TABLE mails (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, due INTEGER NOT NULL) STRICT;
CREATE INDEX mails_due ON mails (due);`

// groupedCommits is how many such pairs of rows the engine stores in a second
// for o.Workers callers, with nothing around it.
func groupedCommits(ctx context.Context, o Options, path string) (float64, error) {
	db, err := sqlitedb.Open(sqlitedb.Options{Path: path, Migrations: fstest.MapFS{"0001_floor.sql": {Data: []byte(floorSchema)}}})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var (
		workers sync.WaitGroup
		done    atomic.Int64
		began   = time.Now()
		errs    = make(chan error, o.Workers)
	)
	for range o.Workers {
		workers.Go(func() {
			for time.Since(began) < o.For {
				if err := db.Commit(ctx, insertPair); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(done.Load()) / time.Since(began).Seconds(), nil
	}
}

func insertPair(conn *sqlite.Conn) error {
	for _, sql := range []string{
		"INSERT INTO people (id, name, email) VALUES (printf('%016x', coalesce((SELECT max(seq) FROM people), 0)) || '-01234567890123456789', 'Ada Lovelace', 'ada@example.com')",
		"INSERT INTO mails (id, due) VALUES (printf('%016x', coalesce((SELECT max(seq) FROM mails), 0)) || '-01234567890123456789.sign-up.1', unixepoch())",
	} {
		if _, err := conn.Prep(sql).Step(); err != nil {
			return err
		}
	}
	return nil
}

// diskSyncs is how often in a second 4 KiB can be written and waited for.
func diskSyncs(o Options, path string) (float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	page := make([]byte, 4096)
	n, began := 0, time.Now()
	for ; time.Since(began) < o.For/4; n++ {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
