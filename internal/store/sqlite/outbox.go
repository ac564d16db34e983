package sqlite

import (
	"context"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
)

// DueMails implements [onboarding.Outbox]. It runs on the writer, which is how
// it sees every earlier Relayed.
func (s *Store) DueMails(ctx context.Context, lane onboarding.Lane, limit int) (refs []onboarding.Ref, next time.Duration, err error) {
	err = s.ride(ctx, func(t *tx) error {
		next = -1
		_, err := query(t.conn, sqlDue, func(r *row) error {
			ref := onboarding.Ref{Mail: onboarding.MailID(r.text()), Gen: r.int()}
			at := r.int()
			switch {
			case at > t.now || len(refs) == limit:
				if next < 0 {
					next = time.Duration(max(0, at-t.now)) * time.Millisecond
				}
			default:
				refs = append(refs, ref)
			}
			return nil
		}, string(lane), limit+1)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list due mails: %w", err)
	}
	return refs, next, nil
}

const sqlDue = `SELECT id, gen, at FROM mails
	WHERE state = 'due' AND lane = ? AND at IS NOT NULL ORDER BY at LIMIT ?`

// Relayed implements [onboarding.Outbox]. It rides: a mark that is lost leaves
// the mail due, and the message that comes through claims it all the same.
func (s *Store) Relayed(ctx context.Context, refs []onboarding.Ref) error {
	err := s.ride(ctx, func(t *tx) error {
		for _, ref := range refs {
			if err := t.relayed(ref); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark mails as relayed: %w", err)
	}
	return nil
}

// relayed does without loading the mail: it is the one step that every mail
// takes in bulk.
func (t *tx) relayed(ref onboarding.Ref) error {
	_, purpose, _, err := ref.Mail.Parse()
	if err != nil {
		return nil // no mail has such an id
	}
	n, err := t.exec(sqlRelayed, t.now, string(ref.Mail), ref.Gen)
	if err == nil && n > 0 {
		t.moved(purpose.Lane(), onboarding.Due, onboarding.Queued)
	}
	return err
}

const sqlRelayed = "UPDATE mails SET state = 'queued', at = ? WHERE id = ? AND gen = ? AND state = 'due'"

// QueuedMails implements [onboarding.Outbox].
func (s *Store) QueuedMails(_ context.Context, lane onboarding.Lane) (int64, error) {
	return s.count(mailsIn(lane, onboarding.Queued)), nil
}

// Arrived implements [onboarding.Outbox].
func (s *Store) Arrived(ctx context.Context, lane onboarding.Lane, sent time.Time) error {
	err := s.ride(ctx, func(t *tx) error {
		t.arrived(lane, sent.UnixMilli())
		return nil
	})
	if err != nil {
		return fmt.Errorf("note lane progress: %w", err)
	}
	return nil
}

// arrived keeps the latest time, unless the clock was set back below it.
func (t *tx) arrived(lane onboarding.Lane, sent int64) {
	latest := &t.counts[arrived(lane)]
	if *latest > t.now || sent > *latest {
		*latest = min(sent, t.now)
	}
}
