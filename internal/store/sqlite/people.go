package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/crashpoint"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
)

// keyLife is how long an idempotency key is kept.
const keyLife = 24 * time.Hour

// Accept implements [signup.Store].
func (s *Store) Accept(ctx context.Context, a signup.Acceptance) (stored signup.Person, repeated bool, err error) {
	err = s.commit(ctx, func(t *tx) error {
		var err error
		stored, repeated, err = t.accept(a)
		crashpoint.Here(crashpoint.Accepting)
		return err
	})
	if err != nil {
		return signup.Person{}, false, fmt.Errorf("store sign-up: %w", unavailable(err))
	}
	crashpoint.Here(crashpoint.Accepted)
	return stored, repeated, nil
}

func (t *tx) accept(a signup.Acceptance) (signup.Person, bool, error) {
	if a.Key != nil {
		earlier, err := t.personOfKey(a.Key[:])
		if err != nil {
			return signup.Person{}, false, err
		}
		if earlier != nil {
			if !samePerson(*earlier, a.Person) {
				return signup.Person{}, false, signup.ErrConflict
			}
			return *earlier, true, nil
		}
	}
	p := a.Person
	p.Status, p.Accepted = signup.Pending, time.Unix(t.now/1000, 0)
	_, err := t.exec(`INSERT INTO signups (id, first, last, email, status, accepted) VALUES (?, ?, ?, ?, ?, ?)`,
		p.ID, p.First, p.Last, p.Address.Typed(), string(p.Status), p.Accepted.Unix())
	if err != nil {
		return signup.Person{}, false, err
	}
	if a.Key != nil {
		_, err = t.exec("INSERT INTO idempotency (signup, key, used_at) VALUES (?, ?, ?)",
			t.conn.LastInsertRowID(), a.Key[:], t.now)
		if err != nil {
			return signup.Person{}, false, err
		}
	}
	for _, owed := range a.Mails {
		if err := t.owe(owed); err != nil {
			return signup.Person{}, false, err
		}
	}
	return p, false, nil
}

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

// samePerson tells whether two sign-ups say the same.
func samePerson(a, b signup.Person) bool {
	return a.First == b.First && a.Last == b.Last && a.Address.Key() == b.Address.Key()
}

// personOfKey returns the person stored with an idempotency key, or nil. A key
// whose time is over is forgotten.
func (t *tx) personOfKey(key []byte) (*signup.Person, error) {
	var seq, usedAt int64
	found, err := query(t.conn, sqlPersonOfKey, func(r *row) error {
		seq, usedAt = r.int(), r.int()
		return nil
	}, key)
	if err != nil || !found {
		return nil, err
	}
	if t.now-usedAt >= ms(keyLife) {
		_, err := t.exec("DELETE FROM idempotency WHERE signup = ?", seq)
		return nil, err
	}
	return person(t.conn, "seq = ?", seq)
}

const sqlPersonOfKey = "SELECT signup, used_at FROM idempotency WHERE key = ?"

// Person implements [signup.Store]. An erased person is not there.
func (s *Store) Person(ctx context.Context, id string) (signup.Person, error) {
	var found *signup.Person
	err := s.db.Read(ctx, func(conn *sqlite.Conn) (err error) {
		found, err = person(conn, "id = ? AND status <> 'erased'", id)
		return err
	})
	if err != nil {
		return signup.Person{}, fmt.Errorf("read sign-up: %w", unavailable(err))
	}
	if found == nil {
		return signup.Person{}, signup.ErrNotFound
	}
	return *found, nil
}

// person returns the one a condition selects, or nil.
func person(conn *sqlite.Conn, where string, args ...any) (p *signup.Person, err error) {
	_, err = query(conn, "SELECT id, first, last, email, status, accepted FROM signups WHERE "+where, func(r *row) error {
		p = &signup.Person{ID: r.text(), First: r.text(), Last: r.text()}
		p.Address, err = address.Parse(r.text())
		p.Status, p.Accepted = signup.Status(r.text()), time.Unix(r.int(), 0)
		return err
	}, args...)
	return p, err
}

// Erase takes everything personal of a sign-up out of the store and calls off
// its mails, in one commit. What was queued for it means nothing afterwards.
// Erasing twice is harmless; [signup.ErrNotFound] if it was never there.
func (s *Store) Erase(ctx context.Context, id string) error {
	err := s.commit(ctx, func(t *tx) error {
		seq, found, err := one(t.conn, "SELECT seq FROM signups WHERE id = ?", id)
		if err != nil {
			return err
		}
		if !found {
			return signup.ErrNotFound
		}
		if _, err := t.exec("UPDATE signups SET first = '', last = '', email = '', status = 'erased' WHERE seq = ?", seq); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM idempotency WHERE signup = ?", seq); err != nil {
			return err
		}
		if _, err := t.cancel(id, "the person was erased"); err != nil {
			return err
		}
		return t.forgetAnswers(id)
	})
	if err != nil {
		return fmt.Errorf("erase sign-up: %w", unavailable(err))
	}
	return nil
}

// forgetAnswers blanks what mail servers said about a subject's mails: whoever
// stored it should have taken addresses out, and this does not rely on it.
func (t *tx) forgetAnswers(subject string) error {
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

// sendable is the address a subject's mail goes to, or "" when the person is
// erased or was never there.
func (t *tx) sendable(subject string) (string, error) {
	var typed string
	_, err := query(t.conn, sqlEmail, func(r *row) error {
		typed = r.text()
		return nil
	}, subject)
	if err != nil || typed == "" {
		return "", err
	}
	to, err := address.Parse(typed)
	if err != nil {
		return "", fmt.Errorf("read stored address: %w", err)
	}
	return to.Sendable(), nil
}

const sqlEmail = "SELECT email FROM signups WHERE id = ?"

// SharedKey returns the secret of a name. The first caller's fresh bytes become
// the secret, on disk before it returns; everybody after gets those.
func (s *Store) SharedKey(ctx context.Context, name string, fresh []byte) (secret []byte, err error) {
	err = s.commit(ctx, func(t *tx) error {
		if _, err := t.exec("INSERT INTO keys (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING", name, fresh); err != nil {
			return err
		}
		_, err := query(t.conn, "SELECT secret FROM keys WHERE name = ?", func(r *row) error {
			secret = r.bytes()
			return nil
		}, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read shared key %s: %w", name, unavailable(err))
	}
	return secret, nil
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
