package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

// twins are two stores to which the same happens, but that one of them is moved
// there and back. Nothing that anybody is told may differ.
type twins struct {
	*trip
	*rand.Rand
	moved, stayed *world
	log           []string

	addresses []address.Address
	subjects  []signUpOrRequest
	mails     []onboarding.MailID
	waiting   []onboarding.MailID // perhaps due
	sent      []onboarding.MailID // perhaps in a mailbox
	redeemed  []signup.Redemption
	claims    int
}

// signUpOrRequest is what a mail is owed to.
type signUpOrRequest struct {
	id      string
	purpose onboarding.Purpose
	of      address.Address
}

// twinSteps is how much happens between two moves.
const twinSteps = 250

func behavesLikeItsTwin(tr *trip) {
	seed := rand.Uint64()
	tr.Logf("seed %d", seed)
	t := &twins{trip: tr, Rand: rand.New(rand.NewPCG(seed, 0))}
	t.stayed = tr.at(tr.another(here))
	defer tr.leave(t.stayed)
	for i := range 5 {
		t.addresses = append(t.addresses, t.stayed.parse(fmt.Sprintf("Twin.%d@example.com", i)))
	}
	for _, way := range []struct{ from, to *Site }{{tr.from, tr.to}, {tr.to, tr.from}, {tr.from, nil}} {
		t.moved = tr.at(way.from)
		for range twinSteps {
			t.step()
		}
		t.lookAtAll()
		tr.leave(t.moved)
		if way.to != nil {
			tr.must(second(tr.move(way.from, way.to, nil)))
		}
	}
}

// step lets something happen, often what work is made of.
func (t *twins) step() {
	steps := []struct {
		often int
		do    func()
	}{
		{6, t.signUp}, {14, t.deliver}, {8, t.redeem}, {2, t.redeemAgain}, {4, t.try}, {4, t.ask}, {6, t.rotate},
		{2, t.seen}, {1, t.endSession}, {1, t.erase}, {3, t.resend}, {1, t.purge}, {6, t.pass}, {2, t.sweep},
		{2, t.setDocument}, {4, func() { t.look(t.subject()) }},
	}
	n := 0
	for _, s := range steps {
		n += s.often
	}
	n = t.IntN(n)
	for _, s := range steps {
		if n -= s.often; n < 0 {
			s.do()
			return
		}
	}
}

// both lets the same happen to both and compares what they say. It returns
// that.
func (t *twins) both(what string, do func(w *world) string) string {
	t.Helper()
	moved, stayed := do(t.moved), do(t.stayed)
	t.log = append(t.log, what+": "+stayed[:min(len(stayed), 200)])
	if moved != stayed {
		t.Fatalf("%s:\nthe one that was moved says   %s\nthe one that never moved says %s\nbefore that:\n%s",
			what, differing(moved, stayed), differing(stayed, moved), strings.Join(t.log[max(0, len(t.log)-20):], "\n"))
	}
	return stayed
}

// differing is the first line of a text that is not in another.
func differing(text, other string) string {
	for line := range strings.Lines(text) {
		if !strings.Contains(other, line) {
			return line
		}
	}
	return "less"
}

// said is an error as the contract knows it.
func said(err error) string {
	for _, known := range []error{
		signup.ErrConflict, signup.ErrNotFound, signup.ErrLinkDead, signup.ErrUsed, signup.ErrTries, signup.ErrReused,
		onboarding.ErrRefused, onboarding.ErrNoMail, onboarding.ErrWrongState,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprint(err)
}

// done is what an action came to that did what it should.
const done = "<nil>"

func (t *twins) id() string {
	var raw uuid.UUID
	for i := range raw {
		raw[i] = byte(t.IntN(256))
	}
	return raw.String()
}

func (t *twins) one(in int) bool { return t.IntN(in) == 0 }

func (t *twins) address() address.Address { return t.addresses[t.IntN(len(t.addresses))] }

func (t *twins) subject() signUpOrRequest {
	if len(t.subjects) == 0 || t.one(20) {
		return signUpOrRequest{t.id(), onboarding.SignUp, t.address()} // nobody's
	}
	return t.subjects[t.IntN(len(t.subjects))]
}

// owes notes a mail that was owed to a subject.
func (t *twins) owes(id onboarding.MailID) {
	t.mails, t.waiting = append(t.mails, id), append(t.waiting, id)
}

// mail is one of some, or now and then any at all.
func (t *twins) mail(of []onboarding.MailID) (onboarding.MailID, signUpOrRequest) {
	if len(of) == 0 || t.one(4) {
		of = t.mails
	}
	if len(of) == 0 {
		s := t.subject()
		return onboarding.NewMailID(s.id, s.purpose, 1), s
	}
	id := of[t.IntN(len(of))]
	i := slices.IndexFunc(t.subjects, func(s signUpOrRequest) bool { return s.id == id.Subject() })
	return id, t.subjects[i]
}

func (t *twins) signUp() {
	p := signup.Person{ID: t.id(), First: fmt.Sprint("First", t.IntN(3)), Last: "Last", Address: t.address()}
	a := signup.Acceptance{Person: p, Fingerprint: p.Address.Fingerprint(secret)}
	if t.one(3) {
		a.Person.Locale, a.Person.Consent = "de", signup.Consent{Text: "v2", Origin: [16]byte{byte(t.IntN(256))}}
	}
	if t.one(6) {
		a.Fingerprint = address.Fingerprint{} // an older program's
	}
	if t.one(8) {
		a.Muted = "a robot"
	}
	if t.one(3) {
		a = withKey(a, byte(t.IntN(6)))
	}
	a.Mails = []onboarding.Owed{owed(p.ID, onboarding.SignUp, 1)}
	told := t.both("sign up", func(w *world) string {
		accepted, err := w.Store.Accept(w.ctx, a)
		return fmt.Sprint(said(err), accepted.ID, accepted.Repeated)
	})
	if told == fmt.Sprint(done, p.ID, false) {
		t.subjects = append(t.subjects, signUpOrRequest{p.ID, onboarding.SignUp, p.Address})
		t.owes(a.Mails[0].ID)
	}
}

func (t *twins) ask() {
	to := t.address()
	r := signup.SignInRequest{
		ID: t.id(), Fingerprint: to.Fingerprint(secret), Locale: "en-GB",
		Budget: []onboarding.Budget{onboarding.BudgetSignIn, onboarding.BudgetDevice}[t.IntN(2)],
	}
	if t.one(10) {
		r.Muted = "too many"
	}
	r.Mail = onboarding.Owed{ID: onboarding.NewMailID(r.ID, onboarding.SignIn, 1), Expiry: t.policy.SignInExpiry}
	t.both("ask", func(w *world) string { return said(w.Store.Ask(w.ctx, r)) })
	t.subjects = append(t.subjects, signUpOrRequest{r.ID, onboarding.SignIn, to})
	t.owes(r.Mail.ID)
}

// deliver tries to send a mail, which ends in one of many ways.
func (t *twins) deliver() {
	id, _ := t.mail(t.waiting)
	t.claims++
	claim := onboarding.Claim{Holder: me, Op: fmt.Sprint("twin-", t.claims)}
	result := to([]onboarding.State{onboarding.Sent, onboarding.Sent, onboarding.Sent, onboarding.Due, onboarding.Unknown, onboarding.Failed}[t.IntN(6)])
	result.After = time.Minute
	told := t.both("deliver", func(w *world) string {
		for _, lane := range onboarding.Lanes() {
			refs, _, err := w.Store.DueMails(w.ctx, lane, 1000)
			w.must(err)
			for _, ref := range refs {
				if ref.Mail == id {
					claim.Ref = ref
					return w.attempt(claim, result)
				}
			}
		}
		return "not due"
	})
	if !strings.HasSuffix(told, string(onboarding.Due)) {
		t.waiting = slices.DeleteFunc(t.waiting, func(other onboarding.MailID) bool { return other == id })
	}
	if strings.HasSuffix(told, string(onboarding.Sent)) || strings.HasSuffix(told, string(onboarding.Unknown)) {
		t.sent = append(t.sent, id)
	}
}

// attempt claims a mail and ends the claim.
func (w *world) attempt(c onboarding.Claim, r onboarding.Result) string {
	h, err := w.Store.Claim(w.ctx, c)
	if err != nil || h.State != onboarding.Sending {
		return fmt.Sprint(said(err), h.State)
	}
	told := fmt.Sprint(h.Variant, h.Locale, h.To, h.Created.UnixMilli(), h.ExpiresIn, h.Attempts, h.NextMint(), h.Copy)
	if err := w.Store.Committing(w.ctx, c, rendered(h)); err != nil {
		return told + said(err)
	}
	state, err := w.Store.Record(w.ctx, c, r)
	return fmt.Sprint(told, said(err), state)
}

// redeem tries the latest link of a mail, or now and then the one before.
func (t *twins) redeem() {
	id, of := t.mail(t.sent)
	kind := []signup.SessionKind{signup.Browser, signup.API, signup.API}[t.IntN(3)]
	r := signup.Redemption{
		Mail: id, Within: t.policy.ExpiryOf(purposeOf(id)), ByCode: t.one(5), Fingerprint: of.of.Fingerprint(secret),
		Session: signup.NewSession{ID: t.id(), Kind: kind, Idle: idle, Life: life}, Welcome: t.policy.Expiry,
	}
	r.Session.Hash = hashOf(r.Session.ID, 0)
	before := 0
	if t.one(10) {
		before = 1
	}
	told := t.both("redeem", func(w *world) string {
		mint, err := w.Store.Mint(w.ctx, id)
		r.Number = max(1, mint.Number-before)
		return fmt.Sprint(said(err), mint.Number, mint.Variant, mint.Age, mint.Address.Typed(), mint.Locale, mint.Used, w.exchange(r))
	})
	if strings.HasSuffix(told, "redeemed") {
		t.redeemed = append(t.redeemed, r)
	}
	if strings.HasSuffix(told, "confirmed, redeemed") {
		t.owes(onboarding.NewMailID(id.Subject(), onboarding.Welcome, 1))
	}
}

func (w *world) exchange(r signup.Redemption) string {
	redeemed, err := w.Store.Redeem(w.ctx, r)
	if err != nil {
		return said(err)
	}
	if redeemed.Confirmed {
		return redeemed.Account.ID + " confirmed, redeemed"
	}
	return redeemed.Account.ID + " redeemed"
}

// hashOf is that of a secret of a session.
func hashOf(id string, number int) [32]byte { return sha256.Sum256(fmt.Append(nil, id, number)) }

// session is one that was opened once.
func (t *twins) session() (signup.Redemption, bool) {
	if len(t.redeemed) == 0 {
		return signup.Redemption{}, false
	}
	return t.redeemed[t.IntN(len(t.redeemed))], true
}

func (t *twins) redeemAgain() {
	if r, ok := t.session(); ok {
		t.both("redeem again", func(w *world) string { return w.exchange(r) })
	}
}

func (t *twins) try() {
	s := t.subject()
	t.both("try", func(w *world) string {
		mints, err := w.Store.Try(w.ctx, s.id, 5)
		sortBy(mints, func(m signup.Mint) string { return string(m.Mail) })
		for i := range mints {
			mints[i].Locale = "" // not promised
		}
		return said(err) + fmt.Sprintf("%+v", mints)
	})
}

// rotate presents the latest secret of a session, or one before.
func (t *twins) rotate() {
	r, ok := t.session()
	if !ok {
		return
	}
	back := []int{0, 0, 0, 0, 1, 1, 2}[t.IntN(7)]
	t.both("rotate", func(w *world) string {
		s, _, err := w.Store.Session(w.ctx, r.Session.ID)
		number := max(0, s.Number-back)
		rotated, rotateErr := w.Store.Rotate(w.ctx, signup.Rotation{
			ID: r.Session.ID, Number: number, Hash: hashOf(r.Session.ID, number), Next: hashOf(r.Session.ID, number+1), Grace: 5 * time.Minute,
		})
		return fmt.Sprint(said(err), said(rotateErr), shown(s), shown(rotated))
	})
}

// shown is a session, with its times by their instant.
func shown(s signup.Session) string {
	return fmt.Sprint(s.ID, s.Account, s.Kind, s.Number, s.Hash, s.Opened.UnixMilli(), s.Seen.UnixMilli(), s.Ends.UnixMilli())
}

func (t *twins) seen() {
	if r, ok := t.session(); ok {
		t.both("seen", func(w *world) string { return said(w.Store.Seen(w.ctx, r.Session.ID)) })
	}
}

func (t *twins) endSession() {
	r, ok := t.session()
	all := t.one(3)
	if !ok {
		return
	}
	t.both("end", func(w *world) string {
		s, _, err := w.Store.Session(w.ctx, r.Session.ID)
		if err != nil {
			return said(err)
		}
		if all {
			n, err := w.Store.EndSessions(w.ctx, s.Account)
			return fmt.Sprint(n, said(err))
		}
		return said(w.Store.EndSession(w.ctx, s.Account, s.ID))
	})
}

func (t *twins) erase() {
	s := t.subject()
	t.both("erase", func(w *world) string { return said(w.Store.Erase(w.ctx, s.id)) })
}

func (t *twins) resend() {
	s := t.subject()
	step, made := 0, false
	t.both("resend", func(w *world) string {
		p, ok, err := w.Store.Resend(w.ctx, signup.Resend{SignUp: s.id, Expiry: t.policy.Expiry, After: 10 * time.Minute, Most: 5})
		step, made = p.Step, ok
		return fmt.Sprintf("%+v %v %v", p, ok, said(err))
	})
	if made {
		t.owes(onboarding.NewMailID(s.id, onboarding.SignUp, step))
	}
}

func (t *twins) purge() {
	t.both("purge", func(w *world) string {
		p, err := w.Store.Purge(w.ctx, signup.Retention{Unconfirmed: 14 * 24 * time.Hour, SignIns: 24 * time.Hour, Limit: 1000})
		return fmt.Sprintf("%+v %v", p, said(err))
	})
}

// pass lets time go by, more often little than much.
func (t *twins) pass() {
	t.Advance([]time.Duration{
		time.Second, time.Minute, time.Minute, 5 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 8 * time.Hour, 3 * 24 * time.Hour,
	}[min(t.IntN(9), t.IntN(9))])
}

func (t *twins) sweep() {
	t.both("sweep", func(w *world) string {
		s, err := w.Store.Sweep(w.ctx, me, 1000)
		return fmt.Sprint(said(err), s.Copied, s.Expired)
	})
}

func (t *twins) setDocument() {
	name, value, version := fmt.Sprint("document", t.IntN(2)), t.id(), t.IntN(4)
	t.both("set a document", func(w *world) string {
		before, is, err := w.Store.Document(w.ctx, name)
		set, setErr := w.Store.SetDocument(w.ctx, name, []byte(value), int64(version))
		return fmt.Sprintf("%q %v %v %v %v", before, is, said(err), set, said(setErr))
	})
}

// look compares what can be seen of a subject and its address.
func (t *twins) look(s signUpOrRequest) {
	t.both("look", func(w *world) string {
		p, err := w.Store.Person(w.ctx, s.id)
		told := fmt.Sprintf("%+v %v", p, said(err))
		people, err := w.Store.People(w.ctx, s.of.Fingerprint(secret))
		w.must(err)
		if len(people) > 0 { // the account, perhaps, and others: their order is not that of older programs'
			sortBy(people[1:], func(p signup.Person) string { return p.ID })
		}
		for _, p := range people {
			told += fmt.Sprintf("\n%+v %s %+v", p, p.Address.Typed(), w.wholeDossier(p.ID))
		}
		progress, err := w.Store.Progress(w.ctx, s.id)
		return told + fmt.Sprintf("\n%+v %v", progress, said(err))
	})
}

func (t *twins) lookAtAll() {
	for _, s := range t.subjects {
		t.look(s)
	}
	t.both("count", func(w *world) string { return fmt.Sprintf("%+v", w.books().States) })
}
