package sqlite

import (
	"context"
	"fmt"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// Progress implements [signup.Store].
func (s *Store) Progress(ctx context.Context, id string) (p signup.Progress, err error) {
	err = s.look(ctx, func(t *tx) (err error) {
		p, err = t.progress(id)
		return err
	})
	if err != nil {
		return signup.Progress{}, fmt.Errorf("read how a mail is getting on: %w", unavailable(err))
	}
	return s.withServer(p), nil
}

// withServer adds what is known of the mail server.
func (s *Store) withServer(p signup.Progress) signup.Progress {
	p.Delayed = p.Delayed || since(s.now().UnixMilli(), s.away.Load()) < signup.AwayFor
	return p
}

// heardOf keeps when the mail server was away. Only this process calls it, and
// does so again soon after a start.
func (s *Store) heardOf(r onboarding.Result) {
	switch {
	case r.Away:
		s.away.Store(s.now().UnixMilli())
	case r.Answered():
		s.away.Store(0)
	}
}

// progress tells of the mail of a sign-up with the highest step.
func (t *tx) progress(id string) (signup.Progress, error) {
	_, found, err := one(t.conn, sqlSignUpNumber, id)
	if err != nil {
		return signup.Progress{}, err
	}
	if !found {
		return signup.Progress{}, signup.ErrNotFound
	}
	p := signup.Progress{State: onboarding.Purged}
	var created int64
	_, err = query(t.conn, sqlProgress, func(r *row) error {
		_, purpose, step, err := onboarding.MailID(r.text()).Parse()
		if err != nil || purpose != onboarding.SignUp || step <= p.Step {
			return err
		}
		p = signup.Progress{State: onboarding.State(r.text()), Step: step}
		created = r.int()
		p.Age = since(t.now, created)
		return nil
	}, id, id)
	if err != nil {
		return signup.Progress{}, err
	}
	_, p.Delayed, err = one(t.conn, sqlWaitsBefore, string(onboarding.SignUp.Lane()), created)
	return p, err
}

const (
	sqlSignUpNumber = "SELECT seq FROM signups WHERE id = ?"
	sqlWaitsBefore  = "SELECT 1 FROM mails WHERE state IN ('due', 'queued') AND lane = ? AND at < ? LIMIT 1"
	sqlProgress     = "SELECT id, state, created_at FROM mails WHERE " + sqlOfSubject
)

// Resend implements [signup.Store].
func (s *Store) Resend(ctx context.Context, r signup.Resend) (p signup.Progress, made bool, err error) {
	err = s.commit(ctx, func(t *tx) (err error) {
		p, made, err = t.resend(r)
		return err
	})
	if err != nil {
		return signup.Progress{}, false, fmt.Errorf("owe one more mail: %w", unavailable(err))
	}
	return s.withServer(p), made, nil
}

func (t *tx) resend(r signup.Resend) (p signup.Progress, made bool, err error) {
	p, err = t.progress(r.SignUp)
	if err != nil || p.Step >= r.Most || p.Step > 0 && p.Age < r.After {
		return p, false, err
	}
	id := onboarding.NewMailID(r.SignUp, onboarding.SignUp, p.Step+1)
	if err := t.owe(onboarding.Owed{ID: id, Expiry: r.Expiry}); err != nil {
		return signup.Progress{}, false, err
	}
	p, err = t.progress(r.SignUp)
	return p, true, err
}

// Ask implements [signup.Store].
func (s *Store) Ask(ctx context.Context, r signup.SignInRequest) error {
	err := s.commit(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO signins (id, fingerprint, budget, locale, muted, asked) VALUES (?, ?, ?, ?, ?, ?)`,
			r.ID, r.Fingerprint[:], string(r.Budget), r.Locale, r.Muted, t.now)
		if err != nil {
			return err
		}
		return t.owe(r.Mail)
	})
	if err != nil {
		return fmt.Errorf("store request to sign in: %w", unavailable(err))
	}
	return nil
}
