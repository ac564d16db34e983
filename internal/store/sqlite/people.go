package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/crashpoint"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
)

// Accept implements [signup.Store].
func (s *Store) Accept(ctx context.Context, a signup.Acceptance) (accepted signup.Accepted, err error) {
	err = s.commit(ctx, func(t *tx) error {
		accepted, err = t.accept(a)
		crashpoint.Here(crashpoint.Accepting)
		return err
	})
	if err != nil {
		return signup.Accepted{}, fmt.Errorf("store sign-up: %w", unavailable(err))
	}
	crashpoint.Here(crashpoint.Accepted)
	return accepted, nil
}

func (t *tx) accept(a signup.Acceptance) (signup.Accepted, error) {
	if a.Key != nil {
		if earlier, err := t.earlier(*a.Key); earlier.Repeated || err != nil {
			return earlier, err
		}
	}
	p := a.Person
	var origin []byte
	if p.Consent.Origin != [16]byte{} {
		origin = p.Consent.Origin[:]
	}
	_, err := t.exec(sqlPutSignUp,
		p.ID, p.First, p.Last, p.Address.Typed(), string(signup.Pending), t.now/1000,
		orNull(a.Fingerprint), p.Locale, a.Muted, p.Consent.Text, origin)
	if err == nil && a.Key != nil {
		_, err = t.exec(sqlPutKey, t.conn.LastInsertRowID(), a.Key.Hash[:], t.now, orNull(a.Key.Form))
	}
	if err != nil {
		return signup.Accepted{}, err
	}
	for _, owed := range a.Mails {
		if err := t.owe(owed); err != nil {
			return signup.Accepted{}, err
		}
	}
	return signup.Accepted{ID: p.ID, At: time.Unix(t.now/1000, 0)}, nil
}

const sqlPutSignUp = `INSERT INTO signups (id, first, last, email, status, accepted,
	fingerprint, locale, muted, consent_text, consent_origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const sqlPutKey = "INSERT INTO idempotency (signup, key, used_at, form) VALUES (?, ?, ?, ?)"

// owe creates a mail, due now. Its number is the counter it raises.
func (t *tx) owe(owed onboarding.Owed) error {
	_, purpose, _, err := owed.ID.Parse()
	if err != nil {
		return err
	}
	lane := purpose.Lane()
	t.counts[accepted]++
	t.counts[mailsIn(lane, onboarding.Due)]++
	_, err = t.exec(`INSERT INTO mails (seq, id, lane, created_at, keeps, state, gen, at, expires_at)
		VALUES (?, ?, ?, ?, ?, 'due', 1, ?, ?)`,
		t.counts[accepted], string(owed.ID), string(lane), t.now, ms(owed.Expiry), t.now, t.now+ms(owed.Expiry))
	return err
}

// earlier is what came of the form that was stored under a key, if there is one.
// It looks at nothing but the key and the sign-up's id, which stay what they
// are. A key whose time is over is forgotten.
func (t *tx) earlier(k signup.Key) (signup.Accepted, error) {
	var seq, usedAt int64
	var id string
	was := signup.Key{Hash: k.Hash}
	found, err := query(t.conn, sqlOfKey, func(r *row) error {
		seq, usedAt, was.Form, id = r.int(), r.int(), r.short(), r.text()
		return nil
	}, k.Hash[:])
	switch {
	case err != nil || !found:
		return signup.Accepted{}, err
	case t.now-usedAt >= ms(signup.KeyLife):
		_, err := t.exec("DELETE FROM idempotency WHERE signup = ?", seq)
		return signup.Accepted{}, err
	case !k.Matches(was):
		return signup.Accepted{}, signup.ErrConflict
	}
	return signup.Accepted{ID: id, At: time.Unix(usedAt/1000, 0), Repeated: true}, nil
}

const sqlOfKey = "SELECT signup, used_at, form, id FROM idempotency JOIN signups ON seq = signup WHERE key = ?"

// Person implements [signup.Store]. An erased person is not there.
func (s *Store) Person(ctx context.Context, id string) (signup.Person, error) {
	var found *signup.Person
	err := s.look(ctx, func(t *tx) (err error) {
		found, err = person(t.conn, sqlPersonThere, id)
		return err
	})
	if err == nil && found == nil {
		err = signup.ErrNotFound
	}
	if err != nil {
		return signup.Person{}, fmt.Errorf("read sign-up: %w", unavailable(err))
	}
	return *found, nil
}

const sqlPersonThere = "id = ? AND status <> 'erased'"

// People implements [signup.Store].
func (s *Store) People(ctx context.Context, f address.Fingerprint) (found []signup.Person, err error) {
	err = s.look(ctx, func(t *tx) error {
		account, err := person(t.conn, sqlAccount, f[:])
		if err != nil {
			return err
		}
		if account != nil {
			found = append(found, *account)
		}
		others, err := t.others(f, signup.MostPeople-len(found))
		found = append(found, others...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sign-ups of an address: %w", unavailable(err))
	}
	return found, nil
}

// Others implements [signup.Registrar]. A cursor is when the last one of a page was
// accepted, and its number. However many pages there are, the list of sign-ups
// that are no accounts is read once, but for who was accepted in the same second.
func (s *Store) Others(ctx context.Context, f address.Fingerprint, after string) (found []signup.Person, next string, err error) {
	accepted, number := int64(math.MinInt64), int64(0)
	if after != "" {
		if _, err := fmt.Sscanf(after, "%d.%d", &accepted, &number); err != nil {
			return nil, "", fmt.Errorf("list the sign-ups of an address: want a cursor from an earlier page: %w", err)
		}
	}
	err = s.look(ctx, func(t *tx) error {
		var numbers []int64
		_, err := query(t.conn, sqlOthersPage, func(r *row) error {
			accepted, number = r.int(), r.int()
			numbers = append(numbers, number)
			return nil
		}, accepted, number, f[:], signup.MostPeople)
		if err != nil {
			return err
		}
		found, err = t.inOrder(numbers)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list the sign-ups of an address: %w", unavailable(err))
	}
	if len(found) == signup.MostPeople {
		next = fmt.Sprintf("%d.%d", accepted, number)
	}
	return found, next, nil
}

// others are the sign-ups of an address that are not its account, in the order
// of acceptance, up to a limit.
func (t *tx) others(f address.Fingerprint, limit int) (found []signup.Person, err error) {
	numbers, err := t.othersOf(f)
	if err != nil {
		return nil, err
	}
	return t.inOrder(numbers[:min(limit, len(numbers))])
}

// inOrder reads the sign-ups of some numbers.
func (t *tx) inOrder(numbers []int64) (found []signup.Person, err error) {
	for _, seq := range numbers {
		p, err := person(t.conn, "seq = ?", seq)
		if err != nil {
			return nil, err
		}
		found = append(found, *p)
	}
	return found, nil
}

// othersOf are the numbers of all of them. It reads the whole list of sign-ups
// that are no accounts: a tenth of a second for a million. No writer may wait
// for that.
func (t *tx) othersOf(f address.Fingerprint) (numbers []int64, err error) {
	_, err = query(t.conn, sqlOthers, func(r *row) error {
		numbers = append(numbers, r.int())
		return nil
	}, f[:])
	return numbers, err
}

const (
	selectPerson = `SELECT id, first, last, email, status, accepted, confirmed, locale, consent_text, consent_origin
		FROM signups WHERE `
	sqlAccount = "fingerprint = ? AND status = 'confirmed'"
	sqlOthers  = `SELECT seq FROM signups INDEXED BY signups_pending
		WHERE status = 'pending' AND fingerprint = ? ORDER BY accepted, seq`
	sqlOthersPage = `SELECT accepted, seq FROM signups INDEXED BY signups_pending
		WHERE status = 'pending' AND (accepted, seq) > (?, ?) AND fingerprint = ? ORDER BY accepted, seq LIMIT ?`
)

// people returns those a condition selects.
func people(conn *sqlite.Conn, where string, args ...any) (found []signup.Person, err error) {
	_, err = query(conn, selectPerson+where, func(r *row) (err error) {
		p := signup.Person{ID: r.text(), First: r.text(), Last: r.text()}
		if p.Address, err = address.Parse(r.text()); err != nil {
			return fmt.Errorf("read stored address: %w", err)
		}
		p.Status, p.Accepted = signup.Status(r.text()), time.Unix(r.int(), 0)
		if confirmed := r.optional(); confirmed != 0 {
			p.Confirmed = time.Unix(int64(confirmed), 0)
		}
		p.Locale, p.Consent.Text, p.Consent.Origin = r.text(), r.text(), r.short()
		found = append(found, p)
		return nil
	}, args...)
	return found, err
}

// person returns the one a condition selects, or nil.
func person(conn *sqlite.Conn, where string, args ...any) (*signup.Person, error) {
	found, err := people(conn, where, args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// unavailable marks the errors that say the store cannot work now.
func unavailable(err error) error {
	if errors.Is(err, sqlitedb.ErrFailed) || errors.Is(err, sqlitedb.ErrClosed) {
		return fmt.Errorf("%w: %w", signup.ErrUnavailable, err)
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultBusy, sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultNoMem:
		return fmt.Errorf("%w: %w", signup.ErrUnavailable, err)
	}
	return err
}
