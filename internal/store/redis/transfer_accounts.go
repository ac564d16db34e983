package redis

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
	"bellhop/internal/store/transfer"
)

// SignUps implements [transfer.Rows].
func (t *Transfer) SignUps(ctx context.Context, after int64, limit int) (found []transfer.SignUp, err error) {
	v, err := t.store.run(ctx, t.moves.signUps, redisdb.Answered, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read sign-ups: %w", err)
	}
	found, err = readRows(newReply(v), (*reply).signUp)
	if err != nil {
		return nil, fmt.Errorf("read sign-ups: %w", err)
	}
	return found, nil
}

// readRows reads what is left of a reply, one list for each row.
func readRows[T any](r *reply, read func(*reply) T) (rows []T, err error) {
	for r.more() {
		row := r.list()
		rows = append(rows, read(row))
		if r.err == nil && row.err != nil {
			r.err = fmt.Errorf("row %d: %w", len(rows), row.err)
		}
	}
	return rows, r.err
}

// signUp reads one. Its fields come in the order of the part fields.lua.
func (r *reply) signUp() (s transfer.SignUp) {
	s.Number, s.ID, s.KeyUsed = r.int(), r.text(), r.int()
	s.First, s.Last, s.Email, s.Status, s.Accepted = r.text(), r.text(), r.text(), signup.Status(r.text()), r.int()
	r.bytes(s.Fingerprint[:])
	s.Locale, s.Muted, s.Consent = r.text(), r.text(), r.text()
	r.bytes(s.Origin[:])
	s.Confirmed, s.Redemption = r.int(), r.redemption()
	r.bytes(s.KeyForm[:])
	var key [32]byte
	if r.bytes(key[:]) {
		s.Key = &key
	}
	return s
}

func (r *reply) redemption() transfer.Redemption {
	return transfer.Redemption{Used: r.int(), By: r.text(), Tries: r.int()}
}

// bytes reads bytes that are written in hexadecimal digits, if there are any.
func (r *reply) bytes(to []byte) bool {
	text := r.text()
	if text == "" || r.err != nil {
		return false
	}
	r.err = digits(to, text)
	return true
}

// PutSignUps implements [transfer.Target].
func (t *Transfer) PutSignUps(ctx context.Context, signUps []transfer.SignUp) error {
	return putPages(ctx, t, t.moves.putSignUps, signUps, func(s transfer.SignUp) []any {
		var key []byte
		if s.Key != nil {
			key = s.Key[:]
		}
		return []any{
			s.Number, s.ID, s.KeyUsed,
			s.First, s.Last, s.Email, string(s.Status), some(s.Accepted),
			someBytes(s.Fingerprint[:]), s.Locale, s.Muted, s.Consent, someBytes(s.Origin[:]),
			some(s.Confirmed), some(s.Used), s.By, some(s.Tries), asHex(s.KeyForm), hex.EncodeToString(key),
		}
	})
}

// putPages adds rows of a kind, page by page.
func putPages[T any](ctx context.Context, t *Transfer, step *redisdb.Script, rows []T, args func(T) []any) error {
	for page := range slices.Chunk(rows, movePage) {
		var all []any
		for _, row := range page {
			all = append(all, args(row)...)
		}
		if err := t.put(ctx, step, all...); err != nil {
			return err
		}
	}
	return nil
}

// some is a number as a step takes it: zero is no field.
func some(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// someBytes are bytes as a step takes them: zeros are no field.
func someBytes(b []byte) string {
	if !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) {
		return ""
	}
	return hex.EncodeToString(b)
}

// readPage reads a page of a kind from a place on, with the place to go on from.
func readPage[T any](ctx context.Context, t *Transfer, step *redisdb.Script, from string, limit int, read func(*reply) T) (rows []T, next string, err error) {
	v, err := t.store.run(ctx, step, redisdb.Answered, from, limit)
	if err != nil {
		return nil, "", err
	}
	r := newReply(v)
	next = r.text()
	rows, err = readRows(r, read)
	return rows, next, err
}

// afterIn is the place in a log at which a reader begins: a place that was
// returned, or the log's start.
func afterIn(place string) string {
	if place == "" {
		return "0-0"
	}
	return place
}

// Requests implements [transfer.Rows].
func (t *Transfer) Requests(ctx context.Context, from string, limit int) ([]transfer.Request, string, error) {
	return readPage(ctx, t, t.moves.requests, afterIn(from), limit, func(r *reply) (q transfer.Request) {
		q.ID, q.Asked = r.text(), r.int()
		r.bytes(q.Fingerprint[:])
		q.Budget, q.Locale, q.Muted = onboarding.Budget(r.text()), r.text(), r.text()
		q.Redemption = r.redemption()
		return q
	})
}

// PutRequests implements [transfer.Target].
func (t *Transfer) PutRequests(ctx context.Context, requests []transfer.Request) error {
	return putPages(ctx, t, t.moves.putRequests, requests, func(q transfer.Request) []any {
		return []any{
			q.ID, q.Asked, hex.EncodeToString(q.Fingerprint[:]), string(q.Budget), q.Locale, q.Muted,
			some(q.Used), q.By, some(q.Tries),
		}
	})
}

// Sessions implements [transfer.Rows].
func (t *Transfer) Sessions(ctx context.Context, from string, limit int) ([]transfer.Session, string, error) {
	if from == "" {
		from = "0"
	}
	return readPage(ctx, t, t.moves.sessions, from, limit, func(r *reply) (s transfer.Session) {
		s.ID, s.Account, s.Kind, s.Number = r.text(), r.text(), signup.SessionKind(r.text()), r.int()
		r.bytes(s.Hash[:])
		r.bytes(s.Before[:])
		s.Rotated, s.Opened, s.Seen, s.Idle, s.Ends = r.int(), r.int(), r.int(), r.int(), r.int()
		return s
	})
}

// PutSessions implements [transfer.Target].
func (t *Transfer) PutSessions(ctx context.Context, sessions []transfer.Session) error {
	return putPages(ctx, t, t.moves.putSessions, sessions, func(s transfer.Session) []any {
		return []any{
			s.ID, s.Account, string(s.Kind), s.Number, hex.EncodeToString(s.Hash[:]),
			someBytes(s.Before[:]), some(s.Rotated), s.Opened, s.Seen, s.Idle, s.Ends,
		}
	})
}

// Charges implements [transfer.Rows].
func (t *Transfer) Charges(ctx context.Context, from string, limit int) ([]transfer.Charge, string, error) {
	return readPage(ctx, t, t.moves.charges, afterIn(from), limit, func(r *reply) (c transfer.Charge) {
		r.bytes(c.Fingerprint[:])
		c.Budget, c.At = onboarding.Budget(r.text()), r.int()
		return c
	})
}

// PutCharges implements [transfer.Target].
func (t *Transfer) PutCharges(ctx context.Context, charges []transfer.Charge) error {
	return putPages(ctx, t, t.moves.putCharges, charges, func(c transfer.Charge) []any {
		return []any{hex.EncodeToString(c.Fingerprint[:]), string(c.Budget), c.At}
	})
}

// Documents implements [transfer.Rows].
func (t *Transfer) Documents(ctx context.Context) (documents []transfer.Document, err error) {
	v, err := t.store.run(ctx, t.moves.documents, redisdb.Answered)
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	r := newReply(v)
	for r.more() {
		d := transfer.Document{Name: r.text()}
		version, value, _ := strings.Cut(r.text(), " ")
		if d.Version, err = strconv.ParseInt(version, 10, 64); err != nil {
			return nil, fmt.Errorf("read document %q: %w: it has no version", d.Name, errReply)
		}
		d.Value = []byte(value)
		documents = append(documents, d)
	}
	slices.SortFunc(documents, func(a, b transfer.Document) int { return strings.Compare(a.Name, b.Name) })
	return documents, r.err
}

// PutDocuments implements [transfer.Target].
func (t *Transfer) PutDocuments(ctx context.Context, documents []transfer.Document) error {
	return putPages(ctx, t, t.moves.putDocuments, documents, func(d transfer.Document) []any {
		return []any{d.Name, d.Version, []byte(d.Value)}
	})
}
