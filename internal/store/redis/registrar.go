package redis

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/crashpoint"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// stepMost is how many sign-ups or requests to sign in one step of an export, an
// erasure or a purge is about: everybody else waits meanwhile.
const stepMost = 100

// Erase implements [signup.Registrar]. Its last step erases the account; those
// before it what goes with one, if that is more than one step's worth.
func (s *Store) Erase(ctx context.Context, id string) error {
	for more := true; more; {
		crashpoint.Here(crashpoint.Erasing)
		v, err := s.run(ctx, s.steps.erase, redisdb.Replicated, id, stepMost)
		if err == nil && v == "none" {
			err = signup.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("erase sign-up: %w", err)
		}
		more = v == "more"
	}
	return nil
}

// Purge implements [signup.Registrar]. Each kind is a few steps of their own.
func (s *Store) Purge(ctx context.Context, r signup.Retention) (signup.Purged, error) {
	var purged signup.Purged
	for _, kind := range []struct {
		name string
		keep time.Duration
		gone *int
	}{
		{"signups", r.Unconfirmed, &purged.SignUps}, {"requests", r.SignIns, &purged.SignIns}, {"sessions", 0, &purged.Sessions},
	} {
		gone, more, err := s.purge(ctx, kind.name, kind.keep, r.Limit)
		*kind.gone = gone
		purged.More = purged.More || more
		if err != nil {
			return purged, fmt.Errorf("purge %s: %w", kind.name, err)
		}
	}
	return purged, nil
}

// purge lets up to limit of a kind go.
func (s *Store) purge(ctx context.Context, kind string, keep time.Duration, limit int) (gone int, more bool, err error) {
	for gone < limit {
		page := min(limit-gone, stepMost)
		v, err := s.run(ctx, s.steps.purge, redisdb.Replicated, kind, ms(keep), page)
		if err != nil {
			return gone, false, err
		}
		r := newReply(v)
		looked := int(r.int())
		gone += int(r.int())
		if r.err != nil || looked < page {
			return gone, false, r.err
		}
	}
	return gone, true, nil
}
