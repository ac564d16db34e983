package redis

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/store/transfer"
)

// Claim implements [onboarding.Claims].
func (s *Store) Claim(ctx context.Context, c onboarding.Claim) (onboarding.Held, error) {
	held, err := s.claim(ctx, c)
	if err != nil {
		return onboarding.Held{}, fmt.Errorf("claim mail: %w", err)
	}
	return held, nil
}

func (s *Store) claim(ctx context.Context, c onboarding.Claim) (onboarding.Held, error) {
	_, purpose, _, err := c.Mail.Parse()
	if err != nil {
		return onboarding.Held{}, onboarding.ErrRefused // no mail has such an id
	}
	variant, nameless := onboarding.ChooseVariant(purpose, false)
	registered, _ := onboarding.ChooseVariant(purpose, true)
	purse := s.purseOf(c.Mail)
	v, err := s.run(ctx, s.steps.claim, redisdb.Answered, string(c.Mail), c.Gen, string(c.Holder), c.Op, s.policy.MaxClaims,
		string(variant), string(registered), purse.budget, purse.budgets)
	if err != nil {
		return onboarding.Held{}, err
	}
	r := newReply(v)
	word := r.text()
	if word == "nameless" {
		return onboarding.Held{}, nameless
	}
	if err := decided(word); err != nil {
		return onboarding.Held{}, err
	}
	h := onboarding.Held{Claim: c, State: onboarding.State(r.text()), Variant: onboarding.Variant(r.text())}
	typed := r.text()
	h.Locale = r.text()
	h.Created = time.UnixMilli(r.int())
	h.ExpiresIn = max(0, time.Duration(r.int())*time.Millisecond)
	h.Attempts, h.Claims, h.Mint, h.Copy = int(r.int()), int(r.int()), int(r.int()), r.bool()
	if _, err := hex.Decode(h.BodyHash[:], []byte(r.text())); err != nil {
		return onboarding.Held{}, fmt.Errorf("read stored hash: %w", err)
	}
	if r.err != nil || h.State != onboarding.Sending {
		return h, r.err
	}
	to, err := address.Parse(typed)
	if err != nil {
		return onboarding.Held{}, fmt.Errorf("read stored address: %w", err)
	}
	h.To = to.Sendable()
	return h, nil
}

// Committing implements [onboarding.Claims].
func (s *Store) Committing(ctx context.Context, c onboarding.Claim, m onboarding.Rendered) error {
	purse := s.purseOf(c.Mail)
	v, err := s.run(ctx, s.steps.committing, redisdb.Replicated, string(c.Mail), string(c.Holder), c.Op,
		m.Mint, hex.EncodeToString(m.BodyHash[:]), purse.budget, purse.budgets)
	if err == nil {
		err = decided(v)
	}
	if err != nil {
		return fmt.Errorf("commit mail: %w", err)
	}
	return nil
}

// Check implements [onboarding.Claims]. It waits for replicas although it changes
// nothing: a master that has been replaced without knowing it has none, and must
// not let a dot through.
func (s *Store) Check(ctx context.Context, c onboarding.Claim) error {
	v, err := s.run(ctx, s.steps.check, redisdb.Replicated, string(c.Mail), string(c.Holder), c.Op, ms(s.policy.DeadAfter))
	if err == nil {
		err = decided(v)
	}
	if err != nil {
		return fmt.Errorf("check claim: %w", err)
	}
	return nil
}

// Record implements [onboarding.Claims].
func (s *Store) Record(ctx context.Context, c onboarding.Claim, r onboarding.Result) (onboarding.State, error) {
	purse := s.purseOf(c.Mail)
	v, err := s.run(ctx, s.steps.record, redisdb.Replicated,
		string(c.Mail), string(c.Holder), c.Op,
		string(r.To), ms(r.After), flag(r.Counts), flag(r.Drained), r.Reason,
		r.Reply.Phase, r.Reply.Code, r.Reply.Enhanced, r.Reply.Text, ms(s.policy.UnknownPause), s.copies,
		purse.budget, purse.budgets, flag(r.Away), flag(r.Answered()))
	if err == nil {
		answer := newReply(v)
		if err = decided(answer.text()); err == nil {
			return onboarding.State(answer.text()), answer.err
		}
		if errors.Is(err, errWrong) {
			err = fmt.Errorf("mail %s is %s and cannot become %s", c.Mail, answer.text(), r.To)
		}
	}
	if errors.Is(err, redisdb.ErrClosed) || errors.Is(err, transfer.ErrAway) {
		err = fmt.Errorf("%w: %w", onboarding.ErrGone, err)
	}
	return "", fmt.Errorf("record outcome: %w", err)
}

// errWrong says that a step is not one from the mail's state.
var errWrong = errors.New("the mail's state is another one")

// decided is what a step's first word means.
func decided(word any) error {
	switch word {
	case "ok":
		return nil
	case "refused":
		return onboarding.ErrRefused
	case "stale":
		return onboarding.ErrStale
	case "none":
		return onboarding.ErrNoMail
	case "wrong":
		return errWrong
	case "erased":
		return fmt.Errorf("%w: the person was erased", onboarding.ErrWrongState)
	}
	return fmt.Errorf("%w: %v", errReply, word)
}
