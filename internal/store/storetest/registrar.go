package storetest

import (
	"slices"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

var exportTests = []test{
	{name: "B7_6_HoldsEverythingOfAnAccount", run: exportAccount},
	{name: "OfASignUpHoldsNothingOfOthers", run: exportSignUp},
	{name: "TellsHowEachMailStands", run: exportMails},
	{name: "NotFoundAsForPerson", run: exportNotFound},
	{name: "HoldsACrowdInOrder", run: exportCrowd},
	{name: "OfACrowdThatGoesHoldsWhatStays", run: exportCrowdWhileItGoes},
}

var othersTests = []test{
	{name: "AreAllButTheAccountInOrder", run: othersInOrder},
	{name: "GoOnBehindOneWhoHasGone", run: othersGoOn},
	{name: "AreThoseOfTheAddressOnly", run: othersOfNobody},
}

var purgeTests = []test{
	{name: "B7_8_UnconfirmedSignUpsGoWhenTheirTimeIsOver", run: purgeSignUps},
	{name: "AccountsStay", run: purgeSparesAccounts},
	{name: "SignUpsThatWereRedeemedElsewhereGoToo", run: purgeDiscarded},
	{name: "WhatIsPurgedIsErased", run: purgeErases},
	{name: "RequestsToSignInGoWhenTheyAreOld", run: purgeSignIns},
	{name: "SessionsGoWhenTheirTimeIsOver", run: purgeSessions},
	{name: "NoMoreThanTheLimitOfEach", run: purgeLimit},
	{name: "IsOnDiskWhenItReturns", run: purgeDurable},
}

func (w *world) dossier(id string) signup.Dossier {
	w.Helper()
	d, err := w.Store.Export(w.ctx, id)
	w.must(err)
	return d
}

func exportAccount(w *world) {
	who, first, second := w.rivals()
	account := w.redeem(w.redemption(first, who)).Account
	asked := w.Now()
	signIn, unused := w.sent(w.ask(who)), w.ask(who)
	w.Advance(time.Second)
	r := w.redemption(signIn, who)
	w.redeem(r)
	w.account(w.someone()) // somebody else
	d := w.dossier(account.ID)
	samePerson(w, "the account", d.Person, account)
	equal(w, "other sign-ups", len(d.SignUps), 1)
	samePerson(w, "the other sign-up", d.SignUps[0], w.person(second.Claim.Mail.Subject()))
	w.holdsMails(d, first.Claim.Mail, second.Claim.Mail, signIn.Claim.Mail, unused,
		onboarding.NewMailID(account.ID, onboarding.Welcome, 1))
	equal(w, "sessions", len(d.Sessions), 2)
	equal(w, "the latest session", d.Sessions[0].ID, r.Session.ID)
	equal(w, "requests to sign in", len(d.SignIns), 2)
	i := slices.IndexFunc(d.SignIns, func(s signup.SignInRecord) bool { return s.ID == signIn.Claim.Mail.Subject() })
	equal(w, "asked", d.SignIns[i].Asked.UnixMilli(), asked.UnixMilli())
	equal(w, "used", d.SignIns[i].Used.UnixMilli(), w.Now().UnixMilli())
	equal(w, "when the other was used", d.SignIns[1-i].Used, time.Time{})
	equal(w, "charges for sign-ups", len(d.Charged[onboarding.BudgetSignUp]), 2)
	equal(w, "charges for sign-ins", len(d.Charged[onboarding.BudgetSignIn]), 1)
	equal(w, "charged", d.Charged[onboarding.BudgetSignIn][0].UnixMilli(), asked.UnixMilli())
}

// holdsMails wants a dossier's mails to be these, in any order.
func (w *world) holdsMails(d signup.Dossier, want ...onboarding.MailID) {
	w.Helper()
	var got []onboarding.MailID
	for _, m := range d.Mails {
		got = append(got, m.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Fatalf("the mails are %v, want %v", got, want)
	}
}

func exportSignUp(w *world) {
	who, first, second := w.rivals()
	account := w.redeem(w.redemption(first, who)).Account
	w.sent(w.ask(who))
	id := second.Claim.Mail.Subject()
	d := w.dossier(id)
	equal(w, "the sign-up", d.Person.ID, id)
	w.holdsMails(d, second.Claim.Mail)
	equal(w, "other sign-ups", len(d.SignUps), 0)
	equal(w, "sessions", len(d.Sessions), 0)
	equal(w, "requests to sign in", len(d.SignIns), 0)
	equal(w, "budgets", len(d.Charged), 0)
	w.redeem(w.redemption(second, who))
	equal(w, "sessions", len(w.dossier(id).Sessions), 0)
	equal(w, "sessions of the account", len(w.dossier(account.ID).Sessions), 2)
}

func exportMails(w *world) {
	a := w.acceptance()
	id := w.stored(a)
	mail := w.dossier(a.Person.ID).Mails[0]
	equal(w, "variant", mail.Variant, "")
	equal(w, "state", mail.State, onboarding.Due)
	equal(w, "created", mail.Created.UnixMilli(), w.Now().UnixMilli())
	created := w.Now()
	w.Advance(time.Minute)
	r := to(onboarding.Failed)
	r.Reply = onboarding.Reply{Phase: "dot", Code: 550, Enhanced: "5.1.1", Text: "no such user here"}
	w.record(w.committing(id).Claim, r)
	mail = w.dossier(a.Person.ID).Mails[0]
	equal(w, "created", mail.Created.UnixMilli(), created.UnixMilli())
	mail.Created = time.Time{}
	equal(w, "the mail", mail, signup.MailRecord{
		ID: id, Variant: onboarding.Confirm, State: onboarding.Failed, Attempts: 1, Reason: r.Reason, Reply: r.Reply,
	})
}

func exportNotFound(w *world) {
	id := w.accept()
	w.erase(id)
	for _, id := range []string{id.Subject(), w.ask(w.someone()).Subject(), uuid.NewString(), ""} {
		_, err := w.Store.Export(w.ctx, id)
		w.wantErr(err, signup.ErrNotFound)
	}
}

// retained is how long the tests keep what was not confirmed.
func retained() signup.Retention {
	return signup.Retention{Unconfirmed: 14 * 24 * time.Hour, SignIns: 24 * time.Hour, Limit: 100}
}

func (w *world) purges(want signup.Purged) {
	w.Helper()
	got, err := w.Store.Purge(w.ctx, retained())
	w.must(err)
	equal(w, "what was purged", got, want)
}

func purgeSignUps(w *world) {
	old := w.accept()
	older := w.stored(w.ofOlderProgram(w.someone()))
	w.Advance(time.Hour)
	young := w.accept()
	w.Advance(retained().Unconfirmed - time.Hour)
	w.purges(signup.Purged{}) // not longer ago, but as long
	w.Advance(time.Second)
	w.purges(signup.Purged{SignUps: 2})
	w.purges(signup.Purged{})
	for _, id := range []onboarding.MailID{old, older} {
		_, err := w.Store.Person(w.ctx, id.Subject())
		w.wantErr(err, signup.ErrNotFound)
	}
	w.person(young.Subject())
}

func purgeSparesAccounts(w *world) {
	who := w.someone()
	account := w.account(who)
	w.Advance(10 * 365 * 24 * time.Hour)
	w.purges(signup.Purged{Sessions: 1})
	samePerson(w, "the account", w.person(account.ID), account)
	w.claim(w.ask(who))
}

func purgeDiscarded(w *world) {
	who, first, second := w.rivals()
	account := w.redeem(w.redemption(first, who)).Account
	r := w.redemption(second, who)
	r.Session.Idle = life
	w.redeem(r)
	w.Advance(retained().Unconfirmed + time.Second)
	w.purges(signup.Purged{SignUps: 1, Sessions: 1})
	sameIDs(w, "people", w.peopleOf(who), []string{account.ID})
	w.theSession(r.Session.ID) // it is the account's
}

func purgeErases(w *world) {
	a := w.acceptance()
	id := w.stored(a)
	h := w.claim(id)
	w.Advance(retained().Unconfirmed + time.Second)
	w.purges(signup.Purged{SignUps: 1})
	w.isIn(id, onboarding.Cancelled)
	w.wantErr(w.Store.Committing(w.ctx, h.Claim, rendered(h)), onboarding.ErrRefused)
	equal(w, "people", len(w.peopleOf(a.Person.Address)), 0)
	w.noMint(id)
	w.tryFails(a.Person.ID, 5, signup.ErrNotFound)
	equal(w, "progress", w.progress(a.Person.ID).State, onboarding.Cancelled)
}

func purgeSignIns(w *world) {
	who := w.someone()
	account := w.account(who)
	used := w.sent(w.ask(who))
	w.redeem(w.redemption(used, who))
	unused := w.ask(who)
	w.Advance(time.Hour)
	young := w.sent(w.ask(who)).Claim.Mail
	w.Advance(retained().SignIns - time.Hour)
	w.purges(signup.Purged{})
	w.Advance(time.Millisecond)
	w.purges(signup.Purged{SignIns: 2})
	w.purges(signup.Purged{})
	w.noMint(used.Claim.Mail)
	w.isIn(used.Claim.Mail, onboarding.Sent)
	w.isIn(unused, onboarding.Cancelled)
	w.mint(young)
	equal(w, "requests to sign in", len(w.dossier(account.ID).SignIns), 1)
}

func purgeSessions(w *world) {
	account, first := w.session(signup.Browser)
	_, kept := w.session(signup.API)
	second := w.another(account)
	w.Advance(idle - 15*time.Minute - time.Second)
	w.must(w.Store.Seen(w.ctx, kept.ID))
	w.Advance(time.Second)
	w.purges(signup.Purged{Sessions: 1, SignIns: 1})
	w.noSession(first.ID)
	w.theSession(second.ID)
	w.Advance(15 * time.Minute)
	w.purges(signup.Purged{Sessions: 1})
	w.theSession(kept.ID)
}

func purgeLimit(w *world) {
	for range 5 {
		w.accept()
		w.ask(w.someone())
	}
	w.session(signup.Browser)
	w.Advance(365 * 24 * time.Hour)
	r := retained()
	r.Limit = 2
	for _, want := range []signup.Purged{
		{SignUps: 2, SignIns: 2, Sessions: 1, More: true}, {SignUps: 2, SignIns: 2, More: true}, {SignUps: 1, SignIns: 1}, {},
	} {
		got, err := w.Store.Purge(w.ctx, r)
		w.must(err)
		equal(w, "what was purged", got, want)
	}
}

func purgeDurable(w *world) {
	id := w.accept()
	w.Advance(365 * 24 * time.Hour)
	w.purges(signup.Purged{SignUps: 1})
	w.reopen()
	_, err := w.Store.Person(w.ctx, id.Subject())
	w.wantErr(err, signup.ErrNotFound)
	w.isIn(id, onboarding.Cancelled)
}
