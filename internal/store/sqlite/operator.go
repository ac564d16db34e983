package sqlite

import (
	"context"
	"fmt"

	"bellhop/internal/onboarding"
)

// Replay implements [onboarding.Operator].
func (s *Store) Replay(ctx context.Context, id onboarding.MailID) error {
	err := s.commit(ctx, func(t *tx) error {
		m, err := t.givenUp(id)
		if err != nil {
			return err
		}
		s, err := t.subjectOf(id)
		if err != nil {
			return err
		}
		if s == nil || s.email == "" {
			return fmt.Errorf("%w: there is nobody to send it to; the person was erased", onboarding.ErrWrongState)
		}
		m.free()
		m.attempts, m.claims, m.calledOff = 0, 0, false
		m.expiresAt = t.now + m.keeps
		m.toDue(t.now)
		return t.save(m)
	})
	if err != nil {
		return fmt.Errorf("replay mail: %w", err)
	}
	return nil
}

// Discard implements [onboarding.Operator].
func (s *Store) Discard(ctx context.Context, id onboarding.MailID) error {
	err := s.commit(ctx, func(t *tx) error {
		m, err := t.givenUp(id)
		if err != nil {
			return err
		}
		m.free()
		m.end(onboarding.Purged, t.now, m.reason)
		return t.save(m)
	})
	if err != nil {
		return fmt.Errorf("discard mail: %w", err)
	}
	return nil
}

// givenUp loads a failed, expired or unknown mail.
func (t *tx) givenUp(id onboarding.MailID) (*mail, error) {
	m, err := t.mail(id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, onboarding.ErrNoMail
	}
	switch m.state {
	case onboarding.Failed, onboarding.Expired, onboarding.Unknown:
		return m, nil
	}
	return nil, fmt.Errorf("%w: it is %s, not failed, expired or unknown", onboarding.ErrWrongState, m.state)
}

// Cancel implements [onboarding.Operator].
func (s *Store) Cancel(ctx context.Context, subject, reason string) (n int, err error) {
	err = s.commit(ctx, func(t *tx) (err error) {
		n, err = t.cancel(subject, reason)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("cancel mails: %w", err)
	}
	return n, nil
}

// A subject's mails lie together in the index of ids: "/" follows ".".
const sqlOfSubject = "id > ? || '.' AND id < ? || '/'"

func (t *tx) cancel(subject, reason string) (n int, err error) {
	mails, err := t.mails(sqlOfSubject, subject, subject)
	if err != nil {
		return 0, err
	}
	for _, m := range mails {
		switch m.state {
		case onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Unknown:
			m.free()
			m.end(onboarding.Cancelled, t.now, reason)
		case onboarding.Committing:
			if m.calledOff {
				continue
			}
			m.reason = reason
		default:
			continue
		}
		m.calledOff = true
		m.gen++
		if err := t.save(m); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
