package storetest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

var redeemTests = []test{
	{name: "B1_4_TheFirstConfirmedClaimsTheAddress", run: redeemConfirms},
	{name: "OwesTheNewAccountItsWelcome", run: redeemWelcomes},
	{name: "CancelsTheUnfinishedMailsOfTheNewAccount", run: redeemCancels},
	{name: "B1_4_AnotherSignUpSignsInAndItsNamesAreDiscarded", run: redeemElsewhere},
	{name: "I7_AnotherSignUpKeepsItsOtherMails", run: redeemElsewhereKeepsMails},
	{name: "I7_ADiscardedSignUpIsStillTheOneOfItsKey", run: redeemElsewhereKeyed},
	{name: "ARequestToSignInOpensASessionOfTheAccount", run: redeemSignIn},
	{name: "ASignUpOfAnOlderProgramGetsItsFingerprint", run: redeemOlder},
	{name: "UnderTheSameSessionARepeatChangesNothing", run: redeemRepeated},
	{name: "B2_3_UsedBySomebodyElse", run: redeemUsed},
	{name: "DeadWithAnotherNumber", run: redeemOtherNumber},
	{name: "B2_4_DeadWhenItsTimeIsOver", run: redeemLate},
	{name: "DeadWhenErasedOrNotThere", run: redeemErased},
	{name: "DeadOfAMailThatCarriesNothingToRedeem", run: redeemOfOtherMails},
	{name: "DeadByCodeOnceTheAddressIsAnothers", run: redeemByCode},
	{name: "ARefusedOneChangesNothing", run: redeemRefused},
	{name: "C1_1_IsOnDiskWhenItReturns", run: redeemDurable},
	{name: "UnavailableAfterClose", run: redeemAfterClose},
	{name: "B2_3_OfAHundredCallersOneSucceeds", run: redeemConcurrently},
	{name: "B2_3_OfAHundredCallersOneSignsIn", run: signInConcurrently},
	{name: "RepeatsUnderOneSessionAllSucceed", run: redeemRepeatedConcurrently},
	{name: "OfManySignUpsOfAnAddressOneBecomesTheAccount", run: redeemRivals},
}

func (w *world) redeem(r signup.Redemption) signup.Redeemed {
	w.Helper()
	redeemed, err := w.Store.Redeem(w.ctx, r)
	w.must(err)
	return redeemed
}

func (w *world) redeemFails(r signup.Redemption, want error) {
	w.Helper()
	_, err := w.Store.Redeem(w.ctx, r)
	w.wantErr(err, want)
}

func redeemConfirms(w *world) {
	who := w.someone()
	a := w.formOf(who)
	h := w.sent(w.stored(a))
	w.Advance(90 * time.Second)
	r := w.redemption(h, who)
	redeemed := w.redeem(r)
	equal(w, "confirmed", redeemed.Confirmed, true)
	want := a.Person
	want.Status, want.Accepted, want.Confirmed = signup.Confirmed, w.Now().Add(-90*time.Second), w.Now()
	samePerson(w, "the account", redeemed.Account, want)
	samePerson(w, "the account as it is stored", w.person(a.Person.ID), want)
	sameIDs(w, "people", w.peopleOf(who), []string{a.Person.ID})
	s, of, err := w.Store.Session(w.ctx, r.Session.ID)
	w.must(err)
	equal(w, "the session's account", s.Account, a.Person.ID)
	samePerson(w, "the session's account", of, want)
}

func redeemWelcomes(w *world) {
	who := w.someone()
	account := w.account(who)
	refs, _, err := w.Store.DueMails(w.ctx, onboarding.Bulk, 10)
	w.must(err)
	equal(w, "mails due in bulk", len(refs), 1)
	equal(w, "the mail", refs[0].Mail, onboarding.NewMailID(account.ID, onboarding.Welcome, 1))
	equal(w, "mails accepted", w.books().Accepted, 2)
	h, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	equal(w, "variant", h.Variant, onboarding.Welcomed)
	equal(w, "its time", h.ExpiresIn, w.policy.Expiry)
	equal(w, "the address", h.To, who.Sendable())
}

func redeemCancels(w *world) {
	for _, state := range []onboarding.State{
		onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing, onboarding.Unknown, onboarding.Failed,
	} {
		who := w.someone()
		h := w.mailed(who)
		w.Advance(resendAfter)
		w.resend(h.Claim.Mail.Subject(), true)
		second := onboarding.NewMailID(h.Claim.Mail.Subject(), onboarding.SignUp, 2)
		c := w.bring(second, state)
		w.redeem(w.redemption(h, who))
		w.isIn(h.Claim.Mail, onboarding.Sent)
		switch state {
		case onboarding.Failed:
			w.isIn(second, state)
		case onboarding.Committing:
			w.wantErr(w.Store.Check(w.ctx, c), onboarding.ErrRefused)
			equal(w, "how it ends", w.record(c, to(onboarding.Due)), onboarding.Cancelled)
		default:
			w.isIn(second, onboarding.Cancelled)
			w.wantErr(w.Store.Committing(w.ctx, c, onboarding.Rendered{Mint: 1}), onboarding.ErrRefused)
		}
	}
}

// bring brings a mail that is due into a state, and returns the claim it was
// brought there under.
func (w *world) bring(id onboarding.MailID, state onboarding.State) onboarding.Claim {
	w.Helper()
	switch state {
	case onboarding.Due:
		return onboarding.Claim{}
	case onboarding.Queued:
		w.must(w.Store.Relayed(w.ctx, []onboarding.Ref{w.ref(id)}))
		return onboarding.Claim{}
	case onboarding.Sending:
		return w.claim(id).Claim
	case onboarding.Committing:
		return w.committing(id).Claim
	}
	c := w.committing(id).Claim
	equal(w, "the state", w.record(c, to(state)), state)
	return c
}

// rivals are two sign-ups of one address, both mailed in time.
func (w *world) rivals() (who address.Address, first, second onboarding.Held) {
	w.Helper()
	who = w.someone()
	first = w.mailed(who)
	w.Advance(resendAfter)
	return who, first, w.mailed(who)
}

func redeemElsewhere(w *world) {
	who, first, second := w.rivals()
	account := w.redeem(w.redemption(first, who)).Account
	other := second.Claim.Mail.Subject()
	r := w.redemption(second, who)
	redeemed := w.redeem(r)
	equal(w, "confirmed", redeemed.Confirmed, false)
	samePerson(w, "the account", redeemed.Account, account)
	s, of, err := w.Store.Session(w.ctx, r.Session.ID)
	w.must(err)
	equal(w, "the session's account", s.Account, account.ID)
	equal(w, "the session's account", of.ID, account.ID)
	p := w.person(other)
	equal(w, "the names", p.First+p.Last, "")
	equal(w, "status", p.Status, signup.Pending)
	equal(w, "the address", p.Address.Typed(), who.Typed())
	equal(w, "mails accepted", w.books().Accepted, 3) // there is one welcome
	sameIDs(w, "people", w.peopleOf(who), []string{account.ID, other})
}

// redeemElsewhereKeepsMails has the mail server refuse the second mail of a
// sign-up for now: its status must not tell when the first is redeemed.
func redeemElsewhereKeepsMails(w *world) {
	who := w.someone()
	w.account(who)
	w.Advance(resendAfter)
	first := w.mailed(who)
	subject := first.Claim.Mail.Subject()
	w.Advance(resendAfter)
	w.resend(subject, true)
	second := onboarding.NewMailID(subject, onboarding.SignUp, 2)
	w.record(w.claim(second).Claim, to(onboarding.Due))
	before := w.progress(subject)
	w.redeem(w.redemption(first, who))
	equal(w, "progress", w.progress(subject), before)
	w.sent(second)
}

func redeemElsewhereKeyed(w *world) {
	who := w.someone()
	w.account(who)
	w.Advance(resendAfter)
	a := withKey(w.formOf(who), 1)
	first := w.acceptForm(a)
	w.redeem(w.redemption(w.sent(a.Mails[0].ID), who))
	w.isOf(a, first)
	w.conflicts(a)
	_, err := w.Store.Accept(w.ctx, withKey(w.formOf(who), 1)) // only the names differ
	w.wantErr(err, signup.ErrConflict)
}

func redeemSignIn(w *world) {
	who := w.someone()
	account := w.account(who)
	r := w.redemption(w.sent(w.ask(who)), who)
	r.Fingerprint = address.Fingerprint{} // it is the request's
	r.Session.Kind = signup.API
	redeemed := w.redeem(r)
	equal(w, "confirmed", redeemed.Confirmed, false)
	samePerson(w, "the account", redeemed.Account, account)
	s, _, err := w.Store.Session(w.ctx, r.Session.ID)
	w.must(err)
	equal(w, "the session's account", s.Account, account.ID)
	equal(w, "kind", s.Kind, signup.API)
	equal(w, "mails accepted", w.books().Accepted, 3) // no other welcome
}

func redeemOlder(w *world) {
	who := w.someone()
	first, second := w.sent(w.stored(w.ofOlderProgram(who))), w.sent(w.stored(w.ofOlderProgram(who)))
	redeemed := w.redeem(w.redemption(first, who))
	equal(w, "confirmed", redeemed.Confirmed, true)
	sameIDs(w, "people", w.peopleOf(who), []string{redeemed.Account.ID})
	again := w.redeem(w.redemption(second, who))
	equal(w, "confirmed", again.Confirmed, false)
	equal(w, "the account", again.Account.ID, redeemed.Account.ID)
	equal(w, "variant of the next", w.claim(w.acceptFor(who)).Variant, onboarding.AlreadyRegistered)
	w.must(w.Store.Erase(w.ctx, redeemed.Account.ID))
	_, err := w.Store.Person(w.ctx, second.Claim.Mail.Subject())
	w.wantErr(err, signup.ErrNotFound)
}

func redeemRepeated(w *world) {
	who, first, second := w.rivals()
	confirms, elsewhere := w.redemption(first, who), w.redemption(second, who)
	w.repeats(confirms)
	w.repeats(elsewhere)
	w.repeats(w.redemption(w.sent(w.ask(who)), who))
	equal(w, "mails accepted", w.books().Accepted, 4) // there is one welcome
}

// repeats redeems, uses the session that it gets, and redeems again.
func (w *world) repeats(r signup.Redemption) {
	w.Helper()
	r.Session.Kind = signup.API
	once := w.redeem(r)
	rotated := w.rotate(rotation(r.Session))
	w.Advance(time.Hour)
	again := w.redeem(r)
	samePerson(w, "the account", again.Account, once.Account)
	equal(w, "confirmed", again.Confirmed, once.Confirmed)
	sameSession(w, "the session", w.theSession(r.Session.ID), rotated)
}

func redeemUsed(w *world) {
	who, first, second := w.rivals()
	w.redeem(w.redemption(first, who))
	w.redeem(w.redemption(second, who))
	signIn := w.sent(w.ask(who))
	w.redeem(w.redemption(signIn, who))
	for _, h := range []onboarding.Held{first, second, signIn} {
		r := w.redemption(h, who)
		w.redeemFails(r, signup.ErrUsed)
		_, _, err := w.Store.Session(w.ctx, r.Session.ID)
		w.wantErr(err, signup.ErrNotFound)
	}
	w.Advance(w.policy.Expiry)
	w.redeemFails(w.redemption(first, who), signup.ErrUsed) // still kindly
}

func redeemOtherNumber(w *world) {
	who := w.someone()
	id := w.acceptFor(who)
	h := w.committing(id)
	w.record(h.Claim, to(onboarding.Due))
	second := w.sent(id)
	r := w.redemption(second, who)
	for _, number := range []int{h.NextMint(), 0, -1, 3} {
		r.Number = number
		w.redeemFails(r, signup.ErrLinkDead)
	}
	w.redeem(w.redemption(second, who))
	r = w.redemption(w.claim(w.acceptFor(w.someone())), who)
	for _, number := range []int{0, 1} { // nothing was minted
		r.Number = number
		w.redeemFails(r, signup.ErrLinkDead)
	}
}

func redeemLate(w *world) {
	who := w.someone()
	w.account(who)
	for _, owe := range []func() onboarding.MailID{w.accept, func() onboarding.MailID { return w.ask(who) }} {
		mail := owe()
		r := w.redemption(w.sent(mail), who)
		if purposeOf(mail) == onboarding.SignUp {
			r.Fingerprint = w.person(mail.Subject()).Address.Fingerprint(secret)
		}
		w.Advance(r.Within)
		w.redeemFails(r, signup.ErrLinkDead)
		w.Advance(-time.Millisecond)
		w.redeem(r)
	}
}

func redeemErased(w *world) {
	who := w.someone()
	h := w.mailed(who)
	r := w.redemption(h, who)
	w.erase(h.Claim.Mail)
	w.redeemFails(r, signup.ErrLinkDead)
	equal(w, "people", len(w.peopleOf(who)), 0)
	account := w.account(w.someone())
	asked := w.redemption(w.sent(w.ask(account.Address)), account.Address)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.redeemFails(asked, signup.ErrLinkDead)
	for _, id := range []onboarding.MailID{
		owed(uuid.NewString(), onboarding.SignUp, 1).ID, owed(uuid.NewString(), onboarding.SignIn, 1).ID, "no mail id", "",
		onboarding.NewMailID(h.Claim.Mail.Subject(), onboarding.SignIn, 1),
	} {
		r := w.redemption(h, who)
		r.Mail = id
		w.redeemFails(r, signup.ErrLinkDead)
	}
}

// redeemOfOtherMails names mails that carry no link, and none at all, of an
// account and of a request that were redeemed: also by whoever did that.
func redeemOfOtherMails(w *world) {
	who := w.someone()
	r := w.redemption(w.mailed(who), who)
	account := w.redeem(r).Account
	w.Advance(resendAfter)
	asked := w.redemption(w.sent(w.ask(who)), who)
	w.redeem(asked)
	welcome := onboarding.NewMailID(account.ID, onboarding.Welcome, 1)
	h, err := w.Store.Claim(w.ctx, w.newClaim(onboarding.Ref{Mail: welcome, Gen: 1}, me))
	w.must(err)
	w.must(w.Store.Committing(w.ctx, h.Claim, rendered(h)))
	w.record(h.Claim, to(onboarding.Sent))
	for _, id := range []onboarding.MailID{
		welcome, onboarding.NewMailID(account.ID, onboarding.SignIn, 1), onboarding.NewMailID(account.ID, "series", 1),
		onboarding.NewMailID(asked.Mail.Subject(), onboarding.SignUp, 1), "no mail id", "",
	} {
		w.noMint(id)
		for _, session := range []signup.NewSession{newSession(signup.Browser), r.Session, asked.Session} {
			other := r
			other.Mail, other.Session = id, session
			w.redeemFails(other, signup.ErrLinkDead)
		}
	}
	equal(w, "sessions", len(w.sessions(account.ID)), 2)
}

func redeemByCode(w *world) {
	who, first, second := w.rivals()
	r := w.redemption(first, who)
	r.ByCode = true
	equal(w, "confirmed", w.redeem(r).Confirmed, true)
	r = w.redemption(second, who)
	r.ByCode = true
	w.redeemFails(r, signup.ErrLinkDead)
	_, _, err := w.Store.Session(w.ctx, r.Session.ID)
	w.wantErr(err, signup.ErrNotFound)
	equal(w, "used", w.mint(second.Claim.Mail).Used, false)
	w.redeem(w.redemption(second, who)) // whoever reads the mail may
	signIn := w.redemption(w.sent(w.ask(who)), who)
	signIn.ByCode = true
	w.redeem(signIn)
	signIn.Session = newSession(signup.Browser)
	if _, err := w.Store.Redeem(w.ctx, signIn); !errors.Is(err, signup.ErrUsed) && !errors.Is(err, signup.ErrLinkDead) {
		w.Fatalf("a code that was used: %v", err)
	}
}

func redeemRefused(w *world) {
	who := w.someone()
	h := w.mailed(who)
	r := w.redemption(h, who)
	r.Number++
	w.redeemFails(r, signup.ErrLinkDead)
	equal(w, "status", w.person(h.Claim.Mail.Subject()).Status, signup.Pending)
	equal(w, "used", w.mint(h.Claim.Mail).Used, false)
	equal(w, "mails accepted", w.books().Accepted, 1)
	_, _, err := w.Store.Session(w.ctx, r.Session.ID)
	w.wantErr(err, signup.ErrNotFound)
}

func redeemDurable(w *world) {
	who, first, second := w.rivals()
	r, elsewhere := w.redemption(first, who), w.redemption(second, who)
	account := w.redeem(r).Account
	w.redeem(elsewhere)
	w.reopen()
	samePerson(w, "the account", w.person(account.ID), account)
	for _, id := range []string{r.Session.ID, elsewhere.Session.ID} {
		_, of, err := w.Store.Session(w.ctx, id)
		w.must(err)
		equal(w, "the session's account", of.ID, account.ID)
	}
	w.redeemFails(w.redemption(first, who), signup.ErrUsed)
	w.redeem(r)
	refs, _, err := w.Store.DueMails(w.ctx, onboarding.Bulk, 10)
	w.must(err)
	equal(w, "welcomes", len(refs), 1)
}

func redeemAfterClose(w *world) {
	who := w.someone()
	r := w.redemption(w.mailed(who), who)
	w.must(w.Close())
	w.redeemFails(r, signup.ErrUnavailable)
	_, err := w.Store.Mint(w.ctx, r.Mail)
	w.wantErr(err, signup.ErrUnavailable)
	_, err = w.Store.Try(w.ctx, r.Mail.Subject(), 5)
	w.wantErr(err, signup.ErrUnavailable)
	_, _, err = w.Store.Session(w.ctx, r.Session.ID)
	w.wantErr(err, signup.ErrUnavailable)
	w.reopen() // for the audit at the end
}

// race lets many callers redeem at once and returns those who succeeded, with
// what they got. The others must have been told that they came too late, which
// is to say late.
func (w *world) race(all []signup.Redemption, late error) (won []signup.Redemption, got []signup.Redeemed) {
	w.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	start := make(chan struct{})
	for i, r := range all {
		group.Go(func() {
			<-start
			redeemed, err := w.caller(i).Redeem(w.ctx, r)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won, got = append(won, r), append(got, redeemed)
			case !errors.Is(err, late):
				w.Errorf("redeem: %v", err)
			}
		})
	}
	close(start)
	group.Wait()
	return won, got
}

const manyCallers = 100

func (w *world) oneOfMany(h onboarding.Held, who address.Address) signup.Redeemed {
	w.Helper()
	all := make([]signup.Redemption, manyCallers)
	for i := range all {
		all[i] = w.redemption(h, who)
	}
	won, got := w.race(all, signup.ErrUsed)
	equal(w, "callers who succeeded", len(won), 1)
	sessions, err := w.Store.Sessions(w.ctx, got[0].Account.ID)
	w.must(err)
	opened := slices.DeleteFunc(sessions, func(s signup.Session) bool {
		return !slices.ContainsFunc(all, func(r signup.Redemption) bool { return r.Session.ID == s.ID })
	})
	equal(w, "sessions opened", len(opened), 1)
	equal(w, "the session", opened[0].ID, won[0].Session.ID)
	return got[0]
}

func redeemConcurrently(w *world) {
	who := w.someone()
	equal(w, "confirmed", w.oneOfMany(w.mailed(who), who).Confirmed, true)
	equal(w, "mails accepted", w.books().Accepted, 2)
}

func signInConcurrently(w *world) {
	who := w.someone()
	w.account(who)
	equal(w, "confirmed", w.oneOfMany(w.sent(w.ask(who)), who).Confirmed, false)
}

func redeemRepeatedConcurrently(w *world) {
	who := w.someone()
	all := slices.Repeat([]signup.Redemption{w.redemption(w.mailed(who), who)}, 16)
	won, got := w.race(all, signup.ErrUsed)
	equal(w, "callers who succeeded", len(won), len(all))
	for _, redeemed := range got {
		equal(w, "confirmed", redeemed.Confirmed, true)
		equal(w, "the account", redeemed.Account.ID, got[0].Account.ID)
	}
	sessions, err := w.Store.Sessions(w.ctx, got[0].Account.ID)
	w.must(err)
	equal(w, "sessions", len(sessions), 1)
	equal(w, "mails accepted", w.books().Accepted, 2)
}

func redeemRivals(w *world) {
	const rivals = 10
	who := w.someone()
	var all []signup.Redemption
	for range rivals {
		h := w.sent(w.stored(w.ofOlderProgram(who))) // which have no budget
		all = append(all, w.redemption(h, who))
	}
	won, got := w.race(all, signup.ErrUsed)
	equal(w, "callers who succeeded", len(won), rivals)
	confirmed := 0
	for _, redeemed := range got {
		if redeemed.Confirmed {
			confirmed++
		}
		equal(w, "the account", redeemed.Account.ID, got[0].Account.ID)
	}
	equal(w, "accounts made", confirmed, 1)
	equal(w, "mails accepted", w.books().Accepted, rivals+1)
	equal(w, "people", w.peopleOf(who)[0], got[0].Account.ID)
}
