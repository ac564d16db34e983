package sqlite

import (
	"context"
	"fmt"

	"bellhop/internal/address"
	"bellhop/internal/crashpoint"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// Mint implements [signup.Redeemer].
func (s *Store) Mint(ctx context.Context, id onboarding.MailID) (found signup.Mint, err error) {
	err = s.look(ctx, func(t *tx) (err error) {
		found, err = t.mint(id)
		return err
	})
	if err != nil {
		return signup.Mint{}, fmt.Errorf("read a mail's mint: %w", unavailable(err))
	}
	return found, nil
}

func (t *tx) mint(id onboarding.MailID) (signup.Mint, error) {
	s, err := t.redeemable(id)
	if err != nil {
		return signup.Mint{}, err
	}
	m, err := t.mail(id)
	if err != nil {
		return signup.Mint{}, err
	}
	if m == nil || m.commits == 0 {
		return signup.Mint{}, signup.ErrLinkDead
	}
	if err := t.readdress(m, s); err != nil {
		return signup.Mint{}, err
	}
	if s.email == "" {
		return signup.Mint{}, signup.ErrLinkDead
	}
	found := t.mintOf(m)
	found.Locale, found.Used = s.locale, s.redeemedBy != ""
	if found.Address, err = address.Parse(s.email); err != nil || found.Used {
		return found, err
	}
	return found, t.opens(m, s)
}

// opens refuses the mail of a sign-up that went to another spelling of its
// address than the account's. One that says that there is an account went to
// that.
func (t *tx) opens(m *mail, s *subject) error {
	if s.purpose != onboarding.SignUp || m.variant == onboarding.AlreadyRegistered || s.fingerprint.IsZero() {
		return nil
	}
	account, err := person(t.conn, sqlAccount, s.fingerprint[:])
	if err != nil || account == nil {
		return err
	}
	to, err := address.Parse(s.email)
	if err != nil {
		return fmt.Errorf("read stored address: %w", err)
	}
	if to.Sendable() != account.Address.Sendable() {
		return signup.ErrLinkDead
	}
	return nil
}

func (t *tx) mintOf(m *mail) signup.Mint {
	return signup.Mint{Mail: m.id, Number: int(m.mint), Variant: m.variant, Age: since(t.now, m.mintedAt)}
}

// redeemable loads the subject of a mail that carries a link.
func (t *tx) redeemable(id onboarding.MailID) (*subject, error) {
	who, purpose, err := signup.Redeemable(id)
	if err != nil {
		return nil, err
	}
	s, err := t.subject(who, purpose)
	if err == nil && s == nil {
		err = signup.ErrLinkDead
	}
	return s, err
}

// Try implements [signup.Redeemer].
func (s *Store) Try(ctx context.Context, subject string, most int) (mints []signup.Mint, err error) {
	err = s.commit(ctx, func(t *tx) (err error) {
		mints, err = t.try(subject, most)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("try a code: %w", unavailable(err))
	}
	return mints, nil
}

func (t *tx) try(id string, most int) ([]signup.Mint, error) {
	s, err := t.subject(id, onboarding.SignUp)
	count := sqlTrySignUp
	if err == nil && s == nil {
		s, err = t.signIn(id)
		count = sqlTrySignIn
	}
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, signup.ErrNotFound
	}
	if s.tries >= int64(most) {
		return nil, signup.ErrTries
	}
	if _, err := t.exec(count, s.seq); err != nil {
		return nil, err
	}
	anothers, err := t.anothers(s)
	if err != nil || anothers || s.redeemedBy != "" {
		return nil, err
	}
	return t.mints(s)
}

const (
	sqlTrySignUp = "UPDATE signups SET tries = tries + 1 WHERE seq = ?"
	sqlTrySignIn = "UPDATE signins SET tries = tries + 1 WHERE seq = ?"
)

// mints are the latest ones of a subject's mails with a link.
func (t *tx) mints(s *subject) (mints []signup.Mint, err error) {
	mails, err := t.mails(sqlOfSubject, s.id, s.id)
	for _, m := range mails {
		_, purpose, _, err := m.id.Parse()
		if err != nil {
			return nil, err
		}
		if purpose == s.purpose && m.commits > 0 {
			mints = append(mints, t.mintOf(m))
		}
	}
	return mints, err
}

// anothers tells whether a sign-up's address is another one's account.
func (t *tx) anothers(s *subject) (bool, error) {
	if s.purpose != onboarding.SignUp || s.fingerprint.IsZero() {
		return false, nil
	}
	account, err := t.account(s.fingerprint)
	return account != 0 && account != s.seq, err
}

// Redeem implements [signup.Redeemer].
func (s *Store) Redeem(ctx context.Context, r signup.Redemption) (done signup.Redeemed, err error) {
	err = s.commit(ctx, func(t *tx) (err error) {
		done, err = t.redeem(r)
		crashpoint.Here(crashpoint.Redeeming)
		return err
	})
	if err != nil {
		return signup.Redeemed{}, fmt.Errorf("redeem: %w", unavailable(err))
	}
	crashpoint.Here(crashpoint.Redeemed)
	return done, nil
}

func (t *tx) redeem(r signup.Redemption) (signup.Redeemed, error) {
	s, err := t.redeemable(r.Mail)
	if err != nil {
		return signup.Redeemed{}, err
	}
	repeated := s.redeemedBy == r.Session.ID
	switch {
	case repeated && s.confirmed:
		return t.redeemed(s.seq, true)
	case s.redeemedBy != "" && !repeated:
		return signup.Redeemed{}, signup.ErrUsed
	case s.fingerprint.IsZero():
		s.fingerprint = r.Fingerprint
	}
	account, err := t.account(s.fingerprint)
	if err != nil {
		return signup.Redeemed{}, err
	}
	if repeated {
		return t.redeemed(account, false)
	}
	if err := t.works(r, s, account); err != nil {
		return signup.Redeemed{}, err
	}
	return t.use(r, s, account)
}

// works tells whether what is redeemed is the latest mint of its mail, still in
// its time, and of use to whoever has it.
func (t *tx) works(r signup.Redemption, s *subject, account int64) error {
	m, err := t.mail(r.Mail)
	switch {
	case err != nil:
		return err
	case m == nil || m.commits == 0 || m.mint != int64(r.Number) || t.now-m.mintedAt >= ms(r.Within):
		return signup.ErrLinkDead
	case s.purpose == onboarding.SignIn && account == 0:
		return signup.ErrLinkDead
	case s.purpose == onboarding.SignUp && account != 0 && r.ByCode:
		return signup.ErrLinkDead
	case s.fingerprint.IsZero():
		return fmt.Errorf("sign-up %s has no fingerprint: give that of its address", s.id)
	}
	return t.opens(m, s)
}

// use makes the subject used, and what it is redeemed for.
func (t *tx) use(r signup.Redemption, s *subject, account int64) (signup.Redeemed, error) {
	var err error
	confirmed := false
	switch {
	case s.purpose == onboarding.SignIn:
		_, err = t.exec("UPDATE signins SET redeemed_at = ?, redeemed_by = ? WHERE seq = ?", t.now, r.Session.ID, s.seq)
	case account != 0:
		_, err = t.exec(sqlDiscard, s.fingerprint[:], t.now, r.Session.ID, s.seq)
	default:
		account, confirmed = s.seq, true
		err = t.confirm(r, s)
	}
	if err != nil {
		return signup.Redeemed{}, err
	}
	if err := t.openSession(r.Session, account); err != nil {
		return signup.Redeemed{}, err
	}
	return t.redeemed(account, confirmed)
}

const (
	sqlDiscard = "UPDATE signups SET first = '', last = '', fingerprint = ?, redeemed_at = ?, redeemed_by = ? WHERE seq = ?"
	sqlConfirm = "UPDATE signups SET status = 'confirmed', confirmed = ?, fingerprint = ?, redeemed_at = ?, redeemed_by = ? WHERE seq = ?"
)

// confirm makes a sign-up the account of its address.
func (t *tx) confirm(r signup.Redemption, s *subject) error {
	_, err := t.exec(sqlConfirm, t.now/1000, s.fingerprint[:], t.now, r.Session.ID, s.seq)
	if err != nil {
		return err
	}
	if _, err := t.cancel(s.id, "the address is confirmed"); err != nil {
		return err
	}
	return t.owe(onboarding.Owed{ID: onboarding.NewMailID(s.id, onboarding.Welcome, 1), Expiry: r.Welcome})
}

// redeemed tells what came of it. An account that is gone has taken along what
// could be redeemed for it.
func (t *tx) redeemed(account int64, confirmed bool) (signup.Redeemed, error) {
	p, err := person(t.conn, "seq = ?", account)
	if err != nil {
		return signup.Redeemed{}, err
	}
	if p == nil {
		return signup.Redeemed{}, signup.ErrLinkDead
	}
	return signup.Redeemed{Account: *p, Confirmed: confirmed}, nil
}

func (t *tx) openSession(s signup.NewSession, account int64) error {
	ends := t.now + ms(s.Life)
	_, err := t.exec(`INSERT INTO sessions (id, account, kind, hash, opened, seen, idle, ends, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.ID, account, string(s.Kind), s.Hash[:], t.now, t.now, ms(s.Idle), ends, min(ends, t.now+ms(s.Idle)))
	return err
}
