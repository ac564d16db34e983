package sqlite

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/onboarding"

	"zombiezen.com/go/sqlite"
)

// view is the part of the store that only reads: the owner and a [Reader]
// beside it share it.
type view struct {
	// read runs fn in one read transaction that sees everything that has
	// returned before.
	read   func(ctx context.Context, fn func(*sqlite.Conn) error) error
	now    func() time.Time
	policy onboarding.Policy
}

// Books implements [onboarding.Operator].
func (v *view) Books(ctx context.Context) (onboarding.Books, error) {
	var c counts
	var oldest time.Duration
	err := v.read(ctx, func(conn *sqlite.Conn) (err error) {
		if c, err = loadCounts(conn); err != nil {
			return err
		}
		oldest, err = v.oldestDue(conn)
		return err
	})
	if err != nil {
		return onboarding.Books{}, fmt.Errorf("read the books: %w", err)
	}
	b := onboarding.Books{
		Accepted: c[accepted], Copies: c[copies], Differing: c[differing], OldestDue: oldest,
		States: map[onboarding.State]int64{}, Queued: map[onboarding.Lane]int64{},
	}
	for _, lane := range lanes {
		for _, state := range states {
			b.States[state] += c[mailsIn(lane, state)]
		}
		b.Queued[lane] = c[mailsIn(lane, onboarding.Queued)]
	}
	return b, nil
}

// Lane implements [onboarding.Outbox].
func (v *view) Lane(ctx context.Context, lane onboarding.Lane) (onboarding.LaneProgress, error) {
	var c counts
	var healthy int64
	var attended bool
	now, dead := v.now().UnixMilli(), ms(v.policy.DeadAfter)
	err := v.read(ctx, func(conn *sqlite.Conn) (err error) {
		if c, err = loadCounts(conn); err != nil {
			return err
		}
		healthy, attended, err = one(conn, sqlHealthy, now-dead, now+dead)
		return err
	})
	if err != nil {
		return onboarding.LaneProgress{}, fmt.Errorf("read lane progress: %w", err)
	}
	p := onboarding.LaneProgress{Now: time.UnixMilli(now), Queued: c[mailsIn(lane, onboarding.Queued)], Attended: attended}
	if attended {
		p.AttendedFor = since(now, healthy)
	}
	if at := c[arrived(lane)]; at > 0 {
		p.Arrived = time.UnixMilli(at)
	}
	return p, nil
}

const sqlHealthy = "SELECT healthy_since FROM incarnations WHERE beat BETWEEN ? AND ? ORDER BY healthy_since LIMIT 1"

const sqlOldestDue = "SELECT min(at) FROM mails WHERE state = 'due' AND lane = ? AND at IS NOT NULL"

func (v *view) oldestDue(conn *sqlite.Conn) (oldest time.Duration, err error) {
	now := v.now().UnixMilli()
	for _, lane := range lanes {
		at, _, err := one(conn, sqlOldestDue, string(lane))
		if err != nil {
			return 0, err
		}
		if at != 0 {
			oldest = max(oldest, since(now, at))
		}
	}
	return oldest, nil
}

const sqlDead = `SELECT seq, id, state, reason, phase, code, enhanced, answer, attempts, dead_since
	FROM mails WHERE dead_since IS NOT NULL AND (dead_since, seq) > (?, ?) ORDER BY dead_since, seq LIMIT ?`

// DeadMails implements [onboarding.Operator]. The cursor is the time and the
// number of the last mail listed.
func (v *view) DeadMails(ctx context.Context, after string, limit int) (mails []onboarding.DeadMail, next string, err error) {
	var since, seq int64
	if after != "" {
		if _, err := fmt.Sscanf(after, "%d.%d", &since, &seq); err != nil {
			return nil, "", fmt.Errorf("list dead mails: want a cursor from an earlier list: %w", err)
		}
	}
	err = v.read(ctx, func(conn *sqlite.Conn) error {
		_, err := query(conn, sqlDead, func(r *row) error {
			if len(mails) == limit { // one more than asked for: the list goes on
				next = fmt.Sprintf("%d.%d", since, seq)
				return nil
			}
			seq = r.int()
			mails = append(mails, onboarding.DeadMail{
				ID: onboarding.MailID(r.text()), State: onboarding.State(r.text()), Reason: r.text(),
				Reply:    onboarding.Reply{Phase: r.text(), Code: int(r.int()), Enhanced: r.text(), Text: r.text()},
				Attempts: int(r.int()),
			})
			since = r.int()
			mails[len(mails)-1].Since = time.UnixMilli(since)
			return nil
		}, since, seq, limit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list dead mails: %w", err)
	}
	return mails, next, nil
}

const (
	sqlAudit = `SELECT seq, id, state, at, commits, doubt, (SELECT beat FROM incarnations WHERE id = holder)
		FROM mails WHERE seq > ? ORDER BY seq LIMIT ?`
	sqlAuditAttempts = `SELECT mail, outcome, copy FROM attempts
		WHERE mail > ? AND mail <= (SELECT max(seq) FROM (SELECT seq FROM mails WHERE seq > ? ORDER BY seq LIMIT ?))
		ORDER BY mail, n`
)

// Audit implements [onboarding.Operator].
func (v *view) Audit(ctx context.Context, after int64, limit int) (rows []onboarding.AuditRow, err error) {
	err = v.read(ctx, func(conn *sqlite.Conn) error {
		attempts, err := auditAttempts(conn, after, limit)
		if err != nil {
			return err
		}
		t := &tx{conn: conn, now: v.now().UnixMilli(), policy: v.policy}
		_, err = query(conn, sqlAudit, func(r *row) error {
			rows = append(rows, t.auditRow(r, attempts))
			return nil
		}, after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit the ledger: %w", err)
	}
	return rows, nil
}

// auditAttempts reads the attempts of the mails that come next.
func auditAttempts(conn *sqlite.Conn, after int64, limit int) (map[int64][]onboarding.AuditAttempt, error) {
	attempts := map[int64][]onboarding.AuditAttempt{}
	_, err := query(conn, sqlAuditAttempts, func(r *row) error {
		mail := r.int()
		attempts[mail] = append(attempts[mail],
			onboarding.AuditAttempt{Outcome: onboarding.AttemptOutcome(r.text()), Copy: r.bool()})
		return nil
	}, after, after, limit)
	return attempts, err
}

func (t *tx) auditRow(r *row, attempts map[int64][]onboarding.AuditAttempt) onboarding.AuditRow {
	a := onboarding.AuditRow{Number: r.int(), ID: onboarding.MailID(r.text()), State: onboarding.State(r.text())}
	at, commits, doubt, beat := r.int(), int(r.int()), r.bool(), r.int()
	switch {
	case a.State == onboarding.Unknown:
		a.Held = at == 0
	case at != 0:
		if a.State.Held() {
			at = max(at, beat)
		}
		a.Overdue = since(t.now, at)
		a.HolderAlive = a.State.Held() && t.fresh(beat)
	}
	a.Attempts = attempts[a.Number]
	if commits > len(a.Attempts) { // the one without a row
		last := onboarding.AuditAttempt{Outcome: onboarding.Accepted, Copy: doubt}
		if a.State == onboarding.Committing {
			last.Outcome = ""
		}
		a.Attempts = append(a.Attempts, last)
	}
	return a
}

// A sign-up's mails lie together in the index of ids: "/" follows ".".
const sqlMissing = `SELECT seq, id, EXISTS (
	SELECT 1 FROM mails WHERE mails.id > signups.id || '.' AND mails.id < signups.id || '/')
	FROM signups WHERE seq > ? ORDER BY seq LIMIT ?`

// MissingMails implements [onboarding.Operator]. It looks at limit sign-ups.
func (v *view) MissingMails(ctx context.Context, after int64, limit int) (ids []string, scanned int64, err error) {
	scanned = after
	err = v.read(ctx, func(conn *sqlite.Conn) error {
		_, err := query(conn, sqlMissing, func(r *row) error {
			scanned = r.int()
			id := r.text()
			if hasMail := r.bool(); !hasMail {
				ids = append(ids, id)
			}
			return nil
		}, after, limit)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("look for missing mails: %w", err)
	}
	return ids, scanned, nil
}
