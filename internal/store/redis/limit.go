package redis

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"bellhop/internal/limit"
	"bellhop/internal/redisdb"
)

var _ limit.Limiter = (*Store)(nil)

// countWithin is how long a limit is worth waiting for.
const countWithin = time.Second

// Take implements [limit.Limiter] for all processes together, by the store's
// clock, exact to a millisecond. What is counted is not waited for as a sign-up
// is, and has a time to live, alone of all that is stored: losing it gives each
// key one more burst. It fails when the server does not answer within a second.
func (s *Store) Take(ctx context.Context, charges ...limit.Charge) (over int, wait time.Duration, err error) {
	args, limited := make([]any, 0, 3*len(charges)), false
	for _, c := range charges {
		var interval time.Duration
		if !c.Rate.Unlimited() {
			interval, limited = c.Rate.Interval(time.Microsecond), true
		}
		args = append(args, hex.EncodeToString(c.Key[:]), interval.Microseconds(), int64(c.Rate.Events)*interval.Microseconds())
	}
	if !limited {
		return -1, 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	v, err := s.run(ctx, s.steps.limit, redisdb.Answered, args...)
	if err != nil {
		return -1, 0, fmt.Errorf("count against limits: %w", err)
	}
	r := newReply(v)
	over, wait = int(r.int()), time.Duration(r.int())*time.Microsecond
	if r.err != nil {
		return -1, 0, fmt.Errorf("count against limits: %w", r.err)
	}
	return over, wait, nil
}
