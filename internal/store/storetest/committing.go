package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

var committingTests = []test{
	{name: "MovesSendingToCommitting", run: committingMoves},
	{name: "A6_4_IsForTheHolderOnly", run: committingOfHolder},
	{name: "RefusedWithoutAClaim", run: committingUnclaimed},
	{name: "RepeatedSucceedsAndChangesNothing", run: committingRepeated},
	{name: "RefusedWhenTheMailWasTaken", run: committingTaken},
	{name: "RefusedWhenTheMailWasCalledOff", run: committingCalledOff},
	{name: "RefusedAfterItsOwnOutcome", run: committingAfterRecord},
	{name: "A6_2_IsOnDiskWhenItReturns", run: committingDurable, needs: soleOwner},
	{name: "CheckStandsWhileTheClaimDoes", run: checkStands},
	{name: "CheckRefusesWithoutCommitting", run: checkUncommitted},
	{name: "CheckRefusesWhatWasCalledOff", run: checkCalledOff},
	{name: "CheckTellsAStaleHeartbeatApart", run: checkStale},
}

func committingMoves(w *world) {
	h := w.committing(w.accept())
	row := w.row(h.Claim.Mail)
	equal(w, "state", row.State, onboarding.Committing)
	equal(w, "attempts", len(row.Attempts), 1)
	equal(w, "the attempt", row.Attempts[0], onboarding.AuditAttempt{})
}

func committingOfHolder(w *world) {
	h := w.claim(w.accept())
	for _, c := range foreign(h.Claim) {
		w.wantErr(w.Store.Committing(w.ctx, c, rendered(h)), onboarding.ErrRefused)
		w.wantErr(w.Store.Check(w.ctx, c), onboarding.ErrRefused)
	}
	w.isIn(h.Claim.Mail, onboarding.Sending)
}

// foreign returns claims that differ from c in one thing each.
func foreign(c onboarding.Claim) []onboarding.Claim {
	holder, op, mail := c, c, c
	holder.Holder = other
	op.Op += "x"
	mail.Mail = onboarding.NewMailID(c.Mail.Subject(), onboarding.SignUp, 99)
	return []onboarding.Claim{holder, op, mail, {Ref: c.Ref}}
}

func committingUnclaimed(w *world) {
	id := w.accept()
	c := w.newClaim(w.ref(id), me)
	w.wantErr(w.Store.Committing(w.ctx, c, onboarding.Rendered{Mint: 1}), onboarding.ErrRefused)
	w.wantErr(w.Store.Committing(w.ctx, onboarding.Claim{Ref: c.Ref}, onboarding.Rendered{Mint: 1}), onboarding.ErrRefused)
	w.isIn(id, onboarding.Due)
}

func committingRepeated(w *world) {
	h := w.committing(w.accept())
	w.must(w.Store.Committing(w.ctx, h.Claim, rendered(h)))
	equal(w, "attempts", len(w.row(h.Claim.Mail).Attempts), 1)
}

func committingTaken(w *world) {
	h := w.claim(w.accept())
	w.must(w.Store.Leave(w.ctx, me)) // someone took it for dead
	w.wantErr(w.Store.Committing(w.ctx, h.Claim, rendered(h)), onboarding.ErrRefused)
	again := w.claim(h.Claim.Mail)
	w.wantErr(w.Store.Committing(w.ctx, h.Claim, rendered(h)), onboarding.ErrRefused)
	w.must(w.Store.Committing(w.ctx, again.Claim, rendered(again)))
}

func committingCalledOff(w *world) {
	h := w.claim(w.accept())
	w.cancel(h.Claim.Mail, 1)
	w.wantErr(w.Store.Committing(w.ctx, h.Claim, rendered(h)), onboarding.ErrRefused)
	w.isIn(h.Claim.Mail, onboarding.Cancelled)
	h = w.committing(w.accept())
	w.cancel(h.Claim.Mail, 1)
	w.wantErr(w.Store.Committing(w.ctx, h.Claim, rendered(h)), onboarding.ErrRefused)
}

func (w *world) cancel(id onboarding.MailID, want int) {
	w.Helper()
	n, err := w.Store.Cancel(w.ctx, id.Subject(), "called off by the test")
	w.must(err)
	equal(w, "mails called off", n, want)
}

func committingAfterRecord(w *world) {
	for _, state := range []onboarding.State{onboarding.Sent, onboarding.Due, onboarding.Failed, onboarding.Unknown} {
		h := w.committing(w.accept())
		w.record(h.Claim, to(state))
		w.wantErr(w.Store.Committing(w.ctx, h.Claim, rendered(h)), onboarding.ErrRefused)
		w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrRefused)
		w.isIn(h.Claim.Mail, state)
	}
}

func committingDurable(w *world) {
	id := w.committing(w.accept()).Claim.Mail
	w.reopen()
	row := w.row(id)
	equal(w, "state after reopening", row.State, onboarding.Unknown)
	equal(w, "attempts", len(row.Attempts), 1)
	equal(w, "outcome", row.Attempts[0].Outcome, onboarding.Uncertain)
}

func checkStands(w *world) {
	w.heartbeat(me)
	h := w.committing(w.accept())
	w.must(w.Store.Check(w.ctx, h.Claim))
	for range 200 { // a long wait for a slow server
		w.Advance(w.policy.Heartbeat)
		w.heartbeat(me)
	}
	w.sweep(me)
	w.must(w.Store.Check(w.ctx, h.Claim))
}

func checkUncommitted(w *world) {
	w.heartbeat(me)
	h := w.claim(w.accept())
	w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrRefused)
}

func checkCalledOff(w *world) {
	w.heartbeat(me)
	h := w.committing(w.accept())
	w.cancel(h.Claim.Mail, 1)
	w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrRefused)
	w.Advance(time.Hour)
	w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrRefused) // and not: stale
}

func checkStale(w *world) {
	h := w.committing(w.accept())
	w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrStale) // never registered
	w.heartbeat(me)
	w.Advance(w.policy.DeadAfter)
	w.must(w.Store.Check(w.ctx, h.Claim))
	w.Advance(time.Second)
	w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrStale)
	w.heartbeat(me)
	w.must(w.Store.Check(w.ctx, h.Claim))
	w.Advance(-time.Hour) // C1.9: a heartbeat from the future is not good either
	w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrStale)
}
