package redis

import (
	"context"
	"fmt"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
)

// Heartbeat implements [onboarding.Presence]. It notices that the store has been
// emptied: see Failed.
func (s *Store) Heartbeat(ctx context.Context, by onboarding.Incarnation) error {
	v, err := s.run(ctx, s.steps.heartbeat, redisdb.Answered, string(by), ms(s.policy.Gap()))
	if v == "gone" {
		err = ErrGone
		s.fail(err)
	}
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// Leave implements [onboarding.Presence].
func (s *Store) Leave(ctx context.Context, by onboarding.Incarnation) error {
	for cursor := "0"; ; {
		v, err := s.run(ctx, s.steps.leave, redisdb.Answered, string(by), cursor, ms(s.policy.UnknownPause), s.copies)
		if err != nil {
			return fmt.Errorf("leave: %w", err)
		}
		var ok bool
		if cursor, ok = v.(string); !ok {
			return fmt.Errorf("leave: %w: %v", errReply, v)
		}
		if cursor == "0" {
			return nil
		}
	}
}
