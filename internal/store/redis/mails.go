package redis

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// Progress implements [signup.Store].
func (s *Store) Progress(ctx context.Context, id string) (signup.Progress, error) {
	v, err := s.run(ctx, s.steps.progress, redisdb.Answered,
		id, string(onboarding.SignUp), string(onboarding.SignUp.Lane()), ms(signup.AwayFor))
	if err != nil {
		return signup.Progress{}, fmt.Errorf("read progress: %w", err)
	}
	r := newReply(v)
	p, err := r.progress()
	if err != nil {
		return signup.Progress{}, fmt.Errorf("read progress: %w", err)
	}
	return p, nil
}

// progress reads how a mail is getting on. A sign-up that is not there has
// nothing to tell.
func (r *reply) progress() (signup.Progress, error) {
	if !r.more() && r.err == nil {
		return signup.Progress{}, signup.ErrNotFound
	}
	p := signup.Progress{State: onboarding.State(r.text()), Delayed: r.bool(), Step: int(r.int()), Age: r.age()}
	return p, r.err
}

// Resend implements [signup.Store]. Made again, because the answer was lost, it
// finds the mail of the first time too young.
func (s *Store) Resend(ctx context.Context, re signup.Resend) (p signup.Progress, made bool, err error) {
	lane := onboarding.SignUp.Lane()
	v, err := s.run(ctx, s.steps.resend, redisdb.Replicated,
		re.SignUp, string(onboarding.SignUp), string(lane), ms(signup.AwayFor), ms(re.Expiry), ms(re.After), re.Most)
	if err != nil {
		return signup.Progress{}, false, fmt.Errorf("owe another mail: %w", err)
	}
	r := newReply(v)
	p, err = r.progress()
	if err != nil {
		return signup.Progress{}, false, fmt.Errorf("owe another mail: %w", err)
	}
	if made = r.bool(); made {
		s.tell(lane)
	}
	return p, made, r.err
}

// Ask implements [signup.Store].
func (s *Store) Ask(ctx context.Context, q signup.SignInRequest) error {
	args, err := appendOwed([]any{q.ID, asHex(q.Fingerprint), string(q.Budget), q.Locale, q.Muted}, q.Mail)
	if err == nil {
		_, err = s.run(ctx, s.steps.ask, redisdb.Replicated, args...)
	}
	if err != nil {
		return fmt.Errorf("store request to sign in: %w", err)
	}
	s.tell(onboarding.SignIn.Lane())
	return nil
}

// age reads how long ago something was; nothing was in the future, whatever the
// clock has done since.
func (r *reply) age() time.Duration { return max(0, time.Duration(r.int())*time.Millisecond) }
