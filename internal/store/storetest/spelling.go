package storetest

import (
	"fmt"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// One address may be spelled with capitals or without. Some mail servers have a
// mailbox for each (RFC 5321 section 2.4).
var spellingTests = []test{
	{name: "B1_3_AlreadyRegisteredGoesToTheAccount", run: spellingOfAccount},
	{name: "B1_3_ItsLinkOpensTheAccount", run: spellingOfAccountOpens},
	{name: "I5_ACopyOfItGoesThereToo", run: spellingOfCopy},
	{name: "I5_ACopyOfAConfirmMailGoesWhereItWent", run: spellingOfConfirmCopy},
	{name: "B1_4_AConfirmMailToAnotherOneIsDeadOnceThereIsAnAccount", run: spellingDead},
	{name: "B1_4_SoIsOneOfAnOlderProgram", run: spellingOfOlderProgram},
	{name: "I7_ItsRefusalChangesNothing", run: spellingRefused},
	{name: "UsedIsUsedWhateverTheSpelling", run: spellingUsed},
	{name: "OfADomainMakesNoDifference", run: spellingOfDomain},
	{name: "TheFirstConfirmedIsTheAccounts", run: spellingOfFirst},
	{name: "B1_4_OfConcurrentOnesOneIsTheAccounts", run: spellingConcurrently},
	{name: "ErasingTakesAllAlong", run: spellingErased},
}

// spelled is an address that nobody has yet, and another spelling of it.
func (w *world) spelled() (small, capital address.Address) {
	w.Helper()
	w.people++
	small = w.parse(fmt.Sprintf("spelled%d@example.com", w.people))
	capital = w.parse(fmt.Sprintf("Spelled%d@example.com", w.people))
	equal(w, "fingerprint", capital.Fingerprint(secret), small.Fingerprint(secret))
	return small, capital
}

// overtakenBy has the mail of a sign-up sent, and then another spelling of its
// address confirmed.
func (w *world) overtakenBy(account, late address.Address) onboarding.Held {
	w.Helper()
	h := w.mailed(late)
	equal(w, "recipient", h.To, late.Sendable())
	w.Advance(resendAfter)
	w.account(account)
	w.Advance(resendAfter)
	return h
}

func spellingOfAccount(w *world) {
	small, capital := w.spelled()
	w.account(small)
	w.Advance(resendAfter)
	id := w.acceptFor(capital)
	h := w.claimedAs(id, onboarding.AlreadyRegistered)
	equal(w, "recipient", h.To, small.Sendable())
	again, err := w.Store.Claim(w.ctx, h.Claim)
	w.must(err)
	equal(w, "the repeated answer", again, h)
	w.record(h.Claim, to(onboarding.Due))
	w.reopen()
	equal(w, "recipient when it is tried again", w.sent(id).To, small.Sendable())
	equal(w, "address of the mint", w.mint(id).Address.Typed(), small.Typed())
	equal(w, "address of the sign-up", w.person(id.Subject()).Address.Typed(), capital.Typed())
	w.Advance(resendAfter)
	w.resend(id.Subject(), true)
	h = w.claimedAs(onboarding.NewMailID(id.Subject(), onboarding.SignUp, 2), onboarding.AlreadyRegistered)
	equal(w, "recipient of one more", h.To, small.Sendable())
}

func spellingOfAccountOpens(w *world) {
	small, capital := w.spelled()
	account := w.account(small)
	w.Advance(resendAfter)
	redeemed := w.redeem(w.redemption(w.mailed(capital), capital))
	samePerson(w, "the account", redeemed.Account, account)
	equal(w, "confirmed", redeemed.Confirmed, false)
}

func spellingOfCopy(w *world) {
	w.heartbeat(me)
	small, capital := w.spelled()
	w.account(small)
	w.Advance(resendAfter)
	id := w.acceptFor(capital)
	w.copyOf(w.committing(id))
}

// copyOf has the attempt end unknown, and wants the copy to be the same mail.
func (w *world) copyOf(first onboarding.Held) {
	w.Helper()
	w.record(first.Claim, to(onboarding.Unknown))
	w.Advance(w.policy.UnknownPause)
	w.sweep(me)
	h := w.committing(first.Claim.Mail)
	equal(w, "is a copy", h.Copy, true)
	equal(w, "recipient", h.To, first.To)
	equal(w, "variant", h.Variant, first.Variant)
	equal(w, "mint", h.NextMint(), first.NextMint())
	equal(w, "copies that differ", w.books().Differing, 0)
}

func spellingOfConfirmCopy(w *world) {
	w.heartbeat(me)
	small, capital := w.spelled()
	second := w.stored(w.ofOlderProgram(capital)) // which has no budget
	first := w.mailed(small)
	h := w.committing(second)
	equal(w, "variant", h.Variant, onboarding.Confirm)
	w.redeem(w.redemption(first, small))
	w.copyOf(h)
	equal(w, "recipient", h.To, capital.Sendable())
	w.redeemFails(w.redemption(h, capital), signup.ErrLinkDead)
}

func spellingDead(w *world) {
	small, capital := w.spelled()
	for _, s := range []struct{ account, late address.Address }{{small, capital}, {w.parse("A@example.com"), w.parse("a@example.com")}} {
		h := w.overtakenBy(s.account, s.late)
		w.noMint(h.Claim.Mail)
		for _, byCode := range []bool{false, true} {
			r := w.redemption(h, s.late)
			r.ByCode = byCode
			w.redeemFails(r, signup.ErrLinkDead)
			w.noSession(r.Session.ID)
			w.redeemFails(r, signup.ErrLinkDead) // under the same session, too
		}
		w.triesInVain(h.Claim.Mail.Subject())
	}
}

func spellingOfOlderProgram(w *world) {
	small, capital := w.spelled()
	w.account(small)
	h := w.sent(w.stored(w.ofOlderProgram(capital)))
	equal(w, "variant", h.Variant, onboarding.Confirm)
	r := w.redemption(h, capital)
	w.redeemFails(r, signup.ErrLinkDead)
	w.noSession(r.Session.ID)
	same := w.sent(w.stored(w.ofOlderProgram(small)))
	w.redeem(w.redemption(same, small))
}

func spellingRefused(w *world) {
	small, capital := w.spelled()
	h := w.overtakenBy(small, capital)
	subject := h.Claim.Mail.Subject()
	account := w.peopleOf(small)[0]
	before, progress, sessions := w.person(subject), w.progress(subject), w.sessions(account)
	w.redeemFails(w.redemption(h, capital), signup.ErrLinkDead)
	samePerson(w, "the sign-up", w.person(subject), before)
	equal(w, "progress", w.progress(subject), progress)
	equal(w, "sessions", len(w.sessions(account)), len(sessions))
	equal(w, "mails accepted", w.books().Accepted, 3)
}

func spellingUsed(w *world) {
	small, capital := w.spelled()
	h := w.overtakenBy(small, capital)
	w.resend(h.Claim.Mail.Subject(), true)
	second := w.sent(onboarding.NewMailID(h.Claim.Mail.Subject(), onboarding.SignUp, 2))
	equal(w, "recipient of one more", second.To, small.Sendable())
	w.redeem(w.redemption(second, capital))
	w.redeemFails(w.redemption(h, capital), signup.ErrUsed)
	m := w.mint(h.Claim.Mail)
	equal(w, "used", m.Used, true)
	equal(w, "address", m.Address.Typed(), capital.Typed())
}

func spellingOfDomain(w *world) {
	for _, s := range []struct{ account, late string }{
		{"ada@example.com", "ada@Example.COM"},
		{"ada@bücher.example", "ada@xn--bcher-kva.example"},
		{"ada@xn--strae-oqa.example", "ada@Straße.example"},
	} {
		late := w.parse(s.late)
		h := w.overtakenBy(w.parse(s.account), late)
		equal(w, "address of the mint", w.mint(h.Claim.Mail).Address.Typed(), late.Typed())
		equal(w, "confirmed", w.redeem(w.redemption(h, late)).Confirmed, false)
	}
}

func spellingOfFirst(w *world) {
	small, capital := w.spelled()
	w.mailed(small)
	w.Advance(resendAfter)
	account := w.account(capital)
	equal(w, "the account's address", account.Address.Typed(), capital.Typed())
	equal(w, "recipient of a request to sign in", w.claim(w.ask(small)).To, capital.Sendable())
	refs, _, err := w.Store.DueMails(w.ctx, onboarding.Bulk, 10)
	w.must(err)
	h, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	equal(w, "recipient of the welcome", h.To, capital.Sendable())
}

func spellingConcurrently(w *world) {
	for range 10 {
		small, capital := w.spelled()
		first := w.mailed(small)
		w.Advance(resendAfter)
		second := w.mailed(capital)
		won, got := w.race([]signup.Redemption{w.redemption(first, small), w.redemption(second, capital)}, signup.ErrLinkDead)
		equal(w, "accounts", len(won), 1)
		equal(w, "account", got[0].Account.ID, won[0].Mail.Subject())
	}
}

func spellingErased(w *world) {
	small, capital := w.spelled()
	h := w.overtakenBy(small, capital)
	told := w.mailed(capital)
	w.Advance(24 * time.Hour) // the day's budget is used up
	w.must(w.Store.Erase(w.ctx, w.peopleOf(small)[0]))
	equal(w, "people", len(w.peopleOf(capital)), 0)
	for _, mail := range []onboarding.Held{h, told} {
		w.noMint(mail.Claim.Mail)
		w.redeemFails(w.redemption(mail, capital), signup.ErrLinkDead)
	}
	next := w.acceptFor(capital)
	equal(w, "recipient once the address is free", w.claimedAs(next, onboarding.Confirm).To, capital.Sendable())
}
