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

// Take implements [limit.Limiter] for all processes together, by the store's
// clock, exact to a millisecond. What is counted is not waited for as a sign-up
// is, and has a time to live, alone of all that is stored: losing it gives each
// key one more burst.
func (s *Store) Take(ctx context.Context, charges ...limit.Charge) (over int, wait time.Duration, err error) {
	args := make([]any, 0, 3*len(charges))
	for _, c := range charges {
		var interval time.Duration
		if !c.Rate.Unlimited() {
			interval = c.Rate.Interval(time.Microsecond)
		}
		args = append(args, hex.EncodeToString(c.Key[:]), interval.Microseconds(), int64(c.Rate.Events)*interval.Microseconds())
	}
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
