package token

import (
	"context"
	"errors"
	"time"
)

// Errors of a [Ring].
var (
	// ErrRing is returned when the ring in the store is damaged, or of a newer
	// Bellhop. It is left as it is.
	ErrRing = errors.New("the signing keys in the store cannot be read")
	// ErrNoRing is returned when there are no keys yet.
	ErrNoRing = errors.New("there are no signing keys yet: bellhop serve makes them when it starts")
	// ErrNoKey is returned for a key that is not in the ring.
	ErrNoKey = errors.New("no signing key has this id: bellhop keys list shows them")
	// ErrTooYoung is returned when the next key was published too short a time ago.
	ErrTooYoung = errors.New("the next key is too young to sign")
)

// KeyState is what a key of the ring is for.
type KeyState string

// The states of a key.
const (
	NextKey    KeyState = "next"    // published, and not signing yet
	CurrentKey KeyState = "current" // signs
	RetiredKey KeyState = "retired" // verifies what it signed, until that is over
)

// Key is one key of the ring, without its private part.
type Key struct {
	ID        string // the thumbprint of RFC 7638
	State     KeyState
	Published time.Time // since when it is in the ring
	Signs     time.Time // since when it signs, zero for the next one
	Retired   time.Time // since when it does not any more, zero if it does
	Gone      time.Time // when it leaves the ring, zero if it is not retired
}

// Ring is the keys that sign access tokens, in the store for all processes.
type Ring struct{}

// NewRing returns the ring in docs. A next key that is younger than publishFor,
// 1 hour if it is 0, is not rotated to. now is the clock; nil for time.Now.
func NewRing(docs Documents, publishFor time.Duration, now func() time.Time) *Ring { return &Ring{} }

// Keys lists the keys, oldest first.
func (r *Ring) Keys(ctx context.Context) ([]Key, error) { return nil, errUnbuilt }

// Rotate lets the next key sign, and makes a new next one.
func (r *Ring) Rotate(ctx context.Context, force bool) error { return errUnbuilt }

// Retire takes a key out of the ring at once: what it signed is refused from
// then on.
func (r *Ring) Retire(ctx context.Context, id string) error { return errUnbuilt }
