// Package storetest is the contract of a store as a test: [Run] proves each
// sentence of [signup.Store] and [onboarding.Ledger] by name, and [Model]
// drives a store through random histories and checks the invariants after
// every step. Every store passes both, unchanged.
//
// A store declares what it cannot do in [Features]; tests are left out by that
// declaration, never by the store's name.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

// Store is what the suite tests.
type Store interface {
	signup.Store
	onboarding.Ledger
	// Document and SetDocument are [token.Documents].
	Document(ctx context.Context, name string) (value []byte, version int64, err error)
	SetDocument(ctx context.Context, name string, value []byte, version int64) (set bool, err error)
	// SharedKey returns the secret of a name: the first caller's fresh bytes,
	// durable before anyone gets them.
	SharedKey(ctx context.Context, name string, fresh []byte) ([]byte, error)
}

// Features says what a store can do.
type Features struct {
	// SoleOwner: one process owns the store, and opening it proves every former
	// owner dead, so that what they held is recovered at once. Without it
	// several processes share the store and only the sweeper recovers.
	SoleOwner bool
	// Retention: a sweep purges what was finished longer ago than
	// Policy.Retention.
	Retention bool
}

// Harness is one fresh store with a clock that the test moves.
type Harness struct {
	// Store is open.
	Store Store
	// Others are further processes that have the same store open; none if it
	// has a sole owner. Concurrent callers are spread over all of them.
	Others []Store
	// Now reads the store's clock.
	Now func() time.Time
	// Advance moves the store's clock; back, if d is negative.
	Advance func(d time.Duration)
	// Reopen ends the process that has the store open without any farewell and
	// opens the store anew. What waited for the disk must be there again.
	Reopen func() (Store, error)
	// PowerCut does the same and loses what did not wait for the disk. Only a
	// store with a sole owner needs it, and only for [Model].
	PowerCut func() (Store, error)
	// Close ends everything. After it the store's methods fail.
	Close func() error
}

// Open makes a harness for one test, with a policy. The clock starts anywhere,
// at a whole second.
type Open func(p onboarding.Policy) (*Harness, error)

// Run runs the whole suite.
func Run(t *testing.T, f Features, open Open) {
	for _, topic := range []struct {
		name  string
		tests []test
	}{
		{"Accept", acceptTests},
		{"Idempotency", idempotencyTests},
		{"Relay", relayTests},
		{"Claim", claimTests},
		{"Committing", committingTests},
		{"Record", recordTests},
		{"Unknown", unknownTests},
		{"Sweep", sweepTests},
		{"Retention", retentionTests},
		{"Presence", presenceTests},
		{"Operator", operatorTests},
		{"Audit", auditTests},
		{"People", peopleTests},
		{"Progress", progressTests},
		{"Resend", resendTests},
		{"Ask", askTests},
		{"Variant", variantTests},
		{"Budget", budgetTests},
		{"Mint", mintTests},
		{"Try", tryTests},
		{"Redeem", redeemTests},
		{"Spelling", spellingTests},
		{"History", historyTests},
		{"Session", sessionTests},
		{"Rotate", rotateTests},
		{"Erase", eraseTests},
		{"Others", othersTests},
		{"Export", exportTests},
		{"Purge", purgeTests},
		{"Document", documentTests},
	} {
		t.Run(topic.name, func(t *testing.T) {
			for _, test := range topic.tests {
				t.Run(test.name, func(t *testing.T) {
					if test.needs != nil && !test.needs(f) {
						t.Skip("the store does not declare the feature")
					}
					test.run(newWorld(t, open, onboarding.DefaultPolicy()))
				})
			}
		})
	}
}

// test is one sentence of a contract.
type test struct {
	name  string
	run   func(*world)
	needs func(Features) bool // nil: every store can
}

// caller is the store as one of several concurrent callers sees it.
func (w *world) caller(i int) Store {
	if i %= len(w.Others) + 1; i > 0 {
		return w.Others[i-1]
	}
	return w.Store
}

func soleOwner(f Features) bool { return f.SoleOwner }
func retention(f Features) bool { return f.Retention }

// timeout bounds a test that hangs. It is generous: the machine may be busy.
const timeout = 2 * time.Minute

// world is one test's store and what it needs to talk about it.
type world struct {
	*testing.T
	*Harness
	ctx    context.Context
	open   Open
	policy onboarding.Policy
	people int
	ops    int
}

func newWorld(t *testing.T, open Open, p onboarding.Policy) *world {
	t.Helper()
	h, err := open(p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	w := &world{T: t, Harness: h, ctx: ctx, open: open, policy: p}
	t.Cleanup(func() {
		w.conserves()
		cancel()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// The incarnations of the tests.
const (
	me    onboarding.Incarnation = "incarnation-me"
	other onboarding.Incarnation = "incarnation-other"
)

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantErr(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("error is %v, want %v", err, want)
	}
}

func equal[T comparable](w *world, what string, got, want T) {
	w.Helper()
	if got != want {
		w.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// never checks a time until something that is not to come.
func (w *world) never(next time.Duration) {
	w.Helper()
	if next >= 0 {
		w.Fatalf("next is in %v, want a negative one: there is none", next)
	}
}

// acceptance is a new person's sign-up that owes one mail.
func (w *world) acceptance() signup.Acceptance {
	w.Helper()
	w.people++
	to, err := address.Parse(fmt.Sprintf("person%d@example.com", w.people))
	w.must(err)
	p := signup.Person{ID: uuid.NewString(), First: fmt.Sprintf("First%d", w.people), Last: "Last", Address: to}
	return signup.Acceptance{Person: p, Fingerprint: to.Fingerprint(secret), Mails: []onboarding.Owed{owed(p.ID, onboarding.SignUp, 1)}}
}

func owed(subject string, p onboarding.Purpose, step int) onboarding.Owed {
	return onboarding.Owed{ID: onboarding.NewMailID(subject, p, step), Expiry: onboarding.DefaultPolicy().Expiry}
}

// withKey is a form that comes under an idempotency key.
func withKey(a signup.Acceptance, key byte) signup.Acceptance {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", a.Person.Address.Key(), a.Person.First, a.Person.Last))
	a.Key = &signup.Key{Hash: [32]byte{key}, Form: [16]byte(sum[:16])}
	return a
}

// accept stores a new person and returns the mail owed to them.
func (w *world) accept() onboarding.MailID {
	w.Helper()
	a := w.acceptance()
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	return a.Mails[0].ID
}

// due lists the urgent mails that are due now.
func (w *world) due() []onboarding.Ref {
	w.Helper()
	refs, _, err := w.Store.DueMails(w.ctx, onboarding.Urgent, 1000)
	w.must(err)
	return refs
}

// ref is the mail's reference while it is due.
func (w *world) ref(id onboarding.MailID) onboarding.Ref {
	w.Helper()
	refs := w.due()
	i := slices.IndexFunc(refs, func(r onboarding.Ref) bool { return r.Mail == id })
	if i < 0 {
		w.Fatalf("mail %s is not due", id)
	}
	return refs[i]
}

// relay marks everything urgent that is due as queued.
func (w *world) relay() []onboarding.Ref {
	w.Helper()
	refs := w.due()
	w.must(w.Store.Relayed(w.ctx, refs))
	return refs
}

// newClaim is a claim that was not made yet.
func (w *world) newClaim(ref onboarding.Ref, by onboarding.Incarnation) onboarding.Claim {
	w.ops++
	return onboarding.Claim{Ref: ref, Holder: by, Op: fmt.Sprint("op-", w.ops)}
}

// claim claims a mail that is due, for me.
func (w *world) claim(id onboarding.MailID) onboarding.Held {
	w.Helper()
	h, err := w.Store.Claim(w.ctx, w.newClaim(w.ref(id), me))
	w.must(err)
	equal(w, "the claimed mail's state", h.State, onboarding.Sending)
	return h
}

func (w *world) heartbeat(by onboarding.Incarnation) {
	w.Helper()
	w.must(w.Store.Heartbeat(w.ctx, by))
}

// committing claims a mail that is due and passes the point of no return.
func (w *world) committing(id onboarding.MailID) onboarding.Held {
	w.Helper()
	h := w.claim(id)
	w.must(w.Store.Committing(w.ctx, h.Claim, rendered(h)))
	return h
}

func rendered(h onboarding.Held) onboarding.Rendered {
	return onboarding.Rendered{Mint: h.NextMint(), BodyHash: [32]byte{7}}
}

func (w *world) record(c onboarding.Claim, r onboarding.Result) onboarding.State {
	w.Helper()
	state, err := w.Store.Record(w.ctx, c, r)
	w.must(err)
	return state
}

// to is a result that counts.
func to(state onboarding.State) onboarding.Result {
	return onboarding.Result{To: state, Counts: true, Reason: "because of " + string(state)}
}

// in brings a new mail into a state.
func (w *world) in(state onboarding.State) onboarding.MailID {
	w.Helper()
	id := w.accept()
	switch state {
	case onboarding.Due:
	case onboarding.Queued:
		w.must(w.Store.Relayed(w.ctx, []onboarding.Ref{w.ref(id)}))
	case onboarding.Sending:
		w.claim(id)
	case onboarding.Committing:
		w.committing(id)
	case onboarding.Sent, onboarding.Failed, onboarding.Unknown:
		w.record(w.committing(id).Claim, to(state))
	case onboarding.Expired:
		r := to(onboarding.Due)
		r.After = w.policy.Expiry
		w.record(w.claim(id).Claim, r)
	case onboarding.Cancelled:
		_, err := w.Store.Cancel(w.ctx, id.Subject(), "test")
		w.must(err)
	case onboarding.Purged:
		w.record(w.committing(id).Claim, to(onboarding.Failed))
		w.must(w.Store.Discard(w.ctx, id))
	default:
		w.Fatalf("no way to state %s", state)
	}
	w.isIn(id, state)
	return id
}

// row is the mail as the audit sees it.
func (w *world) row(id onboarding.MailID) onboarding.AuditRow {
	w.Helper()
	rows := w.rows()
	i := slices.IndexFunc(rows, func(r onboarding.AuditRow) bool { return r.ID == id })
	if i < 0 {
		w.Fatalf("mail %s is not in the ledger", id)
	}
	return rows[i]
}

func (w *world) rows() []onboarding.AuditRow {
	w.Helper()
	rows, err := allRows(w.ctx, w.Store)
	w.must(err)
	return rows
}

// allRows reads the whole ledger.
func allRows(ctx context.Context, s Store) (rows []onboarding.AuditRow, err error) {
	const limit = 1000
	for after := int64(0); ; {
		more, err := s.Audit(ctx, after, limit)
		rows = append(rows, more...)
		if err != nil || len(more) < limit {
			return rows, err
		}
		after = more[len(more)-1].Number
	}
}

func (w *world) isIn(id onboarding.MailID, state onboarding.State) {
	w.Helper()
	equal(w, "the mail's state", w.row(id).State, state)
}

func (w *world) books() onboarding.Books {
	w.Helper()
	b, err := w.Store.Books(w.ctx)
	w.must(err)
	return b
}

// dead lists the dead mails' ids.
func (w *world) dead() (ids []onboarding.MailID) {
	w.Helper()
	mails, _, err := w.Store.DeadMails(w.ctx, "", 100)
	w.must(err)
	for _, m := range mails {
		ids = append(ids, m.ID)
	}
	return ids
}

// conserves checks I3 at the end of every test: the counts as kept are those
// of the rows, and nothing that was accepted is gone.
func (w *world) conserves() {
	w.Helper()
	if w.Failed() {
		return
	}
	if _, _, err := audit(w.ctx, w.Store); err != nil {
		w.Error(err)
	}
}

// audit compares the books with the rows (I3).
func audit(ctx context.Context, s Store) (onboarding.Books, []onboarding.AuditRow, error) {
	books, err := s.Books(ctx)
	if err != nil {
		return books, nil, err
	}
	rows, err := allRows(ctx, s)
	if err != nil {
		return books, nil, err
	}
	counted := map[onboarding.State]int64{}
	for i, r := range rows {
		if r.Number != int64(i)+1 {
			return books, rows, fmt.Errorf("mail %d is missing: the next one is %d", i+1, r.Number)
		}
		counted[r.State]++
	}
	if books.Accepted != int64(len(rows)) {
		return books, rows, fmt.Errorf("accepted is %d, and there are %d mails", books.Accepted, len(rows))
	}
	for _, state := range onboarding.States() {
		if books.States[state] != counted[state] {
			return books, rows, fmt.Errorf("%d mails are counted as %s, and %d are", books.States[state], state, counted[state])
		}
	}
	return books, rows, nil
}
