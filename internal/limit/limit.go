// Package limit says who has asked often enough for now.
//
// It is the generic cell rate algorithm (GCRA): each key has one number, the
// theoretical arrival time, which every event moves on by Per/Events, and an
// event is over when that would lie more than a burst ahead of now. So a key
// may make Events at once, then one every Per/Events, and never more than that
// in any stretch of time. There is nothing to sweep and nothing to reset: a
// time in the past means the same as none.
//
// What is lost when a limiter forgets everything, at a restart, is one burst a
// key.
//
// The package knows no addresses and no web: keys are made with a secret
// (see [NewKey]), so that what they stand for is kept nowhere.
package limit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"
)

// Rate is how often something may happen. The zero value is no limit.
type Rate struct {
	// Events may happen at once, and in the long run within each Per. 0 or less
	// for no limit.
	Events int
	// Per is the time in which the burst comes back. 0 or less for no limit.
	Per time.Duration
}

// Unlimited tells whether everything passes.
func (r Rate) Unlimited() bool { return r.Events <= 0 || r.Per <= 0 }

// Interval is how long it takes until one more event may happen, in whole
// units, rounded up so that a limit is never looser than it says. It panics for
// a rate without a limit.
func (r Rate) Interval(unit time.Duration) time.Duration {
	steps := time.Duration(r.Events) * unit
	return (r.Per + steps - 1) / steps * unit
}

// Key names what is counted. Keys must be evenly spread and nobody may be able
// to choose one, as those of [NewKey] are.
type Key [16]byte

// NewKey is HMAC-SHA-256(secret, kind, value)[:16]. The kind keeps apart what
// is counted for different reasons; it must have no zero byte in it.
func NewKey(secret []byte, kind string, value []byte) (k Key) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(kind))
	mac.Write([]byte{0})
	mac.Write(value)
	copy(k[:], mac.Sum(nil))
	return k
}

// Charge is one event against one key.
type Charge struct {
	Key  Key
	Rate Rate
}

// Limiter counts events. It may be used concurrently.
type Limiter interface {
	// Take charges one event to every key, or to none if it would be too many
	// for any of them. over is the index of the first key that is over, -1 when
	// all were charged; wait is how long it takes until all could be if nobody
	// else asks, 0 when they were. A charge without a limit always passes. The
	// keys of one call must differ. After an error nobody knows whether
	// anything was charged; over is -1 then.
	Take(ctx context.Context, charges ...Charge) (over int, wait time.Duration, err error)
}

// Gate is one limit on one kind of thing. The zero value lets everything pass.
type Gate struct {
	// Limiter counts; nil for no limit.
	Limiter Limiter
	// Secret and Kind make the keys: see [NewKey].
	Secret []byte
	Kind   string
	Rate   Rate
}

// Over charges one event to a value and tells whether that was too many. When
// the limiter cannot be asked, it is not.
func (g Gate) Over(ctx context.Context, value []byte) bool {
	if g.Limiter == nil || g.Rate.Unlimited() {
		return false
	}
	over, _, err := g.Limiter.Take(ctx, Charge{Key: NewKey(g.Secret, g.Kind, value), Rate: g.Rate})
	return err == nil && over >= 0
}
