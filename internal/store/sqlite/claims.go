package sqlite

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/address"
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
		s, err := t.subjectOf(m.id)
		if err != nil {
			return err
		}
		if err := t.readdress(m, s); err != nil {
			return err
		}
		if !m.claimedBy(c) {
			if err := t.claim(m, s, c); err != nil {
				return err
			}
		}
		held, err = t.held(m, s, c)
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
	if !m.heldBy(c) {
		return false
	}
	switch m.state {
	case onboarding.Sending, onboarding.Expired, onboarding.Failed, onboarding.Suppressed:
		return true
	case onboarding.Cancelled:
		return !m.calledOff
	}
	return false
}

// claim takes the mail, or ends it.
func (t *tx) claim(m *mail, s *subject, c onboarding.Claim) error {
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
	if err := t.take(m, s); err != nil {
		return err
	}
	return t.save(m)
}

// take makes a mail its claimer's, unless it must not be sent: it has expired,
// or is poison, or nobody is there to get it, or whoever is must not get it.
func (t *tx) take(m *mail, s *subject) error {
	switch {
	case m.expiresAt <= t.now:
		m.end(onboarding.Expired, t.now, m.expiredText())
		return nil
	case m.claims >= int64(t.policy.MaxClaims):
		m.end(onboarding.Failed, t.now, fmt.Sprintf("poison: claimed %d times without an outcome", m.claims))
		return nil
	case s == nil || s.email == "":
		m.end(onboarding.Cancelled, t.now, "there is nobody to send it to")
		return nil
	case s.muted != "":
		m.end(onboarding.Suppressed, t.now, s.muted)
		return nil
	}
	over, err := t.overBudget(m, s)
	if err != nil {
		return err
	}
	if over {
		m.end(onboarding.Suppressed, t.now, overBudgetText)
		return nil
	}
	if err := t.chooseVariant(m, s); err != nil {
		return err
	}
	m.claims++
	m.state, m.at = onboarding.Sending, optional(t.now)
	return nil
}

func (t *tx) chooseVariant(m *mail, s *subject) error {
	if m.variant != "" {
		return nil
	}
	registered := false
	if s.purpose == onboarding.SignUp && !s.fingerprint.IsZero() {
		account, err := t.account(s.fingerprint)
		if err != nil {
			return err
		}
		registered = account != 0
	}
	var err error
	if m.variant, err = onboarding.ChooseVariant(s.purpose, registered); err != nil {
		return err
	}
	return t.readdress(m, s)
}

// readdress sends a mail that says that there is an account to that account: the
// sign-up may spell the local part differently, and where that matters (RFC 5321
// section 2.4) its address is somebody else's.
func (t *tx) readdress(m *mail, s *subject) error {
	if s == nil || m.variant != onboarding.AlreadyRegistered {
		return nil
	}
	account, err := person(t.conn, sqlAccount, s.fingerprint[:])
	if err != nil {
		return fmt.Errorf("read account: %w", err)
	}
	s.email = ""
	if account != nil {
		s.email = account.Address.Typed()
	}
	return nil
}

// held tells the holder what it has.
func (t *tx) held(m *mail, s *subject, c onboarding.Claim) (onboarding.Held, error) {
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
	if s == nil || s.email == "" {
		return h, onboarding.ErrRefused // erased
	}
	to, err := address.Parse(s.email)
	if err != nil {
		return h, fmt.Errorf("read stored address: %w", err)
	}
	h.To, h.Locale = to.Sendable(), s.locale
	return h, nil
}

// Committing implements [onboarding.Claims].
func (s *Store) Committing(ctx context.Context, c onboarding.Claim, r onboarding.Rendered) error {
	suppressed := false
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
		suppressed, err = t.commit(m, r)
		return err
	})
	if err == nil && suppressed {
		err = onboarding.ErrRefused
	}
	if err != nil {
		return fmt.Errorf("commit mail: %w", err)
	}
	return nil
}

// commit takes a mail over the point of no return, or ends it when the budget
// was used up since its claim.
func (t *tx) commit(m *mail, r onboarding.Rendered) (suppressed bool, err error) {
	s, err := t.subjectOf(m.id)
	if err != nil {
		return false, err
	}
	suppressed, err = t.overBudget(m, s)
	if err != nil {
		return false, err
	}
	if suppressed {
		m.free()
		m.end(onboarding.Suppressed, t.now, overBudgetText)
		return true, t.save(m)
	}
	if err := t.pass(m, s, r); err != nil {
		return false, err
	}
	return false, t.save(m)
}

// pass takes a mail over the point of no return.
func (t *tx) pass(m *mail, s *subject, r onboarding.Rendered) error {
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
	return t.charge(m, s)
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
