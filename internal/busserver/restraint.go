package busserver

import (
	"context"
	"sync/atomic"
	"time"

	"bellhop/internal/bus"
)

// A link waits a millisecond longer before it is sent more for each returnsStep
// messages that it has given back in a row, at most maxRestraint. So who gives
// back what it has fetched too much waits less than a blink, and who gives back
// the same message for ever makes ten commits a second.
const (
	returnsStep  = 64
	maxRestraint = 100 * time.Millisecond
)

// restraint slows down a receiving link that gives back all that it gets. What
// is given back without being counted comes again at once, and nothing ends
// that: neither the delivery count nor the bus, which commits each round.
type restraint struct {
	returned atomic.Int64  // messages that were given back since the last that was not
	ended    chan struct{} // closed with the link
}

// note takes over what has become of a message, of the dead-letter queue or not.
func (r *restraint) note(kind bus.SettleKind, isDead bool) {
	if kind == bus.Release || kind == bus.Abandon && isDead {
		r.returned.Add(1)
	} else {
		r.returned.Store(0)
	}
}

// pause is how long the link must wait now.
func (r *restraint) pause() time.Duration {
	return min(time.Duration(r.returned.Load()/returnsStep)*time.Millisecond, maxRestraint)
}

// wait returns when the link may be sent more, or when it or ctx has ended.
func (r *restraint) wait(ctx context.Context) {
	pause := r.pause()
	if pause == 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ended:
	case <-ctx.Done():
	}
}
