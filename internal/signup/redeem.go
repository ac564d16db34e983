package signup

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

// Invitation is what a link in a mail invites to.
type Invitation struct {
	Mail onboarding.MailID
	// Subject is what the mail is owed to: a sign-up, or a request to sign in.
	Subject string
	// Address is whom the mail is for.
	Address address.Address
	// Locale is the subject's.
	Locale string
	// Used tells that the subject was redeemed, by this link or another way.
	Used bool
	// Known tells that a sign-up's address has an account by now: the link signs
	// in to that.
	Known bool
	// First and Last are the names that the account would get which redeeming
	// makes, empty if it makes none. Whoever filled in the form typed them, and
	// that may be a stranger.
	First, Last string
}

// Look tells what a link of a purpose invites to. It changes nothing and
// promises nothing. [ErrLinkDead] for a link that does not work, or not for that
// purpose; one whose subject was redeemed is Used instead.
func (s *Service) Look(ctx context.Context, p onboarding.Purpose, token string) (Invitation, error) {
	m, err := s.mint(ctx, p, token)
	if err != nil {
		return Invitation{}, err
	}
	if !m.Used && m.Age >= s.set.Policy.ExpiryOf(p) {
		return Invitation{}, fmt.Errorf("look at a link: %w", ErrLinkDead)
	}
	v := Invitation{Mail: m.Mail, Subject: m.Mail.Subject(), Address: m.Address, Locale: m.Locale, Used: m.Used}
	if p == onboarding.SignUp && !m.Used {
		err = s.foresee(ctx, &v)
	}
	return v, err
}

// foresee fills in what the link of a sign-up would make. It asks the store
// again: the address may have become an account since the mail was sent.
func (s *Service) foresee(ctx context.Context, v *Invitation) error {
	same, err := s.store.People(ctx, v.Address.Fingerprint(s.set.Secret))
	if err != nil {
		return fmt.Errorf("look for an account: %w", err)
	}
	if v.Known = slices.ContainsFunc(same, func(p Person) bool { return p.Status == Confirmed }); v.Known {
		return nil
	}
	person, err := s.store.Person(ctx, v.Subject)
	if errors.Is(err, ErrNotFound) { // erased just now
		err = ErrLinkDead
	}
	if err != nil {
		return fmt.Errorf("read whom a link is for: %w", err)
	}
	v.First, v.Last = person.First, person.Last
	return nil
}

// mint is what a link stands for: the latest mint of its mail.
func (s *Service) mint(ctx context.Context, p onboarding.Purpose, token string) (Mint, error) {
	id, number, err := s.set.Links.Open(p, token)
	if err != nil {
		return Mint{}, fmt.Errorf("%w: %w", ErrLinkDead, err)
	}
	m, err := s.store.Mint(ctx, id)
	if err != nil {
		return Mint{}, fmt.Errorf("read what a link stands for: %w", err)
	}
	if m.Number != number && !m.Used {
		return Mint{}, fmt.Errorf("read what a link stands for: %w: a later one was sent", ErrLinkDead)
	}
	return m, nil
}

// Redeem exchanges a link of a purpose for a session, whose Idle and Life are
// filled in. Of any number of callers one succeeds, and so does its repeat under
// the same session id. [ErrLinkDead], [ErrUsed]. After [ErrUnavailable], which the
// store has said twice then, the link may have been used.
func (s *Service) Redeem(ctx context.Context, p onboarding.Purpose, token string, session NewSession) (Redeemed, error) {
	m, err := s.mint(ctx, p, token)
	if err != nil {
		return Redeemed{}, err
	}
	r := Redemption{Mail: m.Mail, Number: m.Number, Within: s.set.Policy.ExpiryOf(p), Session: session}
	return s.redeem(ctx, r, m.Address)
}

// redeem fills in what links and codes have in common.
func (s *Service) redeem(ctx context.Context, r Redemption, to address.Address) (Redeemed, error) {
	if !to.IsZero() {
		r.Fingerprint = to.Fingerprint(s.set.Secret)
	}
	r.Welcome = s.set.Policy.ExpiryOf(onboarding.Welcome)
	r.Session.Idle, r.Session.Life = s.set.SessionIdle, s.set.SessionLife
	redeemed, err := s.store.Redeem(ctx, r)
	if errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		// It may have happened, and only the answer be lost. Then nobody but this
		// session's opener can have it, and nobody has heard of that session.
		redeemed, err = s.store.Redeem(ctx, r)
	}
	if err != nil {
		return Redeemed{}, fmt.Errorf("redeem: %w", err)
	}
	if redeemed.Confirmed {
		s.set.Notify(onboarding.Welcome.Lane())
	}
	return redeemed, nil
}

// CodeError is why a code was refused. To [errors.Is] it is [ErrCode] and
// nothing else, so that no answer can differ by its cause.
type CodeError struct {
	// Cause is for tests and logs; nil for a code that is simply wrong.
	Cause error
}

// Error names the cause. It holds nothing that was typed.
func (e *CodeError) Error() string {
	if e.Cause == nil {
		return ErrCode.Error()
	}
	return ErrCode.Error() + ": " + e.Cause.Error()
}

// Unwrap returns ErrCode.
func (e *CodeError) Unwrap() error { return ErrCode }

var (
	errNoDigits  = errors.New("expected six digits")
	errNoSubject = errors.New("nothing of this browser waits for a code")
)

// RedeemCode exchanges a typed code for a session, as Redeem does with a link.
// The subjects are what this browser asked for itself, newest first: sign-ups,
// of which those for the same address as the newest are tried, or one request to
// sign in. Whatever is wrong with the code, the error is [ErrCode]. What cannot
// be a code costs no try.
func (s *Service) RedeemCode(ctx context.Context, p onboarding.Purpose, subjects []string, typed string, session NewSession) (Redeemed, error) {
	code, ok := sixDigits(typed)
	if !ok {
		return Redeemed{}, &CodeError{errNoDigits}
	}
	candidates, err := s.candidates(ctx, p, subjects)
	if err != nil {
		return Redeemed{}, err
	}
	refused := &CodeError{}
	if len(candidates) == 0 {
		refused.Cause = errNoSubject
	}
	for _, c := range candidates {
		m, err := s.try(ctx, c.subject, code)
		if err == nil && m != nil {
			var redeemed Redeemed
			r := Redemption{Mail: m.Mail, Number: m.Number, Within: s.set.Policy.CodeLife, ByCode: true, Session: session}
			if redeemed, err = s.redeem(ctx, r, c.address); err == nil {
				return redeemed, nil
			}
		}
		if err != nil && !refusesCode(err) {
			return Redeemed{}, err
		}
		refused.Cause = errors.Join(refused.Cause, err)
	}
	return Redeemed{}, refused
}

// refusesCode tells whether an error is about the code, and not about us.
func refusesCode(err error) bool {
	return errors.Is(err, ErrTries) || errors.Is(err, ErrUsed) || errors.Is(err, ErrLinkDead) || errors.Is(err, ErrNotFound)
}

// candidate is a subject that a code may be for. A request to sign in has no
// address.
type candidate struct {
	subject string
	address address.Address
}

// candidates are those subjects that are there, for the address of the first of
// them.
func (s *Service) candidates(ctx context.Context, p onboarding.Purpose, subjects []string) (all []candidate, err error) {
	for _, id := range subjects {
		if p != onboarding.SignUp {
			all = append(all, candidate{subject: id})
			continue
		}
		person, err := s.store.Person(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("read sign-up: %w", err)
		case len(all) == 0 || person.Address.Key() == all[0].address.Key():
			all = append(all, candidate{id, person.Address})
		}
	}
	return all, nil
}

// try counts a try of a code on a subject, and then looks for the mint it is
// of; nil if there is none.
func (s *Service) try(ctx context.Context, subject, code string) (found *Mint, err error) {
	mints, err := s.store.Try(ctx, subject, s.set.MaxTries)
	if err != nil {
		return nil, fmt.Errorf("try a code: %w", err)
	}
	for _, m := range mints {
		right := subtle.ConstantTimeCompare([]byte(s.set.Links.Code(m.Mail, m.Number)), []byte(code)) == 1
		if right && m.Variant.HasCode() && m.Age < s.set.Policy.CodeLife {
			found = &m
		}
	}
	return found, nil
}

// sixDigits is a code as it may be typed, or copied with what stands around it:
// with spaces and dashes, and in any script's digits: keyboards for Japanese
// type １２３, for example.
func sixDigits(typed string) (code string, ok bool) {
	if len(typed) > 64 {
		return "", false
	}
	var digits strings.Builder
	for _, r := range typed {
		digit, is := decimal(r)
		switch {
		case is:
			digits.WriteByte(digit)
		case unicode.IsSpace(r) || unicode.Is(unicode.Pd, r):
		default:
			return "", false
		}
	}
	return digits.String(), digits.Len() == 6
}

// decimal is the ASCII digit of the same value as a decimal digit of any script.
// In Unicode those of one script stand side by side from zero to nine, and after
// them comes another script's zero, or no digit (section 4.6).
func decimal(r rune) (digit byte, ok bool) {
	if !unicode.Is(unicode.Nd, r) {
		return 0, false
	}
	before := 0
	for unicode.Is(unicode.Nd, r-1) {
		r, before = r-1, before+1
	}
	return '0' + byte(before%10), true
}
