package redis

import (
	"context"
	"time"

	"bellhop/internal/onboarding"
)

// channel is where processes tell each other of mails made due.
const channel = Tag + ":news"

// heraldPace is the shortest time between two announcements of a lane. A relay
// that is told once looks at everything that is due.
const heraldPace = 5 * time.Millisecond

// announce starts the goroutine that tells other processes.
func (s *Store) announce() {
	ctx, end := context.WithCancel(context.Background())
	s.news, s.end = make(chan onboarding.Lane, 1), end
	s.herald.Go(func() {
		pace := time.NewTicker(heraldPace)
		defer pace.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case lane := <-s.news:
				if err := s.client.Publish(ctx, channel, string(lane)); err != nil && ctx.Err() == nil {
					s.logger.Debug("announcing a due mail failed: relays find it within a second", "error", err)
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
			}
		}
	})
}

// tell hands an announcement over, if none is waiting already. It never waits.
func (s *Store) tell(lane onboarding.Lane) {
	if s.news == nil {
		return
	}
	select {
	case s.news <- lane:
	default:
	}
}

// Watch calls notify for each lane in which another process made mails due,
// until ctx ends, and returns nil then. What is announced while the connection
// is down is not told: whoever relies on it must look by himself now and then.
func (s *Store) Watch(ctx context.Context, notify func(onboarding.Lane)) error {
	return s.client.Listen(ctx, channel, func(lane string) { notify(onboarding.Lane(lane)) })
}
