package signup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

// maxKeyBytes is the longest idempotency key.
const maxKeyBytes = 255

// Form is what a person, or a program, sends in. Nothing in it is trusted.
type Form struct {
	First, Last, Email string
	// IdempotencyKey makes the same form, sent again within 24 hours, the same
	// sign-up. Empty for none.
	IdempotencyKey string
}

// Accepted is a stored sign-up.
type Accepted struct {
	Person Person
	// Repeated tells that the same form was stored before under the same key,
	// and this is what came of it then.
	Repeated bool
}

// Service accepts sign-ups. It may be used concurrently.
type Service struct {
	store  Store
	expiry time.Duration
	notify func(onboarding.Lane)
}

// NewService returns the service over a store. The policy says how long the
// mail makes sense. notify is called after each commit that made a mail due in
// a lane; it must not block. Nil for nobody to tell.
func NewService(store Store, policy onboarding.Policy, notify func(onboarding.Lane)) *Service {
	if notify == nil {
		notify = func(onboarding.Lane) {}
	}
	return &Service{store: store, expiry: policy.Expiry, notify: notify}
}

// Accept checks a form and stores it, with the mail it owes, in one commit. It
// returns an [*Invalid] when the form is at fault, and what [Store.Accept]
// returns; nothing is stored then.
func (s *Service) Accept(ctx context.Context, f Form) (Accepted, error) {
	person, err := check(f)
	if err != nil {
		return Accepted{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Accepted{}, fmt.Errorf("make sign-up id: %w", err)
	}
	person.ID = id.String()
	acceptance := Acceptance{
		Person: person,
		Mails:  []onboarding.Owed{{ID: onboarding.NewMailID(person.ID, onboarding.SignUp, 1), Expiry: s.expiry}},
	}
	if f.IdempotencyKey != "" {
		hash := sha256.Sum256([]byte(f.IdempotencyKey))
		acceptance.Key = &hash
	}
	stored, repeated, err := s.store.Accept(ctx, acceptance)
	if err != nil {
		return Accepted{}, fmt.Errorf("store sign-up: %w", err)
	}
	if !repeated {
		s.notify(onboarding.SignUp.Lane())
	}
	return Accepted{Person: stored, Repeated: repeated}, nil
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
	var p Person
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
