package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// DueMails implements [onboarding.Outbox].
func (s *Store) DueMails(ctx context.Context, lane onboarding.Lane, limit int) (refs []onboarding.Ref, next time.Duration, err error) {
	v, err := s.run(ctx, s.steps.due, redisdb.Answered, string(lane), limit)
	if err != nil {
		return nil, 0, fmt.Errorf("list due mails: %w", err)
	}
	r := newReply(v)
	next = r.wait()
	for r.more() {
		refs = append(refs, onboarding.Ref{Mail: onboarding.MailID(r.text()), Gen: r.int()})
	}
	if r.err != nil {
		return nil, 0, fmt.Errorf("list due mails: %w", r.err)
	}
	return refs, next, nil
}

// Relayed implements [onboarding.Outbox].
func (s *Store) Relayed(ctx context.Context, refs []onboarding.Ref) error {
	args := make([]any, 0, 2*len(refs))
	for _, ref := range refs {
		args = append(args, string(ref.Mail), ref.Gen)
	}
	if _, err := s.run(ctx, s.steps.relayed, redisdb.Answered, args...); err != nil {
		return fmt.Errorf("mark mails as relayed: %w", err)
	}
	return nil
}

// QueuedMails implements [onboarding.Outbox].
func (s *Store) QueuedMails(ctx context.Context, lane onboarding.Lane) (int64, error) {
	p, err := s.Lane(ctx, lane)
	return p.Queued, err
}

// Arrived implements [onboarding.Outbox].
func (s *Store) Arrived(ctx context.Context, lane onboarding.Lane, sent time.Time) error {
	if _, err := s.run(ctx, s.steps.arrived, redisdb.Answered, string(lane), sent.UnixMilli()); err != nil {
		return fmt.Errorf("note lane progress: %w", err)
	}
	return nil
}

// Lane implements [onboarding.Outbox].
func (s *Store) Lane(ctx context.Context, lane onboarding.Lane) (onboarding.LaneProgress, error) {
	v, err := s.run(ctx, s.steps.lane, redisdb.Answered, string(lane), ms(s.policy.DeadAfter))
	if err != nil {
		return onboarding.LaneProgress{}, fmt.Errorf("read lane progress: %w", err)
	}
	r := newReply(v)
	p := onboarding.LaneProgress{Now: time.UnixMilli(r.int()), Queued: r.int()}
	if at := r.int(); at > 0 {
		p.Arrived = time.UnixMilli(at)
	}
	p.Attended = r.bool()
	p.AttendedFor = time.Duration(r.int()) * time.Millisecond
	if r.err != nil {
		return onboarding.LaneProgress{}, fmt.Errorf("read lane progress: %w", r.err)
	}
	return p, nil
}

// Sweep implements [onboarding.Outbox]. Each kind is a step of its own, so that
// sign-ups never queue behind all of them, and a fault in one kind, such as a row
// that somebody has meddled with, does not stop the others.
func (s *Store) Sweep(ctx context.Context, by onboarding.Incarnation, limit int) (onboarding.Swept, error) {
	var swept onboarding.Swept
	var errs []error
	ignored := 0
	for _, kind := range []struct {
		name  string
		moved *int
	}{
		{"held", &swept.Recovered}, {"unknown", &swept.Copied}, {"expired", &swept.Expired},
		{"queued", &swept.Requeued}, {"ahead", &swept.Requeued}, {"keys", &ignored}, {"charges", &ignored}, {"finished", &swept.Purged},
	} {
		looked, moved, err := s.sweep(ctx, kind.name, by, limit)
		if errors.Is(err, signup.ErrUnavailable) || ctx.Err() != nil {
			return swept, fmt.Errorf("sweep the ledger: %w", err)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep the ledger for what is %s: %w", kind.name, err))
			continue
		}
		*kind.moved += int(moved)
		swept.More = swept.More || looked >= int64(limit)
	}
	next, _, err := s.sweep(ctx, "next", by, limit)
	if err != nil {
		errs = append(errs, fmt.Errorf("sweep the ledger: %w", err))
	}
	if swept.Next = -1; next >= 0 {
		swept.Next = time.Duration(next) * time.Millisecond
	}
	return swept, errors.Join(errs...)
}

func (s *Store) sweep(ctx context.Context, kind string, by onboarding.Incarnation, limit int) (looked, moved int64, err error) {
	p := s.policy
	v, err := s.run(ctx, s.steps.sweep, redisdb.Answered, kind, string(by), limit,
		ms(p.DeadAfter), ms(p.StaleAfter), ms(p.UnknownPause), ms(p.Expiry), s.copies, ms(signup.KeyLife), ms(p.Retention), ms(p.HoldMost), ms(p.Gap()), ms(p.Budgets.Longest()))
	if err != nil {
		return 0, 0, err
	}
	r := newReply(v)
	looked, moved = r.int(), r.int()
	return looked, moved, r.err
}
