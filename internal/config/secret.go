package config

import (
	"fmt"
	"log/slog"
)

// Secret is a password. It never prints itself: fmt, encoding/json and log/slog
// all show ***, or nothing where there is none. The zero value is none.
type Secret struct{ raw string }

// NewSecret wraps a password, "" for none.
func NewSecret(raw string) Secret { return Secret{raw: raw} }

// Reveal returns the password, "" for none.
func (s Secret) Reveal() string { return s.raw }

// Set tells whether there is one.
func (s Secret) Set() bool { return s.raw != "" }

// String returns *** for a password and "" for none.
func (s Secret) String() string {
	if s.Set() {
		return "***"
	}
	return ""
}

// Format prints String for every verb, %#v and %d included.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText returns String, for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
