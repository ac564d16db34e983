package storetest

import (
	"errors"
	"sync"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

var acceptTests = []test{
	{name: "StoresThePersonAsGiven", run: acceptStoresPerson},
	{name: "OwesEveryMailDueAtOnce", run: acceptOwesMails},
	{name: "StoresNothingWhenAMailIsOwedAlready", run: acceptIsOneCommit},
	{name: "A_SecondFormWithTheSameAddressIsAnotherSignUp", run: acceptDoesNotLookTheAddressUp},
	{name: "PersonNotThere", run: personNotThere},
	{name: "ConcurrentAcceptsAreNumberedWithoutGaps", run: acceptConcurrently},
	{name: "C1_1_SurvivesAProcessThatJustEnds", run: acceptSurvives},
	{name: "UnavailableAfterClose", run: acceptAfterClose},
	{name: "SharedKeyOfTheFirstWriterWins", run: sharedKey},
}

func acceptStoresPerson(w *world) {
	a := w.acceptance()
	var err error
	a.Person.Address, err = address.Parse("Zoe@Exämple.com")
	w.must(err)
	w.Advance(1700 * time.Millisecond)
	accepted := w.acceptForm(a)
	equal(w, "repeated", accepted.Repeated, false)
	p := w.person(a.Person.ID)
	equal(w, "first name", p.First, a.Person.First)
	equal(w, "last name", p.Last, a.Person.Last)
	equal(w, "address", p.Address.Typed(), a.Person.Address.Typed())
	equal(w, "status", p.Status, signup.Pending)
	for _, id := range []string{accepted.ID, p.ID} {
		equal(w, "id", id, a.Person.ID)
	}
	for _, at := range []time.Time{accepted.At, p.Accepted} {
		equal(w, "accepted", at.Unix(), w.Now().Unix())
		equal(w, "fraction of a second", at.Nanosecond(), 0)
	}
}

func acceptOwesMails(w *world) {
	a := w.acceptance()
	a.Mails = append(a.Mails, owed(a.Person.ID, onboarding.SignUp, 2))
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	equal(w, "mails due", len(w.due()), 2)
	b := w.books()
	equal(w, "accepted", b.Accepted, 2)
	equal(w, "counted as due", b.States[onboarding.Due], 2)
}

func acceptIsOneCommit(w *world) {
	id := w.accept()
	a := withKey(w.acceptance(), 1)
	a.Mails = append(a.Mails, onboarding.Owed{ID: id, Expiry: time.Hour})
	if _, err := w.Store.Accept(w.ctx, a); err == nil || errors.Is(err, signup.ErrConflict) {
		w.Fatalf("owing a mail twice: %v", err)
	}
	_, err := w.Store.Person(w.ctx, a.Person.ID)
	w.wantErr(err, signup.ErrNotFound)
	equal(w, "accepted", w.books().Accepted, 1)
	a.Mails = a.Mails[:1]
	equal(w, "repeated", w.acceptForm(a).Repeated, false) // the key was not used up
}

func acceptDoesNotLookTheAddressUp(w *world) {
	a, b := w.acceptance(), w.acceptance()
	b.Person.Address = a.Person.Address
	for _, form := range []signup.Acceptance{a, b} {
		equal(w, "repeated", w.acceptForm(form).Repeated, false)
	}
	equal(w, "accepted", w.books().Accepted, 2)
}

func personNotThere(w *world) {
	_, err := w.Store.Person(w.ctx, w.acceptance().Person.ID)
	w.wantErr(err, signup.ErrNotFound)
}

func acceptConcurrently(w *world) {
	const callers, each = 8, 8
	var group sync.WaitGroup
	for i := range callers {
		forms := make([]signup.Acceptance, each)
		for j := range forms {
			forms[j] = w.acceptance()
		}
		group.Go(func() {
			for _, a := range forms {
				if _, err := w.caller(i).Accept(w.ctx, a); err != nil {
					w.Error(err)
				}
			}
		})
	}
	group.Wait()
	equal(w, "accepted", w.books().Accepted, callers*each) // conserves checks the numbers
}

func acceptSurvives(w *world) {
	a := withKey(w.acceptance(), 1)
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	w.reopen()
	_, err = w.Store.Person(w.ctx, a.Person.ID)
	w.must(err)
	w.ref(a.Mails[0].ID)
	equal(w, "repeated", w.acceptForm(a).Repeated, true)
}

// reopen stands for a crash of the only process.
func (w *world) reopen() {
	w.Helper()
	s, err := w.Reopen()
	w.must(err)
	w.Store = s
}

func acceptAfterClose(w *world) {
	a := w.acceptance()
	w.must(w.Close())
	_, err := w.Store.Accept(w.ctx, a)
	w.wantErr(err, signup.ErrUnavailable)
	_, err = w.Store.Person(w.ctx, a.Person.ID)
	w.wantErr(err, signup.ErrUnavailable)
	w.reopen() // for the audit at the end
}

func sharedKey(w *world) {
	const callers = 8
	secrets := make([]string, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			secret, err := w.caller(i).SharedKey(w.ctx, "pending", []byte{byte(i), 1, 2, 3})
			if err != nil {
				w.Error(err)
			}
			secrets[i] = string(secret)
		})
	}
	group.Wait()
	for _, s := range secrets {
		equal(w, "the secret", s, secrets[0])
	}
	mint, err := w.Store.SharedKey(w.ctx, "mint", []byte("another"))
	w.must(err)
	equal(w, "another name's secret", string(mint), "another")
	w.reopen()
	again, err := w.Store.SharedKey(w.ctx, "pending", []byte("too late"))
	w.must(err)
	equal(w, "the secret after reopening", string(again), secrets[0])
}
