package storetest

import (
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// B7.7: what erasing a person promises.
var eraseTests = []test{
	{name: "ThePersonIsGone", run: erasePerson},
	{name: "I5_EveryMailIsCalledOff", run: eraseCancels},
	{name: "WhatServersSaidIsGoneToo", run: eraseAnswers},
	{name: "WhatServersSayLaterIsNotKept", run: eraseLaterAnswers},
	{name: "TheHolderFindsOutAtCheck", run: eraseCommitting},
	{name: "NothingCanBeReplayedAfterwards", run: eraseForbidsReplay},
	{name: "TheIdempotencyKeyStillKnowsItsSignUpForADay", run: eraseLeavesKey},
	{name: "TwiceIsHarmlessAndAStrangerIsNotFound", run: eraseTwice},
	{name: "B7_7_AHeldMailIsNotCommittedAfterwards", run: eraseHeld},
	{name: "AnAccountInEveryStateOfItsMails", run: eraseAccountInEveryState},
	{name: "AnAccountsSessionsAreGone", run: eraseSessions},
	{name: "AnAccountTakesAllOfItsAddressAlong", run: eraseAddress},
	{name: "ACrowdGoesToTheLast", run: eraseCrowd},
	{name: "AsMuchAsAStepHandlesGoesToTheLast", run: eraseFullSteps},
	{name: "ACrowdGoesWhileOthersComeAndErase", run: eraseCrowdBesideOthers},
	{name: "TheAddressIsFreeAgain", run: eraseFreesAddress},
	{name: "ASignUpThatIsNoAccountTakesNothingAlong", run: eraseSignUpOnly},
	{name: "AnErasedAccountIsOnDiskWhenItReturns", run: eraseDurable},
}

func (w *world) erase(id onboarding.MailID) {
	w.Helper()
	w.must(w.Store.Erase(w.ctx, id.Subject()))
}

func erasePerson(w *world) {
	id, bystander := w.accept(), w.accept()
	w.erase(id)
	_, err := w.Store.Person(w.ctx, id.Subject())
	w.wantErr(err, signup.ErrNotFound)
	_, err = w.Store.Person(w.ctx, bystander.Subject())
	w.must(err)
	w.ref(bystander)
}

func eraseCancels(w *world) {
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Unknown} {
		id := w.in(state)
		w.erase(id)
		w.isIn(id, onboarding.Cancelled)
		for gen := range int64(5) {
			w.refusesClaim(onboarding.Ref{Mail: id, Gen: gen})
		}
	}
	for _, state := range []onboarding.State{onboarding.Sent, onboarding.Failed, onboarding.Expired} {
		id := w.in(state)
		w.erase(id)
		w.isIn(id, state)
	}
}

func eraseAnswers(w *world) {
	h := w.committing(w.accept())
	r := to(onboarding.Failed)
	r.Reply = onboarding.Reply{Phase: "dot", Code: 550, Enhanced: "5.1.1", Text: "no such user here"}
	w.record(h.Claim, r)
	w.erase(h.Claim.Mail)
	dead, _, err := w.Store.DeadMails(w.ctx, "", 10)
	w.must(err)
	r.Reply.Text = ""
	equal(w, "what is left of the reply", dead[0].Reply, r.Reply)
}

// eraseLaterAnswers also calls a mail off for another reason: what is said of that
// is kept.
func eraseLaterAnswers(w *world) {
	erased, cancelled := w.committing(w.accept()), w.committing(w.accept())
	w.erase(erased.Claim.Mail)
	_, err := w.Store.Cancel(w.ctx, cancelled.Claim.Mail.Subject(), "an operator wished it")
	w.must(err)
	r := to(onboarding.Unknown)
	r.Reply = onboarding.Reply{Phase: "dot", Code: 451, Enhanced: "4.3.0", Text: "person1 is busy"}
	w.record(erased.Claim, r)
	w.record(cancelled.Claim, r)
	dead, _, err := w.Store.DeadMails(w.ctx, "", 10)
	w.must(err)
	equal(w, "mails given up", len(dead), 2)
	for _, d := range dead {
		want := r.Reply
		if d.ID == erased.Claim.Mail {
			want.Text = ""
		}
		equal(w, "what is kept of the reply", d.Reply, want)
	}
}

func eraseCommitting(w *world) {
	w.heartbeat(me)
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Unknown} {
		h := w.committing(w.accept())
		w.erase(h.Claim.Mail)
		w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrRefused)
		w.record(h.Claim, to(state))
		equal(w, "mails due", len(w.due()), 0)
		w.Advance(w.policy.UnknownPause)
		w.sweep(me)
		equal(w, "mails due", len(w.due()), 0)
	}
}

func eraseForbidsReplay(w *world) {
	for _, state := range []onboarding.State{onboarding.Failed, onboarding.Expired} {
		id := w.in(state)
		w.erase(id)
		w.wantErr(w.Store.Replay(w.ctx, id), onboarding.ErrWrongState)
		w.must(w.Store.Discard(w.ctx, id))
	}
	h := w.committing(w.accept())
	w.erase(h.Claim.Mail)
	w.record(h.Claim, to(onboarding.Unknown))
	w.wantErr(w.Store.Replay(w.ctx, h.Claim.Mail), onboarding.ErrWrongState)
}

func eraseLeavesKey(w *world) {
	a := withKey(w.acceptance(), 1)
	first := w.acceptForm(a)
	w.erase(a.Mails[0].ID)
	w.reopen()
	w.Advance(signup.KeyLife - time.Second)
	w.isOf(a, first)
	w.conflicts(a)
	w.Advance(time.Second)
	w.isFree(a)
}

func eraseTwice(w *world) {
	id := w.accept()
	w.erase(id)
	w.Advance(resendAfter)
	w.resend(id.Subject(), true)
	w.erase(id)
	w.isIn(onboarding.NewMailID(id.Subject(), onboarding.SignUp, 2), onboarding.Due) // as it is nobody's, its claim ends it
	w.wantErr(w.Store.Erase(w.ctx, w.acceptance().Person.ID), signup.ErrNotFound)
	w.reopen()
	_, err := w.Store.Person(w.ctx, id.Subject())
	w.wantErr(err, signup.ErrNotFound)
}

func eraseHeld(w *world) {
	h := w.claim(w.accept())
	w.erase(h.Claim.Mail)
	w.wantErr(w.Store.Committing(w.ctx, h.Claim, rendered(h)), onboarding.ErrRefused)
	w.isIn(h.Claim.Mail, onboarding.Cancelled)
}

// activeStates are those of mails that an erasure calls off.
func activeStates() []onboarding.State {
	return []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing, onboarding.Unknown}
}

func eraseAccountInEveryState(w *world) {
	for _, state := range activeStates() {
		who := w.someone()
		account, signIn := w.account(who), w.ask(who)
		signUp := w.stored(w.ofOlderProgram(who)) // is not known to be this address's
		held := w.bring(signIn, state)
		w.must(w.Store.Erase(w.ctx, account.ID))
		w.isIn(signUp, onboarding.Due)
		for _, id := range []onboarding.MailID{signIn, onboarding.NewMailID(account.ID, onboarding.Welcome, 1)} {
			want := onboarding.Cancelled
			if id == signIn && state == onboarding.Committing {
				want = onboarding.Committing
			}
			w.isIn(id, want)
			for gen := range int64(5) {
				w.refusesClaim(onboarding.Ref{Mail: id, Gen: gen})
			}
		}
		w.wantErr(w.Store.Committing(w.ctx, held, onboarding.Rendered{Mint: 1}), onboarding.ErrRefused)
		w.wantErr(w.Store.Check(w.ctx, held), onboarding.ErrRefused)
		if state == onboarding.Committing {
			equal(w, "how it ends", w.record(held, to(onboarding.Due)), onboarding.Cancelled)
		}
	}
}

func eraseSessions(w *world) {
	account, first := w.session(signup.API)
	second := w.another(account)
	_, bystander := w.session(signup.Browser)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.noSession(first.ID)
	w.noSession(second.ID)
	equal(w, "sessions", len(w.sessions(account.ID)), 0)
	w.theSession(bystander.ID)
}

func eraseAddress(w *world) {
	who, first, second := w.rivals()
	account := w.redeem(w.redemption(first, who)).Account
	r := w.redemption(second, who)
	w.redeem(r)
	third, asked := w.acceptFor(who), w.ask(who)
	w.must(w.Store.Erase(w.ctx, account.ID))
	for _, id := range []string{account.ID, second.Claim.Mail.Subject(), third.Subject()} {
		_, err := w.Store.Person(w.ctx, id)
		w.wantErr(err, signup.ErrNotFound)
	}
	w.noSession(r.Session.ID)
	w.isIn(third, onboarding.Cancelled)
	w.isIn(asked, onboarding.Cancelled)
	w.noMint(second.Claim.Mail)
	w.redeemFails(w.redemption(second, who), signup.ErrLinkDead)
	w.redeemFails(r, signup.ErrLinkDead)
	equal(w, "people", len(w.peopleOf(who)), 0)
}

func eraseFreesAddress(w *world) {
	who := w.someone()
	former := w.account(who)
	w.must(w.Store.Erase(w.ctx, former.ID))
	w.Advance(resendAfter)
	account := w.account(who)
	equal(w, "is the former one", account.ID == former.ID, false)
	sameIDs(w, "people", w.peopleOf(who), []string{account.ID})
	w.must(w.Store.Erase(w.ctx, former.ID)) // once more
	samePerson(w, "the account", w.person(account.ID), account)
}

func eraseSignUpOnly(w *world) {
	who, first, second := w.rivals()
	r := w.redemption(first, who)
	account := w.redeem(r).Account
	elsewhere := w.redemption(second, who)
	w.redeem(elsewhere)
	asked := w.ask(who)
	w.erase(second.Claim.Mail)
	samePerson(w, "the account", w.person(account.ID), account)
	w.theSession(r.Session.ID)
	w.theSession(elsewhere.Session.ID)
	w.isIn(asked, onboarding.Due)
}

func eraseDurable(w *world) {
	who := w.someone()
	account := w.account(who)
	asked := w.ask(who)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.reopen()
	_, err := w.Store.Person(w.ctx, account.ID)
	w.wantErr(err, signup.ErrNotFound)
	equal(w, "people", len(w.peopleOf(who)), 0)
	equal(w, "sessions", len(w.sessions(account.ID)), 0)
	w.isIn(asked, onboarding.Cancelled)
	w.isIn(onboarding.NewMailID(account.ID, onboarding.Welcome, 1), onboarding.Cancelled)
}
