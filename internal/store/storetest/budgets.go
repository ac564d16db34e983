package storetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

var budgetTests = []test{
	{name: "B5_5_OverItAMailEndsSuppressedAtItsClaim", run: budgetAtClaim},
	{name: "ItIsReadAtTheClaimAndNotCharged", run: budgetNotChargedAtClaim},
	{name: "TheRaceForTheLastIsLostAtCommitting", run: budgetLostRace},
	{name: "I4_AMailIsChargedOnceHoweverOftenItIsTried", run: budgetOncePerMail},
	{name: "TheCopyOfAnUnknownIsNotCharged", run: budgetCopy},
	{name: "AReplayIsNotCharged", run: budgetReplay},
	{name: "B5_3_AllAllowancesHold", run: budgetAllowances},
	{name: "TheLastAllowanceIsRememberedToItsEnd", run: budgetLongest},
	{name: "EachAddressHasItsOwn", run: budgetOfAddresses},
	{name: "B5_5_SignInsAndDevicesHaveTheirOwn", run: budgetKinds},
	{name: "AWelcomeHasNone", run: budgetOfWelcome},
	{name: "ASignUpOfAnOlderProgramHasNone", run: budgetOfOlderProgram},
	{name: "OneThatIsMissingAllowsEverything", run: budgetMissing},
	{name: "B7_7_SurvivesTheErasureOfThePerson", run: budgetSurvivesErasure},
	{name: "IsOnDiskWithCommitting", run: budgetDurable},
	{name: "ASweepForgetsWhatNoAllowanceLooksBackTo", run: budgetSwept},
	{name: "C1_9_WhatIsFarAheadDoesNotCount", run: budgetAhead},
	{name: "OfManyAtOnceNoMoreThanItAllowsAreSubmitted", run: budgetConcurrently},
}

// charged is how often mails were charged to a budget of an account's address.
func (w *world) charged(account string, b onboarding.Budget) int {
	w.Helper()
	return len(w.dossier(account).Charged[b])
}

func budgetAtClaim(w *world) {
	who := w.someone()
	w.mailed(who)
	w.Advance(10*time.Minute - time.Millisecond)
	id := w.acceptFor(who)
	w.suppressed(id)
	p := w.progress(id.Subject())
	equal(w, "progress", p.State, onboarding.Suppressed)
	mail := w.dossier(id.Subject()).Mails[0]
	equal(w, "there is a reason", mail.Reason != "", true)
	w.Advance(time.Millisecond)
	w.mailed(who)
}

func budgetNotChargedAtClaim(w *world) {
	who := w.someone()
	for range 3 {
		w.claim(w.acceptFor(who))
	}
	w.mailed(who)
	w.suppressed(w.acceptFor(who))
}

func budgetLostRace(w *world) {
	who := w.someone()
	first, second := w.claim(w.acceptFor(who)), w.claim(w.acceptFor(who))
	w.must(w.Store.Committing(w.ctx, first.Claim, rendered(first)))
	for range 2 { // and repeated
		w.wantErr(w.Store.Committing(w.ctx, second.Claim, rendered(second)), onboarding.ErrRefused)
		w.isIn(second.Claim.Mail, onboarding.Suppressed)
	}
	equal(w, "attempts", len(w.row(second.Claim.Mail).Attempts), 0)
	equal(w, "mails listed as dead", len(w.dead()), 0)
	state, err := w.Store.Record(w.ctx, second.Claim, onboarding.Result{To: onboarding.Due, Reason: "the ledger refused"})
	if !errors.Is(err, onboarding.ErrRefused) && (err != nil || state != onboarding.Suppressed) {
		w.Fatalf("recorded after it was refused: %s, %v", state, err)
	}
	w.isIn(second.Claim.Mail, onboarding.Suppressed)
	_, err = w.Store.Claim(w.ctx, second.Claim)
	w.wantErr(err, onboarding.ErrRefused)
	w.reopen()
	w.isIn(second.Claim.Mail, onboarding.Suppressed)
}

func budgetOncePerMail(w *world) {
	who := w.someone()
	id := w.acceptFor(who)
	for range 5 {
		h := w.committing(id)
		w.must(w.Store.Committing(w.ctx, h.Claim, rendered(h))) // repeated
		w.record(h.Claim, to(onboarding.Due))
		w.suppressed(w.acceptFor(who))
	}
	h := w.sent(id)
	w.redeem(w.redemption(h, who))
	equal(w, "charges", w.charged(id.Subject(), onboarding.BudgetSignUp), 1)
}

func budgetCopy(w *world) {
	w.heartbeat(me)
	who := w.someone()
	id := w.acceptFor(who)
	w.record(w.committing(id).Claim, to(onboarding.Unknown))
	w.Advance(w.policy.UnknownPause)
	w.sweep(me)
	h := w.sent(id)
	equal(w, "is a copy", h.Copy, true)
	w.redeem(w.redemption(h, who))
	equal(w, "charges", w.charged(id.Subject(), onboarding.BudgetSignUp), 1)
}

func budgetReplay(w *world) {
	who := w.someone()
	id := w.acceptFor(who)
	w.record(w.committing(id).Claim, to(onboarding.Failed))
	w.must(w.Store.Replay(w.ctx, id))
	w.sent(id)
	w.suppressed(w.acceptFor(who))
}

func budgetAllowances(w *world) {
	who := w.someone()
	const day = 24 * time.Hour
	began := w.Now()
	sent := 0
	for w.Now().Sub(began) < 30*day {
		for range 3 {
			w.mailed(who)
			if sent++; sent == 10 {
				w.suppressedUntil(who, began.Add(30*day))
				return
			}
			w.suppressed(w.acceptFor(who))
			w.Advance(10 * time.Minute)
		}
		w.suppressed(w.acceptFor(who))
		w.Advance(day)
	}
	w.Fatalf("%d mails in a month were not too many", sent)
}

// suppressedUntil wants nothing to be sent to an address before a time.
func (w *world) suppressedUntil(who address.Address, end time.Time) {
	w.Helper()
	for w.Now().Add(24 * time.Hour).Before(end) {
		w.Advance(24 * time.Hour)
		w.suppressed(w.acceptFor(who))
	}
	w.Advance(end.Sub(w.Now()) - time.Millisecond)
	w.suppressed(w.acceptFor(who))
	w.Advance(time.Millisecond)
	w.mailed(who)
}

func budgetLongest(w *world) {
	p := w.policy
	p.Budgets = onboarding.Budgets{onboarding.BudgetSignUp: {{Mails: 1, Per: 90 * 24 * time.Hour}}}
	w = newWorld(w.T, w.open, p)
	who := w.someone()
	w.mailed(who)
	w.Advance(90*24*time.Hour - time.Millisecond)
	w.heartbeat(me)
	w.sweep(me)
	w.suppressed(w.acceptFor(who))
	w.Advance(time.Millisecond)
	w.mailed(who)
}

func budgetOfAddresses(w *world) {
	for range 3 {
		w.mailed(w.someone())
	}
	a, b := w.parse("Zoe@example.com"), w.parse("zoe@EXAMPLE.com")
	equal(w, "is one address", a.Key() == b.Key(), true)
	w.mailed(a)
	w.suppressed(w.acceptFor(b))
}

func budgetKinds(w *world) {
	who := w.someone()
	account := w.account(who)
	for range 3 {
		w.sent(w.ask(who))
	}
	w.suppressed(w.ask(who))
	for range 6 {
		r := w.request(who)
		r.Budget = onboarding.BudgetDevice
		w.must(w.Store.Ask(w.ctx, r))
		w.sent(r.Mail.ID)
	}
	w.suppressed(w.ask(who))
	r := w.request(who)
	r.Budget = onboarding.BudgetDevice
	w.must(w.Store.Ask(w.ctx, r))
	w.suppressed(r.Mail.ID)
	charged := w.dossier(account.ID).Charged
	equal(w, "charges for sign-ups", len(charged[onboarding.BudgetSignUp]), 1)
	equal(w, "charges for sign-ins", len(charged[onboarding.BudgetSignIn]), 3)
	equal(w, "charges for a device", len(charged[onboarding.BudgetDevice]), 6)
	w.suppressed(w.acceptFor(who))
	w.Advance(10 * time.Minute)
	w.mailed(who)
}

func budgetOfWelcome(w *world) {
	account := w.account(w.someone())
	refs, _, err := w.Store.DueMails(w.ctx, onboarding.Bulk, 10)
	w.must(err)
	h, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	equal(w, "the state told", h.State, onboarding.Sending)
	w.must(w.Store.Committing(w.ctx, h.Claim, rendered(h)))
	charged := w.dossier(account.ID).Charged
	equal(w, "budgets charged", len(charged), 1)
	equal(w, "charges for sign-ups", len(charged[onboarding.BudgetSignUp]), 1)
}

func budgetOfOlderProgram(w *world) {
	who := w.someone()
	for range 3 {
		w.sent(w.stored(w.ofOlderProgram(who)))
	}
	w.mailed(who)
}

func budgetMissing(w *world) {
	p := w.policy
	p.Budgets = onboarding.Budgets{onboarding.BudgetSignIn: p.Budgets[onboarding.BudgetSignIn]}
	w = newWorld(w.T, w.open, p)
	who := w.someone()
	for range 30 {
		w.mailed(who)
	}
}

func budgetSurvivesErasure(w *world) {
	who := w.someone()
	account := w.account(who)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.suppressed(w.acceptFor(who))
	w.Advance(10 * time.Minute)
	next := w.account(who)
	equal(w, "charges", w.charged(next.ID, onboarding.BudgetSignUp), 2)
}

func budgetDurable(w *world) {
	who := w.someone()
	h := w.committing(w.acceptFor(who))
	w.reopen()
	w.suppressed(w.acceptFor(who))
	w.record(h.Claim, to(onboarding.Due))
	w.sent(h.Claim.Mail) // which was charged
}

func budgetSwept(w *world) {
	w.heartbeat(me)
	who := w.someone()
	account := w.account(who)
	w.Advance(12 * time.Hour)
	w.sent(w.ask(who))
	w.Advance(30*24*time.Hour - 12*time.Hour - time.Millisecond)
	w.sweep(me)
	charged := w.dossier(account.ID).Charged
	equal(w, "charges for sign-ups", len(charged[onboarding.BudgetSignUp]), 1)
	equal(w, "charges for sign-ins", len(charged[onboarding.BudgetSignIn]), 1)
	w.Advance(time.Millisecond)
	w.sweep(me)
	charged = w.dossier(account.ID).Charged
	equal(w, "charges for sign-ups", len(charged[onboarding.BudgetSignUp]), 0)
	equal(w, "charges for sign-ins", len(charged[onboarding.BudgetSignIn]), 1)
}

// A clock that was far ahead must not keep people from their mail for as long.
func budgetAhead(w *world) {
	who := w.someone()
	w.Advance(365 * 24 * time.Hour)
	w.mailed(who)
	w.Advance(-time.Minute)
	w.suppressed(w.acceptFor(who))
	w.Advance(-364 * 24 * time.Hour)
	w.mailed(who)
}

func budgetConcurrently(w *world) {
	const rivals, allowed = 16, 3
	p := w.policy
	p.Budgets = onboarding.Budgets{onboarding.BudgetSignUp: {{Mails: allowed, Per: time.Hour}}}
	w = newWorld(w.T, w.open, p)
	who := w.someone()
	var all []onboarding.Held
	for range rivals {
		all = append(all, w.claim(w.acceptFor(who)))
	}
	var submitted atomic.Int64
	var group sync.WaitGroup
	for i, h := range all {
		group.Go(func() {
			err := w.caller(i).Committing(w.ctx, h.Claim, rendered(h))
			if err == nil {
				submitted.Add(1)
			} else if !errors.Is(err, onboarding.ErrRefused) {
				w.Error(err)
			}
		})
	}
	group.Wait()
	equal(w, "mails submitted", submitted.Load(), allowed)
	rows := slices.DeleteFunc(w.rows(), func(r onboarding.AuditRow) bool { return r.State != onboarding.Suppressed })
	equal(w, "mails suppressed", len(rows), rivals-allowed)
}
