package storetest

import (
	"bellhop/internal/onboarding"
)

var presenceTests = []test{
	{name: "LeaveGivesBackWhatWasNotSubmitted", run: leaveRecovers},
	{name: "LeaveTouchesNobodyElse", run: leaveTouchesNobodyElse},
	{name: "LeaveOfAStrangerIsHarmless", run: leaveStranger},
	{name: "C1_14_OpeningRecoversWhatTheDeadHeld", run: openRecovers, needs: soleOwner},
	{name: "C1_14_OpeningTwiceRecoversOnce", run: openTwice, needs: soleOwner},
}

func leaveRecovers(w *world) {
	w.heartbeat(me)
	sending, committing := w.in(onboarding.Sending), w.in(onboarding.Committing)
	w.must(w.Store.Leave(w.ctx, me))
	w.ref(sending)
	w.isIn(committing, onboarding.Committing)
	w.must(w.Store.Leave(w.ctx, me))
	equal(w, "generation", w.ref(sending).Gen, 2)
	w.foundDead(me)
	w.isIn(committing, onboarding.Unknown)
}

// foundDead lets an incarnation leave, and another one find what it left.
func (w *world) foundDead(by onboarding.Incarnation) {
	w.Helper()
	w.must(w.Store.Leave(w.ctx, by))
	w.heartbeat(other)
	w.live(w.policy.DeadAfter, other)
	w.sweep(other)
}

func leaveTouchesNobodyElse(w *world) {
	w.heartbeat(me)
	w.heartbeat(other)
	mine := w.claim(w.accept())
	theirs, err := w.Store.Claim(w.ctx, w.newClaim(w.ref(w.accept()), other))
	w.must(err)
	w.must(w.Store.Leave(w.ctx, me))
	w.isIn(mine.Claim.Mail, onboarding.Due)
	w.must(w.Store.Committing(w.ctx, theirs.Claim, rendered(theirs)))
	w.must(w.Store.Check(w.ctx, theirs.Claim))
	w.heartbeat(me)
	mine = w.committing(w.accept())
	w.must(w.Store.Leave(w.ctx, other))
	w.must(w.Store.Check(w.ctx, mine.Claim))
}

func leaveStranger(w *world) {
	w.must(w.Store.Leave(w.ctx, "nobody ever heard of"))
}

func openRecovers(w *world) {
	w.heartbeat(me)
	var sending, committing []onboarding.MailID
	for range 3 {
		sending = append(sending, w.in(onboarding.Sending))
		committing = append(committing, w.in(onboarding.Committing))
	}
	others := map[onboarding.State]onboarding.MailID{}
	for _, state := range []onboarding.State{onboarding.Sent, onboarding.Failed, onboarding.Unknown, onboarding.Cancelled} {
		others[state] = w.in(state)
	}
	calledOff := w.in(onboarding.Committing)
	w.cancel(calledOff, 1)
	w.reopen()
	for i := range sending {
		equal(w, "generation", w.ref(sending[i]).Gen, 2)
		equal(w, "held", w.row(committing[i]).Held, false)
		w.isIn(committing[i], onboarding.Unknown)
	}
	for state, id := range others {
		w.isIn(id, state)
	}
	equal(w, "held after it was called off", w.row(calledOff).Held, true)
	w.Advance(w.policy.UnknownPause)
	equal(w, "copies made due", w.sweep(me).Copied, 4)
	equal(w, "claims", w.claim(sending[0]).Claims, 2)
}

func openTwice(w *world) {
	id := w.in(onboarding.Sending)
	w.reopen()
	w.reopen()
	equal(w, "generation", w.ref(id).Gen, 2)
}
