package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/crashpoint"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// stepMost is how many sign-ups or requests to sign in one step of an export, an
// erasure or a purge is about: everybody else waits meanwhile.
const stepMost = 100

// Erase implements [signup.Registrar]. Its last step erases the account; those
// before it what goes with one, if that is more than one step's worth.
func (s *Store) Erase(ctx context.Context, id string) error {
	for more := true; more; {
		crashpoint.Here(crashpoint.Erasing)
		v, err := s.run(ctx, s.steps.erase, redisdb.Replicated, id, stepMost)
		if err == nil && v == "none" {
			err = signup.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("erase sign-up: %w", err)
		}
		more = v == "more"
	}
	return nil
}

// Purge implements [signup.Registrar]. Each kind is a few steps of their own.
func (s *Store) Purge(ctx context.Context, r signup.Retention) (signup.Purged, error) {
	var purged signup.Purged
	for _, kind := range []struct {
		name string
		keep time.Duration
		gone *int
	}{
		{"signups", r.Unconfirmed, &purged.SignUps}, {"requests", r.SignIns, &purged.SignIns}, {"sessions", 0, &purged.Sessions},
	} {
		gone, more, err := s.purge(ctx, kind.name, kind.keep, r.Limit)
		*kind.gone = gone
		purged.More = purged.More || more
		if err != nil {
			return purged, fmt.Errorf("purge %s: %w", kind.name, err)
		}
	}
	return purged, nil
}

// purge lets up to limit of a kind go.
func (s *Store) purge(ctx context.Context, kind string, keep time.Duration, limit int) (gone int, more bool, err error) {
	for gone < limit {
		page := min(limit-gone, stepMost)
		v, err := s.run(ctx, s.steps.purge, redisdb.Replicated, kind, ms(keep), page)
		if err != nil {
			return gone, false, err
		}
		r := newReply(v)
		looked := int(r.int())
		gone += int(r.int())
		if r.err != nil || looked < page {
			return gone, false, r.err
		}
	}
	return gone, true, nil
}

// Export implements [signup.Registrar].
func (s *Store) Export(ctx context.Context, id string) (signup.Dossier, error) {
	v, err := s.run(ctx, s.steps.export, redisdb.Answered, id)
	if err != nil {
		return signup.Dossier{}, fmt.Errorf("export: %w", err)
	}
	r := newReply(v)
	if !r.more() && r.err == nil {
		return signup.Dossier{}, signup.ErrNotFound
	}
	d, err := r.dossier()
	if err != nil {
		return signup.Dossier{}, fmt.Errorf("export: %w", err)
	}
	return d, nil
}

func (r *reply) dossier() (d signup.Dossier, err error) {
	if d.Person, err = r.list().person(); err != nil {
		return d, err
	}
	if d.SignUps, err = r.list().people(); err != nil {
		return d, err
	}
	mails := r.list()
	for mails.more() {
		m := mails.list()
		d.Mails = append(d.Mails, signup.MailRecord{
			ID: onboarding.MailID(m.text()), Variant: onboarding.Variant(m.text()), State: onboarding.State(m.text()),
			Created: m.time(), Attempts: int(m.int()), Reason: m.text(),
			Reply: onboarding.Reply{Phase: m.text(), Code: int(m.int()), Enhanced: m.text(), Text: m.text()},
		})
		mails.note(m)
	}
	if d.Sessions, err = r.note(mails).list().sessions(); err != nil {
		return d, err
	}
	requests := r.list()
	for requests.more() {
		q := requests.list()
		d.SignIns = append(d.SignIns, signup.SignInRecord{ID: q.text(), Asked: q.time(), Used: q.time()})
		requests.note(q)
	}
	d.Charged = r.note(requests).list().charged()
	return d, r.err
}

// charged reads the budgets of an address: name, times, name, times.
func (r *reply) charged() map[onboarding.Budget][]time.Time {
	all := make(map[onboarding.Budget][]time.Time)
	for r.more() {
		budget := onboarding.Budget(r.text())
		for at := range strings.FieldsSeq(r.text()) {
			ms, err := strconv.ParseInt(at, 10, 64)
			if err != nil && r.err == nil {
				r.err = fmt.Errorf("%w: want a time, got %q", errReply, at)
			}
			all[budget] = append(all[budget], time.UnixMilli(ms))
		}
	}
	return all
}
