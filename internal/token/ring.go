package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bellhop/sessions"
)

const (
	// ringDocument is the ring's name among the documents.
	ringDocument = "signing-keys"
	// defaultPublishFor leaves everybody's cache the time to run out several
	// times.
	defaultPublishFor = time.Hour
	// readEvery is how often every process reads the ring.
	readEvery = 30 * time.Second
	// learnFor is how long a key must have been in the ring before anything is
	// signed with it, even if a person insists: until every process has read the
	// ring (readEvery), another service that asked one just before it did may
	// ask again (a minute later), and clocks differ (Leeway).
	learnFor = readEvery + time.Minute + Leeway
	// unsureAfter is how old a reading of the ring may be for a process to know
	// that a key is nobody's. It is less than learnFor.
	unsureAfter = 2 * readEvery
	// staleAfter is how long a process signs without having read the ring.
	staleAfter = 10 * time.Minute
	// keepFor is how long a key that signs no more verifies what it signed: as
	// long as a token can live that the last process to know of it signed.
	keepFor = staleAfter + sessions.MaxLife + Leeway
	// maxKeys bounds the ring, and with it what others fetch.
	maxKeys = 32
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
	// ErrTooYoung is returned when the next key was published too short a time
	// ago.
	ErrTooYoung = errors.New("the next key is too young to sign")
	// ErrTooMany is returned when the ring is full.
	ErrTooMany = fmt.Errorf("there are %d signing keys, which is the most there may be: retired ones leave by themselves, bellhop keys list says when", maxKeys)
)

// KeyState is what a key of the ring is for.
type KeyState string

// The states of a key.
const (
	NextKey    KeyState = "next"    // published, and not signing yet
	CurrentKey KeyState = "current" // signs
	RetiredKey KeyState = "retired" // verifies what it signed, until that is over
)

// Key is one key of the ring, without its private part. Its JSON form is part of
// what "bellhop keys list" promises.
type Key struct {
	ID        string    `json:"kid"` // its thumbprint, RFC 7638
	State     KeyState  `json:"state"`
	Published time.Time `json:"published"`        // since when it is in the ring
	Signs     time.Time `json:"signs,omitzero"`   // from when on it signs; zero if that is open
	Retired   time.Time `json:"retired,omitzero"` // from when on it does not any more; zero if that is open
	Gone      time.Time `json:"gone,omitzero"`    // when it leaves the ring; zero if that is open
}

// Ring is the keys that sign access tokens, in the store for all processes. One
// is current and signs. The next is published already, so that everybody knows
// it when its turn comes. Retired ones verify what they have signed, and leave
// when all of that has expired. It may be used concurrently, from several
// processes too.
type Ring struct {
	docs       Documents
	publishFor time.Duration
	now        func() time.Time
}

// NewRing returns the ring in docs. A next key that was published less than
// publishFor ago, 1 hour if it is 0, is not rotated to. now is the clock; nil
// for time.Now.
func NewRing(docs Documents, publishFor time.Duration, now func() time.Time) *Ring {
	if publishFor == 0 {
		publishFor = defaultPublishFor
	}
	return &Ring{docs: docs, publishFor: publishFor, now: clock(now)}
}

// Keys lists the keys, oldest first. The error wraps [ErrNoRing] or [ErrRing].
func (r *Ring) Keys(ctx context.Context) ([]Key, error) {
	return r.edit(ctx, func(*ring, time.Time) (bool, error) { return false, nil })
}

// Rotate lets the next key sign, makes a new next one, and lists all. Without
// force the error wraps [ErrTooYoung] if the next key was published too short a
// time ago. Force does not make this process sign with what others cannot know:
// then the next key begins a little later. It wraps [ErrTooMany], [ErrNoRing] or
// [ErrRing] for those reasons.
func (r *Ring) Rotate(ctx context.Context, force bool) ([]Key, error) {
	return r.edit(ctx, func(k *ring, now time.Time) (bool, error) {
		published := now.Sub(k.next().Published)
		if !force && published < r.publishFor {
			return false, fmt.Errorf("%w: it was published %v ago, want %v, so that everybody who verifies tokens knows it (--force rotates all the same)",
				ErrTooYoung, published.Round(time.Second), r.publishFor)
		}
		return true, k.rotate(now)
	})
}

// Retire takes a key out of the ring at once, and lists what is left: from now
// on what it signed is refused here, within 30 s by other processes, and by
// other services as soon as they fetch the keys again. If it signs, the next
// takes its place; if it is the next, another is made. The error wraps
// [ErrNoKey], [ErrNoRing] or [ErrRing].
func (r *Ring) Retire(ctx context.Context, id string) ([]Key, error) {
	return r.edit(ctx, func(k *ring, now time.Time) (bool, error) { return true, k.retire(id, now) })
}

// edit changes a ring that is there, and lists it.
func (r *Ring) edit(ctx context.Context, change func(*ring, time.Time) (bool, error)) ([]Key, error) {
	k, now, err := r.update(ctx, func(k *ring, now time.Time) (*ring, bool, error) {
		if k == nil {
			return nil, false, ErrNoRing
		}
		changed, err := change(k, now)
		return k, changed, err
	})
	if err != nil {
		return nil, err
	}
	return k.list(now), nil
}

// update reads the ring, nil if there is none, and stores what change makes of
// it, again and again until nobody else did in between. It returns the ring as
// it is in the store then.
func (r *Ring) update(ctx context.Context, change func(*ring, time.Time) (*ring, bool, error)) (*ring, time.Time, error) {
	for {
		now := r.now()
		value, version, err := r.docs.Document(ctx, ringDocument)
		if err != nil {
			return nil, now, fmt.Errorf("read the signing keys: %w", err)
		}
		var k *ring
		if version != 0 {
			if k, err = decodeRing(value); err != nil {
				return nil, now, fmt.Errorf("%w: %w", ErrRing, err)
			}
		}
		k, changed, err := change(k, now)
		if err != nil || !changed {
			return k, now, err
		}
		if value, err = k.encode(); err != nil {
			return nil, now, fmt.Errorf("encode the signing keys: %w", err)
		}
		set, err := r.docs.SetDocument(ctx, ringDocument, value, version)
		if err != nil {
			return nil, now, fmt.Errorf("store the signing keys: %w", err)
		}
		if set {
			return k, now, nil
		}
	}
}
