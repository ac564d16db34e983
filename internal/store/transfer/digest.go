package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"iter"

	"bellhop/internal/onboarding"
)

// Kind is one kind of thing that is moved.
type Kind string

// The kinds, in the order in which they are moved.
const (
	KindTotals  Kind = "totals"
	KindKeys    Kind = "shared keys"
	KindSignUps Kind = "sign-ups"
	KindMails   Kind = "mails"
)

// Digest says what a store holds of one kind: how many rows, and the SHA-256
// of their canonical encoding.
type Digest struct {
	Rows int64
	Sum  [sha256.Size]byte
}

// Digests are those of all kinds.
type Digests struct {
	Totals, Keys, SignUps, Mails Digest
}

// digest reads everything a store holds.
func digest(ctx context.Context, rows Rows, chunk int, note func(Kind, int64)) (d Digests, err error) {
	totals, err := rows.Totals(ctx)
	if err != nil {
		return d, fmt.Errorf("read totals: %w", err)
	}
	w := newWriter()
	w.totals(totals)
	d.Totals = w.digest()
	keys, err := rows.Keys(ctx)
	if err != nil {
		return d, fmt.Errorf("read shared keys: %w", err)
	}
	for _, k := range keys {
		w.key(k)
	}
	d.Keys = w.digest()
	for signUps, err := range signUps(ctx, rows, chunk) {
		if err != nil {
			return d, err
		}
		for _, s := range signUps {
			w.signUp(s)
		}
		note(KindSignUps, w.rows)
	}
	d.SignUps = w.digest()
	for mails, err := range mails(ctx, rows, chunk) {
		if err != nil {
			return d, err
		}
		for _, m := range mails {
			w.mail(m)
		}
		note(KindMails, w.rows)
	}
	d.Mails = w.digest()
	return d, nil
}

// signUps reads all sign-ups, chunk by chunk. An error is the last it yields.
func signUps(ctx context.Context, rows Rows, chunk int) iter.Seq2[[]SignUp, error] {
	return chunks("sign-ups", func(after int64) ([]SignUp, error) { return rows.SignUps(ctx, after, chunk) },
		func(s SignUp) int64 { return s.Number })
}

// mails reads all mails, chunk by chunk. An error is the last it yields.
func mails(ctx context.Context, rows Rows, chunk int) iter.Seq2[[]Mail, error] {
	return chunks("mails", func(after int64) ([]Mail, error) { return rows.Mails(ctx, after, chunk) },
		func(m Mail) int64 { return m.Number })
}

func chunks[T any](what string, read func(after int64) ([]T, error), number func(T) int64) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		for after := int64(0); ; {
			rows, err := read(after)
			if err != nil {
				yield(nil, fmt.Errorf("read %s: %w", what, err))
				return
			}
			if len(rows) == 0 {
				return
			}
			after = number(rows[len(rows)-1])
			if !yield(rows, nil) {
				return
			}
		}
	}
}

// writer makes the canonical encoding of rows and hashes it: every field in the
// order of its struct, integers as varints, text and bytes behind their length.
type writer struct {
	hash hash.Hash
	buf  []byte
	rows int64
}

func newWriter() *writer { return &writer{hash: sha256.New()} }

// digest returns the digest of what was written, and begins anew.
func (w *writer) digest() (d Digest) {
	d.Rows = w.rows
	w.hash.Sum(d.Sum[:0])
	w.hash.Reset()
	w.rows = 0
	return d
}

// end ends a row.
func (w *writer) end() {
	w.hash.Write(w.buf)
	w.buf = w.buf[:0]
	w.rows++
}

func (w *writer) ints(all ...int64) {
	for _, n := range all {
		w.buf = binary.AppendVarint(w.buf, n)
	}
}

func (w *writer) bools(all ...bool) {
	for _, b := range all {
		n := int64(0)
		if b {
			n = 1
		}
		w.ints(n)
	}
}

func (w *writer) texts(all ...string) {
	for _, s := range all {
		w.ints(int64(len(s)))
		w.buf = append(w.buf, s...)
	}
}

func (w *writer) totals(t Totals) {
	w.ints(t.Accepted, t.Copies, t.Differing)
	for _, lane := range onboarding.Lanes() {
		w.ints(t.Arrived[lane])
	}
	w.end()
}

func (w *writer) key(k Key) {
	w.texts(k.Name, string(k.Secret))
	w.end()
}

func (w *writer) signUp(s SignUp) {
	w.ints(s.Number)
	w.texts(s.ID, s.First, s.Last, s.Email, string(s.Status))
	w.ints(s.Accepted)
	w.bools(s.Key != nil)
	if s.Key != nil {
		w.texts(string(s.Key[:]))
		w.ints(s.KeyUsed)
	}
	w.end()
}

// mail leaves out what is only known of a purged mail as long as nobody has
// tidied it away.
func (w *writer) mail(m Mail) {
	w.ints(m.Number)
	w.texts(string(m.ID), string(m.State))
	if m.State != onboarding.Purged {
		w.body(m)
	}
	w.end()
}

func (w *writer) body(m Mail) {
	w.texts(string(m.Lane))
	w.ints(m.Created, m.Keeps, m.Gen, m.At)
	w.texts(string(m.Holder), m.Op)
	w.ints(m.Claims)
	w.texts(string(m.Variant))
	w.ints(m.Commits, m.Mint, m.MintedAt)
	w.texts(string(m.BodyHash[:]))
	w.ints(m.Copies)
	w.bools(m.Doubt, m.CalledOff)
	w.ints(m.Counted, m.ExpiresAt, m.DeadSince)
	w.texts(m.Reason, m.Reply.Phase)
	w.ints(int64(m.Reply.Code))
	w.texts(m.Reply.Enhanced, m.Reply.Text)
	w.ints(int64(len(m.Attempts)))
	for _, a := range m.Attempts {
		w.ints(a.N)
		w.bools(a.Copy, a.Counted)
		w.texts(string(a.Outcome))
		w.ints(a.Code)
		w.texts(a.Enhanced, a.Text)
	}
}
