package sqlite

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// sweeper is one kind of thing that is swept, in a transaction of its own so
// that sign-ups never queue behind all of them. It tells how many rows it
// looked at; as many as the limit means that there may be more.
type sweeper func(t *tx, by onboarding.Incarnation, limit int, swept *onboarding.Swept) (int, error)

// Sweep implements [onboarding.Outbox]. It does not ask for the disk: what a
// crash undoes the next sweep does again. Its steps ride, and the last one waits
// for its commit, and so for theirs.
func (s *Store) Sweep(ctx context.Context, by onboarding.Incarnation, limit int) (onboarding.Swept, error) {
	var swept onboarding.Swept
	for _, sweep := range []sweeper{
		sweepHeld(onboarding.Sending), sweepHeld(onboarding.Committing), sweepUnknown, sweepExpired,
		sweepQueued(onboarding.Urgent), sweepQueued(onboarding.Bulk), sweepAhead, sweepKeys, sweepCharges,
	} {
		err := s.ride(ctx, func(t *tx) error {
			n, err := sweep(t, by, limit, &swept)
			swept.More = swept.More || n == limit
			return err
		})
		if err != nil {
			return onboarding.Swept{}, fmt.Errorf("sweep the ledger: %w", err)
		}
	}
	err := s.commitUnsynced(ctx, func(t *tx) (err error) {
		swept.Next, err = t.nextSweep()
		return err
	})
	if err != nil {
		return onboarding.Swept{}, fmt.Errorf("sweep the ledger: %w", err)
	}
	return swept, nil
}

// sweepHeld recovers what dead incarnations hold, and what a living one has held
// for longer than it can have use for, if the caller's own view of the store has
// been good for long enough to judge.
func sweepHeld(state onboarding.State) sweeper {
	where := sqlHeldByDead(state)
	return func(t *tx, by onboarding.Incarnation, limit int, swept *onboarding.Swept) (int, error) {
		fit, err := t.mayJudge(by)
		if err != nil || !fit {
			return 0, err
		}
		dead := ms(t.policy.DeadAfter)
		held, err := t.mails(where, t.now-ms(t.policy.HoldMost), t.now-dead, t.now+dead, limit)
		if err != nil {
			return 0, err
		}
		swept.Recovered += len(held)
		return len(held), t.takeBack(held, "its process died, or held it for too long")
	}
}

func sqlHeldByDead(state onboarding.State) string {
	return `state = '` + string(state) + `' AND at IS NOT NULL AND (at < ? OR NOT EXISTS (
		SELECT 1 FROM incarnations WHERE id = mails.holder AND beat BETWEEN ? AND ?)) LIMIT ?`
}

func (t *tx) mayJudge(by onboarding.Incarnation) (fit bool, err error) {
	_, err = query(t.conn, "SELECT beat, healthy_since FROM incarnations WHERE id = ?", func(r *row) error {
		beat, healthy := r.int(), r.int()
		fit = t.heard(beat, t.policy.Gap()) && t.now-healthy >= ms(t.policy.DeadAfter)
		return nil
	}, string(by))
	return fit, err
}

const sqlPauseOver = "state = 'unknown' AND lane IN ('urgent', 'bulk') AND at <= ? LIMIT ?"

// sweepUnknown makes a copy of each unknown whose pause is over due.
func sweepUnknown(t *tx, _ onboarding.Incarnation, limit int, swept *onboarding.Swept) (int, error) {
	unknown, err := t.mails(sqlPauseOver, t.now, limit)
	if err != nil {
		return 0, err
	}
	for _, m := range unknown {
		if m.expiresAt <= t.now {
			m.hold(t.now)
		} else {
			m.free()
			m.toDue(t.now)
			swept.Copied++
		}
		if err := t.save(m); err != nil {
			return 0, err
		}
	}
	return len(unknown), nil
}

const sqlExpired = "expires = 1 AND expires_at <= ? AND state IN ('due', 'queued') ORDER BY expires_at LIMIT ?"

func sweepExpired(t *tx, _ onboarding.Incarnation, limit int, swept *onboarding.Swept) (int, error) {
	late, err := t.mails(sqlExpired, t.now, limit)
	if err != nil {
		return 0, err
	}
	for _, m := range late {
		m.end(onboarding.Expired, t.now, m.expiredText())
		if err := t.save(m); err != nil {
			return 0, err
		}
	}
	swept.Expired += len(late)
	return len(late), nil
}

const sqlStale = "state = 'queued' AND lane = ? AND at < ? ORDER BY at LIMIT ?"

// sweepQueued returns mails to due whose message should have come through. They
// keep their place in the line: the time at which they were sent.
func sweepQueued(lane onboarding.Lane) sweeper {
	return func(t *tx, _ onboarding.Incarnation, limit int, swept *onboarding.Swept) (int, error) {
		before := min(t.now-ms(t.policy.StaleAfter), t.counts[arrived(lane)])
		stale, err := t.mails(sqlStale, string(lane), before, limit)
		if err != nil {
			return 0, err
		}
		for _, m := range stale {
			m.toDue(int64(m.at))
			if err := t.save(m); err != nil {
				return 0, err
			}
		}
		swept.Requeued += len(stale)
		return len(stale), nil
	}
}

// A due mail's time is always before its expiry, whatever the settings were
// when it was created: one that is further ahead than the mail's whole life is
// not from a rule.
const sqlAhead = `state = ?1 AND lane IN ('urgent', 'bulk') AND at > ?2
	AND (state <> 'due' OR at > ?3 + keeps) LIMIT ?4`

// sweepAhead brings back what waits for a time that no rule would have set: the
// clock has been set back. Nothing else depends on two clocks agreeing.
func sweepAhead(t *tx, _ onboarding.Incarnation, limit int, swept *onboarding.Swept) (int, error) {
	most := 0
	for state, longest := range map[onboarding.State]time.Duration{
		onboarding.Due:     t.policy.Expiry,
		onboarding.Queued:  t.policy.StaleAfter,
		onboarding.Unknown: t.policy.UnknownPause,
	} {
		ahead, err := t.mails(sqlAhead, string(state), t.now+ms(longest), t.now, limit)
		if err != nil {
			return 0, err
		}
		for _, m := range ahead {
			if m.state == onboarding.Queued {
				m.toDue(t.now)
			}
			m.at = optional(t.now)
			if err := t.save(m); err != nil {
				return 0, err
			}
		}
		swept.Requeued += len(ahead)
		most = max(most, len(ahead))
	}
	return most, nil
}

// sweepKeys forgets idempotency keys. They lie in the order of their sign-ups,
// so that the old ones are found without an index on their age.
func sweepKeys(t *tx, _ onboarding.Incarnation, limit int, _ *onboarding.Swept) (int, error) {
	return t.exec(sqlForgetKeys, limit, t.now-ms(signup.KeyLife))
}

const sqlForgetKeys = `DELETE FROM idempotency WHERE signup IN (
	SELECT signup FROM (SELECT signup, used_at FROM idempotency ORDER BY signup LIMIT ?) WHERE used_at <= ?)`

const (
	sqlNextPause  = "SELECT min(at) FROM mails WHERE state = 'unknown' AND lane = ? AND at IS NOT NULL"
	sqlNextExpiry = "SELECT expires_at FROM mails WHERE expires = 1 AND expires_at > 0 AND state IN ('due', 'queued') ORDER BY expires_at LIMIT 1"
)

// nextSweep is how long until the ledger next asks for a sweep by itself.
func (t *tx) nextSweep() (time.Duration, error) {
	next := int64(0)
	note := func(at int64) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	for _, lane := range lanes {
		at, _, err := one(t.conn, sqlNextPause, string(lane))
		if err != nil {
			return 0, err
		}
		note(at)
	}
	at, _, err := one(t.conn, sqlNextExpiry)
	if err != nil {
		return 0, err
	}
	note(at)
	if next == 0 {
		return -1, nil
	}
	return time.Duration(max(0, next-t.now)) * time.Millisecond, nil
}
