package signup

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
)

// MailStatus is how the latest mail of a sign-up is getting on, as far as who
// asked for it may know. A mail that was kept back on purpose looks like one
// that was sent.
type MailStatus string

// The statuses of a mail.
const (
	// MailAccepted is going to be sent in a moment, or was.
	MailAccepted MailStatus = "accepted"
	// MailWaiting was refused for now, or the mail server is down: it is tried
	// again.
	MailWaiting MailStatus = "waiting"
	// MailHandedOver is with the mail server, as far as we know.
	MailHandedOver MailStatus = "handed-over"
	// MailGivenUp is not tried any more.
	MailGivenUp MailStatus = "given-up"
)

// Standing is what a sign-up's own browser is told. It depends on nothing but
// that sign-up, and holds no other time than how long to wait for another mail.
type Standing struct {
	Mail MailStatus
	// ResendIn is how long until one more mail can be asked for; 0 when it can,
	// or never can.
	ResendIn time.Duration
	// ResendsLeft is how many more mails there can be.
	ResendsLeft int
}

// settledAfter is how old a mail is before anything is said of it but that it was
// given up. A mail that is kept back is done with at once, and one that is sent
// when the mail server has taken it: nobody is to see the difference, which is
// whether the address had mails lately, or whose it is.
const settledAfter = 10 * time.Second

// Standing tells how the latest mail of a sign-up is getting on. [ErrNotFound]
// if there never was such a sign-up; an erased one is like any other.
func (s *Service) Standing(ctx context.Context, signUpID string) (Standing, error) {
	p, err := s.store.Progress(ctx, signUpID)
	if err != nil {
		return Standing{}, fmt.Errorf("read how a mail is getting on: %w", err)
	}
	return s.standing(p), nil
}

// Resend owes a sign-up one more mail, and returns how it stands then. Within
// the countdown, and when there were as many as there can be, nothing changes
// and the answer is the same. Errors are those of Standing.
func (s *Service) Resend(ctx context.Context, signUpID string) (Standing, error) {
	p, made, err := s.store.Resend(ctx, Resend{
		SignUp: signUpID, Expiry: s.set.Policy.ExpiryOf(onboarding.SignUp), After: s.set.ResendAfter, Most: s.set.MaxSteps,
	})
	if err != nil {
		return Standing{}, fmt.Errorf("owe one more mail: %w", err)
	}
	if made {
		s.set.Notify(onboarding.SignUp.Lane())
	}
	return s.standing(p), nil
}

func (s *Service) standing(p Progress) Standing {
	st := Standing{Mail: mailStatus(p), ResendsLeft: max(0, s.set.MaxSteps-p.Step)}
	if st.ResendsLeft > 0 {
		st.ResendIn = max(0, s.set.ResendAfter-p.Age)
	}
	return st
}

// mailStatus has a mail that was kept back, or called off, wait for as long as it
// would have had to.
func mailStatus(p Progress) MailStatus {
	waiting := false
	switch p.State {
	case onboarding.Failed, onboarding.Expired:
		return MailGivenUp
	case onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing:
		waiting = true
	case onboarding.Suppressed, onboarding.Cancelled:
		waiting = p.Delayed
	}
	switch {
	case p.Age < settledAfter:
		return MailAccepted
	case waiting:
		return MailWaiting
	}
	return MailHandedOver
}
