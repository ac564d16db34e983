package redis

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/crashpoint"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// Accept implements [signup.Store].
func (s *Store) Accept(ctx context.Context, a signup.Acceptance) (signup.Accepted, error) {
	accepted, err := s.accept(ctx, a)
	if err != nil {
		return signup.Accepted{}, fmt.Errorf("store sign-up: %w", err)
	}
	crashpoint.Here(crashpoint.Accepted)
	if !accepted.Repeated {
		for _, owed := range a.Mails {
			_, purpose, _, _ := owed.ID.Parse() // was parsed on the way in
			s.tell(purpose.Lane())
		}
	}
	return accepted, nil
}

func (s *Store) accept(ctx context.Context, a signup.Acceptance) (accepted signup.Accepted, err error) {
	key, keyForm := "", ""
	if a.Key != nil {
		key, keyForm = hex.EncodeToString(a.Key.Hash[:]), asHex(a.Key.Form)
	}
	p := a.Person
	args := append(make([]any, 0, 12+3*len(a.Mails)), p.ID, p.First, p.Last, p.Address.Typed(), key, keyForm, ms(signup.KeyLife),
		asHex(a.Fingerprint), p.Locale, a.Muted, p.Consent.Text, asHex(p.Consent.Origin))
	for _, owed := range a.Mails {
		if args, err = appendOwed(args, owed); err != nil {
			return accepted, err
		}
	}
	crashpoint.Here(crashpoint.Accepting)
	v, err := s.run(ctx, s.steps.accept, redisdb.Replicated, args...)
	if err != nil {
		return accepted, err
	}
	r := newReply(v)
	accepted.Repeated, accepted.ID, accepted.At = r.bool(), r.text(), r.time().Truncate(time.Second)
	if accepted.Repeated {
		var earlier signup.Key
		if r.hex(earlier.Form[:]); r.err == nil && !a.Key.Matches(earlier) {
			return signup.Accepted{}, signup.ErrConflict
		}
	}
	return accepted, r.err
}

// appendOwed adds a mail to be created to the arguments of a step: its id, its
// lane and how long it makes sense.
func appendOwed(args []any, owed onboarding.Owed) ([]any, error) {
	_, purpose, _, err := owed.ID.Parse()
	if err != nil {
		return nil, err
	}
	return append(args, string(owed.ID), string(purpose.Lane()), ms(owed.Expiry)), nil
}

// asHex is a fingerprint, or an HMAC of another kind, as keys and fields have
// it: in hexadecimal, and empty for none.
func asHex[T ~[16]byte](value T) string {
	if value == (T{}) {
		return ""
	}
	b := [16]byte(value)
	return hex.EncodeToString(b[:])
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

// People implements [signup.Store].
func (s *Store) People(ctx context.Context, f address.Fingerprint) ([]signup.Person, error) {
	v, err := s.run(ctx, s.steps.people, redisdb.Answered, asHex(f), signup.MostPeople)
	if err != nil {
		return nil, fmt.Errorf("read the sign-ups of an address: %w", err)
	}
	people, err := newReply(v).people()
	if err != nil {
		return nil, fmt.Errorf("read the sign-ups of an address: %w", err)
	}
	return people, nil
}

// Others implements [signup.Registrar].
func (s *Store) Others(ctx context.Context, f address.Fingerprint, after string) (people []signup.Person, next string, err error) {
	if people, next, err = s.others(ctx, f, after); err != nil {
		return nil, "", fmt.Errorf("list the sign-ups of an address: %w", err)
	}
	return people, next, nil
}

func (s *Store) others(ctx context.Context, f address.Fingerprint, after string) ([]signup.Person, string, error) {
	from, err := parseCursor(after)
	if err != nil {
		return nil, "", err
	}
	v, err := s.run(ctx, s.steps.others, redisdb.Answered, asHex(f), from.score, from.member, signup.MostPeople)
	if err != nil {
		return nil, "", err
	}
	r := newReply(v)
	next := r.cursor()
	people, err := r.list().people()
	return people, next.String(), cmp.Or(err, r.err)
}

// people reads the rest of a reply, in which each value is a person.
func (r *reply) people() (people []signup.Person, err error) {
	for r.more() {
		p, err := r.list().person()
		if err != nil {
			return nil, err
		}
		people = append(people, p)
	}
	return people, r.err
}

func (r *reply) person() (signup.Person, error) {
	p := signup.Person{ID: r.text(), First: r.text(), Last: r.text()}
	typed := r.text()
	p.Status, p.Accepted, p.Confirmed = signup.Status(r.text()), time.Unix(r.int(), 0), r.seconds()
	p.Locale, p.Consent.Text = r.text(), r.text()
	r.hex(p.Consent.Origin[:])
	if r.err != nil {
		return signup.Person{}, r.err
	}
	var err error
	if p.Address, err = address.Parse(typed); err != nil {
		return signup.Person{}, fmt.Errorf("read stored address: %w", err)
	}
	return p, nil
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

// Document returns a small text that all processes share, and its version; nil
// and 0 if there is none.
func (s *Store) Document(ctx context.Context, name string) (value []byte, version int64, err error) {
	v, err := s.run(ctx, s.steps.document, redisdb.Answered, name)
	if err != nil {
		return nil, 0, fmt.Errorf("read document %s: %w", name, err)
	}
	r := newReply(v)
	if !r.more() && r.err == nil {
		return nil, 0, nil
	}
	version, value = r.int(), []byte(r.text())
	if r.err != nil {
		return nil, 0, fmt.Errorf("read document %s: %w", name, r.err)
	}
	return value, version, nil
}

// SetDocument replaces the version of a document that the caller has read, 0 for
// none, by the next one. If that is not its version any more, nothing is changed
// and set is false; a caller who does not know whether he has set it, because
// the answer was lost, reads it again.
func (s *Store) SetDocument(ctx context.Context, name string, value []byte, version int64) (set bool, err error) {
	v, err := s.run(ctx, s.steps.setDocument, redisdb.Replicated, name, value, version)
	if err != nil {
		return false, fmt.Errorf("set document %s: %w", name, err)
	}
	return v == int64(1), nil
}
