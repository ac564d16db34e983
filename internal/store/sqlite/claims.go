package sqlite

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
)

// Claim implements [onboarding.Claims]. It does not wait for the disk: a claim
// that is lost in a power cut leaves the mail where recovery would have put it.
// It does survive the end of the process, or a mail that kills its process
// would not be found out by the number of its claims (C1.5).
func (s *Store) Claim(ctx context.Context, c onboarding.Claim) (held onboarding.Held, err error) {
	err = s.commitUnsynced(ctx, func(t *tx) error {
		m, err := t.mail(c.Mail)
		if err != nil {
			return err
		}
		if m == nil || m.gen != c.Gen {
			return onboarding.ErrRefused
		}
		if !m.claimedBy(c) {
			if err := t.claim(m, c); err != nil {
				return err
			}
		}
		held, err = t.held(m, c)
		return err
	})
	if err != nil {
		return onboarding.Held{}, fmt.Errorf("claim mail: %w", err)
	}
	return held, nil
}

// claimedBy tells whether this very claim was made before and nothing came
// after it.
func (m *mail) claimedBy(c onboarding.Claim) bool {
	return m.heldBy(c) && (m.state == onboarding.Sending || m.state == onboarding.Expired || m.state == onboarding.Failed)
}

// claim takes the mail, or ends it when it has expired or is poison.
func (t *tx) claim(m *mail, c onboarding.Claim) error {
	switch m.state {
	case onboarding.Queued:
		t.arrived(m.lane, int64(m.at))
	case onboarding.Due:
		if int64(m.at) > t.now {
			return onboarding.ErrRefused
		}
	default:
		return onboarding.ErrRefused
	}
	m.holder, m.op = c.Holder, c.Op
	switch {
	case m.expiresAt <= t.now:
		m.end(onboarding.Expired, t.now, m.expiredText())
	case m.claims >= int64(t.policy.MaxClaims):
		m.end(onboarding.Failed, t.now, fmt.Sprintf("poison: claimed %d times without an outcome", m.claims))
	default:
		if err := t.chooseVariant(m); err != nil {
			return err
		}
		m.claims++
		m.state, m.at = onboarding.Sending, optional(t.now)
	}
	return t.save(m)
}

func (t *tx) chooseVariant(m *mail) (err error) {
	if m.variant != "" {
		return nil
	}
	_, purpose, _, err := m.id.Parse()
	if err != nil {
		return err
	}
	m.variant, err = onboarding.ChooseVariant(purpose, false)
	return err
}

// held tells the holder what it has. Suppression and erasure are read in the
// claim's own step.
func (t *tx) held(m *mail, c onboarding.Claim) (onboarding.Held, error) {
	h := onboarding.Held{
		Claim:     c,
		State:     m.state,
		Variant:   m.variant,
		Created:   time.UnixMilli(m.created),
		ExpiresIn: since(m.expiresAt, t.now),
		Attempts:  int(m.attempts),
		Claims:    int(m.claims),
		Mint:      int(m.mint),
		Copy:      m.doubt,
		BodyHash:  m.bodyHash,
	}
	if m.state != onboarding.Sending {
		return h, nil
	}
	var err error
	h.To, err = t.sendable(m.id.Subject())
	if err == nil && h.To == "" {
		err = onboarding.ErrRefused // erased
	}
	return h, err
}

// Committing implements [onboarding.Claims].
func (s *Store) Committing(ctx context.Context, c onboarding.Claim, r onboarding.Rendered) error {
	err := s.commit(ctx, func(t *tx) error {
		m, err := t.mail(c.Mail)
		switch {
		case err != nil:
			return err
		case m == nil || !m.heldBy(c) || m.calledOff:
			return onboarding.ErrRefused
		case m.state == onboarding.Committing:
			return nil // made before
		case m.state != onboarding.Sending:
			return onboarding.ErrRefused
		}
		return t.commit(m, r)
	})
	if err != nil {
		return fmt.Errorf("commit mail: %w", err)
	}
	return nil
}

func (t *tx) commit(m *mail, r onboarding.Rendered) error {
	t.pass(m, r)
	return t.save(m)
}

// pass takes a mail over the point of no return.
func (t *tx) pass(m *mail, r onboarding.Rendered) {
	if m.doubt {
		m.copies++
		t.counts[copies]++
		if m.bodyHash != r.BodyHash {
			t.counts[differing]++
		}
	}
	m.commits++
	m.state = onboarding.Committing
	m.mint, m.mintedAt, m.bodyHash = int64(r.Mint), t.now, r.BodyHash
}

// Check implements [onboarding.Claims]. It asks the writer, which knows of
// every cancellation and recovery before anyone else.
func (s *Store) Check(ctx context.Context, c onboarding.Claim) error {
	err := s.ride(ctx, func(t *tx) error {
		m, err := t.mail(c.Mail)
		if err != nil {
			return err
		}
		if m == nil || !m.heldBy(c) || m.calledOff || m.state != onboarding.Committing {
			return onboarding.ErrRefused
		}
		beat, found, err := one(t.conn, "SELECT beat FROM incarnations WHERE id = ?", string(c.Holder))
		if err != nil {
			return err
		}
		if !found || !t.fresh(beat) {
			return onboarding.ErrStale
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("check claim: %w", err)
	}
	return nil
}
