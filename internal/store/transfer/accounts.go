package transfer

import (
	"fmt"
	"log/slog"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// Request is somebody's wish to sign in.
type Request struct {
	// ID is a UUID.
	ID string
	// Asked is when.
	Asked int64
	// Fingerprint is that of the address that was typed.
	Fingerprint address.Fingerprint
	// Budget is what its mail is charged to.
	Budget onboarding.Budget
	// Locale and Muted are as in [SignUp].
	Locale, Muted string
	Redemption
}

// Format hides whom it is about, whatever the verb.
func (r Request) Format(f fmt.State, _ rune) { fmt.Fprint(f, "request to sign in ", r.ID) }

// MarshalText hides whom it is about from encoders that are meant for people's
// eyes.
func (r Request) MarshalText() ([]byte, error) { return fmt.Append(nil, r), nil }

// LogValue hides whom it is about.
func (r Request) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// Session is one session of an account. Its time may be over.
type Session struct {
	// ID is a UUID.
	ID string
	// Account is the id of the sign-up that is the account.
	Account string
	Kind    signup.SessionKind
	// Number counts how often its secret was rotated.
	Number int64
	// Hash is the SHA-256 of its latest secret.
	Hash [32]byte
	// Before is that of the secret before, zero for none; Rotated is when that
	// one was replaced.
	Before  [32]byte
	Rotated int64
	// Opened is when it was opened, Seen when it was last used, Ends when it
	// ends at the latest.
	Opened, Seen, Ends int64
	// Idle is how long it lasts unused, in ms.
	Idle int64
}

// Format hides what carries it, whatever the verb.
func (s Session) Format(f fmt.State, _ rune) { fmt.Fprint(f, "session ", s.ID) }

// MarshalText hides what carries it from encoders that are meant for people's
// eyes.
func (s Session) MarshalText() ([]byte, error) { return fmt.Append(nil, s), nil }

// LogValue hides what carries it.
func (s Session) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// Charge is one mail that was counted in a budget of an address. It outlives
// the mail and the person.
type Charge struct {
	Fingerprint address.Fingerprint
	Budget      onboarding.Budget
	// At is when.
	At int64
}

// Format hides whom it is about, whatever the verb.
func (c Charge) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "charge to the budget %q", string(c.Budget))
}

// MarshalText hides whom it is about from encoders that are meant for people's
// eyes.
func (c Charge) MarshalText() ([]byte, error) { return fmt.Append(nil, c), nil }

// LogValue hides whom it is about.
func (c Charge) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Document is a small text that all processes share, such as the ring of keys
// that sign access tokens.
type Document struct {
	Name string
	// Version is from 1.
	Version int64
	Value   Secret
}
