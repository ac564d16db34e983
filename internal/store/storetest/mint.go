package storetest

import (
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

var mintTests = []test{
	{name: "TellsTheLatestOfAMail", run: mintTells},
	{name: "OfARequestToSignInIsForTheAccount", run: mintOfSignIn},
	{name: "TellsThatTheSubjectWasRedeemed", run: mintUsed},
	{name: "I5_ACopyKeepsItsNumberAndStartsItsTimeAnew", run: mintOfCopy},
	{name: "DeadWithoutACommit", run: mintUncommitted},
	{name: "DeadWhenErased", run: mintErased},
	{name: "B2_2_ChangesNothing", run: mintChangesNothing},
}

func (w *world) mint(id onboarding.MailID) signup.Mint {
	w.Helper()
	m, err := w.Store.Mint(w.ctx, id)
	w.must(err)
	return m
}

// sameMint compares mints, addresses by their text.
func sameMint(w *world, what string, got, want signup.Mint) {
	w.Helper()
	equal(w, what+"'s address", got.Address.Typed(), want.Address.Typed())
	got.Address = want.Address
	equal(w, what, got, want)
}

func (w *world) noMint(id onboarding.MailID) {
	w.Helper()
	_, err := w.Store.Mint(w.ctx, id)
	w.wantErr(err, signup.ErrLinkDead)
}

func mintTells(w *world) {
	a := w.acceptance()
	a.Person.Locale = "fr"
	id := w.stored(a)
	h := w.committing(id)
	want := signup.Mint{
		Mail: id, Number: 1, Variant: onboarding.Confirm, Address: a.Person.Address, Locale: "fr",
	}
	sameMint(w, "the mint before the dot", w.mint(id), want)
	w.record(h.Claim, to(onboarding.Due))
	w.Advance(time.Minute)
	want.Age = time.Minute
	sameMint(w, "the mint of a mail that is tried again", w.mint(id), want)
	w.Advance(1500 * time.Millisecond)
	w.sent(id)
	w.Advance(time.Hour)
	want.Number, want.Age = 2, time.Hour
	sameMint(w, "the second mint", w.mint(id), want)
	w.Advance(-2 * time.Hour)
	want.Age = 0
	sameMint(w, "the mint after the clock was set back", w.mint(id), want)
}

func mintOfSignIn(w *world) {
	who := w.someone()
	w.account(who)
	r := w.request(who)
	r.Locale = "nl"
	w.must(w.Store.Ask(w.ctx, r))
	w.sent(r.Mail.ID)
	sameMint(w, "the mint", w.mint(r.Mail.ID), signup.Mint{
		Mail: r.Mail.ID, Number: 1, Variant: onboarding.SignInLink, Address: who, Locale: "nl",
	})
}

func mintUsed(w *world) {
	who := w.someone()
	account, asked := w.account(who), w.ask(who)
	equal(w, "used", w.mint(onboarding.NewMailID(account.ID, onboarding.SignUp, 1)).Used, true)
	h := w.sent(asked)
	equal(w, "used", w.mint(asked).Used, false)
	_, err := w.Store.Redeem(w.ctx, w.redemption(h, who))
	w.must(err)
	equal(w, "used", w.mint(asked).Used, true)
}

func mintOfCopy(w *world) {
	w.heartbeat(me)
	id := w.accept()
	w.record(w.committing(id).Claim, to(onboarding.Unknown))
	w.Advance(time.Hour)
	w.sweep(me)
	equal(w, "age", w.mint(id).Age, time.Hour)
	copied := w.sent(id)
	equal(w, "is a copy", copied.Copy, true)
	m := w.mint(id)
	equal(w, "number", m.Number, 1)
	equal(w, "age", m.Age, 0)
}

func mintUncommitted(w *world) {
	w.noMint(owed(w.acceptance().Person.ID, onboarding.SignUp, 1).ID)
	w.noMint("no mail id")
	w.noMint("")
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Expired} {
		w.noMint(w.in(state))
	}
	stranger := w.ask(w.someone())
	w.endsAtClaim(stranger, onboarding.Cancelled)
	w.noMint(stranger)
}

func mintErased(w *world) {
	id := w.in(onboarding.Sent)
	w.erase(id)
	w.noMint(id)
	who := w.someone()
	account, asked := w.account(who), w.ask(who)
	w.sent(asked)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.noMint(asked)
	w.Advance(resendAfter)
	w.account(who) // whose request it was not
	w.noMint(asked)
}

func mintChangesNothing(w *world) {
	who := w.someone()
	h := w.mailed(who)
	before := w.mint(h.Claim.Mail)
	for range 1000 {
		sameMint(w, "the mint", w.mint(h.Claim.Mail), before)
	}
	_, err := w.Store.Redeem(w.ctx, w.redemption(h, who))
	w.must(err)
}
