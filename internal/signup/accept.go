package signup

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/text/language"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

// maxKeyBytes is the longest idempotency key.
const maxKeyBytes = 255

// maxLocaleBytes is more than any language tag that people use has (RFC 5646
// section 4.4.1).
const maxLocaleBytes = 35

// Form is what a person, or a program, sends in. Nothing in it is trusted.
type Form struct {
	First, Last, Email string
	// IdempotencyKey makes the same form, sent again within 24 hours, the same
	// sign-up. Empty for none.
	IdempotencyKey string
	// Locale is the language of the mails, a BCP 47 tag. What is none counts as
	// none.
	Locale string
	// Muted is [Acceptance.Muted]. Empty for a form that nothing speaks against.
	Muted   string
	Consent Consent
}

// Accept checks a form and stores it, with the mail it owes, in one commit. It
// returns an [*Invalid] when the form is at fault, and what [Store.Accept]
// returns; nothing is stored then.
func (s *Service) Accept(ctx context.Context, f Form) (Accepted, error) {
	person, err := check(f)
	if err != nil {
		return Accepted{}, err
	}
	acceptance, err := s.acceptance(ctx, person, f)
	if err != nil {
		return Accepted{}, err
	}
	accepted, err := s.store.Accept(ctx, acceptance)
	if err != nil {
		return Accepted{}, fmt.Errorf("store sign-up: %w", err)
	}
	if !accepted.Repeated {
		s.set.Notify(onboarding.SignUp.Lane())
	}
	return accepted, nil
}

// acceptance is what is to be stored of a person's form.
func (s *Service) acceptance(ctx context.Context, person Person, f Form) (Acceptance, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Acceptance{}, fmt.Errorf("make sign-up id: %w", err)
	}
	person.ID = id.String()
	fingerprint := person.Address.Fingerprint(s.set.Secret)
	return Acceptance{
		Person:      person,
		Fingerprint: fingerprint,
		Muted:       s.mute(ctx, f.Muted, fingerprint),
		Mails:       []onboarding.Owed{{ID: onboarding.NewMailID(person.ID, onboarding.SignUp, 1), Expiry: s.set.Policy.ExpiryOf(onboarding.SignUp)}},
		Key:         s.key(f.IdempotencyKey, person),
	}, nil
}

// key is what the store is told of an idempotency key, nil for none, and of
// whom the form under it is about.
func (s *Service) key(sent string, p Person) *Key {
	if sent == "" {
		return nil
	}
	mac := hmac.New(sha256.New, s.formKey)
	var length []byte
	for _, part := range []string{sent, p.Address.Key(), p.First, p.Last} {
		length = binary.AppendUvarint(length[:0], uint64(len(part))) // so that no letter changes sides
		mac.Write(length)
		mac.Write([]byte(part))
	}
	return &Key{Hash: sha256.Sum256([]byte(sent)), Form: [16]byte(mac.Sum(nil))}
}

// Person returns a sign-up. [ErrNotFound] if it is not there.
func (s *Service) Person(ctx context.Context, id string) (Person, error) {
	p, err := s.store.Person(ctx, id)
	if err != nil {
		return Person{}, fmt.Errorf("read sign-up: %w", err)
	}
	return p, nil
}

// check normalises a form into a person, or says everything that is wrong with
// it at once.
func check(f Form) (Person, error) {
	p := Person{Locale: locale(f.Locale), Consent: f.Consent}
	var invalid Invalid
	var err error
	if p.First, err = parseName(f.First); err != nil {
		invalid.add("first", err)
	} else if p.First == "" {
		invalid.add("first", errNameMissing)
	}
	if p.Last, err = parseName(f.Last); err != nil {
		invalid.add("last", err)
	}
	if p.Address, err = address.Parse(f.Email); err != nil {
		invalid.add("email", err)
	}
	if err := checkKey(f.IdempotencyKey); err != nil {
		invalid.add(KeyField, err)
	}
	if invalid.Fields != nil {
		return Person{}, &invalid
	}
	return p, nil
}

// locale is the canonical form of a language tag, "" for text that is none.
func locale(tag string) string {
	if tag == "" || len(tag) > maxLocaleBytes {
		return ""
	}
	parsed, err := language.Parse(tag)
	if err != nil || parsed == language.Und {
		return ""
	}
	return parsed.String()
}

// checkKey allows what a header can carry without anyone changing it on the
// way.
func checkKey(key string) error {
	if len(key) > maxKeyBytes {
		return errKey
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return errKey
		}
	}
	return nil
}

// reason is why a field was refused. address.Error is one too.
type reason interface {
	error
	Code() string
	Sentence() string
}

func (v *Invalid) add(field string, err error) {
	refused := FieldError{Code: "invalid", Message: "This cannot be used."}
	if r, ok := errors.AsType[reason](err); ok {
		refused = FieldError{Code: r.Code(), Message: r.Sentence()}
	}
	if v.Fields == nil {
		v.Fields = make(map[string]FieldError, 1)
	}
	v.Fields[field] = refused
}
