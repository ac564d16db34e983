package sqlite

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
)

// Heartbeat implements [onboarding.Presence].
func (s *Store) Heartbeat(ctx context.Context, by onboarding.Incarnation) error {
	err := s.ride(ctx, func(t *tx) error {
		healthy := t.now
		_, err := query(t.conn, "SELECT beat, healthy_since FROM incarnations WHERE id = ?", func(r *row) error {
			if beat := r.int(); t.heard(beat, t.policy.Gap()) {
				healthy = min(r.int(), t.now)
			}
			return nil
		}, string(by))
		if err != nil {
			return err
		}
		_, err = t.exec("INSERT OR REPLACE INTO incarnations (id, beat, healthy_since) VALUES (?, ?, ?)", string(by), t.now, healthy)
		return err
	})
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// fresh tells whether a heartbeat is good.
func (t *tx) fresh(beat int64) bool { return t.heard(beat, t.policy.DeadAfter) }

// heard tells whether a heartbeat is no older than that. One from the future is
// not heard, or a clock that was set back would keep the dead alive.
func (t *tx) heard(beat int64, within time.Duration) bool {
	age := t.now - beat
	return -ms(within) <= age && age <= ms(within)
}

// Leave implements [onboarding.Presence].
func (s *Store) Leave(ctx context.Context, by onboarding.Incarnation) error {
	err := s.commitUnsynced(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM incarnations WHERE id = ?", string(by)); err != nil {
			return err
		}
		held, err := t.mails(sqlSending+" AND holder = ?", string(by))
		if err != nil {
			return err
		}
		return t.takeBack(held, "its process ended")
	})
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

const (
	sqlSending    = "state = 'sending' AND at IS NOT NULL"
	sqlCommitting = "state = 'committing' AND at IS NOT NULL"
)

// takeBack recovers mails whose holder is gone: before the point of no return
// nothing was submitted; after it nobody knows.
func (t *tx) takeBack(held []*mail, why string) error {
	for _, m := range held {
		if m.state == onboarding.Sending {
			m.free()
			m.reason = why
			m.toDue(t.now)
		} else if err := t.loseTrack(m, why+" between the final dot and the server's answer"); err != nil {
			return err
		}
		if err := t.save(m); err != nil {
			return err
		}
	}
	return nil
}

// loseTrack makes a committing mail unknown. Its claim stays, for a late reply.
func (t *tx) loseTrack(m *mail, why string) error {
	m.toUnknown(t.policy, t.now, why)
	return t.endAttempt(m, onboarding.Uncertain, onboarding.Result{})
}

// recoverAll takes back everything that is held: whoever held it is dead. It
// works in short transactions, each of which leaves less to do, so that it may
// be killed and begun again at any point.
func (s *Store) recoverAll(ctx context.Context) error {
	const chunk = 1000
	total := 0
	for _, sql := range []string{sqlSending, sqlCommitting} {
		for done := chunk; done == chunk; total += done {
			err := s.commitUnsynced(ctx, func(t *tx) error {
				held, err := t.mails(sql+" LIMIT ?", chunk)
				done = len(held)
				if err != nil {
					return err
				}
				return t.takeBack(held, "its process ended")
			})
			if err != nil {
				return fmt.Errorf("recover held mails: %w", err)
			}
		}
	}
	if total > 0 {
		s.logger.Info("took back what a former process held", "mails", total)
	}
	// A killed process leaves its incarnation, so this writes, and its commit
	// takes to the disk what that process had written and not synced.
	return s.commit(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM incarnations")
		return err
	})
}
