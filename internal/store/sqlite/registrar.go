package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/crashpoint"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
)

// Erase implements [signup.Registrar]. What an account takes along is looked for
// beside the writer, as it takes long to find. What is too much for one commit
// goes before it, in commits of its own; the last one looks again at the rest, and
// at what has come since, and erases the account.
func (s *Store) Erase(ctx context.Context, id string) error {
	var err error
	for again := true; again && err == nil; {
		var along company
		if along, err = s.eraseAhead(ctx, id); err != nil {
			break
		}
		err = s.commit(ctx, func(t *tx) (err error) {
			again, err = t.erase(id, along)
			crashpoint.Here(crashpoint.Erasing)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("erase sign-up: %w", unavailable(err))
	}
	s.erased.Store(true)
	return nil
}

// eraseAhead erases what an account takes along, but for what goes in one commit
// with the account, and returns that. The account is still there, so that whoever
// is told that the store is away can ask again.
func (s *Store) eraseAhead(ctx context.Context, id string) (along company, err error) {
	for {
		err = s.look(ctx, func(t *tx) (err error) {
			along, err = t.companyOf(id, along)
			return err
		})
		if err != nil || along.size() <= mostInCommit {
			return along, err
		}
		for along.size() > mostInCommit {
			some := along.take(mostInCommit)
			err = s.commit(ctx, func(t *tx) error {
				err := t.eraseSome(id, some)
				crashpoint.Here(crashpoint.Erasing)
				return err
			})
			if err != nil {
				return along, err
			}
			s.erased.Store(true)
		}
	}
}

// mostInCommit is how many sign-ups or requests to sign in are erased or purged
// in one commit at most, so that nobody's sign-up queues behind all of them.
const mostInCommit = 100

// company is who shares an account's address, as it was at some time before.
type company struct {
	known    bool
	numbers  []int64 // of sign-ups
	latest   int64   // the number of the latest sign-up then
	requests []int64 // of requests to sign in
}

func (c *company) size() int { return len(c.numbers) + len(c.requests) }

// take takes up to n out of the company.
func (c *company) take(n int) company {
	some := company{numbers: c.numbers[:min(n, len(c.numbers))]}
	c.numbers = c.numbers[len(some.numbers):]
	some.requests = c.requests[:min(n-len(some.numbers), len(c.requests))]
	c.requests = c.requests[len(some.requests):]
	return some
}

// companyOf looks for who shares an account's address; beside those of a company
// that was found before, which may be gone, only for who has come since.
func (t *tx) companyOf(id string, before company) (c company, err error) {
	s, err := t.subject(id, onboarding.SignUp)
	if err != nil || s == nil || !s.confirmed {
		return c, err
	}
	c.known = true
	if c.latest, _, err = one(t.conn, "SELECT max(seq) FROM signups"); err != nil {
		return c, err
	}
	if !before.known {
		c.numbers, err = t.othersOf(s.fingerprint)
	} else {
		c.numbers, err = t.numbers(sqlAlong+"seq > ?2", s.fingerprint[:], before.latest)
		c.numbers = append(before.numbers, c.numbers...)
	}
	if err == nil {
		c.requests, err = t.numbers(sqlSignInsOf, s.fingerprint[:])
	}
	return c, err
}

func (t *tx) numbers(sql string, args ...any) (numbers []int64, err error) {
	found, err := t.numbered(sql, args...)
	for _, n := range found {
		numbers = append(numbers, n.seq)
	}
	return numbers, err
}

const erasedText = "the person was erased"

// erase tells to come again when the sign-up has become an account since its
// company was looked for.
func (t *tx) erase(id string, along company) (again bool, err error) {
	s, err := t.subject(id, onboarding.SignUp)
	if err != nil {
		return false, err
	}
	if s == nil {
		_, found, err := one(t.conn, sqlSignUpNumber, id)
		if err == nil && !found {
			err = signup.ErrNotFound
		}
		return false, err // or was erased before
	}
	if s.confirmed {
		if !along.known {
			return true, nil
		}
		if err := t.eraseAccount(s, along); err != nil {
			return false, err
		}
	}
	return false, t.eraseSignUp(numbered{s.seq, s.id}, erasedText)
}

// eraseSome erases some of what goes with an account, if that is still there: if
// not, all of it is gone.
func (t *tx) eraseSome(id string, some company) error {
	s, err := t.subject(id, onboarding.SignUp)
	if err != nil || s == nil || !s.confirmed {
		return err
	}
	others, err := t.still(s, sqlAlong+"seq = ?2", some.numbers)
	if err != nil {
		return err
	}
	requests, err := t.still(s, sqlSignInsOf+" AND seq = ?2", some.requests)
	if err != nil {
		return err
	}
	return t.eraseThese(others, requests)
}

// still are those of some numbers that share an account's address now.
func (t *tx) still(s *subject, sql string, numbers []int64) (all []numbered, err error) {
	for _, seq := range numbers {
		found, err := t.numbered(sql, s.fingerprint[:], seq)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (t *tx) eraseThese(others, requests []numbered) error {
	for _, other := range others {
		if err := t.eraseSignUp(other, erasedText); err != nil {
			return err
		}
	}
	for _, r := range requests {
		if err := t.eraseSignIn(r, erasedText); err != nil {
			return err
		}
	}
	return nil
}

// eraseAccount erases what an account has beside its own sign-up.
func (t *tx) eraseAccount(s *subject, along company) error {
	others, err := t.stillAlong(s, along)
	if err != nil {
		return err
	}
	requests, err := t.numbered(sqlSignInsOf, s.fingerprint[:])
	if err != nil {
		return err
	}
	if err := t.eraseThese(others, requests); err != nil {
		return err
	}
	_, err = t.exec(sqlForgetSessions, s.seq)
	return err
}

// stillAlong are the sign-ups that share an account's address now: those found
// before, those that have come since, and those of older programs that have got
// a fingerprint since, by being redeemed. One may be there twice.
func (t *tx) stillAlong(s *subject, along company) (others []numbered, err error) {
	if others, err = t.still(s, sqlAlong+"seq = ?2", along.numbers); err != nil {
		return nil, err
	}
	since, err := t.numbered(sqlAlong+"seq > ?2", s.fingerprint[:], along.latest)
	if err != nil {
		return nil, err
	}
	discarded, err := t.numbered(sqlAlong+"redeemed_at IS NOT NULL", s.fingerprint[:])
	return slices.Concat(others, since, discarded), err
}

const (
	sqlAlong          = "SELECT seq, id FROM signups WHERE fingerprint = ?1 AND status = 'pending' AND "
	sqlSignInsOf      = "SELECT seq, id FROM signins WHERE fingerprint = ?1"
	sqlForgetSessions = "DELETE FROM sessions WHERE account = ?"
	sqlEraseSignUp    = `UPDATE signups SET first = '', last = '', email = '', status = 'erased', fingerprint = NULL,
		locale = '', muted = '', consent_text = '', consent_origin = x'', confirmed = NULL,
		redeemed_at = NULL, redeemed_by = '', tries = 0 WHERE seq = ?`
)

// numbered is a sign-up or a request to sign in.
type numbered struct {
	seq int64
	id  string
}

func (t *tx) numbered(sql string, args ...any) (found []numbered, err error) {
	_, err = query(t.conn, sql, func(r *row) error {
		found = append(found, numbered{r.int(), r.text()})
		return nil
	}, args...)
	return found, err
}

// eraseSignUp leaves the idempotency key its time: that a repeat found nothing
// any more would tell of the erasure.
func (t *tx) eraseSignUp(s numbered, why string) error {
	if _, err := t.exec(sqlEraseSignUp, s.seq); err != nil {
		return err
	}
	return t.callOff(s.id, why)
}

func (t *tx) eraseSignIn(s numbered, why string) error {
	if _, err := t.exec("DELETE FROM signins WHERE seq = ?", s.seq); err != nil {
		return err
	}
	return t.callOff(s.id, why)
}

// callOff cancels a subject's mails and blanks what mail servers said about
// them: whoever stored it should have taken addresses out, and this does not
// rely on it.
func (t *tx) callOff(subject, why string) error {
	if _, err := t.cancel(subject, why); err != nil {
		return err
	}
	for _, sql := range []string{sqlForgetAnswers, sqlForgetAttemptAnswers} {
		if _, err := t.exec(sql, subject, subject); err != nil {
			return err
		}
	}
	return nil
}

const (
	sqlForgetAnswers        = "UPDATE mails SET answer = '' WHERE " + sqlOfSubject
	sqlForgetAttemptAnswers = "UPDATE attempts SET answer = '' WHERE mail IN (SELECT seq FROM mails WHERE " + sqlOfSubject + ")"
)

// Purge implements [signup.Registrar]. It empties the log, too, when something
// was erased since it last did.
func (s *Store) Purge(ctx context.Context, r signup.Retention) (signup.Purged, error) {
	done, err := s.purge(ctx, r)
	if err != nil {
		return signup.Purged{}, fmt.Errorf("purge: %w", unavailable(err))
	}
	if done.SignUps+done.SignIns+done.Sessions > 0 {
		s.erased.Store(true)
	}
	if !done.More && s.erased.Swap(false) {
		if err := s.db.EmptyLog(ctx); err != nil {
			s.erased.Store(true) // the next one will: a reader is not to be waited for
			if !errors.Is(err, sqlitedb.ErrBusy) {
				return done, fmt.Errorf("purge: %w", unavailable(err))
			}
		}
	}
	return done, nil
}

func (s *Store) purge(ctx context.Context, r signup.Retention) (done signup.Purged, err error) {
	for _, kind := range []struct {
		purged *int
		purge  func(t *tx, limit int) (int, error)
	}{
		{&done.SignUps, func(t *tx, limit int) (int, error) { return t.purgeSignUps(t.now-ms(r.Unconfirmed), limit) }},
		{&done.SignIns, func(t *tx, limit int) (int, error) { return t.purgeSignIns(t.now-ms(r.SignIns), limit) }},
		{&done.Sessions, func(t *tx, limit int) (int, error) { return t.exec(sqlPurgeSessions, t.now, limit) }},
	} {
		for more := true; more; {
			limit := min(mostInCommit, r.Limit-*kind.purged)
			err := s.commit(ctx, func(t *tx) error {
				n, err := kind.purge(t, limit)
				*kind.purged += n
				more = n == limit && *kind.purged < r.Limit
				return err
			})
			if err != nil {
				return signup.Purged{}, err
			}
		}
		done.More = done.More || *kind.purged == r.Limit
	}
	return done, nil
}

// purgeSignUps erases those that were accepted before a time and are no
// accounts.
func (t *tx) purgeSignUps(before int64, limit int) (int, error) {
	old, err := t.numbered(sqlUnconfirmed, (before+999)/1000, limit)
	if err != nil {
		return 0, err
	}
	for _, s := range old {
		if err := t.eraseSignUp(s, "it was not confirmed in time"); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}

func (t *tx) purgeSignIns(before int64, limit int) (int, error) {
	old, err := t.numbered(sqlOldSignIns, limit, before)
	if err != nil {
		return 0, err
	}
	for _, s := range old {
		if err := t.eraseSignIn(s, "the request is too old"); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}

const (
	sqlUnconfirmed   = "SELECT seq, id FROM signups WHERE status = 'pending' AND accepted < ? ORDER BY accepted LIMIT ?"
	sqlOldSignIns    = "SELECT seq, id FROM (SELECT seq, id, asked FROM signins ORDER BY seq LIMIT ?) WHERE asked < ?"
	sqlPurgeSessions = "DELETE FROM sessions WHERE seq IN (SELECT seq FROM sessions WHERE until <= ? ORDER BY until LIMIT ?)"
)

// Export implements [signup.Registrar].
func (s *Store) Export(ctx context.Context, id string) (d signup.Dossier, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) (err error) {
		d, err = s.reading(conn).dossier(id)
		return err
	})
	if err != nil {
		return signup.Dossier{}, fmt.Errorf("export what is held about a person: %w", unavailable(err))
	}
	return d, nil
}

func (t *tx) dossier(id string) (d signup.Dossier, err error) {
	s, err := t.subject(id, onboarding.SignUp)
	if err != nil {
		return d, err
	}
	if s == nil {
		return d, signup.ErrNotFound
	}
	p, err := person(t.conn, "seq = ?", s.seq)
	if err != nil {
		return d, err
	}
	d.Person = *p
	subjects := []string{id}
	if s.confirmed {
		if err := t.addAccount(&d, s); err != nil {
			return d, err
		}
		for _, other := range d.SignUps {
			subjects = append(subjects, other.ID)
		}
		for _, r := range d.SignIns {
			subjects = append(subjects, r.ID)
		}
	}
	d.Mails, err = t.mailRecords(subjects)
	return d, err
}

// addAccount adds what is held for an account's address.
func (t *tx) addAccount(d *signup.Dossier, s *subject) (err error) {
	if d.SignUps, err = t.others(s.fingerprint, math.MaxInt); err != nil {
		return err
	}
	if d.Sessions, err = sessions(t.conn, sqlSessionIn, s.id, t.now); err != nil {
		return err
	}
	if d.SignIns, err = t.signInRecords(s.fingerprint); err != nil {
		return err
	}
	_, err = query(t.conn, sqlCharged, func(r *row) error {
		if d.Charged == nil {
			d.Charged = map[onboarding.Budget][]time.Time{}
		}
		budget := onboarding.Budget(r.text())
		d.Charged[budget] = append(d.Charged[budget], at(r.int()))
		return nil
	}, s.fingerprint[:])
	return err
}

const (
	sqlCharged       = "SELECT budget, at FROM charges WHERE fingerprint = ? ORDER BY budget, at"
	sqlSignInRecords = "SELECT id, asked, redeemed_at FROM signins WHERE fingerprint = ? ORDER BY seq"
)

func (t *tx) signInRecords(f address.Fingerprint) (found []signup.SignInRecord, err error) {
	_, err = query(t.conn, sqlSignInRecords, func(r *row) error {
		record := signup.SignInRecord{ID: r.text(), Asked: at(r.int())}
		if used := r.optional(); used != 0 {
			record.Used = at(int64(used))
		}
		found = append(found, record)
		return nil
	}, f[:])
	return found, err
}

// mailRecords tells of the mails of some subjects, in the order in which they
// were owed.
func (t *tx) mailRecords(subjects []string) (found []signup.MailRecord, err error) {
	var all []*mail
	for _, id := range subjects {
		mails, err := t.mails(sqlOfSubject, id, id)
		if err != nil {
			return nil, err
		}
		all = append(all, mails...)
	}
	slices.SortFunc(all, func(a, b *mail) int { return cmp.Compare(a.seq, b.seq) })
	for _, m := range all {
		found = append(found, signup.MailRecord{
			ID: m.id, Variant: m.variant, State: m.state, Created: at(m.created), Attempts: int(m.attempts),
			Reason: m.reason, Reply: m.reply,
		})
	}
	return found, nil
}
