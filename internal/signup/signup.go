// Package signup is the domain of people: they sign up, confirm their address,
// sign in, stay in, and leave.
//
// Accepting is one durable commit of a [Store], which holds the person, the
// mail owed to them and the idempotency key. Nothing else is on the way to the
// answer: no broker, no mail server, no DNS, and no look at who is known
// already, so that nobody can learn that from the answer or its time. Asking for
// a mail to sign in is the same.
//
// What a mail carries, a link or a code, is redeemed in one commit, too: it
// makes the account, or finds it, and opens the session. Links and codes are
// derived from what the ledger knows and never stored.
//
// It knows the contracts of address and onboarding, and no driver.
package signup

import (
	"errors"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

var (
	// ErrConflict is returned for an idempotency key that was used with other
	// values.
	ErrConflict = errors.New("this idempotency key was used for another sign-up")
	// ErrNotFound is returned for a sign-up, an account or a session that is not
	// there.
	ErrNotFound = errors.New("not there")
	// ErrUnavailable is returned when the store cannot take anything now.
	// Nothing was stored, or repeating with the same key is safe.
	ErrUnavailable = errors.New("the store cannot be used right now")
	// ErrLinkDead is returned for a link or a code whose time is over, or whose
	// mail was replaced or erased.
	ErrLinkDead = errors.New("this link or code does not work any more")
	// ErrUsed is returned for a link or a code that was redeemed before.
	ErrUsed = errors.New("this link or code was used before")
	// ErrCode is returned for a typed code that is wrong, late, spent or used:
	// whoever types codes that are not theirs learns nothing else.
	ErrCode = errors.New("this code is wrong, or does not work any more")
	// ErrTries is returned when no more codes may be tried.
	ErrTries = errors.New("no more codes may be tried")
	// ErrReused is returned for a refresh token that was exchanged before: two
	// hold it, so the session it belongs to has been ended.
	ErrReused = errors.New("this refresh token was used before: its session has been ended")
)

// Status is where a person stands.
type Status string

// The statuses. An erased person is not there for anybody: see [ErrNotFound].
const (
	// Pending has signed up and not confirmed.
	Pending Status = "pending"
	// Confirmed has an account: the first confirmed sign-up of an address. The
	// sign-up's id is the account's.
	Confirmed Status = "confirmed"
)

// Person is one sign-up, and the account it may have become.
type Person struct {
	// ID is the sign-up's id, a UUID.
	ID string
	// First and Last are empty in a sign-up whose address was an account's when
	// it was redeemed.
	First, Last string
	Address     address.Address
	Status      Status
	// Accepted is when the sign-up was stored, by the store's clock, in whole
	// seconds.
	Accepted time.Time
	// Confirmed is when it became an account, in whole seconds; zero if not.
	Confirmed time.Time
	// Locale is the language that mails are written in, a BCP 47 tag; "" for
	// the default.
	Locale string
	// Consent is what the person has agreed to.
	Consent Consent
}

// Consent is the evidence that a person agreed to get mail: the time is that of
// the sign-up (B7.9).
type Consent struct {
	// Text is the version of the text that was shown: the page's own, or what an
	// app has named; "" if it named none.
	Text string
	// Origin stands for the IP address that the form came from: an HMAC of it,
	// that nobody can turn back. Zero if unknown.
	Origin [16]byte
}

// Acceptance is all that one commit holds.
type Acceptance struct {
	Person Person // Accepted, Confirmed and Status are the store's to set
	// Fingerprint is that of the person's address.
	Fingerprint address.Fingerprint
	// Muted, if not empty, says why the mails of this sign-up must not be sent:
	// they end suppressed with this reason. Everything else is as always.
	Muted string
	Mails []onboarding.Owed
	// Key is the idempotency key it came under, nil for none.
	Key *Key
}

// KeyLife is how long an idempotency key is known from its first use, whatever
// becomes of the sign-up: else it would tell that.
const KeyLife = 24 * time.Hour

// Key is what a store knows of an idempotency key, and of the form it was first
// used with.
type Key struct {
	// Hash is the SHA-256 of the key.
	Hash [32]byte
	// Form is the same for the same names and address (by its key), and another
	// for others. It is an HMAC that only somebody who has the key itself can
	// make, so it may stay when the person is erased. Zero, in a store, for a
	// key of an older program, which kept none.
	Form [16]byte
}

// Matches tells whether a form that comes under the key of an earlier one is
// the same. Of an older program's nobody can tell any more: it is taken for it.
func (k Key) Matches(earlier Key) bool {
	return earlier.Form == [16]byte{} || k.Form == earlier.Form
}

// Accepted is what came of a form.
type Accepted struct {
	// ID is the sign-up's.
	ID string
	// At is when it was stored, by the store's clock, in whole seconds.
	At time.Time
	// Repeated tells that the same form was stored before under the same key,
	// and this is what came of it then.
	Repeated bool
}
