package storetest

import (
	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

var askTests = []test{
	{name: "OwesAMailInTheUrgentLane", run: askOwes},
	{name: "IsOneCommit", run: askIsOneCommit},
	{name: "C1_1_IsOnDiskWhenItReturns", run: askDurable},
	{name: "TheAccountGetsTheMailAtTheAddressThatWasConfirmed", run: askGoesToAccount},
	{name: "TheAccountIsLookedForAtTheClaim", run: askBeforeAccount},
	{name: "I7_AStrangersMailEndsCancelledAtItsClaim", run: askStranger},
	{name: "AMailWhoseAccountWasErasedIsNotReplayed", run: askErasedAccount},
	{name: "MutedEndsSuppressed", run: askMuted},
	{name: "UnavailableAfterClose", run: askAfterClose},
}

// request is somebody's wish to sign in.
func (w *world) request(to address.Address) signup.SignInRequest {
	id := uuid.NewString()
	return signup.SignInRequest{
		ID: id, Fingerprint: to.Fingerprint(secret), Budget: onboarding.BudgetSignIn,
		Mail: onboarding.Owed{ID: onboarding.NewMailID(id, onboarding.SignIn, 1), Expiry: w.policy.SignInExpiry},
	}
}

// ask stores a request to sign in and returns its mail.
func (w *world) ask(to address.Address) onboarding.MailID {
	w.Helper()
	r := w.request(to)
	w.must(w.Store.Ask(w.ctx, r))
	return r.Mail.ID
}

func askOwes(w *world) {
	id := w.ask(w.someone())
	w.ref(id)
	equal(w, "mails accepted", w.books().Accepted, 1)
	equal(w, "counted as due", w.books().States[onboarding.Due], 1)
	_, err := w.Store.Person(w.ctx, id.Subject())
	w.wantErr(err, signup.ErrNotFound)
	missing, _, err := w.Store.MissingMails(w.ctx, 0, 10)
	w.must(err)
	equal(w, "sign-ups without a mail", len(missing), 0)
}

func askIsOneCommit(w *world) {
	who := w.someone()
	w.account(who)
	r := w.request(who)
	taken := w.accept()
	fresh := r.Mail.ID
	r.Mail.ID = taken
	if err := w.Store.Ask(w.ctx, r); err == nil {
		w.Fatal("a mail that is owed to somebody is owed to a request as well")
	}
	r.Mail.ID = fresh
	w.must(w.Store.Ask(w.ctx, r)) // the request was not stored
	w.claim(fresh)
}

func askDurable(w *world) {
	who := w.someone()
	w.account(who)
	id := w.ask(who)
	w.reopen()
	equal(w, "the address", w.claim(id).To, who.Sendable())
}

func askGoesToAccount(w *world) {
	who := w.parse("Zoe.Confirmed@Bücher.example")
	w.account(who)
	r := w.request(w.parse("zoe.confirmed@bücher.example"))
	r.Fingerprint, r.Locale = who.Fingerprint(secret), "de"
	w.must(w.Store.Ask(w.ctx, r))
	h := w.claim(r.Mail.ID)
	equal(w, "the address", h.To, "Zoe.Confirmed@xn--bcher-kva.example")
	equal(w, "variant", h.Variant, onboarding.SignInLink)
	equal(w, "locale", h.Locale, "de")
	equal(w, "its time", h.ExpiresIn, w.policy.SignInExpiry)
}

func askBeforeAccount(w *world) {
	who := w.someone()
	id := w.ask(who)
	w.account(who)
	equal(w, "the address", w.claim(id).To, who.Sendable())
}

func askStranger(w *world) {
	who := w.someone()
	w.mailed(who) // signed up, and not confirmed
	w.endsAtClaim(w.ask(who), onboarding.Cancelled)
	w.endsAtClaim(w.ask(w.someone()), onboarding.Cancelled)
}

func askErasedAccount(w *world) {
	who := w.someone()
	account := w.account(who)
	id := w.ask(who)
	w.record(w.committing(id).Claim, to(onboarding.Failed))
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.wantErr(w.Store.Replay(w.ctx, id), onboarding.ErrWrongState)
	w.isIn(id, onboarding.Failed)
}

func askMuted(w *world) {
	who := w.someone()
	w.account(who)
	r := w.request(who)
	r.Muted = "too many forms for this address"
	w.must(w.Store.Ask(w.ctx, r))
	w.suppressed(r.Mail.ID)
}

func askAfterClose(w *world) {
	r := w.request(w.someone())
	w.must(w.Close())
	w.wantErr(w.Store.Ask(w.ctx, r), signup.ErrUnavailable)
	w.reopen() // for the audit at the end
}
