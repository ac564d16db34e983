package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/transfer"
)

const sqlSignUps = `SELECT seq, id, first, last, email, status, accepted, key IS NOT NULL, key, used_at, form,
	fingerprint, locale, muted, consent_text, consent_origin, confirmed, redeemed_at, redeemed_by, tries
	FROM signups LEFT JOIN idempotency ON signup = seq WHERE seq > ? ORDER BY seq LIMIT ?`

// SignUps implements [transfer.Rows].
func (t *Transfer) SignUps(ctx context.Context, after int64, limit int) (found []transfer.SignUp, err error) {
	return found, t.list(ctx, func(r *row) error {
		found = append(found, scanSignUp(r))
		return nil
	}, sqlSignUps, after, limit)
}

func scanSignUp(r *row) transfer.SignUp {
	s := transfer.SignUp{
		Number: r.int(), ID: r.text(), First: r.text(), Last: r.text(), Email: r.text(),
		Status: signup.Status(r.text()), Accepted: r.int(),
	}
	keyed, key := r.bool(), r.hash()
	if keyed {
		s.Key = &key
	}
	s.KeyUsed, s.KeyForm = r.int(), r.short()
	copy(s.Fingerprint[:], r.bytes())
	s.Locale, s.Muted, s.Consent = r.text(), r.text(), r.text()
	copy(s.Origin[:], r.bytes())
	s.Confirmed, s.Redemption = r.int(), scanRedemption(r)
	return s
}

func scanRedemption(r *row) transfer.Redemption {
	return transfer.Redemption{Used: r.int(), By: r.text(), Tries: r.int()}
}

// PutSignUps implements [transfer.Target].
func (t *Transfer) PutSignUps(ctx context.Context, signUps []transfer.SignUp) error {
	return put(ctx, t.store, signUps, func(t *tx, s transfer.SignUp) error {
		if err := errors.Join(t.putSignUp(s), t.putKeyOf(s)); err != nil {
			return fmt.Errorf("put %v: %w", s, err)
		}
		return nil
	})
}

func (t *tx) putSignUp(s transfer.SignUp) error {
	origin := []byte{}
	if s.Origin != [16]byte{} {
		origin = s.Origin[:]
	}
	_, err := t.exec(`INSERT INTO signups (seq, id, first, last, email, status, accepted,
		fingerprint, locale, muted, consent_text, consent_origin, confirmed, redeemed_at, redeemed_by, tries)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.Number, s.ID, s.First, s.Last, s.Email, string(s.Status), s.Accepted,
		orNull(s.Fingerprint), s.Locale, s.Muted, s.Consent, origin, optional(s.Confirmed), optional(s.Used), s.By, s.Tries)
	return err
}

func (t *tx) putKeyOf(s transfer.SignUp) error {
	if s.Key == nil {
		return nil
	}
	_, err := t.exec(sqlPutKey, s.Number, s.Key[:], s.KeyUsed, orNull(s.KeyForm))
	return err
}

// page reads rows of a table whose first column is the place to go on from.
func page[T any](ctx context.Context, t *Transfer, sql, from string, limit int, scan func(*row) T) (found []T, next string, err error) {
	after := int64(0)
	if from != "" {
		if after, err = strconv.ParseInt(from, 10, 64); err != nil {
			return nil, "", fmt.Errorf("go on from %q: %w", from, err)
		}
	}
	err = t.list(ctx, func(r *row) error {
		after = r.int()
		found = append(found, scan(r))
		return nil
	}, sql, after, limit)
	if len(found) == limit {
		next = strconv.FormatInt(after, 10)
	}
	return found, next, err
}

// Requests implements [transfer.Rows].
func (t *Transfer) Requests(ctx context.Context, from string, limit int) ([]transfer.Request, string, error) {
	return page(ctx, t, `SELECT seq, id, fingerprint, budget, locale, muted, asked, redeemed_at, redeemed_by, tries
		FROM signins WHERE seq > ? ORDER BY seq LIMIT ?`, from, limit,
		func(r *row) (q transfer.Request) {
			q.ID = r.text()
			copy(q.Fingerprint[:], r.bytes())
			q.Budget, q.Locale, q.Muted, q.Asked = onboarding.Budget(r.text()), r.text(), r.text(), r.int()
			q.Redemption = scanRedemption(r)
			return q
		})
}

// PutRequests implements [transfer.Target].
func (t *Transfer) PutRequests(ctx context.Context, requests []transfer.Request) error {
	return put(ctx, t.store, requests, func(t *tx, q transfer.Request) error {
		_, err := t.exec(`INSERT INTO signins (id, fingerprint, budget, locale, muted, asked, redeemed_at, redeemed_by, tries)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			q.ID, q.Fingerprint[:], string(q.Budget), q.Locale, q.Muted, q.Asked, optional(q.Used), q.By, q.Tries)
		if err != nil {
			return fmt.Errorf("put %v: %w", q, err)
		}
		return nil
	})
}

// Sessions implements [transfer.Rows].
func (t *Transfer) Sessions(ctx context.Context, from string, limit int) ([]transfer.Session, string, error) {
	return page(ctx, t, `SELECT s.seq, s.id, a.id, kind, number, hash, before, rotated_at, opened, seen, idle, ends
		FROM sessions AS s JOIN signups AS a ON a.seq = account WHERE s.seq > ? ORDER BY s.seq LIMIT ?`, from, limit,
		func(r *row) transfer.Session {
			return transfer.Session{
				ID: r.text(), Account: r.text(), Kind: signup.SessionKind(r.text()), Number: r.int(),
				Hash: r.hash(), Before: r.hash(), Rotated: r.int(),
				Opened: r.int(), Seen: r.int(), Idle: r.int(), Ends: r.int(),
			}
		})
}

// PutSessions implements [transfer.Target].
func (t *Transfer) PutSessions(ctx context.Context, sessions []transfer.Session) error {
	return put(ctx, t.store, sessions, func(t *tx, s transfer.Session) error {
		before := []byte{}
		if s.Number > 0 {
			before = s.Before[:]
		}
		added, err := t.exec(`INSERT INTO sessions (id, account, kind, number, hash, before, rotated_at, opened, seen, idle, ends, until)
			SELECT ?, seq, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM signups WHERE id = ?`,
			s.ID, string(s.Kind), s.Number, s.Hash[:], before, optional(s.Rotated), s.Opened, s.Seen, s.Idle, s.Ends,
			min(s.Ends, s.Seen+s.Idle), s.Account)
		if err == nil && added == 0 {
			err = fmt.Errorf("its account %s is not there", s.Account)
		}
		if err != nil {
			return fmt.Errorf("put %v: %w", s, err)
		}
		return nil
	})
}

// Charges implements [transfer.Rows].
func (t *Transfer) Charges(ctx context.Context, from string, limit int) ([]transfer.Charge, string, error) {
	return page(ctx, t, "SELECT seq, fingerprint, budget, at FROM charges WHERE seq > ? ORDER BY seq LIMIT ?", from, limit,
		func(r *row) (c transfer.Charge) {
			copy(c.Fingerprint[:], r.bytes())
			c.Budget, c.At = onboarding.Budget(r.text()), r.int()
			return c
		})
}

// PutCharges implements [transfer.Target].
func (t *Transfer) PutCharges(ctx context.Context, charges []transfer.Charge) error {
	return put(ctx, t.store, charges, func(t *tx, c transfer.Charge) error {
		_, err := t.exec("INSERT INTO charges (fingerprint, budget, at) VALUES (?, ?, ?)", c.Fingerprint[:], string(c.Budget), c.At)
		if err != nil {
			return fmt.Errorf("put %v: %w", c, err)
		}
		return nil
	})
}

// Documents implements [transfer.Rows].
func (t *Transfer) Documents(ctx context.Context) (documents []transfer.Document, err error) {
	return documents, t.list(ctx, func(r *row) error {
		documents = append(documents, transfer.Document{Name: r.text(), Version: r.int(), Value: r.bytes()})
		return nil
	}, "SELECT name, version, value FROM documents ORDER BY name")
}

// PutDocuments implements [transfer.Target].
func (t *Transfer) PutDocuments(ctx context.Context, documents []transfer.Document) error {
	return put(ctx, t.store, documents, func(t *tx, d transfer.Document) error {
		_, err := t.exec("INSERT INTO documents (name, version, value) VALUES (?, ?, ?)", d.Name, d.Version, []byte(d.Value))
		if err != nil {
			return fmt.Errorf("put document %q: %w", d.Name, err)
		}
		return nil
	})
}
