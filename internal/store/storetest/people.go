package storetest

import (
	"fmt"
	"slices"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

var peopleTests = []test{
	{name: "B7_9_ConsentAndLocaleAreKept", run: peopleKeepConsent},
	{name: "ARepeatReturnsThemAsTheyWereStored", run: peopleRepeated},
	{name: "PeopleAreTheAccountFirstThenInTheOrderOfAcceptance", run: peopleInOrder},
	{name: "PeopleAreUpToAHundred", run: peopleBounded},
	{name: "PeopleOfAnAddressThatNobodyHasAreNone", run: peopleOfNobody},
	{name: "PeopleWithoutAFingerprintAreMissing", run: peopleOfOlderPrograms},
	{name: "ErasedPeopleAreMissing", run: peopleErased},
	{name: "B1_4_ASecondSignUpReturnsNothingOfTheFirst", run: peopleIndependent},
	{name: "B5_6_MutedIsStoredLikeAnyOtherAndAllItsMailsEndSuppressed", run: peopleMuted},
}

// secret is what the tests make fingerprints with.
var secret = []byte("storetest")

// someone is an address that nobody has yet.
func (w *world) someone() address.Address {
	w.Helper()
	w.people++
	return w.parse(fmt.Sprintf("someone%d@example.com", w.people))
}

func (w *world) parse(text string) address.Address {
	w.Helper()
	a, err := address.Parse(text)
	w.must(err)
	return a
}

// formOf is a sign-up for an address.
func (w *world) formOf(to address.Address) signup.Acceptance {
	w.Helper()
	a := w.acceptance()
	a.Person.Address, a.Fingerprint = to, to.Fingerprint(secret)
	return a
}

// stored stores a sign-up and returns its mail.
func (w *world) stored(a signup.Acceptance) onboarding.MailID {
	w.Helper()
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	return a.Mails[0].ID
}

// acceptFor stores a sign-up for an address and returns its mail.
func (w *world) acceptFor(to address.Address) onboarding.MailID {
	w.Helper()
	return w.stored(w.formOf(to))
}

// sent sends a mail that is due, and returns what its sender had.
func (w *world) sent(id onboarding.MailID) onboarding.Held {
	w.Helper()
	h := w.committing(id)
	w.record(h.Claim, to(onboarding.Sent))
	return h
}

// mailed stores a sign-up for an address and sends its mail.
func (w *world) mailed(to address.Address) onboarding.Held {
	w.Helper()
	return w.sent(w.acceptFor(to))
}

// account makes an account of an address, without its welcome being sent.
func (w *world) account(of address.Address) signup.Person {
	w.Helper()
	redeemed, err := w.Store.Redeem(w.ctx, w.redemption(w.mailed(of), of))
	w.must(err)
	equal(w, "confirmed", redeemed.Confirmed, true)
	return redeemed.Account
}

// redemption exchanges the latest mint of a mail that was sent.
func (w *world) redemption(h onboarding.Held, to address.Address) signup.Redemption {
	return signup.Redemption{
		Mail: h.Claim.Mail, Number: h.NextMint(), Within: w.policy.ExpiryOf(purposeOf(h.Claim.Mail)),
		Fingerprint: to.Fingerprint(secret), Session: newSession(signup.Browser), Welcome: w.policy.Expiry,
	}
}

func purposeOf(id onboarding.MailID) onboarding.Purpose {
	_, p, _, err := id.Parse()
	if err != nil {
		panic(err) // the tests make mail ids
	}
	return p
}

// The times of the tests' sessions.
const (
	idle = 7 * 24 * time.Hour
	life = 30 * 24 * time.Hour
)

func newSession(kind signup.SessionKind) signup.NewSession {
	id := uuid.New()
	s := signup.NewSession{ID: id.String(), Kind: kind, Idle: idle, Life: life}
	copy(s.Hash[:], id[:])
	return s
}

func (w *world) person(id string) signup.Person {
	w.Helper()
	p, err := w.Store.Person(w.ctx, id)
	w.must(err)
	return p
}

// samePerson compares what is stored of a person, times by their instant and
// addresses by their text.
func samePerson(w *world, what string, got, want signup.Person) {
	w.Helper()
	equal(w, what+" was accepted", got.Accepted.Unix(), want.Accepted.Unix())
	equal(w, what+" is confirmed", got.Confirmed.IsZero(), want.Confirmed.IsZero())
	equal(w, what+" was confirmed", got.Confirmed.Unix(), want.Confirmed.Unix())
	equal(w, what+"'s address", got.Address.Typed(), want.Address.Typed())
	got.Accepted, got.Confirmed, got.Address = want.Accepted, want.Confirmed, want.Address
	equal(w, what, got, want)
}

func (w *world) peopleOf(to address.Address) (ids []string) {
	w.Helper()
	people, err := w.Store.People(w.ctx, to.Fingerprint(secret))
	w.must(err)
	for _, p := range people {
		ids = append(ids, p.ID)
	}
	return ids
}

func sameIDs(w *world, what string, got, want []string) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Fatalf("%s are %v, want %v", what, got, want)
	}
}

func peopleKeepConsent(w *world) {
	a := w.acceptance()
	a.Person.Locale = "pt-BR"
	a.Person.Consent = signup.Consent{Text: "2026-02", Origin: [16]byte{1, 2, 15: 3}}
	w.stored(a)
	found := w.person(a.Person.ID)
	samePerson(w, "the person in the list", w.listed(a)[0], found)
	equal(w, "locale", found.Locale, "pt-BR")
	equal(w, "consent", found.Consent, a.Person.Consent)
	equal(w, "confirmed", found.Confirmed, time.Time{})
	none := w.person(w.accept().Subject())
	equal(w, "locale of one who did not say", none.Locale, "")
	equal(w, "consent of one whose text we have not seen", none.Consent, signup.Consent{})
}

func (w *world) listed(a signup.Acceptance) []signup.Person {
	w.Helper()
	people, err := w.Store.People(w.ctx, a.Fingerprint)
	w.must(err)
	return people
}

func peopleRepeated(w *world) {
	a := withKey(w.acceptance(), 1)
	a.Person.Locale = "de"
	a.Person.Consent = signup.Consent{Text: "1", Origin: [16]byte{1}}
	first := w.person(w.acceptForm(a).ID)
	b := again(w, a)
	b.Person.Locale, b.Person.Consent = "en", signup.Consent{Text: "2"}
	repeat := w.acceptForm(b)
	equal(w, "repeated", repeat.Repeated, true)
	samePerson(w, "the person", w.person(repeat.ID), first)
}

func peopleInOrder(w *world) {
	who := w.someone()
	var ids []string
	var last onboarding.Held
	for range 4 {
		last = w.committing(w.acceptFor(who))
		ids = append(ids, last.Claim.Mail.Subject())
		w.Advance(30 * 24 * time.Hour)
	}
	w.acceptFor(w.someone())
	sameIDs(w, "people", w.peopleOf(who), ids)
	r := w.redemption(last, who)
	r.Within = 365 * 24 * time.Hour
	_, err := w.Store.Redeem(w.ctx, r)
	w.must(err)
	sameIDs(w, "people once the last is an account", w.peopleOf(who), []string{ids[3], ids[0], ids[1], ids[2]})
}

func peopleBounded(w *world) {
	const most = signup.MostPeople
	who := w.someone()
	account := w.account(who)
	var ids []string
	for range most + 3 {
		ids = append(ids, w.acceptFor(who).Subject())
	}
	sameIDs(w, "people", w.peopleOf(who), append([]string{account.ID}, ids[:most-1]...))
}

func peopleOfNobody(w *world) {
	w.accept()
	equal(w, "people", len(w.peopleOf(w.someone())), 0)
}

// ofOlderProgram is a sign-up such as one stored that knew no fingerprints.
func (w *world) ofOlderProgram(to address.Address) signup.Acceptance {
	w.Helper()
	a := w.formOf(to)
	a.Fingerprint = address.Fingerprint{}
	return a
}

func peopleOfOlderPrograms(w *world) {
	who := w.someone()
	w.stored(w.ofOlderProgram(who))
	equal(w, "people", len(w.peopleOf(who)), 0)
	none, err := w.Store.People(w.ctx, address.Fingerprint{})
	w.must(err)
	equal(w, "people of no fingerprint", len(none), 0)
}

func peopleErased(w *world) {
	who := w.someone()
	a, b := w.acceptFor(who), w.acceptFor(who)
	w.erase(a)
	sameIDs(w, "people", w.peopleOf(who), []string{b.Subject()})
}

func peopleIndependent(w *world) {
	who := w.someone()
	a, b := w.formOf(who), w.formOf(who)
	w.stored(a)
	accepted := w.acceptForm(b)
	equal(w, "repeated", accepted.Repeated, false)
	equal(w, "id", accepted.ID, b.Person.ID)
	equal(w, "first name", w.person(accepted.ID).First, b.Person.First)
	equal(w, "first name of the other", w.person(a.Person.ID).First, a.Person.First)
}

func peopleMuted(w *world) {
	a := w.acceptance()
	a.Muted = "a robot filled in what people cannot see"
	id := w.stored(a)
	equal(w, "status", w.person(a.Person.ID).Status, signup.Pending)
	w.suppressed(id)
	for step := 2; step <= 3; step++ {
		w.Advance(resendAfter)
		w.resend(a.Person.ID, true)
		w.suppressed(onboarding.NewMailID(a.Person.ID, onboarding.SignUp, step))
	}
	for _, m := range w.dossier(a.Person.ID).Mails {
		equal(w, "the reason", m.Reason, a.Muted)
	}
}

// suppressed wants a mail that is due to end suppressed at its claim, however
// often the claim is repeated.
func (w *world) suppressed(id onboarding.MailID) {
	w.Helper()
	w.endsAtClaim(id, onboarding.Suppressed)
}

func (w *world) endsAtClaim(id onboarding.MailID, state onboarding.State) {
	w.Helper()
	c := w.newClaim(w.ref(id), me)
	for range 2 {
		h, err := w.Store.Claim(w.ctx, c)
		w.must(err)
		equal(w, "the state told", h.State, state)
		equal(w, "the address told", h.To, "")
	}
	w.isIn(id, state)
	w.wantErr(w.Store.Committing(w.ctx, c, onboarding.Rendered{Mint: 1}), onboarding.ErrRefused)
	equal(w, "is listed as dead", slices.Contains(w.dead(), id), false)
}
