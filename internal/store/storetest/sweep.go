package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

var sweepTests = []test{
	{name: "ExpiresDueAndQueuedMails", run: sweepExpires},
	{name: "LeavesHeldMailsToTheirHolderWhenTheyExpire", run: sweepSparesHeld},
	{name: "I6_RequeuesWhatWasOvertaken", run: sweepRequeues},
	{name: "I6_LeavesASilentLaneAlone", run: sweepSilentLane},
	{name: "I6_LeavesWhatIsNotYetStale", run: sweepNotStale},
	{name: "RequeuedMailsKeepTheirPlaceInTheLine", run: sweepKeepsOrder},
	{name: "RecoversWhatTheDeadHold", run: sweepDead},
	{name: "LeavesTheLivingTheirMailsForAsLongAsSMTPMayTake", run: sweepLiving},
	{name: "TakesBackWhatALivingOneHasLostTrackOf", run: sweepLostTrack},
	{name: "JudgesOnlyOnceTheCallersHeartbeatWasGoodLongEnough", run: sweepJudges},
	{name: "C1_9_AStoreOutageRecoversNobodysMails", run: sweepAfterOutage},
	{name: "C1_9_AnOutageThatOneHeartbeatOutlastsRecoversNobodysMails", run: sweepAfterShortOutage},
	{name: "TakesUpToTheLimitAndTellsOfMore", run: sweepLimit},
	{name: "TellsWhenTheNextOneIsDue", run: sweepNext},
	{name: "C1_9_BringsBackWhatWaitsForATimeAClockSetBackMade", run: sweepClockSetBack},
	{name: "C1_9_LeavesALongWaitThatWasGivenUnderALongerExpiry", run: sweepLongerExpiry},
}

func sweepExpires(w *world) {
	due, queued := w.in(onboarding.Due), w.in(onboarding.Queued)
	w.Advance(w.policy.Expiry - time.Second)
	equal(w, "mails expired early", w.sweep(me).Expired, 0)
	w.Advance(time.Second)
	equal(w, "mails expired", w.sweep(me).Expired, 2)
	w.isIn(due, onboarding.Expired)
	w.isIn(queued, onboarding.Expired)
	equal(w, "mails listed as dead", len(w.dead()), 2)
	equal(w, "mails expired again", w.sweep(me).Expired, 0)
}

func sweepSparesHeld(w *world) {
	sending, committing := w.in(onboarding.Sending), w.in(onboarding.Committing)
	w.Advance(2 * w.policy.Expiry)
	swept := w.sweep(me)
	equal(w, "mails expired", swept.Expired, 0)
	w.never(swept.Next)
	w.isIn(sending, onboarding.Sending)
	w.isIn(committing, onboarding.Committing)
}

// overtaken queues a mail, then one sent a second later that comes through.
func (w *world) overtaken() onboarding.MailID {
	w.Helper()
	lost := w.in(onboarding.Queued)
	w.Advance(time.Second)
	w.accept()
	refs := w.relay()
	_, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	return lost
}

func sweepRequeues(w *world) {
	lost := w.overtaken()
	w.Advance(w.policy.StaleAfter)
	equal(w, "mails requeued", w.sweep(me).Requeued, 1)
	equal(w, "generation", w.ref(lost).Gen, 2)
	w.refusesClaim(onboarding.Ref{Mail: lost, Gen: 1})
	equal(w, "mails requeued again", w.sweep(me).Requeued, 0)
}

func sweepSilentLane(w *world) {
	w.in(onboarding.Queued)
	w.Advance(time.Hour)
	equal(w, "mails requeued", w.sweep(me).Requeued, 0)
	w.must(w.Store.Arrived(w.ctx, onboarding.Bulk, w.Now()))
	equal(w, "mails requeued for the other lane", w.sweep(me).Requeued, 0)
	w.must(w.Store.Arrived(w.ctx, onboarding.Urgent, w.Now()))
	equal(w, "mails requeued after a marker", w.sweep(me).Requeued, 1)
}

func sweepNotStale(w *world) {
	w.overtaken()
	w.Advance(w.policy.StaleAfter - 2*time.Second)
	equal(w, "mails requeued", w.sweep(me).Requeued, 0)

	w.accept() // two of one batch: neither was sent after the other
	w.accept()
	w.Advance(time.Hour)
	refs := w.relay()
	_, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	w.sweep(me) // takes the one that was overtaken
	w.Advance(time.Hour)
	equal(w, "mails of the same batch requeued", w.sweep(me).Requeued, 0)
}

func sweepKeepsOrder(w *world) {
	lost := w.overtaken()
	w.Advance(w.policy.StaleAfter)
	later := w.accept()
	w.Advance(time.Second)
	w.sweep(me)
	refs := w.due()
	equal(w, "mails due", len(refs), 2)
	equal(w, "first in line", refs[0].Mail, lost)
	equal(w, "second in line", refs[1].Mail, later)
}

// live lets time pass while some incarnations are alive.
func (w *world) live(d time.Duration, alive ...onboarding.Incarnation) {
	w.Helper()
	for ; d > 0; d -= w.policy.Heartbeat {
		w.Advance(min(d, w.policy.Heartbeat))
		for _, by := range alive {
			w.heartbeat(by)
		}
	}
}

func sweepDead(w *world) {
	w.heartbeat(me)
	w.heartbeat(other)
	sending, committing := w.in(onboarding.Sending), w.in(onboarding.Committing)
	w.live(w.policy.DeadAfter, other)
	equal(w, "mails recovered early", w.sweep(other).Recovered, 0)
	w.live(time.Second, other)
	equal(w, "mails recovered", w.sweep(other).Recovered, 2)
	equal(w, "generation", w.ref(sending).Gen, 2)
	row := w.row(committing)
	equal(w, "state", row.State, onboarding.Unknown)
	equal(w, "outcome", row.Attempts[0].Outcome, onboarding.Uncertain)
	equal(w, "claims kept", w.claim(sending).Claims, 2)
}

func sweepLiving(w *world) {
	w.heartbeat(me)
	w.heartbeat(other)
	sending, committing := w.in(onboarding.Sending), w.in(onboarding.Committing)
	for range 20 {
		w.live(time.Minute, me, other)
		equal(w, "mails recovered", w.sweep(other).Recovered, 0)
	}
	w.isIn(sending, onboarding.Sending)
	w.isIn(committing, onboarding.Committing)
}

// A holder that never says how its attempt ended may have said it to a store
// that has lost it since.
func sweepLostTrack(w *world) {
	w.heartbeat(me)
	w.heartbeat(other)
	sending, committing := w.in(onboarding.Sending), w.committing(w.accept())
	w.live(w.policy.HoldMost, me, other)
	equal(w, "mails recovered early", w.sweep(other).Recovered, 0)
	w.live(time.Second, me, other)
	equal(w, "mails recovered", w.sweep(other).Recovered, 2)
	equal(w, "generation", w.ref(sending).Gen, 2)
	w.isIn(committing.Claim.Mail, onboarding.Unknown)
	equal(w, "state after a late reply", w.record(committing.Claim, to(onboarding.Sent)), onboarding.Sent)
	equal(w, "mails recovered again", w.sweep(other).Recovered, 0)
}

func sweepJudges(w *world) {
	w.in(onboarding.Sending) // held by me, who never said anything
	w.Advance(time.Hour)
	equal(w, "mails recovered by someone unregistered", w.sweep(other).Recovered, 0)
	w.heartbeat(other)
	w.live(w.policy.DeadAfter-time.Second, other)
	equal(w, "mails recovered by a newcomer", w.sweep(other).Recovered, 0)
	w.live(time.Second, other)
	equal(w, "mails recovered", w.sweep(other).Recovered, 1)
}

func sweepAfterOutage(w *world) {
	w.heartbeat(me)
	w.heartbeat(other)
	id := w.in(onboarding.Committing)
	w.live(time.Minute, me, other)
	w.Advance(time.Minute) // nobody could say anything, or the clock jumped
	equal(w, "mails recovered with a stale heartbeat", w.sweep(other).Recovered, 0)
	w.heartbeat(other) // is the first to be back
	equal(w, "mails recovered at once", w.sweep(other).Recovered, 0)
	w.live(w.policy.DeadAfter-time.Second, me, other)
	equal(w, "mails recovered", w.sweep(other).Recovered, 0)
	w.Advance(-24 * time.Hour)
	w.heartbeat(other)
	equal(w, "mails recovered after the clock was set back", w.sweep(other).Recovered, 0)
	w.live(time.Minute, me, other)
	equal(w, "mails recovered", w.sweep(other).Recovered, 0)
	w.isIn(id, onboarding.Committing)
}

// An outage that one heartbeat just outlasts is too long for another: one that
// came sooner before it, and will come later after it.
func sweepAfterShortOutage(w *world) {
	w.heartbeat(me)
	w.heartbeat(other)
	id := w.in(onboarding.Committing) // held by me
	w.live(time.Minute, me, other)
	w.Advance(w.policy.Heartbeat - time.Second)
	w.heartbeat(other)
	w.Advance(w.policy.DeadAfter - time.Second)
	equal(w, "mails recovered before the next heartbeat", w.sweep(other).Recovered, 0)
	w.heartbeat(other)
	equal(w, "mails recovered after it", w.sweep(other).Recovered, 0)
	w.Advance(time.Second)
	w.heartbeat(me)
	w.live(time.Minute, me, other)
	equal(w, "mails recovered", w.sweep(other).Recovered, 0)
	w.isIn(id, onboarding.Committing)
	w.live(w.policy.DeadAfter+time.Second, other)
	equal(w, "mails of a dead one recovered", w.sweep(other).Recovered, 1)
}

func sweepLimit(w *world) {
	for range 5 {
		w.accept()
	}
	w.Advance(w.policy.Expiry)
	total := 0
	for _, want := range []int{2, 2, 1} {
		swept, err := w.Store.Sweep(w.ctx, me, 2)
		w.must(err)
		equal(w, "mails expired", swept.Expired, want)
		equal(w, "more", swept.More, want == 2)
		total += swept.Expired
	}
	equal(w, "mails expired in all", total, 5)
}

func sweepNext(w *world) {
	w.never(w.sweep(me).Next)
	w.accept()
	w.Advance(time.Hour)
	equal(w, "next", w.sweep(me).Next, w.policy.Expiry-time.Hour)
	w.unknown()
	equal(w, "next", w.sweep(me).Next, w.policy.UnknownPause)
	w.Advance(time.Hour)
	swept, err := w.Store.Sweep(w.ctx, me, 1)
	w.must(err)
	equal(w, "copies made due", swept.Copied, 1)
}

func sweepClockSetBack(w *world) {
	const year = 365 * 24 * time.Hour
	w.Advance(year)
	due, queued, unknown := w.in(onboarding.Due), w.in(onboarding.Queued), w.unknown().Claim.Mail
	w.Advance(-year)
	w.sweep(me)
	w.ref(due)
	equal(w, "generation", w.ref(queued).Gen, 2)
	w.sweep(me)
	w.ref(unknown)
}

// The policy's expiry may be shorter now than when a mail was created. Its
// waiting times are its own: it is not tried again at every sweep.
func sweepLongerExpiry(w *world) {
	a := w.acceptance()
	a.Mails[0].Expiry = 10 * w.policy.Expiry
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	id := a.Mails[0].ID
	later := to(onboarding.Due)
	later.After = 5 * w.policy.Expiry
	w.record(w.claim(id).Claim, later)
	equal(w, "mails brought back", w.sweep(me).Requeued, 0)
	equal(w, "mails due", len(w.due()), 0)
	w.Advance(later.After)
	w.ref(id)
}
