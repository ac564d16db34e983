// Package token issues and verifies Bellhop's tokens. It knows keys and times,
// no people and no web. What a token is of, it knows by id alone.
//
// # Pending sessions
//
// [Pending] is the session of a sign-up that is not confirmed, or of a sign-in
// whose mail was not used yet. Bellhop alone issues and verifies it, so it is
// signed with a shared secret (HS256) that the store keeps for all processes.
// It is good for that one sign-up or request and for nothing else, it names
// nobody, and it is never stored: the same id and time always give the same
// token again.
//
// # Sessions of accounts
//
// [Secrets] are what browsers and API clients keep: cookies and refresh tokens.
// They too are derived and never stored, and worthless without the session that
// the store has. [Access] tokens are short-lived and signed with a key pair
// (ES256, RFC 9068), so that other services can verify them by the public keys
// alone. The key pairs are in a ring, see [Ring].
//
// [Stamps] say when a form was shown.
//
// Nothing here prints a secret: every type that holds one hides itself from
// fmt, encoding/json and log/slog.
package token

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"time"

	"bellhop/sessions"
)

const (
	// Lifetime is how long the pending session of a sign-up lasts.
	Lifetime = 72 * time.Hour
	// SignInLifetime is how long the pending session of a sign-in request lasts.
	SignInLifetime = time.Hour
	// MaxBytes is the longest token that Verify looks at.
	MaxBytes = 4 << 10
	// Leeway is how far the clocks of two processes may be apart.
	Leeway = 30 * time.Second

	keyBytes = 32
)

// ErrInvalid is returned for every token that does not verify. What is wrong
// with it is wrapped for the operator and never shown to whoever sent it.
var ErrInvalid = sessions.ErrInvalid

// ErrUnavailable is returned for an access token that cannot be judged now,
// because the store cannot be read. Later it may be valid.
var ErrUnavailable = sessions.ErrUnavailable

// Keys keeps the keys that all processes share.
type Keys interface {
	// SharedKey returns the key of that name. The first caller's fresh bytes
	// become the key for good; every other caller gets those. It may be called
	// concurrently, from several processes too.
	SharedKey(ctx context.Context, name string, fresh []byte) ([]byte, error)
}

// sharedKey fetches a key of keyBytes, or creates it.
func sharedKey(ctx context.Context, keys Keys, name string) ([]byte, error) {
	fresh := make([]byte, keyBytes)
	_, _ = rand.Read(fresh) // never fails: crypto/rand crashes the process instead
	key, err := keys.SharedKey(ctx, name, fresh)
	if err != nil {
		return nil, fmt.Errorf("fetch key %q: %w", name, err)
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("fetch key %q: want %d bytes, the store has %d", name, keyBytes, len(key))
	}
	return key, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// hidden makes the types that embed it print as a placeholder: they hold keys.
type hidden struct{}

const placeholder = "[keys]"

// Format hides the keys, whatever the verb.
func (hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, placeholder) }

// MarshalText hides the keys from encoders.
func (hidden) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// LogValue hides the keys.
func (hidden) LogValue() slog.Value { return slog.StringValue(placeholder) }
