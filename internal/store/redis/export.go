package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
)

// dossier is one that is being put together, in steps between which everybody
// else has theirs. All of it is of one account: each step looks whether it still
// is one.
type dossier struct {
	signup.Dossier
	account bool
	mails   []numberedMail
	listed  map[string]bool // the sign-ups and requests that are in it
}

// numberedMail is a mail behind its number.
type numberedMail struct {
	number int64
	mail   signup.MailRecord
}

// Export implements [signup.Registrar]. What comes or goes while it reads may be
// in it or not.
func (s *Store) Export(ctx context.Context, id string) (signup.Dossier, error) {
	d, err := s.exportOwn(ctx, id)
	if err == nil && d.account {
		err = s.exportAlong(ctx, id, "of", d.addSignUp)
		if err == nil {
			err = s.exportAlong(ctx, id, "asked", d.addRequest)
		}
	}
	if err != nil {
		return signup.Dossier{}, fmt.Errorf("export: %w", err)
	}
	slices.SortFunc(d.mails, func(a, b numberedMail) int { return cmp.Compare(a.number, b.number) }) // as they were owed
	for _, m := range d.mails {
		d.Mails = append(d.Mails, m.mail)
	}
	return d.Dossier, nil
}

// exportOwn begins a dossier.
func (s *Store) exportOwn(ctx context.Context, id string) (*dossier, error) {
	v, err := s.run(ctx, s.steps.export, redisdb.Answered, id)
	if err != nil {
		return nil, err
	}
	r := newReply(v)
	if !r.more() && r.err == nil {
		return nil, signup.ErrNotFound
	}
	d := &dossier{listed: map[string]bool{id: true}}
	if d.Person, err = r.list().person(); err != nil {
		return nil, err
	}
	d.addMails(r)
	d.account = r.bool()
	if d.Sessions, err = r.list().sessions(); err != nil {
		return nil, err
	}
	charged := r.list()
	d.Charged = charged.charged()
	return d, r.note(charged).err
}

// exportAlong adds one kind of what goes with an account, page by page.
func (s *Store) exportAlong(ctx context.Context, id, kind string, add func(*reply) error) error {
	var after cursor
	for more := true; more; {
		v, err := s.run(ctx, s.steps.along, redisdb.Answered, id, kind, after.score, after.member, stepMost)
		if err != nil {
			return err
		}
		r := newReply(v)
		if !r.more() && r.err == nil {
			return signup.ErrNotFound
		}
		after = r.cursor()
		found := r.list()
		for found.more() {
			if err := add(found.list()); err != nil {
				return err
			}
		}
		if r.note(found).err != nil {
			return r.err
		}
		more = after != cursor{}
	}
	return nil
}

// first tells whether a sign-up or a request is not in the dossier yet. One can
// come twice when another has gone meanwhile.
func (d *dossier) first(id string) bool {
	listed := d.listed[id]
	d.listed[id] = true
	return !listed
}

func (d *dossier) addSignUp(r *reply) error {
	p, err := r.list().person()
	if err == nil && d.first(p.ID) {
		d.SignUps = append(d.SignUps, p)
		d.addMails(r)
	}
	return cmp.Or(err, r.err)
}

func (d *dossier) addRequest(r *reply) error {
	one := r.list()
	q := signup.SignInRecord{ID: one.text(), Asked: one.time(), Used: one.time()}
	if r.note(one).err == nil && d.first(q.ID) {
		d.SignIns = append(d.SignIns, q)
		d.addMails(r)
	}
	return r.err
}

// addMails reads the mails of one subject.
func (d *dossier) addMails(r *reply) {
	mails := r.list()
	for mails.more() {
		m := mails.list()
		d.mails = append(d.mails, numberedMail{m.int(), signup.MailRecord{
			ID: onboarding.MailID(m.text()), Variant: onboarding.Variant(m.text()), State: onboarding.State(m.text()),
			Created: m.time(), Attempts: int(m.int()), Reason: m.text(),
			Reply: onboarding.Reply{Phase: m.text(), Code: int(m.int()), Enhanced: m.text(), Text: m.text()},
		}})
		mails.note(m)
	}
	r.note(mails)
}

// cursor is where a page ended, and the next begins: zero for the first one, and
// behind the last.
type cursor struct{ score, member string }

func (r *reply) cursor() cursor { return cursor{r.text(), r.text()} }

// String is how others carry it: empty for the zero one.
func (c cursor) String() string {
	if c == (cursor{}) {
		return ""
	}
	return c.score + " " + c.member
}

func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	if _, err := fmt.Sscanf(text, "%s %s", &c.score, &c.member); err != nil {
		return c, fmt.Errorf("want a cursor from an earlier page: %w", err)
	}
	return c, nil
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
