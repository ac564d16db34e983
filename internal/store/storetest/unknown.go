package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

// I4: unknown is a state, with a rule of its own.
var unknownTests = []test{
	{name: "I4_ACopyIsDueAfterThePause", run: unknownCopies},
	{name: "I4_TheCopyReusesTheMintNumber", run: copyReusesMint},
	{name: "CopiesAreCountedAndSoAreDifferingOnes", run: copiesCounted},
	{name: "HeldOnceThePolicyAllowsNoMoreCopies", run: unknownHeld},
	{name: "A6_3_HeldAtOnceWhenThePolicyAllowsNone", run: unknownNeverCopied},
	{name: "AnExpiredOneIsHeld", run: unknownExpiredHeld},
	{name: "I5_ACopyThatWasNotDeliveredLeavesTheDoubtAndIsNotCounted", run: copyUndelivered},
	{name: "ALateReplyTurnsItIntoSomethingBetter", run: lateReply},
	{name: "ALateReplyAfterRecoveryToo", run: lateReplyAfterRecovery},
	{name: "ALateReplyCountsItsAttemptOnce", run: lateReplyCounts},
	{name: "ALateReplyAfterTheCopyBecameDueIsRefused", run: lateReplyTooLate},
	{name: "ALateReplyOfOneCalledOff", run: lateReplyCalledOff},
}

func (w *world) unknown() onboarding.Held {
	w.Helper()
	h := w.committing(w.accept())
	w.record(h.Claim, to(onboarding.Unknown))
	return h
}

func (w *world) sweep(by onboarding.Incarnation) onboarding.Swept {
	w.Helper()
	swept, err := w.Store.Sweep(w.ctx, by, 1000)
	w.must(err)
	return swept
}

func unknownCopies(w *world) {
	h := w.unknown()
	equal(w, "held", w.row(h.Claim.Mail).Held, false)
	equal(w, "mails listed as dead", len(w.dead()), 0)
	w.Advance(w.policy.UnknownPause - time.Second)
	swept := w.sweep(me)
	equal(w, "copies made due", swept.Copied, 0)
	equal(w, "next", swept.Next, time.Second)
	w.Advance(time.Second)
	equal(w, "copies made due", w.sweep(me).Copied, 1)
	equal(w, "generation", w.ref(h.Claim.Mail).Gen, h.Claim.Gen+1)
	equal(w, "copies made due again", w.sweep(me).Copied, 0)
}

// copyDue makes an unknown and its copy due.
func (w *world) copyDue() onboarding.MailID {
	w.Helper()
	id := w.unknown().Claim.Mail
	w.Advance(w.policy.UnknownPause)
	w.sweep(me)
	return id
}

func copyReusesMint(w *world) {
	id := w.copyDue()
	h := w.claim(id)
	equal(w, "copy", h.Copy, true)
	equal(w, "mint", h.NextMint(), 1)
	equal(w, "hash", h.BodyHash, [32]byte{7})
	again, err := w.Store.Claim(w.ctx, h.Claim)
	w.must(err)
	equal(w, "the repeated answer", again, h)
	w.record(h.Claim, to(onboarding.Due)) // it did not come to the dot
	h = w.committing(id)
	equal(w, "still a copy", h.Copy, true)
	equal(w, "mint", h.NextMint(), 1)
	attempts := w.row(id).Attempts
	equal(w, "attempts", len(attempts), 2)
	equal(w, "the first", attempts[0], onboarding.AuditAttempt{Outcome: onboarding.Uncertain})
	equal(w, "the copy", attempts[1], onboarding.AuditAttempt{Copy: true})
}

func copiesCounted(w *world) {
	same := w.claim(w.copyDue())
	w.must(w.Store.Committing(w.ctx, same.Claim, onboarding.Rendered{Mint: 1, BodyHash: [32]byte{7}}))
	w.must(w.Store.Committing(w.ctx, same.Claim, onboarding.Rendered{Mint: 1, BodyHash: [32]byte{7}}))
	equal(w, "copies", w.books().Copies, 1)
	equal(w, "differing", w.books().Differing, 0)
	changed := w.claim(w.copyDue())
	w.must(w.Store.Committing(w.ctx, changed.Claim, onboarding.Rendered{Mint: 1, BodyHash: [32]byte{8}}))
	equal(w, "copies", w.books().Copies, 2)
	equal(w, "differing", w.books().Differing, 1)
}

func unknownHeld(w *world) {
	id := w.copyDue()
	for range w.policy.MaxCopies {
		w.Advance(w.policy.UnknownPause)
		w.sweep(me)
		w.record(w.committing(id).Claim, to(onboarding.Unknown))
	}
	equal(w, "held", w.row(id).Held, true)
	equal(w, "mails listed as dead", len(w.dead()), 1)
	w.Advance(w.policy.Expiry)
	swept := w.sweep(me)
	equal(w, "copies made due", swept.Copied, 0)
	equal(w, "mails expired", swept.Expired, 0)
	w.never(swept.Next)
	w.isIn(id, onboarding.Unknown)
}

func unknownNeverCopied(w *world) {
	p := w.policy
	p.MaxCopies = 0
	v := newWorld(w.T, w.open, p)
	id := v.unknown().Claim.Mail
	equal(v, "held", v.row(id).Held, true)
	equal(v, "mails listed as dead", len(v.dead()), 1)
}

func unknownExpiredHeld(w *world) {
	id := w.unknown().Claim.Mail
	w.Advance(w.policy.Expiry)
	equal(w, "copies made due", w.sweep(me).Copied, 0)
	equal(w, "held", w.row(id).Held, true)
	equal(w, "mails listed as dead", len(w.dead()), 1)
}

func copyUndelivered(w *world) {
	id := w.copyDue()
	w.record(w.committing(id).Claim, to(onboarding.Due))
	equal(w, "copies", w.books().Copies, 0)
	h := w.committing(id)
	equal(w, "copy", h.Copy, true)
	equal(w, "mint", h.NextMint(), 1)
	equal(w, "copies", w.books().Copies, 1)
	w.record(h.Claim, to(onboarding.Sent))
	equal(w, "copies", w.books().Copies, 1)
}

func lateReply(w *world) {
	for state, outcome := range outcomes {
		h := w.unknown()
		equal(w, "state returned", w.record(h.Claim, to(state)), state)
		row := w.row(h.Claim.Mail)
		equal(w, "state", row.State, state)
		equal(w, "attempts", len(row.Attempts), 1)
		equal(w, "outcome", row.Attempts[0].Outcome, outcome)
		if state == onboarding.Due {
			equal(w, "copy", w.claim(row.ID).Copy, false)
		}
	}
}

func lateReplyAfterRecovery(w *world) {
	h := w.committing(w.accept())
	w.foundDead(me) // taken for dead, but it was only slow
	w.isIn(h.Claim.Mail, onboarding.Unknown)
	w.record(h.Claim, to(onboarding.Sent))
	w.isIn(h.Claim.Mail, onboarding.Sent)
}

func lateReplyCounts(w *world) {
	h := w.unknown() // which counted
	w.record(h.Claim, to(onboarding.Due))
	equal(w, "attempts", w.claim(h.Claim.Mail).Attempts, 1)
	h = w.committing(w.accept())
	w.foundDead(me) // which did not
	w.record(h.Claim, to(onboarding.Due))
	equal(w, "attempts", w.claim(h.Claim.Mail).Attempts, 1)
}

func lateReplyTooLate(w *world) {
	h := w.unknown()
	w.Advance(w.policy.UnknownPause)
	w.sweep(me)
	_, err := w.Store.Record(w.ctx, h.Claim, to(onboarding.Sent))
	w.wantErr(err, onboarding.ErrRefused)
	w.isIn(h.Claim.Mail, onboarding.Due)
}

func lateReplyCalledOff(w *world) {
	for state, want := range map[onboarding.State]onboarding.State{
		onboarding.Sent:    onboarding.Sent,
		onboarding.Due:     onboarding.Cancelled,
		onboarding.Failed:  onboarding.Cancelled,
		onboarding.Unknown: onboarding.Unknown,
	} {
		h := w.committing(w.accept())
		w.cancel(h.Claim.Mail, 1)
		w.record(h.Claim, to(onboarding.Unknown))
		equal(w, "held", w.row(h.Claim.Mail).Held, true)
		equal(w, "state returned", w.record(h.Claim, to(state)), want)
		w.isIn(h.Claim.Mail, want)
	}
}
