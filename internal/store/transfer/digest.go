package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/bits"

	"bellhop/internal/onboarding"
)

// Kind is one kind of thing that is moved.
type Kind string

// The kinds.
const (
	KindTotals    Kind = "totals"
	KindKeys      Kind = "shared keys"
	KindDocuments Kind = "documents"
	KindSignUps   Kind = "sign-ups"
	KindRequests  Kind = "requests to sign in"
	KindMails     Kind = "mails"
	KindSessions  Kind = "sessions"
	KindCharges   Kind = "charges to budgets"
)

// Kinds lists the kinds, in the order in which they are moved.
func Kinds() []Kind {
	return []Kind{KindTotals, KindKeys, KindDocuments, KindSignUps, KindRequests, KindMails, KindSessions, KindCharges}
}

// Digest says what a store holds of one kind: how many rows, and a sum over
// their canonical encoding.
type Digest struct {
	Rows int64
	// Sum is the SHA-256 of all rows where these have an order that all stores
	// agree on, and otherwise the sum of the SHA-256 of each, modulo 2^256. It
	// is there to notice faults, and not forgery.
	Sum [sha256.Size]byte
}

// Digests are those of all kinds.
type Digests map[Kind]Digest

// digest reads everything a store holds.
func digest(ctx context.Context, rows Rows, chunk int, note func(Kind, int64)) (Digests, error) {
	d := make(Digests)
	totals := func(ctx context.Context) ([]Totals, error) {
		t, err := rows.Totals(ctx)
		return []Totals{t}, err
	}
	for _, sum := range []func() error{
		summing(ctx, d, KindTotals, whole(totals), chunk, note, (*writer).totals),
		summing(ctx, d, KindKeys, whole(rows.Keys), chunk, note, (*writer).key),
		summing(ctx, d, KindDocuments, whole(rows.Documents), chunk, note, (*writer).document),
		summing(ctx, d, KindSignUps, numbered(rows.SignUps, numberOfSignUp), chunk, note, (*writer).signUp),
		summing(ctx, d, KindRequests, rows.Requests, chunk, note, (*writer).request),
		summing(ctx, d, KindMails, numbered(rows.Mails, numberOfMail), chunk, note, (*writer).mail),
		summing(ctx, d, KindSessions, rows.Sessions, chunk, note, (*writer).session),
		summing(ctx, d, KindCharges, rows.Charges, chunk, note, (*writer).charge),
	} {
		if err := sum(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// summing reads all rows of a kind and notes their digest.
func summing[T any](ctx context.Context, d Digests, kind Kind, read page[T], chunk int, note func(Kind, int64), write func(*writer, T)) func() error {
	return func() error {
		w := newWriter()
		for rows, err := range chunks(ctx, kind, read, chunk) {
			if err != nil {
				return err
			}
			for _, row := range rows {
				write(w, row)
			}
			note(kind, w.rows)
		}
		d[kind] = w.digest()
		return nil
	}
}

// writer makes the canonical encoding of rows and hashes it: every field in the
// order of its struct, integers as varints, text and bytes behind their length.
type writer struct {
	hash hash.Hash
	buf  []byte
	rows int64
	sum  [4]uint64 // of the rows without an order
}

func newWriter() *writer { return &writer{hash: sha256.New()} }

// digest returns the digest of what was written.
func (w *writer) digest() (d Digest) {
	d.Rows = w.rows
	if w.sum == [4]uint64{} {
		w.hash.Sum(d.Sum[:0])
		return d
	}
	for i, word := range w.sum {
		binary.BigEndian.PutUint64(d.Sum[8*i:], word)
	}
	return d
}

// end ends a row of a kind that has an order.
func (w *writer) end() {
	w.hash.Write(w.buf)
	w.buf = w.buf[:0]
	w.rows++
}

// add ends a row of a kind that has none.
func (w *writer) add() {
	row := sha256.Sum256(w.buf)
	carry := uint64(0)
	for i := len(w.sum) - 1; i >= 0; i-- {
		w.sum[i], carry = bits.Add64(w.sum[i], binary.BigEndian.Uint64(row[8*i:]), carry)
	}
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
		w.bytes([]byte(s))
	}
}

func (w *writer) bytes(all ...[]byte) {
	for _, b := range all {
		w.ints(int64(len(b)))
		w.buf = append(w.buf, b...)
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
	w.texts(k.Name)
	w.bytes(k.Secret)
	w.end()
}

func (w *writer) document(d Document) {
	w.texts(d.Name)
	w.ints(d.Version)
	w.bytes(d.Value)
	w.end()
}

func (w *writer) signUp(s SignUp) {
	w.ints(s.Number)
	w.texts(s.ID, s.First, s.Last, s.Email, string(s.Status))
	w.ints(s.Accepted)
	w.bools(s.Key != nil)
	if s.Key != nil {
		w.bytes(s.Key[:], s.KeyForm[:])
		w.ints(s.KeyUsed)
	}
	w.bytes(s.Fingerprint[:])
	w.texts(s.Locale, s.Muted, s.Consent)
	w.bytes(s.Origin[:])
	w.ints(s.Confirmed)
	w.redemption(s.Redemption)
	w.end()
}

func (w *writer) redemption(r Redemption) {
	w.ints(r.Used, r.Tries)
	w.texts(r.By)
}

func (w *writer) request(r Request) {
	w.texts(r.ID)
	w.ints(r.Asked)
	w.bytes(r.Fingerprint[:])
	w.texts(string(r.Budget), r.Locale, r.Muted)
	w.redemption(r.Redemption)
	w.add()
}

func (w *writer) session(s Session) {
	w.texts(s.ID, s.Account, string(s.Kind))
	w.ints(s.Number)
	w.bytes(s.Hash[:], s.Before[:])
	w.ints(s.Rotated, s.Opened, s.Seen, s.Ends, s.Idle)
	w.add()
}

func (w *writer) charge(c Charge) {
	w.bytes(c.Fingerprint[:])
	w.texts(string(c.Budget))
	w.ints(c.At)
	w.add()
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
	w.bytes(m.BodyHash[:])
	w.ints(m.Copies)
	w.bools(m.Doubt, m.CalledOff, m.Charged)
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
