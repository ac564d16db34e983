package sqlite

import (
	"context"
	"fmt"

	"bellhop/internal/signup"

	"zombiezen.com/go/sqlite"
)

const (
	selectSession = `SELECT s.id, a.id, s.kind, s.number, s.hash, s.opened, s.seen, s.ends
		FROM sessions AS s JOIN signups AS a ON a.seq = s.account WHERE `
	sqlSession   = "s.id = ? AND s.until > ?"
	sqlSessionIn = "s.account = (SELECT seq FROM signups WHERE id = ?) AND s.until > ? ORDER BY s.seq DESC"
)

// sessions returns those a condition selects.
func sessions(conn *sqlite.Conn, where string, args ...any) (found []signup.Session, err error) {
	_, err = query(conn, selectSession+where, func(r *row) error {
		found = append(found, signup.Session{
			ID: r.text(), Account: r.text(), Kind: signup.SessionKind(r.text()), Number: int(r.int()), Hash: r.hash(),
			Opened: at(r.int()), Seen: at(r.int()), Ends: at(r.int()),
		})
		return nil
	}, args...)
	return found, err
}

// session returns one that is there, or [signup.ErrNotFound].
func (t *tx) session(id string) (signup.Session, error) {
	found, err := sessions(t.conn, sqlSession, id, t.now)
	if err == nil && len(found) == 0 {
		err = signup.ErrNotFound
	}
	if err != nil {
		return signup.Session{}, err
	}
	return found[0], nil
}

// Session implements [signup.SessionStore].
func (s *Store) Session(ctx context.Context, id string) (found signup.Session, of signup.Person, err error) {
	err = s.look(ctx, func(t *tx) error {
		if found, err = t.session(id); err != nil {
			return err
		}
		p, err := person(t.conn, sqlPersonThere, found.Account)
		if err == nil && p == nil {
			err = signup.ErrNotFound
		}
		if err == nil {
			of = *p
		}
		return err
	})
	if err != nil {
		return signup.Session{}, signup.Person{}, fmt.Errorf("read session: %w", unavailable(err))
	}
	return found, of, nil
}

// Seen implements [signup.SessionStore]. It does not ask for the disk, and
// nearly always it only looks: the writer has better things to do than to find
// that a minute is not over.
func (s *Store) Seen(ctx context.Context, id string) error {
	due := false
	err := s.look(ctx, func(t *tx) (err error) {
		due, err = query(t.conn, sqlSeenDue, nil, id, t.now-ms(signup.SeenEvery), t.now)
		return err
	})
	if err == nil && due {
		err = s.commitUnsynced(ctx, func(t *tx) error {
			_, err := t.exec(sqlSeen, id, t.now-ms(signup.SeenEvery), t.now)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("mark session as used: %w", unavailable(err))
	}
	return nil
}

const (
	sqlSeenDue = "SELECT 1 FROM sessions WHERE id = ?1 AND seen < ?2 AND until > ?3"
	sqlSeen    = "UPDATE sessions SET seen = ?3, until = min(ends, ?3 + idle) WHERE id = ?1 AND seen < ?2 AND until > ?3"
)

// Rotate implements [signup.SessionStore].
func (s *Store) Rotate(ctx context.Context, r signup.Rotation) (rotated signup.Session, err error) {
	reused := false
	err = s.commit(ctx, func(t *tx) (err error) {
		rotated, reused, err = t.rotate(r)
		return err
	})
	if err == nil && reused {
		err = signup.ErrReused
	}
	if err != nil {
		return signup.Session{}, fmt.Errorf("rotate session: %w", unavailable(err))
	}
	return rotated, nil
}

// rotate also ends a session whose secret was used by two. That is no error
// here, or it would be undone.
func (t *tx) rotate(r signup.Rotation) (s signup.Session, reused bool, err error) {
	s, err = t.session(r.ID)
	if err != nil {
		return s, false, err
	}
	var before [32]byte
	var rotatedAt int64
	_, err = query(t.conn, "SELECT before, rotated_at FROM sessions WHERE id = ?", func(r *row) error {
		before, rotatedAt = r.hash(), r.int()
		return nil
	}, r.ID)
	switch {
	case err != nil:
		return s, false, err
	case s.Kind != signup.API || r.Number < 0 || r.Number > s.Number,
		r.Number == s.Number && r.Hash != s.Hash,
		r.Number == s.Number-1 && r.Hash != before:
		return s, false, signup.ErrNotFound
	case r.Number == s.Number:
		if _, err := t.exec(sqlRotate, r.Next[:], t.now, r.ID); err != nil {
			return s, false, err
		}
		s, err = t.session(r.ID)
		return s, false, err
	case r.Number == s.Number-1 && max(t.now-rotatedAt, rotatedAt-t.now) <= ms(r.Grace):
		return s, false, nil
	}
	_, err = t.exec("DELETE FROM sessions WHERE id = ?", r.ID)
	return s, true, err
}

const sqlRotate = `UPDATE sessions SET number = number + 1, before = hash, hash = ?1, rotated_at = ?2,
	seen = ?2, until = min(ends, ?2 + idle) WHERE id = ?3`

// Sessions implements [signup.SessionStore].
func (s *Store) Sessions(ctx context.Context, account string) (found []signup.Session, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) (err error) {
		found, err = sessions(conn, sqlSessionIn, account, s.now().UnixMilli())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", unavailable(err))
	}
	return found, nil
}

// EndSession implements [signup.SessionStore].
func (s *Store) EndSession(ctx context.Context, account, id string) error {
	err := s.commit(ctx, func(t *tx) error {
		n, err := t.exec(sqlEndSession, id, account, t.now)
		if err == nil && n == 0 {
			err = signup.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("end session: %w", unavailable(err))
	}
	return nil
}

// EndSessions implements [signup.SessionStore]. Those whose time is over are
// left to a purge.
func (s *Store) EndSessions(ctx context.Context, account string) (n int, err error) {
	err = s.commit(ctx, func(t *tx) (err error) {
		n, err = t.exec(sqlEndSessions, account, t.now)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", unavailable(err))
	}
	return n, nil
}

const (
	sqlEndSession  = "DELETE FROM sessions WHERE id = ? AND account = (SELECT seq FROM signups WHERE id = ?) AND until > ?"
	sqlEndSessions = "DELETE FROM sessions WHERE account = (SELECT seq FROM signups WHERE id = ?) AND until > ?"
)
