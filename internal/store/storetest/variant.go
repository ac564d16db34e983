package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

var variantTests = []test{
	{name: "B1_3_AlreadyRegisteredIfTheAddressIsAnAccounts", run: variantRegistered},
	{name: "OfTheAccountsOwnSignUp", run: variantOwn},
	{name: "IsThatOfTheFirstClaim", run: variantStays},
	{name: "WithoutAFingerprintNobodyIsRegistered", run: variantOfOlderProgram},
	{name: "AnErasedAccountRegistersNobody", run: variantErased},
	{name: "TheLocaleIsTold", run: localeTold},
}

func (w *world) claimedAs(id onboarding.MailID, want onboarding.Variant) onboarding.Held {
	w.Helper()
	h := w.claim(id)
	equal(w, "variant", h.Variant, want)
	return h
}

func variantRegistered(w *world) {
	who := w.someone()
	w.mailed(who)
	w.Advance(resendAfter)
	w.claimedAs(w.acceptFor(who), onboarding.Confirm) // only a confirmed one counts
	w.Advance(resendAfter)
	w.account(who)
	w.Advance(resendAfter)
	id := w.acceptFor(w.someone())
	w.claimedAs(id, onboarding.Confirm)
	w.Advance(24 * time.Hour)
	h := w.claimedAs(w.acceptFor(who), onboarding.AlreadyRegistered)
	again, err := w.Store.Claim(w.ctx, h.Claim)
	w.must(err)
	equal(w, "the repeated answer", again, h)
}

func variantOwn(w *world) {
	account := w.account(w.someone())
	w.Advance(resendAfter)
	w.resend(account.ID, true)
	w.claimedAs(onboarding.NewMailID(account.ID, onboarding.SignUp, 2), onboarding.AlreadyRegistered)
}

func variantStays(w *world) {
	who := w.someone()
	first, second := w.mailed(who), w.stored(w.ofOlderProgram(who))
	w.Advance(resendAfter)
	third := w.acceptFor(who)
	for _, id := range []onboarding.MailID{second, third} {
		w.record(w.claimedAs(id, onboarding.Confirm).Claim, to(onboarding.Due))
	}
	w.redeem(w.redemption(first, who))
	for _, id := range []onboarding.MailID{second, third} {
		w.record(w.claimedAs(id, onboarding.Confirm).Claim, to(onboarding.Due))
	}
	w.reopen()
	w.sent(third)
	equal(w, "variant of the mint", w.mint(third).Variant, onboarding.Confirm)
	w.Advance(resendAfter)
	w.claimedAs(w.acceptFor(who), onboarding.AlreadyRegistered)
}

func variantOfOlderProgram(w *world) {
	who := w.someone()
	w.account(who)
	w.claimedAs(w.stored(w.ofOlderProgram(who)), onboarding.Confirm)
}

func variantErased(w *world) {
	who := w.someone()
	account := w.account(who)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.Advance(resendAfter)
	w.claimedAs(w.acceptFor(who), onboarding.Confirm)
}

func localeTold(w *world) {
	a := w.acceptance()
	a.Person.Locale = "de"
	id := w.stored(a)
	equal(w, "locale", w.claim(id).Locale, "de")
	equal(w, "locale of one who did not say", w.claim(w.accept()).Locale, "")
	b := w.formOf(w.someone())
	b.Person.Locale = "pt-BR"
	account := w.redeem(w.redemption(w.sent(w.stored(b)), b.Person.Address)).Account
	refs, _, err := w.Store.DueMails(w.ctx, onboarding.Bulk, 10)
	w.must(err)
	h, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	equal(w, "the welcome's subject", h.Claim.Mail.Subject(), account.ID)
	equal(w, "locale of the welcome", h.Locale, "pt-BR")
}
