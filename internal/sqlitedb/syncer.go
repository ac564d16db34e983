package sqlitedb

import (
	"fmt"
	"os"
	"time"

	"bellhop/internal/crashpoint"
)

// syncer waits for the disk on behalf of the groups that were committed, one
// at a time: while it does, the writer gathers the next.
type syncer struct {
	db *DB
	// turn holds the right to commit a group. The writer takes it, and who
	// needs it last gives it back: the writer, or the syncer after its sync.
	turn chan struct{}
	// groups are the callers of a committed group. It is closed by the writer
	// when it leaves.
	groups chan []*write
	log    *os.File // the write-ahead log; nil unless the durability is Full

	fdatasync func(*os.File) error // replaced by tests
}

// newSyncer opens the log, which stays the same file as long as the database
// is open. SQLite holds no locks on it that closing this one would drop.
func newSyncer(db *DB) (syncer, error) {
	s := syncer{db: db, turn: make(chan struct{}, 1), groups: make(chan []*write, 1), fdatasync: fdatasync}
	s.turn <- struct{}{}
	if db.opts.Durability != Full {
		return s, nil
	}
	log, err := os.OpenFile(db.opts.Path+"-wal", os.O_RDWR, 0)
	if err != nil {
		return s, fmt.Errorf("open the log to sync it: %w", err)
	}
	s.log = log
	return s, nil
}

// run syncs until the writer has left. A sync that fails is the last one.
func (s *syncer) run() {
	for callers := range s.groups {
		err := s.sync()
		if err != nil {
			s.db.failWith(err)
		}
		crashpoint.Here(crashpoint.Synced)
		s.turn <- struct{}{}
		for _, c := range callers {
			c.tell(err)
		}
	}
}

func (s *syncer) sync() error {
	began := time.Now()
	if err := s.fdatasync(s.log); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	if s.db.opts.AfterSync != nil {
		s.db.opts.AfterSync(time.Since(began))
	}
	return nil
}

func (s *syncer) close() error {
	if s.log == nil {
		return nil
	}
	return s.log.Close()
}

// failWith makes the database refuse everything from now on. The first error
// is the one that is kept.
func (db *DB) failWith(err error) {
	db.fail.Do(func() {
		db.failure = err
		close(db.failed)
	})
}

// failedWith returns why the database has failed, nil if it has not.
func (db *DB) failedWith() error {
	select {
	case <-db.failed:
		return db.failure
	default:
		return nil
	}
}
