package sqlite

import (
	"context"
	"errors"
	"fmt"

	"bellhop/internal/onboarding"
	"bellhop/internal/sqlitedb"
)

// Record implements [onboarding.Claims]. It always waits for the disk: losing
// an outcome means a copy.
func (s *Store) Record(ctx context.Context, c onboarding.Claim, r onboarding.Result) (state onboarding.State, err error) {
	err = s.commit(ctx, func(t *tx) error {
		m, err := t.mail(c.Mail)
		if err != nil {
			return err
		}
		if m == nil || !m.heldBy(c) {
			return onboarding.ErrRefused
		}
		if r.Reply.Text, err = t.mayKeep(m, r.Reply.Text); err != nil {
			return err
		}
		switch m.state {
		case onboarding.Sending:
			err = t.recordUncommitted(m, r)
		case onboarding.Committing:
			err = t.recordCommitted(m, r)
		case onboarding.Unknown:
			if r.To != onboarding.Unknown {
				err = t.recordLate(m, r)
			}
		default: // recorded before
		}
		state = m.state
		return err
	})
	if err != nil {
		return "", fmt.Errorf("record outcome: %w", gone(err))
	}
	s.heardOf(r)
	return state, nil
}

// mayKeep is as much of a mail server's words as may be kept of a mail: none when
// it was called off because its subject was erased, like those that were there
// then.
func (t *tx) mayKeep(m *mail, answer string) (string, error) {
	if !m.calledOff {
		return answer, nil
	}
	s, err := t.subjectOf(m.id)
	if s == nil {
		answer = ""
	}
	return answer, err
}

// gone marks the errors after which this process can write nothing more.
func gone(err error) error {
	if errors.Is(err, sqlitedb.ErrFailed) || errors.Is(err, sqlitedb.ErrClosed) {
		return fmt.Errorf("%w: %w", onboarding.ErrGone, err)
	}
	return err
}

// recordUncommitted ends a claim that never reached the point of no return. If
// its holder says that the mail was submitted, it was: the store has lost that
// it had passed, and that is made up for, with the mint that was used then.
func (t *tx) recordUncommitted(m *mail, r onboarding.Result) error {
	switch r.To {
	case onboarding.Sent, onboarding.Unknown:
		return t.makeUp(m, r)
	case onboarding.Due, onboarding.Failed:
	default:
		return fmt.Errorf("mail %s: an attempt cannot end as %q", m.id, r.To)
	}
	m.countClaim(r, r.Counts)
	t.settle(m, r)
	return t.save(m)
}

// makeUp takes a mail over the point of no return that it had passed before, and
// ends its claim.
func (t *tx) makeUp(m *mail, r onboarding.Result) error {
	s, err := t.subjectOf(m.id)
	if err != nil {
		return err
	}
	used := onboarding.Held{Mint: int(m.mint), Copy: m.doubt}.NextMint()
	if err := t.pass(m, s, onboarding.Rendered{Mint: used, BodyHash: m.bodyHash}); err != nil {
		return err
	}
	return t.recordCommitted(m, r)
}

// recordCommitted ends a claim whose dot may have been written.
func (t *tx) recordCommitted(m *mail, r onboarding.Result) error {
	outcome, err := outcomeOf(r.To)
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.id, err)
	}
	if outcome != onboarding.Accepted {
		if err := t.endAttempt(m, outcome, r); err != nil {
			return err
		}
	}
	m.countClaim(r, r.Counts)
	t.settle(m, r)
	return t.save(m)
}

// recordLate learns what became of an attempt that was unknown.
func (t *tx) recordLate(m *mail, r onboarding.Result) error {
	outcome, err := outcomeOf(r.To)
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.id, err)
	}
	before, _, err := one(t.conn, sqlEnded, m.seq, m.commits)
	if err != nil {
		return err
	}
	counted, copied := before&1 != 0, before&2 != 0
	_, err = t.exec(sqlLateAnswer, string(outcome), r.Reply.Code, r.Reply.Enhanced, r.Reply.Text, m.seq, m.commits)
	if err != nil {
		return err
	}
	if copied && outcome == onboarding.Undelivered {
		t.uncountCopy(m)
	}
	left, _, err := one(t.conn, sqlDoubts, m.seq, string(onboarding.Uncertain))
	if err != nil {
		return err
	}
	m.doubt = left > 0
	m.countClaim(r, r.Counts && !counted)
	t.settle(m, r)
	return t.save(m)
}

// endAttempt writes down an attempt that was not simply accepted. Once one has
// ended unknown the doubt stays, whatever becomes of the attempts after it: the
// person may have that first mail, and must not get another link. A copy that
// was certainly not delivered is none.
func (t *tx) endAttempt(m *mail, outcome onboarding.AttemptOutcome, r onboarding.Result) error {
	_, err := t.exec(sqlPutAttempt,
		m.seq, m.commits, m.doubt, string(outcome), r.Counts, r.Reply.Code, r.Reply.Enhanced, r.Reply.Text)
	if m.doubt && outcome == onboarding.Undelivered {
		t.uncountCopy(m)
	}
	m.doubt = m.doubt || outcome == onboarding.Uncertain
	return err
}

// uncountCopy takes back what Committing counted.
func (t *tx) uncountCopy(m *mail) {
	m.copies--
	t.counts[copies]--
}

const (
	sqlPutAttempt = "INSERT INTO attempts (mail, n, copy, outcome, counted, code, enhanced, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	sqlEnded      = "SELECT counted + 2 * copy FROM attempts WHERE mail = ? AND n = ?"
	sqlDoubts     = "SELECT count(*) FROM attempts WHERE mail = ? AND outcome = ?"
	sqlLateAnswer = "UPDATE attempts SET outcome = ?, code = ?, enhanced = ?, answer = ? WHERE mail = ? AND n = ?"
)

func outcomeOf(to onboarding.State) (onboarding.AttemptOutcome, error) {
	switch to {
	case onboarding.Sent:
		return onboarding.Accepted, nil
	case onboarding.Due, onboarding.Failed:
		return onboarding.Undelivered, nil
	case onboarding.Unknown:
		return onboarding.Uncertain, nil
	}
	return "", fmt.Errorf("an attempt cannot end as %q", to)
}

// countClaim counts the attempt, and forgets the claims without an outcome: a
// drained one was not used, any other has an outcome now.
func (m *mail) countClaim(r onboarding.Result, counts bool) {
	if counts {
		m.attempts++
	}
	switch {
	case !r.Drained:
		m.claims = 0
	case m.claims > 0:
		m.claims--
	}
}

// settle moves the mail where the result says, unless it was called off or has
// run out of time.
func (t *tx) settle(m *mail, r onboarding.Result) {
	m.reply = r.Reply
	at := t.now + ms(r.After)
	switch {
	case r.To == onboarding.Sent:
		m.end(onboarding.Sent, t.now, "")
	case r.To == onboarding.Unknown:
		m.toUnknown(t.policy, t.now, r.Reason)
	case m.calledOff:
		m.end(onboarding.Cancelled, t.now, m.reason)
	case r.To == onboarding.Failed:
		m.end(onboarding.Failed, t.now, r.Reason)
	case at >= m.expiresAt:
		m.end(onboarding.Expired, t.now, "expired before the next attempt; the last one: "+r.Reason)
	default:
		m.reason = r.Reason
		m.toDue(at)
	}
}
