package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrSchema is returned by [OpenReader] for a file whose schema is not the one
// this program knows.
var ErrSchema = errors.New("the store was written by another version of bellhop")

// Reader looks at a store's file without owning it: beside the running process,
// or when none runs. It changes and recovers nothing. Methods may be called
// concurrently; they take turns.
type Reader struct {
	view

	mu   sync.Mutex   // held while conn is used
	conn *sqlite.Conn // nil after Close
}

// OpenReader opens the store's file for reading. Path and Policy are required
// of the options, Now is used; the others mean nothing here. A store whose
// mails belong elsewhere, or are not complete, is refused as by [Open].
func OpenReader(opts Options) (*Reader, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	conn, err := sqlite.OpenConn(opts.Path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, fmt.Errorf("open store for reading: %w", err)
	}
	r := &Reader{conn: conn}
	r.view = view{read: r.transaction, now: opts.Now, policy: opts.Policy}
	err = r.checkSchema()
	if err == nil {
		err = mayServe(conn)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store for reading: %w", err), conn.Close())
	}
	return r, nil
}

func (r *Reader) checkSchema() error {
	version, _, err := one(r.conn, "PRAGMA user_version")
	if err == nil && version != schemaVersion {
		err = fmt.Errorf("%w: it has schema version %d, this program knows %d", ErrSchema, version, schemaVersion)
	}
	return err
}

// schemaVersion is the number of the last file in schema.
const schemaVersion = 3

func (r *Reader) transaction(ctx context.Context, fn func(*sqlite.Conn) error) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return errors.New("the reader is closed")
	}
	r.conn.SetInterrupt(ctx.Done())
	defer r.conn.SetInterrupt(nil)
	defer sqlitex.Transaction(r.conn)(&err)
	return fn(r.conn)
}

// Close closes the file. Calling it twice is harmless.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return nil
	}
	conn := r.conn
	r.conn = nil
	return conn.Close()
}
