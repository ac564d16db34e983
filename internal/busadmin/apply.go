package busadmin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"bellhop/internal/bus"
)

// Apply creates the queues that are missing, and alters those that are there
// and differ, so that whoever edits the file and starts again gets what it says.
// What the file cannot say of a queue (its metadata, status, size and rules of
// access) stays as it is; so do queues it does not name. Messages stay, too,
// with the expiry they were given. What was created and what was altered is
// logged; a nil logger logs nothing. The first queue that fails ends it.
func (c *Config) Apply(ctx context.Context, b *bus.Bus, logger *slog.Logger) error {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	for i := range c.Queues {
		if err := c.Queues[i].apply(ctx, b, logger); err != nil {
			return fmt.Errorf("apply the configuration to queue %q: %w", c.Queues[i].Name, err)
		}
	}
	return nil
}

func (q *Queue) apply(ctx context.Context, b *bus.Bus, logger *slog.Logger) error {
	err := b.CreateQueue(ctx, q.Name, q.Settings)
	if err == nil {
		logger.Info("queue created from the configuration", "queue", q.Name)
	}
	if !errors.Is(err, bus.ErrQueueExists) {
		return err
	}
	current, err := b.Queue(ctx, q.Name)
	if err != nil {
		return err
	}
	changes := q.differences(&current.Settings)
	if len(changes) == 0 {
		return nil
	}
	if err := b.UpdateQueue(ctx, q.Name, q.over(current.Settings)); err != nil {
		return err
	}
	logger.Info("queue altered to what the configuration says", "queue", current.Name, "changes", changes)
	return nil
}

// differences names what the file says otherwise than a queue is.
func (q *Queue) differences(current *bus.Settings) (changes []string) {
	note := func(name string, from, to any) {
		if from != to {
			changes = append(changes, fmt.Sprintf("%s: %v to %v", name, from, to))
		}
	}
	to := &q.Settings
	note("LockDuration", formatDuration(current.LockDuration), formatDuration(to.LockDuration))
	note("DefaultMessageTimeToLive", formatDuration(orForever(current.DefaultTTL)), formatDuration(orForever(to.DefaultTTL)))
	note("MaxDeliveryCount", current.MaxDeliveryCount, to.MaxDeliveryCount)
	note("DeadLetteringOnMessageExpiration", current.DeadLetterOnExpiration, to.DeadLetterOnExpiration)
	note("RequiresDuplicateDetection", current.DuplicateWindow > 0, to.DuplicateWindow > 0)
	if current.DuplicateWindow > 0 && to.DuplicateWindow > 0 {
		note("DuplicateDetectionHistoryTimeWindow", formatDuration(current.DuplicateWindow), formatDuration(to.DuplicateWindow))
	}
	return changes
}

// over is a queue's settings with those of the file over them.
func (q *Queue) over(current bus.Settings) bus.Settings {
	said, kept := wordingOf(q.Settings), wordingOf(current)
	said.Unbatched, said.AuthorizationRules = kept.Unbatched, kept.AuthorizationRules
	s := q.Settings
	s.MaxSizeBytes, s.Status, s.UserMetadata = current.MaxSizeBytes, current.Status, current.UserMetadata
	s.Described = said.String()
	return s
}
