package redis

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/crashpoint"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// keyLife is how long an idempotency key is kept.
const keyLife = 24 * time.Hour

// Accept implements [signup.Store].
func (s *Store) Accept(ctx context.Context, a signup.Acceptance) (stored signup.Person, repeated bool, err error) {
	stored, repeated, err = s.accept(ctx, a)
	if err != nil {
		return signup.Person{}, false, fmt.Errorf("store sign-up: %w", err)
	}
	crashpoint.Here(crashpoint.Accepted)
	if !repeated {
		for _, owed := range a.Mails {
			_, purpose, _, _ := owed.ID.Parse() // was parsed on the way in
			s.tell(purpose.Lane())
		}
	}
	return stored, repeated, nil
}

func (s *Store) accept(ctx context.Context, a signup.Acceptance) (signup.Person, bool, error) {
	key := ""
	if a.Key != nil {
		key = hex.EncodeToString(a.Key[:])
	}
	p := a.Person
	args := append(make([]any, 0, 6+3*len(a.Mails)), p.ID, p.First, p.Last, p.Address.Typed(), key, ms(keyLife))
	for _, owed := range a.Mails {
		_, purpose, _, err := owed.ID.Parse()
		if err != nil {
			return signup.Person{}, false, err
		}
		args = append(args, string(owed.ID), string(purpose.Lane()), ms(owed.Expiry))
	}
	crashpoint.Here(crashpoint.Accepting)
	v, err := s.run(ctx, s.steps.accept, redisdb.Replicated, args...)
	if err != nil {
		return signup.Person{}, false, err
	}
	r := newReply(v)
	repeated := r.text() == "repeated"
	stored, err := r.list().person()
	if err != nil {
		return signup.Person{}, false, err
	}
	if repeated && (stored.First != p.First || stored.Last != p.Last || stored.Address.Key() != p.Address.Key()) {
		return signup.Person{}, false, signup.ErrConflict
	}
	return stored, repeated, nil
}

// Person implements [signup.Store]. An erased person is not there.
func (s *Store) Person(ctx context.Context, id string) (signup.Person, error) {
	v, err := s.run(ctx, s.steps.person, redisdb.Answered, id)
	if err != nil {
		return signup.Person{}, fmt.Errorf("read sign-up: %w", err)
	}
	r := newReply(v)
	if !r.more() && r.err == nil {
		return signup.Person{}, signup.ErrNotFound
	}
	p, err := r.person()
	if err != nil {
		return signup.Person{}, fmt.Errorf("read sign-up: %w", err)
	}
	return p, nil
}

func (r *reply) person() (signup.Person, error) {
	p := signup.Person{ID: r.text(), First: r.text(), Last: r.text()}
	typed := r.text()
	p.Status, p.Accepted = signup.Status(r.text()), time.Unix(r.int(), 0)
	if r.err != nil {
		return signup.Person{}, r.err
	}
	var err error
	if p.Address, err = address.Parse(typed); err != nil {
		return signup.Person{}, fmt.Errorf("read stored address: %w", err)
	}
	return p, nil
}

// Erase takes everything personal of a sign-up out of the store and calls off
// its mails, in one step. What was queued for it means nothing afterwards.
// Erasing twice is harmless; [signup.ErrNotFound] if it was never there.
func (s *Store) Erase(ctx context.Context, id string) error {
	v, err := s.run(ctx, s.steps.erase, redisdb.Replicated, id)
	if err == nil && v == "none" {
		err = signup.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("erase sign-up: %w", err)
	}
	return nil
}

// SharedKey returns the secret of a name. The first caller's fresh bytes become
// the secret; everybody after gets those.
func (s *Store) SharedKey(ctx context.Context, name string, fresh []byte) ([]byte, error) {
	v, err := s.run(ctx, s.steps.sharedKey, redisdb.Replicated, name, fresh)
	if err != nil {
		return nil, fmt.Errorf("read shared key %s: %w", name, err)
	}
	secret, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("read shared key %s: %w", name, errReply)
	}
	return []byte(secret), nil
}
