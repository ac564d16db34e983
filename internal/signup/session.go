package signup

import (
	"context"
	"crypto/subtle"
	"fmt"
)

// Session returns the browser session of that id whose secret has that hash,
// and its account, and marks it as used. [ErrNotFound] if there is none.
func (s *Service) Session(ctx context.Context, id string, hash [32]byte) (Session, Person, error) {
	session, account, err := s.store.Session(ctx, id)
	if err != nil {
		return Session{}, Person{}, fmt.Errorf("read session: %w", err)
	}
	if subtle.ConstantTimeCompare(session.Hash[:], hash[:]) != 1 || session.Kind != Browser {
		return Session{}, Person{}, fmt.Errorf("read session: %w", ErrNotFound)
	}
	s.seen(ctx, id)
	return session, account, nil
}

// SessionOf returns the session that an access token names, and its account, and
// marks it as used. [ErrNotFound] if it is not there any more, or another's.
func (s *Service) SessionOf(ctx context.Context, id, account string) (Session, Person, error) {
	session, person, err := s.store.Session(ctx, id)
	if err != nil {
		return Session{}, Person{}, fmt.Errorf("read session: %w", err)
	}
	if session.Account != account || session.Kind != API {
		return Session{}, Person{}, fmt.Errorf("read session: %w", ErrNotFound)
	}
	s.seen(ctx, id)
	return session, person, nil
}

// seen marks a session as used. When that fails it may end early, which is no
// reason to refuse it now.
func (s *Service) seen(ctx context.Context, id string) { _ = s.store.Seen(ctx, id) }

// Rotate exchanges the refresh token with that number and hash for the next one.
// Errors are those of [SessionStore].
func (s *Service) Rotate(ctx context.Context, id string, number int, hash, next [32]byte) (Session, error) {
	session, err := s.store.Rotate(ctx, Rotation{ID: id, Number: number, Hash: hash, Next: next, Grace: s.set.RefreshGrace})
	if err != nil {
		return Session{}, fmt.Errorf("exchange a refresh token: %w", err)
	}
	return session, nil
}

// Sessions lists an account's sessions, newest first.
func (s *Service) Sessions(ctx context.Context, account string) ([]Session, error) {
	sessions, err := s.store.Sessions(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return sessions, nil
}

// EndSession ends one session of an account. [ErrNotFound] if it has none of
// that id.
func (s *Service) EndSession(ctx context.Context, account, id string) error {
	if err := s.store.EndSession(ctx, account, id); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// EndSessions ends all sessions of an account, and returns how many there were.
func (s *Service) EndSessions(ctx context.Context, account string) (int, error) {
	n, err := s.store.EndSessions(ctx, account)
	if err != nil {
		return 0, fmt.Errorf("end all sessions: %w", err)
	}
	return n, nil
}
