package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

var tryTests = []test{
	{name: "ReturnsTheLatestMintsOfAllMails", run: tryReturnsMints},
	{name: "ReturnsNoneOfWhatWasNotCommitted", run: tryWithoutMints},
	{name: "ReturnsNoneOfAMailThatCarriesNothingToRedeem", run: tryOtherMails},
	{name: "CountsUpToTheMost", run: tryCounts},
	{name: "OfAHundredCallersNoMoreThanTheMostMayTry", run: tryConcurrently},
	{name: "IsCountedOnDiskWhenItReturns", run: tryDurable},
	{name: "I7_AStrangersRequestIsLikeAnyOther", run: tryStranger},
	{name: "NotFoundWhenItIsNotThereOrErased", run: tryNotFound},
	{name: "CountsAndReturnsNothingOnceItWasRedeemed", run: tryUsed},
	{name: "B1_4_I7_CountsAndReturnsNothingOnceTheAddressIsAnothers", run: tryTakenAddress},
}

func (w *world) try(subject string, most int) []signup.Mint {
	w.Helper()
	mints, err := w.Store.Try(w.ctx, subject, most)
	w.must(err)
	return mints
}

func (w *world) tryFails(subject string, most int, want error) {
	w.Helper()
	_, err := w.Store.Try(w.ctx, subject, most)
	w.wantErr(err, want)
}

func tryReturnsMints(w *world) {
	id := w.accept()
	subject := id.Subject()
	w.record(w.committing(id).Claim, to(onboarding.Due))
	w.sent(id)
	w.Advance(resendAfter)
	w.resend(subject, true)
	second := onboarding.NewMailID(subject, onboarding.SignUp, 2)
	w.sent(second)
	w.sent(w.accept()) // somebody else's
	w.Advance(time.Minute)
	want := map[onboarding.MailID]signup.Mint{
		id:     {Mail: id, Number: 2, Variant: onboarding.Confirm, Age: resendAfter + time.Minute},
		second: {Mail: second, Number: 1, Variant: onboarding.Confirm, Age: time.Minute},
	}
	mints := w.try(subject, 5)
	equal(w, "mints", len(mints), len(want))
	for _, m := range mints {
		m.Locale = ""
		equal(w, "the mint", m, want[m.Mail])
	}
}

func tryOtherMails(w *world) {
	a := w.acceptance()
	a.Mails = append(a.Mails, owed(a.Person.ID, bulkPurpose, 1))
	id := w.stored(a)
	w.sent(id)
	h, err := w.Store.Claim(w.ctx, w.newClaim(onboarding.Ref{Mail: a.Mails[1].ID, Gen: 1}, me))
	w.must(err)
	w.must(w.Store.Committing(w.ctx, h.Claim, rendered(h)))
	mints := w.try(id.Subject(), 5)
	equal(w, "mints", len(mints), 1)
	equal(w, "the mint's mail", mints[0].Mail, id)
}

func tryWithoutMints(w *world) {
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Sending, onboarding.Expired} {
		equal(w, "mints", len(w.try(w.in(state).Subject(), 5)), 0)
	}
}

func tryCounts(w *world) {
	who := w.someone()
	w.account(who)
	for _, id := range []onboarding.MailID{w.accept(), w.ask(who)} {
		w.sent(id)
		for range 3 {
			equal(w, "mints", len(w.try(id.Subject(), 3)), 1)
		}
		for range 5 {
			w.tryFails(id.Subject(), 3, signup.ErrTries)
		}
		w.try(id.Subject(), 4) // those were not counted
		w.tryFails(id.Subject(), 4, signup.ErrTries)
	}
}

func tryConcurrently(w *world) {
	const most = 5
	subject := w.mailed(w.someone()).Claim.Mail.Subject()
	var tried atomic.Int64
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range manyCallers {
		group.Go(func() {
			<-start
			_, err := w.caller(i).Try(w.ctx, subject, most)
			switch {
			case err == nil:
				tried.Add(1)
			case !errors.Is(err, signup.ErrTries):
				w.Errorf("try: %v", err)
			}
		})
	}
	close(start)
	group.Wait()
	equal(w, "tries", tried.Load(), most)
}

func tryDurable(w *world) {
	subject := w.mailed(w.someone()).Claim.Mail.Subject()
	for range 2 {
		w.try(subject, 3)
		w.reopen()
	}
	w.try(subject, 3)
	w.tryFails(subject, 3, signup.ErrTries)
}

func tryStranger(w *world) {
	id := w.ask(w.someone())
	w.endsAtClaim(id, onboarding.Cancelled)
	for range 3 {
		equal(w, "mints", len(w.try(id.Subject(), 3)), 0)
	}
	w.tryFails(id.Subject(), 3, signup.ErrTries)
}

func tryNotFound(w *world) {
	for _, subject := range []string{uuid.NewString(), "", "no id"} {
		w.tryFails(subject, 5, signup.ErrNotFound)
	}
	id := w.in(onboarding.Sent)
	w.erase(id)
	w.tryFails(id.Subject(), 5, signup.ErrNotFound)
	who := w.someone()
	account, asked := w.account(who), w.ask(who)
	w.sent(asked)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.tryFails(asked.Subject(), 5, signup.ErrNotFound)
}

func tryUsed(w *world) {
	who := w.someone()
	account := w.account(who)
	w.triesInVain(account.ID)
	asked := w.sent(w.ask(who))
	w.try(asked.Claim.Mail.Subject(), 5)
	w.redeem(w.redemption(asked, who))
	w.triesInVain(asked.Claim.Mail.Subject())
}

func tryTakenAddress(w *world) {
	who, first, second := w.rivals()
	w.try(second.Claim.Mail.Subject(), 5)
	w.redeem(w.redemption(first, who))
	w.triesInVain(second.Claim.Mail.Subject())
}

// triesInVain tries until that is over, and gets nothing: whoever tries cannot
// tell this subject from others, not even by the time it takes.
func (w *world) triesInVain(subject string) {
	w.Helper()
	const most = 5
	for range most {
		mints, err := w.Store.Try(w.ctx, subject, most)
		if errors.Is(err, signup.ErrTries) {
			return // some were made before
		}
		w.must(err)
		if len(mints) != 0 {
			w.Fatalf("a try that is in vain returned %d mints", len(mints))
		}
	}
	w.tryFails(subject, most, signup.ErrTries)
}
