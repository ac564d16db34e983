package storetest

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

var claimTests = []test{
	{name: "TakesAQueuedMail", run: claimQueued},
	{name: "TakesADueMailBeforeItsMark", run: claimEarly},
	{name: "RefusesADueMailBeforeItsTime", run: claimBeforeTime},
	{name: "RefusesAnotherGeneration", run: claimStale},
	{name: "RefusesWhatIsHeldOrFinished", run: claimMovedOn},
	{name: "RefusesAMailThatIsNotThere", run: claimNothing},
	{name: "RepeatedHasTheSameAnswer", run: claimRepeated},
	{name: "RepeatedAfterALaterStepIsRefused", run: claimRepeatedLate},
	{name: "TellsAllASenderNeeds", run: claimTells},
	{name: "ChoosesTheVariantOnce", run: claimChoosesVariant},
	{name: "EndsAMailThatHasExpired", run: claimExpired},
	{name: "I6_EndsAMailClaimedTooOftenAsPoison", run: claimPoison},
	{name: "ADrainedClaimDoesNotCount", run: claimDrained},
	{name: "AnyOutcomeStartsCountingClaimsAnew", run: claimsForgotten},
	{name: "I2_OfEightClaimersOneWins", run: claimConcurrently},
	{name: "A6_1_OfEightDeliveriesToTwoProcessesOneIsTaken", run: claimDeliveredAgain},
}

func (w *world) refusesClaim(ref onboarding.Ref) {
	w.Helper()
	_, err := w.Store.Claim(w.ctx, w.newClaim(ref, me))
	w.wantErr(err, onboarding.ErrRefused)
}

func claimQueued(w *world) {
	id := w.accept()
	refs := w.relay()
	h, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	equal(w, "state told", h.State, onboarding.Sending)
	w.isIn(id, onboarding.Sending)
}

func claimEarly(w *world) {
	id := w.accept()
	w.claim(id)
	w.isIn(id, onboarding.Sending)
}

func claimBeforeTime(w *world) {
	id := w.accept()
	ref := w.ref(id)
	r := to(onboarding.Due)
	r.After = time.Minute
	w.record(w.claim(id).Claim, r)
	ref.Gen++
	w.refusesClaim(ref)
	w.Advance(time.Minute)
	equal(w, "the generation", w.ref(id).Gen, ref.Gen)
	w.claim(id)
}

func claimStale(w *world) {
	id := w.accept()
	ref := w.ref(id)
	for _, gen := range []int64{ref.Gen - 1, ref.Gen + 1, 0, -1} {
		w.refusesClaim(onboarding.Ref{Mail: id, Gen: gen})
	}
	w.record(w.claim(id).Claim, to(onboarding.Due))
	w.refusesClaim(ref)
	w.relay()
	w.refusesClaim(ref)
}

func claimMovedOn(w *world) {
	for _, state := range []onboarding.State{
		onboarding.Sending, onboarding.Committing, onboarding.Sent, onboarding.Unknown,
		onboarding.Failed, onboarding.Cancelled, onboarding.Expired, onboarding.Purged,
	} {
		id := w.in(state)
		for gen := range int64(5) {
			w.refusesClaim(onboarding.Ref{Mail: id, Gen: gen})
		}
		w.isIn(id, state)
	}
}

func claimNothing(w *world) {
	w.refusesClaim(onboarding.Ref{Mail: owed(w.acceptance().Person.ID, onboarding.SignUp, 1).ID, Gen: 1})
	w.refusesClaim(onboarding.Ref{Mail: "no mail id", Gen: 1})
	w.refusesClaim(onboarding.Ref{})
}

func claimRepeated(w *world) {
	h := w.claim(w.accept())
	again, err := w.Store.Claim(w.ctx, h.Claim)
	w.must(err)
	equal(w, "the repeated answer", again, h)
	other := h.Claim
	other.Holder = "someone else"
	_, err = w.Store.Claim(w.ctx, other) // the same operation id of another holder
	w.wantErr(err, onboarding.ErrRefused)
}

func claimRepeatedLate(w *world) {
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Sent, onboarding.Unknown} {
		h := w.committing(w.accept())
		_, err := w.Store.Claim(w.ctx, h.Claim)
		w.wantErr(err, onboarding.ErrRefused)
		w.record(h.Claim, to(state))
		_, err = w.Store.Claim(w.ctx, h.Claim)
		w.wantErr(err, onboarding.ErrRefused)
	}
}

func claimTells(w *world) {
	a := w.acceptance()
	var err error
	a.Person.Address, err = address.Parse("Zoe@Bücher.example")
	w.must(err)
	_, err = w.Store.Accept(w.ctx, a)
	w.must(err)
	created := w.Now()
	w.Advance(time.Hour)
	h := w.claim(a.Mails[0].ID)
	equal(w, "variant", h.Variant, onboarding.Confirm)
	equal(w, "to", h.To, "Zoe@xn--bcher-kva.example")
	equal(w, "created", h.Created.UnixMilli(), created.UnixMilli())
	equal(w, "expires in", h.ExpiresIn, a.Mails[0].Expiry-time.Hour)
	equal(w, "attempts", h.Attempts, 0)
	equal(w, "claims", h.Claims, 1)
	equal(w, "mint", h.Mint, 0)
	equal(w, "copy", h.Copy, false)
	equal(w, "hash", h.BodyHash, [32]byte{})
	w.must(w.Store.Committing(w.ctx, h.Claim, onboarding.Rendered{Mint: 1, BodyHash: [32]byte{9}}))
	w.record(h.Claim, to(onboarding.Due))
	h = w.claim(h.Claim.Mail)
	equal(w, "attempts", h.Attempts, 1)
	equal(w, "mint", h.Mint, 1)
	equal(w, "next mint", h.NextMint(), 2)
	equal(w, "hash", h.BodyHash, [32]byte{9})
}

func claimChoosesVariant(w *world) {
	id := w.accept()
	for range 3 {
		h := w.claim(id)
		equal(w, "variant", h.Variant, onboarding.Confirm)
		w.record(h.Claim, to(onboarding.Due))
	}
}

func claimExpired(w *world) {
	for _, queued := range []bool{false, true} {
		id := w.accept()
		ref := w.ref(id)
		if queued {
			w.relay()
		}
		w.Advance(w.policy.Expiry)
		c := w.newClaim(ref, me)
		for range 2 { // and repeated
			h, err := w.Store.Claim(w.ctx, c)
			w.must(err)
			equal(w, "state told", h.State, onboarding.Expired)
		}
		w.isIn(id, onboarding.Expired)
	}
	equal(w, "mails listed as dead", len(w.dead()), 2)
}

func claimPoison(w *world) {
	id := w.accept()
	for n := 1; n <= w.policy.MaxClaims; n++ {
		w.heartbeat(me)
		equal(w, "claims told", w.claim(id).Claims, n)
		w.must(w.Store.Leave(w.ctx, me)) // the process dies of it
	}
	c := w.newClaim(w.ref(id), me)
	for range 2 { // and repeated
		h, err := w.Store.Claim(w.ctx, c)
		w.must(err)
		equal(w, "state told", h.State, onboarding.Failed)
	}
	w.isIn(id, onboarding.Failed)
	dead, _, err := w.Store.DeadMails(w.ctx, "", 10)
	w.must(err)
	if !strings.HasPrefix(dead[0].Reason, "poison") {
		w.Fatalf("the reason is %q, want it to begin with poison", dead[0].Reason)
	}
}

func claimDrained(w *world) {
	id := w.accept()
	w.claim(id)
	w.must(w.Store.Leave(w.ctx, me))
	for range 3 {
		h := w.claim(id)
		equal(w, "claims told", h.Claims, 2)
		w.record(h.Claim, onboarding.Result{To: onboarding.Due, Drained: true})
	}
	equal(w, "attempts counted", w.claim(id).Attempts, 0)
}

func claimsForgotten(w *world) {
	id := w.accept()
	for _, counts := range []bool{true, false} {
		for range 3 {
			w.claim(id)
			w.must(w.Store.Leave(w.ctx, me))
		}
		h := w.claim(id)
		equal(w, "claims told", h.Claims, 4)
		w.record(h.Claim, onboarding.Result{To: onboarding.Due, Counts: counts})
	}
	h := w.claim(id)
	equal(w, "claims told", h.Claims, 1)
	equal(w, "attempts told", h.Attempts, 1)
}

const claimers = 8

func claimConcurrently(w *world) {
	for range 10 {
		id := w.accept()
		refs := w.relay()
		won := raceForClaims(w, func(int) onboarding.Claim { return w.newClaim(refs[0], me) })
		equal(w, "winners", won, 1)
		equal(w, "attempts", len(w.row(id).Attempts), 1)
	}
}

func claimDeliveredAgain(w *world) {
	for range 10 {
		w.accept()
		ref := w.relay()[0]
		won := raceForClaims(w, func(i int) onboarding.Claim {
			return w.newClaim(ref, []onboarding.Incarnation{me, other}[i%2])
		})
		equal(w, "winners", won, 1)
	}
}

// raceForClaims lets eight claims race to the point of no return.
func raceForClaims(w *world, claim func(i int) onboarding.Claim) int {
	w.Helper()
	var won atomic.Int64
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range claimers {
		c := claim(i)
		group.Go(func() {
			<-start
			h, err := w.caller(i).Claim(w.ctx, c)
			if err == nil {
				err = w.caller(i).Committing(w.ctx, c, rendered(h))
				won.Add(1)
			}
			if err != nil && !errors.Is(err, onboarding.ErrRefused) {
				w.Error(err)
			}
		})
	}
	close(start)
	group.Wait()
	return int(won.Load())
}
