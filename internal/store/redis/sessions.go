package redis

import (
	"context"
	"encoding/hex"
	"fmt"

	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// Session implements [signup.SessionStore].
func (s *Store) Session(ctx context.Context, id string) (signup.Session, signup.Person, error) {
	found, of, err := s.session(ctx, id)
	if err != nil {
		return signup.Session{}, signup.Person{}, fmt.Errorf("read session: %w", err)
	}
	return found, of, nil
}

func (s *Store) session(ctx context.Context, id string) (found signup.Session, of signup.Person, err error) {
	v, err := s.run(ctx, s.steps.session, redisdb.Answered, id)
	if err != nil {
		return found, of, err
	}
	r := newReply(v)
	if !r.more() && r.err == nil {
		return found, of, signup.ErrNotFound
	}
	if found, err = r.list().session(); err != nil {
		return found, of, err
	}
	of, err = r.list().person()
	return found, of, err
}

func (r *reply) session() (signup.Session, error) {
	s := signup.Session{ID: r.text(), Account: r.text(), Kind: signup.SessionKind(r.text()), Number: int(r.int())}
	r.hex(s.Hash[:])
	s.Opened, s.Seen, s.Ends = r.time(), r.time(), r.time()
	return s, r.err
}

// sessions reads the rest of a reply, in which each value is a session.
func (r *reply) sessions() (found []signup.Session, err error) {
	for r.more() {
		s, err := r.list().session()
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, r.err
}

// Seen implements [signup.SessionStore]. A session that is not there is no
// error.
func (s *Store) Seen(ctx context.Context, id string) error {
	if _, err := s.run(ctx, s.steps.seen, redisdb.Answered, id, ms(signup.SeenEvery)); err != nil {
		return fmt.Errorf("mark session: %w", err)
	}
	return nil
}

// Rotate implements [signup.SessionStore]. It is a use of the session.
func (s *Store) Rotate(ctx context.Context, r signup.Rotation) (signup.Session, error) {
	rotated, err := s.rotate(ctx, r)
	if err != nil {
		return signup.Session{}, fmt.Errorf("rotate session: %w", err)
	}
	return rotated, nil
}

func (s *Store) rotate(ctx context.Context, r signup.Rotation) (signup.Session, error) {
	v, err := s.run(ctx, s.steps.rotate, redisdb.Replicated,
		r.ID, r.Number, hex.EncodeToString(r.Hash[:]), hex.EncodeToString(r.Next[:]), ms(r.Grace))
	if err != nil {
		return signup.Session{}, err
	}
	answer := newReply(v)
	switch word := answer.text(); word {
	case "ok":
		return answer.list().session()
	case "none":
		return signup.Session{}, signup.ErrNotFound
	case "reused":
		return signup.Session{}, signup.ErrReused
	default:
		return signup.Session{}, fmt.Errorf("%w: %s", errReply, word)
	}
}

// Sessions implements [signup.SessionStore].
func (s *Store) Sessions(ctx context.Context, account string) ([]signup.Session, error) {
	v, err := s.run(ctx, s.steps.sessions, redisdb.Answered, account)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	found, err := newReply(v).sessions()
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return found, nil
}

// EndSession implements [signup.SessionStore].
func (s *Store) EndSession(ctx context.Context, account, id string) error {
	ended, err := s.endSessions(ctx, account, id)
	if err == nil && ended == 0 {
		err = signup.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// EndSessions implements [signup.SessionStore].
func (s *Store) EndSessions(ctx context.Context, account string) (int, error) {
	ended, err := s.endSessions(ctx, account, "")
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return ended, nil
}

// endSessions ends one session of an account, or all if only is empty.
func (s *Store) endSessions(ctx context.Context, account, only string) (ended int, err error) {
	v, err := s.run(ctx, s.steps.endSessions, redisdb.Replicated, account, only)
	if err != nil {
		return 0, err
	}
	n, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("%w: %v", errReply, v)
	}
	return int(n), nil
}
