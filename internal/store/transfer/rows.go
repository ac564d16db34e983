package transfer

import (
	"fmt"
	"io"
	"log/slog"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// The rows below are the neutral form in which stores exchange what they hold.
// Times are unix milliseconds by the clock of the store they come from, unless
// a comment says otherwise; an optional time is 0 when there is none.

// SignUp is one person. The account of an address is the sign-up of status
// confirmed with its fingerprint: there is no other row of it.
type SignUp struct {
	// Number is the sign-up's place in the order of acceptance, from 1.
	// Numbers grow; some may be missing.
	Number int64
	// ID is a UUID.
	ID string
	// First, Last and Email (as typed) are empty for an erased person.
	First, Last, Email string
	Status             signup.Status
	// Accepted is in unix seconds.
	Accepted int64
	// Key is the idempotency key's hash, nil for none. Its time may be over. An
	// erased person's stays until it is.
	Key *[32]byte
	// KeyUsed is when Key was used, and KeyForm its [signup.Key.Form].
	KeyUsed int64
	KeyForm [16]byte
	// Fingerprint is that of the address; zero for an erased person, and for one
	// that an older program stored.
	Fingerprint address.Fingerprint
	// Locale is the language that was asked for; "" for the default.
	Locale string
	// Muted says why its mails must not be sent; "" for no reason.
	Muted string
	// Consent and Origin are the evidence of consent: see [signup.Consent].
	Consent string
	Origin  [16]byte
	// Confirmed is in unix seconds; 0 unless it is an account.
	Confirmed int64
	Redemption
}

// Redemption is what came of the links and codes of a sign-up, or of a request
// to sign in.
type Redemption struct {
	// Used is when one was redeemed; 0 if none was.
	Used int64
	// By is the id of the session that it opened, whose redemption may be
	// repeated; "" for none.
	By string
	// Tries is how many codes were tried.
	Tries int64
}

// Format hides whom it is about, whatever the verb.
func (s SignUp) Format(f fmt.State, _ rune) { fmt.Fprint(f, "sign-up ", s.Number) }

// MarshalText hides whom it is about from encoders that are meant for people's
// eyes.
func (s SignUp) MarshalText() ([]byte, error) { return fmt.Append(nil, s), nil }

// LogValue hides whom it is about.
func (s SignUp) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// Mail is one row of the ledger. A mail of state purged may be a tombstone, of
// which only Number, ID and State are known.
type Mail struct {
	// Number is the value of the counter of accepted mails that it raised.
	Number int64
	// ID is empty for a purged mail whose subject is neither a sign-up nor a
	// request any more: nothing can ask for it again.
	ID   onboarding.MailID
	Lane onboarding.Lane
	// Created is when the mail was created.
	Created int64
	// Keeps is how long it makes sense, from creation or replay, in ms.
	Keeps int64

	// Where it stands, and under which claim.

	State onboarding.State
	Gen   int64
	// At is, for a due mail, when; for an unknown one, when a copy is due;
	// optional.
	At int64
	// Holder and Op are those of the last claim, whose steps may be repeated.
	Holder onboarding.Incarnation
	Op     string
	// Claims counts those without an outcome.
	Claims  int64
	Variant onboarding.Variant

	// The latest attempt that reached committing.

	// Commits is how many did.
	Commits int64
	// Mint is the number of the last link, 0 for none.
	Mint int64
	// MintedAt is when; optional.
	MintedAt int64
	// BodyHash is that of the bytes submitted, zero for none.
	BodyHash [32]byte
	// Copies is how many were made after an unknown.
	Copies int64
	// Doubt tells that an attempt ended unknown and nobody learnt more.
	Doubt bool
	// CalledOff tells that the mail was cancelled.
	CalledOff bool
	// Charged tells that it is counted in the budget of its address.
	Charged bool

	// How it ends.

	// Counted is how many attempts have counted.
	Counted int64
	// ExpiresAt is when it makes no sense any more.
	ExpiresAt int64
	// DeadSince is when it was given up, or held as unknown; optional.
	DeadSince int64
	// Reason says in words why it is where it is.
	Reason string
	// Reply is the mail server's last answer.
	Reply onboarding.Reply

	// Attempts are those that reached committing and were not simply accepted,
	// in order. One that is under way or was accepted at once has no row.
	Attempts []Attempt
}

// Nameless tells whether the mail has lost its ID, as a purged one may.
func (m Mail) Nameless() bool { return m.ID == "" && m.State == onboarding.Purged }

// Attempt is one attempt that reached committing and did not simply end
// accepted.
type Attempt struct {
	// N is the value of Mail.Commits that it made.
	N int64
	// Copy tells that it was made after an unknown.
	Copy    bool
	Outcome onboarding.AttemptOutcome
	// Counted tells that it is one of Mail.Counted, before any late answer.
	Counted bool
	// Code, Enhanced and Text are the server's answer.
	Code     int64
	Enhanced string
	Text     string
}

// Key is a secret that every process must agree on.
type Key struct {
	Name   string
	Secret Secret
}

// Secret is bytes that must not be shown. It prints as a placeholder.
type Secret []byte

const hidden = "[secret]"

// Format hides the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the secret from encoders that are meant for people's eyes.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// Totals are the counts that no row tells.
type Totals struct {
	// Accepted is how many mails were ever owed.
	Accepted int64
	// Copies and Differing are those of [onboarding.Books].
	Copies, Differing int64
	// Arrived is when the latest-sent message that has come through a lane was
	// sent; 0 for none.
	Arrived map[onboarding.Lane]int64
}
