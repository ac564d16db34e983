package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
)

// Books implements [onboarding.Operator].
func (s *Store) Books(ctx context.Context) (onboarding.Books, error) {
	v, err := s.run(ctx, s.steps.books, redisdb.Answered)
	if err != nil {
		return onboarding.Books{}, fmt.Errorf("read the books: %w", err)
	}
	b := onboarding.Books{States: make(map[onboarding.State]int64), Queued: make(map[onboarding.Lane]int64)}
	for _, state := range onboarding.States() {
		b.States[state] = 0
	}
	r := newReply(v)
	for r.more() {
		book(&b, r.text(), r.int())
	}
	if r.err != nil {
		return onboarding.Books{}, fmt.Errorf("read the books: %w", r.err)
	}
	return b, nil
}

// book enters one of the store's counts, whose name is a state, STATE:LANE, or
// one of a few words.
func book(b *onboarding.Books, name string, n int64) {
	state, lane, byLane := strings.Cut(name, ":")
	switch {
	case name == "accepted":
		b.Accepted = n
	case name == "copies":
		b.Copies = n
	case name == "differing":
		b.Differing = n
	case name == "oldest":
		b.OldestDue = time.Duration(n) * time.Millisecond
	case state == "arrived", name == "signups":
	default:
		b.States[onboarding.State(state)] += n
		if byLane && state == string(onboarding.Queued) {
			b.Queued[onboarding.Lane(lane)] = n
		}
	}
}

// DeadMails implements [onboarding.Operator]. The cursor is the time and the
// number of the last mail listed.
func (s *Store) DeadMails(ctx context.Context, after string, limit int) (mails []onboarding.DeadMail, next string, err error) {
	since, number := "-1", ""
	if after != "" {
		var at, n int64
		if _, err := fmt.Sscanf(after, "%d.%d", &at, &n); err != nil {
			return nil, "", fmt.Errorf("list dead mails: want a cursor from an earlier list: %w", err)
		}
		since, number, _ = strings.Cut(after, ".")
	}
	for len(mails) <= limit { // one more than asked for: the list goes on
		page := min(limit+1-len(mails), deadPage)
		v, err := s.run(ctx, s.steps.dead, redisdb.Answered, since, number, page)
		if err != nil {
			return nil, "", fmt.Errorf("list dead mails: %w", err)
		}
		r := newReply(v)
		got := 0
		for ; r.more(); got++ {
			if len(mails) == limit {
				return mails, since + "." + number, nil
			}
			var m onboarding.DeadMail
			m, since, number = r.list().deadMail()
			mails = append(mails, m)
		}
		if r.err != nil {
			return nil, "", fmt.Errorf("list dead mails: %w", r.err)
		}
		if got < page {
			break
		}
	}
	return mails, "", nil
}

// deadPage and auditPage are how many rows one step reads: others wait
// meanwhile.
const (
	deadPage  = 200
	auditPage = 250
)

func (r *reply) deadMail() (m onboarding.DeadMail, since, number string) {
	m = onboarding.DeadMail{
		ID: onboarding.MailID(r.text()), State: onboarding.State(r.text()), Reason: r.text(),
		Reply:    onboarding.Reply{Phase: r.text(), Code: int(r.int()), Enhanced: r.text(), Text: r.text()},
		Attempts: int(r.int()),
	}
	at := r.int()
	m.Since = time.UnixMilli(at)
	return m, strconv.FormatInt(at, 10), r.text()
}

// Replay implements [onboarding.Operator].
func (s *Store) Replay(ctx context.Context, id onboarding.MailID) error {
	if err := s.givenUp(ctx, s.steps.replay, id); err != nil {
		return fmt.Errorf("replay mail: %w", err)
	}
	return nil
}

// Discard implements [onboarding.Operator].
func (s *Store) Discard(ctx context.Context, id onboarding.MailID) error {
	if err := s.givenUp(ctx, s.steps.discard, id); err != nil {
		return fmt.Errorf("discard mail: %w", err)
	}
	return nil
}

// givenUp makes a step on a failed, expired or unknown mail.
func (s *Store) givenUp(ctx context.Context, step *redisdb.Script, id onboarding.MailID) error {
	v, err := s.run(ctx, step, redisdb.Replicated, string(id))
	if err != nil {
		return err
	}
	r := newReply(v)
	err = decided(r.text())
	if errors.Is(err, errWrong) {
		return fmt.Errorf("%w: it is %s, not failed, expired or unknown", onboarding.ErrWrongState, r.text())
	}
	return err
}

// Cancel implements [onboarding.Operator].
func (s *Store) Cancel(ctx context.Context, subject, reason string) (int, error) {
	v, err := s.run(ctx, s.steps.cancel, redisdb.Replicated, subject, reason)
	n, ok := v.(int64)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %v", errReply, v)
	}
	if err != nil {
		return 0, fmt.Errorf("cancel mails: %w", err)
	}
	return int(n), nil
}

// Audit implements [onboarding.Operator].
func (s *Store) Audit(ctx context.Context, after int64, limit int) (rows []onboarding.AuditRow, err error) {
	for len(rows) < limit {
		to := after + int64(min(auditPage, limit-len(rows)))
		v, err := s.run(ctx, s.steps.audit, redisdb.Answered, after+1, to, ms(s.policy.DeadAfter))
		if err != nil {
			return nil, fmt.Errorf("audit the ledger: %w", err)
		}
		r := newReply(v)
		reached := r.int()
		for r.more() {
			row, err := r.list().auditRow()
			if err != nil {
				return nil, fmt.Errorf("audit the ledger: %w", err)
			}
			rows = append(rows, row)
		}
		if r.err != nil {
			return nil, fmt.Errorf("audit the ledger: %w", r.err)
		}
		if reached < to {
			break
		}
		after = to
	}
	return rows, nil
}

func (r *reply) auditRow() (onboarding.AuditRow, error) {
	a := onboarding.AuditRow{Number: r.int(), ID: onboarding.MailID(r.text()), State: onboarding.State(r.text())}
	a.Overdue = time.Duration(r.int()) * time.Millisecond
	a.HolderAlive = r.bool()
	waits := r.bool()
	a.Held = a.State == onboarding.Unknown && !waits
	commits, doubts := int(r.int()), r.int()
	attempts, err := r.list().attempts(commits)
	if r.err != nil || err != nil {
		return a, errors.Join(r.err, err)
	}
	a.Attempts = attempts
	if commits > len(attempts) { // the one that is not written down
		last := onboarding.AuditAttempt{Outcome: onboarding.Accepted, Copy: doubts > 0}
		if a.State == onboarding.Committing {
			last.Outcome = ""
		}
		a.Attempts = append(a.Attempts, last)
	}
	return a, nil
}

// attempts reads those that were not simply accepted: number, JSON, number,
// JSON, in any order.
func (r *reply) attempts(commits int) ([]onboarding.AuditAttempt, error) {
	written := make(map[int]onboarding.AuditAttempt)
	for r.more() {
		n := int(r.int())
		var a struct {
			Copy    bool
			Outcome onboarding.AttemptOutcome
		}
		if err := json.Unmarshal([]byte(r.text()), &a); err != nil {
			return nil, fmt.Errorf("read attempt %d: %w", n, err)
		}
		written[n] = onboarding.AuditAttempt{Outcome: a.Outcome, Copy: a.Copy}
	}
	var list []onboarding.AuditAttempt
	for n := 1; n <= commits; n++ {
		if a, ok := written[n]; ok {
			list = append(list, a)
		}
	}
	return list, r.err
}

// MissingMails implements [onboarding.Operator]. It looks at limit sign-ups.
func (s *Store) MissingMails(ctx context.Context, after int64, limit int) (ids []string, scanned int64, err error) {
	scanned = after
	for left := limit; left > 0; {
		page := min(left, auditPage)
		v, err := s.run(ctx, s.steps.missing, redisdb.Answered, scanned, page)
		if err != nil {
			return nil, 0, fmt.Errorf("look for missing mails: %w", err)
		}
		r := newReply(v)
		reached := r.int()
		for r.more() {
			ids = append(ids, r.text())
		}
		if r.err != nil {
			return nil, 0, fmt.Errorf("look for missing mails: %w", r.err)
		}
		if reached == scanned {
			break
		}
		scanned = reached
		left -= page
	}
	return ids, scanned, nil
}
