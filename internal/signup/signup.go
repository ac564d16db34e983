// Package signup is the domain of people: it accepts sign-ups.
//
// Accepting is one durable commit of a [Store], which holds the person, the
// mail owed to them and the idempotency key. Nothing else is on the way to the
// answer: no broker, no mail server, no DNS, and no look at who is known
// already, so that nobody can learn that from the answer or its time.
//
// It knows the contracts of address and onboarding, and no driver.
package signup

import (
	"context"
	"errors"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

var (
	// ErrConflict is returned for an idempotency key that was used with other
	// values.
	ErrConflict = errors.New("this idempotency key was used for another sign-up")
	// ErrNotFound is returned for a sign-up that is not there.
	ErrNotFound = errors.New("no such sign-up")
	// ErrUnavailable is returned when the store cannot take anything now.
	// Nothing was stored, or repeating with the same key is safe.
	ErrUnavailable = errors.New("the store cannot be used right now")
)

// Status is where a person stands.
type Status string

// Pending has signed up and not confirmed.
const Pending Status = "pending"

// Person is one sign-up.
type Person struct {
	// ID is the sign-up's id, a UUID.
	ID          string
	First, Last string
	Address     address.Address
	Status      Status
	// Accepted is when the sign-up was stored, by the store's clock, in whole
	// seconds.
	Accepted time.Time
}

// Acceptance is all that one commit holds.
type Acceptance struct {
	Person Person // Accepted and Status are the store's to set
	Mails  []onboarding.Owed
	// Key is the idempotency key's hash, nil for none.
	Key *[32]byte
}

// Store keeps people. All methods may be called concurrently. Errors that are
// not named here wrap [ErrUnavailable] when the store is down or full.
type Store interface {
	// Accept stores an acceptance in one commit and returns once that is on
	// disk. When the key was used within the last 24 hours nothing is stored:
	// with the same first name, last name and address (by its key) it returns
	// the person stored then and repeated is true; with others [ErrConflict]. A conflict
	// fails this caller and nobody else.
	Accept(ctx context.Context, a Acceptance) (stored Person, repeated bool, err error)
	// Person returns a sign-up. [ErrNotFound] if it is not there, or erased.
	Person(ctx context.Context, id string) (Person, error)
}
