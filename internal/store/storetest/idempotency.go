package storetest

import (
	"sync"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/signup"
)

// B1.7: an idempotency key makes a double submission one sign-up.
var idempotencyTests = []test{
	{name: "B1_7_RepeatReturnsThePersonStoredThen", run: repeatReturnsFirst},
	{name: "AddressOfTheSameKeyIsTheSame", run: repeatComparesAddressKeys},
	{name: "OtherValuesAreAConflict", run: otherValuesConflict},
	{name: "C1_2_ConflictFailsOneCallerOnly", run: conflictFailsAlone},
	{name: "ConcurrentRepeatsAreOneSignUp", run: repeatConcurrently},
	{name: "KeyIsForgottenAfterADay", run: keyIsForgotten},
	{name: "SweepForgetsKeysOlderThanADay", run: sweepForgetsKeys},
	{name: "WithoutAKeyNothingIsRepeated", run: noKeyNoRepeat},
}

func repeatReturnsFirst(w *world) {
	a := withKey(w.acceptance(), 1)
	first, _, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	w.Advance(time.Hour)
	b := withKey(w.acceptance(), 1) // a fresh id and fresh mails, as a server makes them
	b.Person.First, b.Person.Last, b.Person.Address = a.Person.First, a.Person.Last, a.Person.Address
	again, repeated, err := w.Store.Accept(w.ctx, b)
	w.must(err)
	equal(w, "repeated", repeated, true)
	equal(w, "id", again.ID, first.ID)
	equal(w, "accepted at", again.Accepted, first.Accepted)
	equal(w, "mails accepted", w.books().Accepted, 1)
	_, err = w.Store.Person(w.ctx, b.Person.ID)
	w.wantErr(err, signup.ErrNotFound)
}

func repeatComparesAddressKeys(w *world) {
	a := withKey(w.acceptance(), 1)
	_, _, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	a.Person.Address, err = address.Parse("PERSON1@EXAMPLE.com")
	w.must(err)
	_, repeated, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	equal(w, "repeated", repeated, true)
}

func otherValuesConflict(w *world) {
	a := withKey(w.acceptance(), 1)
	_, _, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	elsewhere, err := address.Parse("elsewhere@example.com")
	w.must(err)
	for _, change := range []func(*signup.Person){
		func(p *signup.Person) { p.First = "Other" },
		func(p *signup.Person) { p.Last = "Other" },
		func(p *signup.Person) { p.Address = elsewhere },
	} {
		b := withKey(w.acceptance(), 1)
		b.Person.First, b.Person.Last, b.Person.Address = a.Person.First, a.Person.Last, a.Person.Address
		change(&b.Person)
		_, _, err := w.Store.Accept(w.ctx, b)
		w.wantErr(err, signup.ErrConflict)
		_, err = w.Store.Person(w.ctx, b.Person.ID)
		w.wantErr(err, signup.ErrNotFound)
	}
	equal(w, "mails accepted", w.books().Accepted, 1)
}

func conflictFailsAlone(w *world) {
	_, _, err := w.Store.Accept(w.ctx, withKey(w.acceptance(), 1))
	w.must(err)
	const callers = 8
	errs := make([]error, 2*callers)
	var group sync.WaitGroup
	for i := range errs {
		a := w.acceptance()
		if i%2 == 1 {
			a = withKey(a, 1)
		}
		group.Go(func() { _, _, errs[i] = w.caller(i).Accept(w.ctx, a) })
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
	ids := make([]string, callers)
	fresh := make([]bool, callers)
	var group sync.WaitGroup
	for i := range callers {
		b := withKey(w.acceptance(), 1)
		b.Person.First, b.Person.Last, b.Person.Address = a.Person.First, a.Person.Last, a.Person.Address
		group.Go(func() {
			p, repeated, err := w.caller(i).Accept(w.ctx, b)
			if err != nil {
				w.Error(err)
			}
			ids[i], fresh[i] = p.ID, !repeated
		})
	}
	group.Wait()
	stored := 0
	for i := range callers {
		equal(w, "id", ids[i], ids[0])
		if fresh[i] {
			stored++
		}
	}
	equal(w, "sign-ups stored", stored, 1)
	equal(w, "mails accepted", w.books().Accepted, 1)
}

func keyIsForgotten(w *world) {
	_, _, err := w.Store.Accept(w.ctx, withKey(w.acceptance(), 1))
	w.must(err)
	w.Advance(24*time.Hour - time.Second)
	_, _, err = w.Store.Accept(w.ctx, withKey(w.acceptance(), 1))
	w.wantErr(err, signup.ErrConflict)
	w.Advance(time.Second)
	_, repeated, err := w.Store.Accept(w.ctx, withKey(w.acceptance(), 1))
	w.must(err)
	equal(w, "repeated", repeated, false)
	_, _, err = w.Store.Accept(w.ctx, withKey(w.acceptance(), 1)) // and it is a key again
	w.wantErr(err, signup.ErrConflict)
}

func sweepForgetsKeys(w *world) {
	old, young := withKey(w.acceptance(), 1), withKey(w.acceptance(), 2)
	_, _, err := w.Store.Accept(w.ctx, old)
	w.must(err)
	w.Advance(12 * time.Hour)
	_, _, err = w.Store.Accept(w.ctx, young)
	w.must(err)
	w.Advance(12 * time.Hour)
	w.sweep(me)
	w.Advance(-time.Hour) // only a key that was taken away is forgotten now
	_, repeated, err := w.Store.Accept(w.ctx, withKey(w.acceptance(), 1))
	w.must(err)
	equal(w, "the old key repeated", repeated, false)
	_, repeated, err = w.Store.Accept(w.ctx, young)
	w.must(err)
	equal(w, "the young key repeated", repeated, true)
}

func noKeyNoRepeat(w *world) {
	a, b := w.acceptance(), w.acceptance()
	b.Person.First, b.Person.Last, b.Person.Address = a.Person.First, a.Person.Last, a.Person.Address
	for _, form := range []signup.Acceptance{a, b} {
		_, repeated, err := w.Store.Accept(w.ctx, form)
		w.must(err)
		equal(w, "repeated", repeated, false)
	}
}
