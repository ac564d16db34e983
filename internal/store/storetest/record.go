package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

var recordTests = []test{
	{name: "FromCommittingToAnyOutcome", run: recordOutcomes},
	{name: "FromSendingToDueOrFailed", run: recordUncommitted},
	{name: "FromSendingToSentOrUnknownWhenCommittingWasLost", run: recordLost},
	{name: "DueWaitsAndRaisesTheGeneration", run: recordDueWaits},
	{name: "DueAtOrPastTheExpiryBecomesExpired", run: recordDueExpires},
	{name: "CountsAttemptsThatCount", run: recordCounts},
	{name: "RepeatedReturnsTheStateAndChangesNothing", run: recordRepeated},
	{name: "RefusedIfTheMailIsNoLongerThisClaims", run: recordRefused},
	{name: "KeepsReasonAndReply", run: recordKeepsReason},
	{name: "I5_AfterAnUndeliveredAttemptTheLinkIsMintedAnew", run: recordMintsAnew},
	{name: "CalledOffWhileHeldEndsCancelledUnlessAcceptedOrUnknown", run: recordCalledOff},
	{name: "AnOutcomeThatIsNoneIsAnErrorAndChangesNothing", run: recordNonsense},
	{name: "A6_2_IsOnDiskWhenItReturns", run: recordDurable, needs: soleOwner},
}

// outcomes are the ways in which an attempt past the point of no return ends.
var outcomes = map[onboarding.State]onboarding.AttemptOutcome{
	onboarding.Sent:    onboarding.Accepted,
	onboarding.Due:     onboarding.Undelivered,
	onboarding.Failed:  onboarding.Undelivered,
	onboarding.Unknown: onboarding.Uncertain,
}

func recordOutcomes(w *world) {
	for state, outcome := range outcomes {
		h := w.committing(w.accept())
		equal(w, "state returned", w.record(h.Claim, to(state)), state)
		row := w.row(h.Claim.Mail)
		equal(w, "state", row.State, state)
		equal(w, "attempts", len(row.Attempts), 1)
		equal(w, "outcome", row.Attempts[0].Outcome, outcome)
	}
}

func recordUncommitted(w *world) {
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Failed} {
		h := w.claim(w.accept())
		equal(w, "state returned", w.record(h.Claim, to(state)), state)
		row := w.row(h.Claim.Mail)
		equal(w, "state", row.State, state)
		equal(w, "attempts past committing", len(row.Attempts), 0)
	}
}

// A store that syncs late can lose a Committing and keep the claim before it.
// Its holder has submitted the mail and must not submit it again.
func recordLost(w *world) {
	for _, state := range []onboarding.State{onboarding.Sent, onboarding.Unknown} {
		h := w.claim(w.accept())
		equal(w, "state returned", w.record(h.Claim, to(state)), state)
		row := w.row(h.Claim.Mail)
		equal(w, "state", row.State, state)
		equal(w, "attempts", len(row.Attempts), 1)
		equal(w, "outcome", row.Attempts[0].Outcome, outcomes[state])
	}
	h := w.claim(w.copyDue())
	w.record(h.Claim, to(onboarding.Unknown))
	equal(w, "copies", w.books().Copies, 1)
	equal(w, "copies that differ", w.books().Differing, 0)
	w.must(w.Store.Replay(w.ctx, h.Claim.Mail))
	equal(w, "mint", w.claim(h.Claim.Mail).NextMint(), 1)
}

func recordDueWaits(w *world) {
	for _, hold := range []func(onboarding.MailID) onboarding.Held{w.claim, w.committing} {
		h := hold(w.accept())
		w.record(h.Claim, onboarding.Result{To: onboarding.Due, After: time.Minute})
		w.isIn(h.Claim.Mail, onboarding.Due)
		equal(w, "mails due at once", len(w.due()), 0)
		w.Advance(time.Minute)
		ref := w.ref(h.Claim.Mail)
		equal(w, "generation", ref.Gen, h.Claim.Gen+1)
		w.refusesClaim(h.Claim.Ref)
		w.record(w.claim(ref.Mail).Claim, to(onboarding.Failed))
	}
}

func recordDueExpires(w *world) {
	for _, hold := range []func(onboarding.MailID) onboarding.Held{w.claim, w.committing} {
		h := hold(w.accept())
		w.Advance(time.Hour)
		r := to(onboarding.Due)
		r.After = w.policy.Expiry - time.Hour
		equal(w, "state returned", w.record(h.Claim, r), onboarding.Expired)
		w.isIn(h.Claim.Mail, onboarding.Expired)
		h = hold(w.accept())
		w.Advance(time.Hour)
		r.After -= time.Second
		equal(w, "state returned just before", w.record(h.Claim, r), onboarding.Due)
	}
}

func recordCounts(w *world) {
	id := w.accept()
	want := 0
	for _, hold := range []func(onboarding.MailID) onboarding.Held{w.claim, w.committing} {
		for _, counts := range []bool{true, false, true} {
			w.record(hold(id).Claim, onboarding.Result{To: onboarding.Due, Counts: counts})
			if counts {
				want++
			}
			h := w.claim(id)
			equal(w, "attempts", h.Attempts, want)
			w.record(h.Claim, onboarding.Result{To: onboarding.Due, Drained: true})
		}
	}
}

func recordRepeated(w *world) {
	for state := range outcomes {
		h := w.committing(w.accept())
		w.record(h.Claim, to(state))
		before, books := w.row(h.Claim.Mail), w.books()
		w.Advance(time.Second)
		equal(w, "state returned again", w.record(h.Claim, to(state)), state)
		after := w.row(h.Claim.Mail)
		equal(w, "state", after.State, before.State)
		equal(w, "outcome", after.Attempts[0], before.Attempts[0])
		equal(w, "copies", w.books().Copies, books.Copies)
		switch state {
		case onboarding.Due:
			equal(w, "attempts", w.claim(h.Claim.Mail).Attempts, 1)
		case onboarding.Unknown:
			equal(w, "the rest of the pause", w.sweep(me).Next, w.policy.UnknownPause-time.Second)
			w.cancel(h.Claim.Mail, 1)
		}
	}
}

func recordRefused(w *world) {
	h := w.committing(w.accept())
	for _, c := range foreign(h.Claim) {
		_, err := w.Store.Record(w.ctx, c, to(onboarding.Sent))
		w.wantErr(err, onboarding.ErrRefused)
	}
	w.isIn(h.Claim.Mail, onboarding.Committing)

	late := w.claim(w.accept())
	w.must(w.Store.Leave(w.ctx, me)) // recovered: due again
	_, err := w.Store.Record(w.ctx, late.Claim, to(onboarding.Failed))
	w.wantErr(err, onboarding.ErrRefused)
	w.isIn(late.Claim.Mail, onboarding.Due)

	again := w.claim(late.Claim.Mail)
	_, err = w.Store.Record(w.ctx, late.Claim, to(onboarding.Failed))
	w.wantErr(err, onboarding.ErrRefused)
	w.record(again.Claim, to(onboarding.Failed))

	_, err = w.Store.Record(w.ctx, onboarding.Claim{Ref: w.ref(w.accept())}, to(onboarding.Failed))
	w.wantErr(err, onboarding.ErrRefused)

	cancelled := w.claim(w.accept())
	w.cancel(cancelled.Claim.Mail, 1)
	_, err = w.Store.Record(w.ctx, cancelled.Claim, to(onboarding.Due))
	w.wantErr(err, onboarding.ErrRefused)
	w.isIn(cancelled.Claim.Mail, onboarding.Cancelled)
}

func recordKeepsReason(w *world) {
	h := w.committing(w.accept())
	r := to(onboarding.Failed)
	r.Reason = "the server refused it for good"
	r.Reply = onboarding.Reply{Phase: "dot", Code: 554, Enhanced: "5.7.1", Text: "no thanks"}
	w.Advance(time.Minute)
	w.record(h.Claim, r)
	dead, _, err := w.Store.DeadMails(w.ctx, "", 10)
	w.must(err)
	want := onboarding.DeadMail{
		ID: h.Claim.Mail, State: onboarding.Failed, Reason: r.Reason, Reply: r.Reply, Attempts: 1, Since: dead[0].Since,
	}
	equal(w, "the dead mail", dead[0], want)
	equal(w, "since", dead[0].Since.UnixMilli(), w.Now().UnixMilli())
}

func recordMintsAnew(w *world) {
	id := w.accept()
	for mint := 1; mint <= 3; mint++ {
		h := w.committing(id)
		equal(w, "copy", h.Copy, false)
		equal(w, "mint", h.NextMint(), mint)
		w.record(h.Claim, to(onboarding.Due))
	}
	equal(w, "copies", w.books().Copies, 0)
}

func recordCalledOff(w *world) {
	for state, want := range map[onboarding.State]onboarding.State{
		onboarding.Sent:    onboarding.Sent,
		onboarding.Unknown: onboarding.Unknown,
		onboarding.Due:     onboarding.Cancelled,
		onboarding.Failed:  onboarding.Cancelled,
	} {
		h := w.committing(w.accept())
		w.cancel(h.Claim.Mail, 1)
		w.isIn(h.Claim.Mail, onboarding.Committing)
		equal(w, "state returned for "+string(state), w.record(h.Claim, to(state)), want)
		row := w.row(h.Claim.Mail)
		equal(w, "state for "+string(state), row.State, want)
		equal(w, "held", row.Held, want == onboarding.Unknown)
		equal(w, "outcome", row.Attempts[0].Outcome, outcomes[state])
	}
}

func recordNonsense(w *world) {
	for _, state := range []onboarding.State{onboarding.Queued, onboarding.Sending, onboarding.Purged, ""} {
		h := w.committing(w.accept())
		if _, err := w.Store.Record(w.ctx, h.Claim, to(state)); err == nil {
			w.Fatalf("an outcome of %q was recorded", state)
		}
		w.isIn(h.Claim.Mail, onboarding.Committing)
	}
}

func recordDurable(w *world) {
	ids := map[onboarding.State]onboarding.MailID{}
	for state := range outcomes {
		ids[state] = w.in(onboarding.Due)
		w.record(w.committing(ids[state]).Claim, to(state))
	}
	w.reopen()
	for state, id := range ids {
		w.isIn(id, state)
	}
}
