package redis

import (
	"context"
	"encoding/hex"
	"fmt"

	"bellhop/internal/address"
	"bellhop/internal/crashpoint"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// refusal is what the first word of a step on a link or a code means.
func refusal(word string) error {
	switch word {
	case "ok":
		return nil
	case "none":
		return signup.ErrNotFound
	case "used":
		return signup.ErrUsed
	case "tries":
		return signup.ErrTries
	case "dead":
		return signup.ErrLinkDead
	}
	return fmt.Errorf("%w: %s", errReply, word)
}

// Mint implements [signup.Redeemer].
func (s *Store) Mint(ctx context.Context, id onboarding.MailID) (signup.Mint, error) {
	m, err := s.mint(ctx, id)
	if err != nil {
		return signup.Mint{}, fmt.Errorf("look at a link: %w", err)
	}
	return m, nil
}

func (s *Store) mint(ctx context.Context, id onboarding.MailID) (m signup.Mint, err error) {
	if _, _, err := signup.Redeemable(id); err != nil {
		return m, err
	}
	v, err := s.run(ctx, s.steps.mint, redisdb.Answered, string(id))
	if err != nil {
		return m, err
	}
	r := newReply(v)
	if !r.more() && r.err == nil {
		return m, signup.ErrLinkDead
	}
	m = signup.Mint{Mail: id, Number: int(r.int()), Variant: onboarding.Variant(r.text()), Age: r.age(), Locale: r.text(), Used: r.bool()}
	typed := r.text()
	if r.err != nil {
		return m, r.err
	}
	if m.Address, err = address.Parse(typed); err != nil {
		return m, fmt.Errorf("read stored address: %w", err)
	}
	return m, nil
}

// Try implements [signup.Redeemer]. A try whose answer was lost was counted.
func (s *Store) Try(ctx context.Context, subject string, most int) ([]signup.Mint, error) {
	mints, err := s.try(ctx, subject, most)
	if err != nil {
		return nil, fmt.Errorf("try a code: %w", err)
	}
	return mints, nil
}

func (s *Store) try(ctx context.Context, subject string, most int) (mints []signup.Mint, err error) {
	v, err := s.run(ctx, s.steps.try, redisdb.Replicated, subject, most)
	if err != nil {
		return nil, err
	}
	r := newReply(v)
	if err := refusal(r.text()); err != nil {
		return nil, err
	}
	locale := r.text()
	for r.more() {
		m := r.list()
		mint := signup.Mint{
			Mail: onboarding.MailID(m.text()), Number: int(m.int()), Variant: onboarding.Variant(m.text()), Age: m.age(), Locale: locale,
		}
		if m.err != nil {
			return nil, m.err
		}
		if _, _, err := signup.Redeemable(mint.Mail); err == nil {
			mints = append(mints, mint)
		}
	}
	return mints, r.err
}

// Redeem implements [signup.Redeemer].
func (s *Store) Redeem(ctx context.Context, r signup.Redemption) (signup.Redeemed, error) {
	redeemed, err := s.redeem(ctx, r)
	if err != nil {
		return signup.Redeemed{}, fmt.Errorf("redeem a link or a code: %w", err)
	}
	crashpoint.Here(crashpoint.Redeemed)
	if redeemed.Confirmed {
		s.tell(onboarding.Welcome.Lane())
	}
	return redeemed, nil
}

func (s *Store) redeem(ctx context.Context, r signup.Redemption) (signup.Redeemed, error) {
	subject, purpose, err := signup.Redeemable(r.Mail)
	if err != nil {
		return signup.Redeemed{}, err
	}
	args := []any{string(r.Mail), r.Number, ms(r.Within), flag(r.ByCode), asHex(r.Fingerprint),
		r.Session.ID, string(r.Session.Kind), hex.EncodeToString(r.Session.Hash[:]), ms(r.Session.Idle), ms(r.Session.Life)}
	args, err = appendOwed(args, onboarding.Owed{ID: onboarding.NewMailID(subject, onboarding.Welcome, 1), Expiry: r.Welcome})
	if err != nil {
		return signup.Redeemed{}, err
	}
	args = append(args, flag(purpose == onboarding.SignIn))
	crashpoint.Here(crashpoint.Redeeming)
	v, err := s.run(ctx, s.steps.redeem, redisdb.Replicated, args...)
	if err != nil {
		return signup.Redeemed{}, err
	}
	answer := newReply(v)
	if err := refusal(answer.text()); err != nil {
		return signup.Redeemed{}, err
	}
	redeemed := signup.Redeemed{Confirmed: answer.bool()}
	redeemed.Account, err = answer.list().person()
	return redeemed, err
}
