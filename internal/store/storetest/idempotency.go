package storetest

import (
	"errors"
	"sync"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// B1.7: an idempotency key makes a double submission one sign-up. I7: it tells
// whoever has it nothing about others, whatever they do with the sign-up.
var idempotencyTests = []test{
	{name: "B1_7_RepeatReturnsWhatWasStoredThen", run: repeatReturnsFirst},
	{name: "AnotherFormIsAConflict", run: otherFormConflicts},
	{name: "C1_2_ConflictFailsOneCallerOnly", run: conflictFailsAlone},
	{name: "ConcurrentRepeatsAreOneSignUp", run: repeatConcurrently},
	{name: "KeyIsForgottenAfterADay", run: keyIsForgotten},
	{name: "SweepForgetsKeysOlderThanADay", run: sweepForgetsKeys},
	{name: "WithoutAKeyNothingIsRepeated", run: noKeyNoRepeat},
	{name: "AKeyOfAnOlderProgramTakesEveryFormForARepeat", run: keyWithoutForm},
	{name: "I7_WhateverBecomesOfTheSignUpItIsTheOneOfItsKey", run: keyTellsNothing},
	{name: "I7_AndAfterADayTheKeyIsFree", run: keyOutlived},
}

// again is the same form with a fresh id and fresh mails, as a server makes it.
func again(w *world, a signup.Acceptance) signup.Acceptance {
	w.Helper()
	fresh := w.formOf(a.Person.Address)
	fresh.Person.First, fresh.Person.Last, fresh.Key = a.Person.First, a.Person.Last, a.Key
	return fresh
}

// acceptForm stores a form, or finds it.
func (w *world) acceptForm(a signup.Acceptance) signup.Accepted {
	w.Helper()
	accepted, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	return accepted
}

// isOf checks that a form is taken for another one that was stored before.
func (w *world) isOf(a signup.Acceptance, first signup.Accepted) {
	w.Helper()
	before := w.books().Accepted
	got := w.acceptForm(again(w, a))
	equal(w, "who it is taken for", got.ID, first.ID)
	equal(w, "when that was accepted", got.At.Unix(), first.At.Unix())
	equal(w, "repeated", got.Repeated, true)
	equal(w, "mails accepted", w.books().Accepted, before)
}

// conflicts checks that another form under the key of a form is refused.
func (w *world) conflicts(a signup.Acceptance) {
	w.Helper()
	before := w.books().Accepted
	other := withKey(w.acceptance(), a.Key.Hash[0])
	_, err := w.Store.Accept(w.ctx, other)
	w.wantErr(err, signup.ErrConflict)
	_, err = w.Store.Person(w.ctx, other.Person.ID)
	w.wantErr(err, signup.ErrNotFound)
	equal(w, "mails accepted", w.books().Accepted, before)
}

// isFree checks that a key means nothing any more.
func (w *world) isFree(a signup.Acceptance) {
	w.Helper()
	equal(w, "repeated", w.acceptForm(withKey(w.acceptance(), a.Key.Hash[0])).Repeated, false)
}

func repeatReturnsFirst(w *world) {
	a := withKey(w.acceptance(), 1)
	first := w.acceptForm(a)
	equal(w, "repeated", first.Repeated, false)
	w.Advance(time.Hour)
	b := again(w, a)
	repeat := w.acceptForm(b)
	equal(w, "repeated", repeat.Repeated, true)
	equal(w, "id", repeat.ID, first.ID)
	equal(w, "accepted at", repeat.At.Unix(), first.At.Unix())
	equal(w, "mails accepted", w.books().Accepted, 1)
	_, err := w.Store.Person(w.ctx, b.Person.ID)
	w.wantErr(err, signup.ErrNotFound)
}

// otherFormConflicts changes what the store knows a form by, and nothing else.
func otherFormConflicts(w *world) {
	a := withKey(w.acceptance(), 1)
	first := w.acceptForm(a)
	for i := range a.Key.Form {
		other, key := again(w, a), *a.Key
		key.Form[i] ^= 1
		other.Key = &key
		_, err := w.Store.Accept(w.ctx, other)
		w.wantErr(err, signup.ErrConflict)
		_, err = w.Store.Person(w.ctx, other.Person.ID)
		w.wantErr(err, signup.ErrNotFound)
	}
	equal(w, "mails accepted", w.books().Accepted, 1)
	w.isOf(a, first)
}

func conflictFailsAlone(w *world) {
	w.acceptForm(withKey(w.acceptance(), 1))
	const callers = 8
	errs := make([]error, 2*callers)
	var group sync.WaitGroup
	for i := range errs {
		a := w.acceptance()
		if i%2 == 1 {
			a = withKey(a, 1)
		}
		group.Go(func() { _, errs[i] = w.caller(i).Accept(w.ctx, a) })
	}
	group.Wait()
	for i, err := range errs {
		if i%2 == 1 {
			w.wantErr(err, signup.ErrConflict)
		} else {
			w.must(err)
		}
	}
	equal(w, "mails accepted", w.books().Accepted, 1+callers)
}

func repeatConcurrently(w *world) {
	const callers = 8
	a := withKey(w.acceptance(), 1)
	all := make([]signup.Accepted, callers)
	var group sync.WaitGroup
	for i := range callers {
		b := again(w, a)
		group.Go(func() {
			var err error
			if all[i], err = w.caller(i).Accept(w.ctx, b); err != nil {
				w.Error(err)
			}
		})
	}
	group.Wait()
	stored := 0
	for _, accepted := range all {
		equal(w, "id", accepted.ID, all[0].ID)
		if !accepted.Repeated {
			stored++
		}
	}
	equal(w, "sign-ups stored", stored, 1)
	equal(w, "mails accepted", w.books().Accepted, 1)
}

func keyIsForgotten(w *world) {
	a := withKey(w.acceptance(), 1)
	first := w.acceptForm(a)
	w.Advance(signup.KeyLife - time.Second)
	w.conflicts(a)
	w.isOf(a, first)
	w.Advance(time.Second)
	w.isFree(a)
	w.conflicts(a) // and it is a key again
}

func sweepForgetsKeys(w *world) {
	old, young := withKey(w.acceptance(), 1), withKey(w.acceptance(), 2)
	w.acceptForm(old)
	w.Advance(12 * time.Hour)
	first := w.acceptForm(young)
	w.Advance(12 * time.Hour)
	w.sweep(me)
	w.Advance(-time.Hour) // only a key that was taken away is forgotten now
	w.isFree(old)
	w.isOf(young, first)
}

func noKeyNoRepeat(w *world) {
	a := w.acceptance()
	for _, form := range []signup.Acceptance{a, again(w, a)} {
		equal(w, "repeated", w.acceptForm(form).Repeated, false)
	}
}

func keyWithoutForm(w *world) {
	a := withKey(w.acceptance(), 1)
	a.Key.Form = [16]byte{}
	first := w.acceptForm(a)
	w.isOf(withKey(w.acceptance(), 1), first)
	w.isOf(a, first)
}

// fates are what can become of a sign-up that was stored a moment ago. Each
// tells whether its person is there afterwards.
func (w *world) fates() map[string]func(signup.Acceptance) bool {
	w.Helper()
	mail := func(a signup.Acceptance) onboarding.MailID { return a.Mails[0].ID }
	return map[string]func(signup.Acceptance) bool{
		"waits": func(signup.Acceptance) bool { return true },
		"is the account": func(a signup.Acceptance) bool {
			w.redeem(w.redemption(w.sent(mail(a)), a.Person.Address))
			return true
		},
		"was redeemed into another's account": func(a signup.Acceptance) bool {
			r := w.redemption(w.sent(mail(a)), a.Person.Address)
			w.Advance(resendAfter)
			w.account(a.Person.Address)
			w.redeem(r)
			equal(w, "the names", w.person(a.Person.ID).First, "")
			return true
		},
		"was erased": func(a signup.Acceptance) bool {
			w.erase(mail(a))
			return false
		},
		"was an account that was erased": func(a signup.Acceptance) bool {
			w.redeem(w.redemption(w.sent(mail(a)), a.Person.Address))
			w.erase(mail(a))
			return false
		},
		"went with another's account": func(a signup.Acceptance) bool {
			r := w.redemption(w.sent(mail(a)), a.Person.Address)
			w.Advance(resendAfter)
			account := w.account(a.Person.Address)
			w.redeem(r)
			w.must(w.Store.Erase(w.ctx, account.ID))
			return false
		},
		"was purged": func(signup.Acceptance) bool {
			w.Advance(time.Minute)
			_, err := w.Store.Purge(w.ctx, signup.Retention{Unconfirmed: time.Second, SignIns: time.Hour, Limit: 1000})
			w.must(err)
			return false
		},
	}
}

// keyTellsNothing also looks whether the sign-up met its fate, or it would prove
// nothing.
func keyTellsNothing(w *world) {
	n := byte(0)
	for fate, happens := range w.fates() {
		n++
		a := withKey(w.acceptance(), n)
		first := w.acceptForm(a)
		there := happens(a)
		if _, err := w.Store.Person(w.ctx, a.Person.ID); errors.Is(err, signup.ErrNotFound) == there {
			w.Fatalf("one that %s: %v", fate, err)
		}
		w.Log("one that " + fate)
		w.isOf(a, first)
		w.conflicts(a)
		w.Advance(time.Hour)
		w.sweep(me)
		w.isOf(a, first)
		w.conflicts(a)
	}
}

func keyOutlived(w *world) {
	n := byte(0)
	for fate, happens := range w.fates() {
		n++
		w.Log("one that " + fate)
		swept, late := withKey(w.acceptance(), n), withKey(w.acceptance(), 100+n)
		for _, a := range []signup.Acceptance{swept, late} {
			w.acceptForm(a)
			happens(a)
		}
		w.Advance(signup.KeyLife)
		w.isFree(late)
		w.sweep(me)
		w.Advance(-time.Hour) // only a key that was taken away is forgotten now
		w.isFree(swept)
		w.Advance(time.Hour)
	}
}
