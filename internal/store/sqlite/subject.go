package sqlite

import (
	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// subject is what a mail is owed to: a sign-up, or a request to sign in. It is
// there while it is not erased.
type subject struct {
	purpose     onboarding.Purpose // of the mail
	seq         int64
	id          string
	fingerprint address.Fingerprint // zero for a sign-up of an older program
	locale      string
	muted       string
	budget      onboarding.Budget // of the mail; "" for none
	email       string            // the sign-up's, or the account's that asked to sign in; "" without one
	confirmed   bool              // a sign-up that is an account
	redeemedBy  string            // the session that was opened; "" for none
	tries       int64
}

// subjectOf loads what a mail is owed to; nil if it is not there.
func (t *tx) subjectOf(id onboarding.MailID) (*subject, error) {
	who, purpose, _, err := id.Parse()
	if err != nil {
		return nil, nil // no mail has such an id
	}
	return t.subject(who, purpose)
}

func (t *tx) subject(id string, purpose onboarding.Purpose) (*subject, error) {
	if purpose == onboarding.SignIn {
		return t.signIn(id)
	}
	s := &subject{purpose: purpose, id: id}
	if purpose == onboarding.SignUp {
		s.budget = onboarding.BudgetSignUp
	}
	found, err := query(t.conn, sqlSignUp, func(r *row) error {
		s.seq, s.fingerprint, s.locale, s.muted, s.email = r.int(), r.short(), r.text(), r.text(), r.text()
		s.confirmed, s.redeemedBy, s.tries = signup.Status(r.text()) == signup.Confirmed, r.text(), r.int()
		return nil
	}, id)
	if err != nil || !found {
		return nil, err
	}
	return s, nil
}

func (t *tx) signIn(id string) (*subject, error) {
	s := &subject{purpose: onboarding.SignIn, id: id}
	found, err := query(t.conn, sqlSignIn, func(r *row) error {
		s.seq, s.fingerprint, s.locale, s.muted, s.email = r.int(), r.short(), r.text(), r.text(), r.text()
		s.budget, s.redeemedBy, s.tries = onboarding.Budget(r.text()), r.text(), r.int()
		return nil
	}, id)
	if err != nil || !found {
		return nil, err
	}
	return s, nil
}

const (
	sqlSignUp = `SELECT seq, fingerprint, locale, muted, email, status, redeemed_by, tries
		FROM signups WHERE id = ? AND status <> 'erased'`
	sqlSignIn = `SELECT s.seq, s.fingerprint, s.locale, s.muted, a.email, s.budget, s.redeemed_by, s.tries
		FROM signins AS s LEFT JOIN signups AS a ON a.fingerprint = s.fingerprint AND a.status = 'confirmed'
		WHERE s.id = ?`
	sqlAccountOf = "SELECT seq FROM signups WHERE " + sqlAccount
)

// account is the number of the sign-up that has claimed an address; 0 if none
// has.
func (t *tx) account(f address.Fingerprint) (int64, error) {
	seq, _, err := one(t.conn, sqlAccountOf, f[:])
	return seq, err
}
