package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

var progressTests = []test{
	{name: "TellsWhereTheLatestMailIs", run: progressTells},
	{name: "I7_DelayedBehindMailsThatWereDueBefore", run: progressBehind},
	{name: "I7_DelayedWhileTheMailServerIsAway", run: progressAway},
	{name: "ItsAgeCountsFromWhenItWasOwed", run: progressAge},
	{name: "NotFoundForASignUpThatNeverWas", run: progressNotFound},
	{name: "I7_AnErasedSignUpIsLikeAnyOther", run: progressErased},
}

var resendTests = []test{
	{name: "I2_OwesOneMoreMailAtTheNextStep", run: resendOwes},
	{name: "NothingChangesBeforeItsTime", run: resendEarly},
	{name: "NothingChangesAboveTheHighestStep", run: resendMost},
	{name: "StepsAreNumbers", run: resendBeyondNine},
	{name: "OfManyAtOnceOneIsMade", run: resendConcurrently},
	{name: "IsOnDiskWhenItReturns", run: resendDurable},
	{name: "NotFoundForASignUpThatNeverWas", run: resendNotFound},
	{name: "I7_TheMailOfAnErasedSignUpEndsCancelledAtItsClaim", run: resendErased},
	{name: "ResetsNeitherTriesNorUse", run: resendResetsNothing},
}

func (w *world) progress(id string) signup.Progress {
	w.Helper()
	p, err := w.Store.Progress(w.ctx, id)
	w.must(err)
	return p
}

// resendAfter is the waiting time of the tests, and mostSteps their highest
// step.
const (
	resendAfter = 10 * time.Minute
	mostSteps   = 5
)

func (w *world) resend(id string, made bool) signup.Progress {
	w.Helper()
	p, did, err := w.Store.Resend(w.ctx, resendOf(id))
	w.must(err)
	equal(w, "a mail was made", did, made)
	return p
}

func resendOf(id string) signup.Resend {
	return signup.Resend{SignUp: id, Expiry: time.Hour, After: resendAfter, Most: mostSteps}
}

func progressTells(w *world) {
	for _, state := range []onboarding.State{
		onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing, onboarding.Sent,
		onboarding.Unknown, onboarding.Failed, onboarding.Expired, onboarding.Cancelled, onboarding.Purged,
	} {
		p := w.progress(w.in(state).Subject())
		equal(w, "state", p.State, state)
		equal(w, "step", p.Step, 1)
	}
	equal(w, "state", w.progress(w.kept()).State, onboarding.Suppressed)
}

// kept is a sign-up whose mail is kept back.
func (w *world) kept() string {
	w.Helper()
	a := w.acceptance()
	a.Muted = "muted"
	w.suppressed(w.stored(a))
	return a.Person.ID
}

func progressBehind(w *world) {
	first := w.accept()
	w.Advance(time.Second)
	id := w.kept()
	equal(w, "delayed behind a mail that is due", w.progress(id).Delayed, true)
	w.Advance(time.Second)
	ref := w.ref(w.accept())
	h := w.claim(first)
	equal(w, "delayed by one that is being sent, and a later one", w.progress(id).Delayed, false)
	w.must(w.Store.Relayed(w.ctx, []onboarding.Ref{ref}))
	w.Advance(time.Second)
	equal(w, "delayed behind one that is queued", w.progress(w.kept()).Delayed, true)
	later := to(onboarding.Due)
	later.After = time.Minute
	w.record(h.Claim, later)
	equal(w, "delayed by one that was refused for now", w.progress(id).Delayed, false)
}

func progressAway(w *world) {
	away := onboarding.Result{To: onboarding.Due, Away: true, Reply: onboarding.Reply{Phase: "connect"}, Reason: "the mail server is down"}
	id := w.kept()
	mail := w.accept()
	for _, heard := range []onboarding.Result{to(onboarding.Sent), to(onboarding.Due)} {
		equal(w, "delayed before", w.progress(id).Delayed, false)
		w.record(w.claim(mail).Claim, away)
		w.Advance(signup.AwayFor - time.Millisecond)
		equal(w, "delayed by a server that is away", w.progress(id).Delayed, true)
		w.Advance(time.Millisecond)
		equal(w, "delayed by one that nobody called for long", w.progress(id).Delayed, false)
		w.record(w.claim(mail).Claim, away)
		w.record(w.claim(mail).Claim, onboarding.Result{To: onboarding.Due, Drained: true, Reason: "the process was stopped"})
		equal(w, "delayed while nothing else is known", w.progress(id).Delayed, true)
		w.record(w.committing(mail).Claim, heard)
		equal(w, "delayed when it was heard of", w.progress(id).Delayed, false)
		mail = w.accept()
	}
}

func progressAge(w *world) {
	id := w.accept()
	equal(w, "age", w.progress(id.Subject()).Age, 0)
	w.Advance(time.Minute)
	w.record(w.claim(id).Claim, to(onboarding.Due))
	w.Advance(1500 * time.Millisecond)
	equal(w, "age", w.progress(id.Subject()).Age, 61500*time.Millisecond)
	w.Advance(-time.Hour)
	equal(w, "age of a mail that is to come", w.progress(id.Subject()).Age, 0)
}

func progressNotFound(w *world) {
	w.accept()
	for _, id := range []string{uuid.NewString(), "", "no id", w.ask(w.someone()).Subject()} {
		_, err := w.Store.Progress(w.ctx, id)
		w.wantErr(err, signup.ErrNotFound)
	}
}

func progressErased(w *world) {
	id := w.mailed(w.someone()).Claim.Mail
	w.Advance(time.Minute)
	before := w.progress(id.Subject())
	w.erase(id)
	equal(w, "progress", w.progress(id.Subject()), before)
	w.reopen()
	equal(w, "progress", w.progress(id.Subject()), before)
}

func resendOwes(w *world) {
	id := w.in(onboarding.Sent)
	w.Advance(resendAfter)
	p := w.resend(id.Subject(), true)
	equal(w, "progress", p, signup.Progress{State: onboarding.Due, Step: 2})
	equal(w, "progress asked for", w.progress(id.Subject()), p)
	second := onboarding.NewMailID(id.Subject(), onboarding.SignUp, 2)
	h := w.claim(second)
	equal(w, "its time", h.ExpiresIn, time.Hour)
	equal(w, "variant", h.Variant, onboarding.Confirm)
	equal(w, "mails accepted", w.books().Accepted, 2)
	w.isIn(id, onboarding.Sent)
}

func resendEarly(w *world) {
	id := w.accept()
	w.Advance(resendAfter - time.Millisecond)
	p := w.resend(id.Subject(), false)
	equal(w, "progress", p, signup.Progress{State: onboarding.Due, Step: 1, Age: resendAfter - time.Millisecond})
	equal(w, "mails accepted", w.books().Accepted, 1)
	w.Advance(time.Millisecond)
	w.resend(id.Subject(), true)
	w.resend(id.Subject(), false) // it counts from the latest
}

func resendMost(w *world) {
	id := w.accept()
	for step := 2; step <= mostSteps; step++ {
		w.Advance(resendAfter)
		equal(w, "step", w.resend(id.Subject(), true).Step, step)
	}
	w.Advance(resendAfter)
	equal(w, "step", w.resend(id.Subject(), false).Step, mostSteps)
	equal(w, "mails accepted", w.books().Accepted, mostSteps)
}

func resendBeyondNine(w *world) {
	id := w.accept()
	r := resendOf(id.Subject())
	r.Most = 12
	for step := 2; step <= r.Most; step++ {
		w.Advance(resendAfter)
		p, made, err := w.Store.Resend(w.ctx, r)
		w.must(err)
		equal(w, "a mail was made", made, true)
		equal(w, "step", p.Step, step)
	}
}

func resendConcurrently(w *world) {
	const callers = 16
	id := w.in(onboarding.Sent).Subject()
	w.Advance(resendAfter)
	var made atomic.Int64
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			p, did, err := w.caller(i).Resend(w.ctx, resendOf(id))
			if err != nil || p.Step != 2 {
				w.Errorf("resend: step %d, %v", p.Step, err)
			}
			if did {
				made.Add(1)
			}
		})
	}
	group.Wait()
	equal(w, "mails made", made.Load(), 1)
	equal(w, "mails accepted", w.books().Accepted, 2)
}

func resendDurable(w *world) {
	id := w.in(onboarding.Sent).Subject()
	w.Advance(resendAfter)
	w.resend(id, true)
	w.reopen()
	equal(w, "step", w.progress(id).Step, 2)
	w.ref(onboarding.NewMailID(id, onboarding.SignUp, 2))
}

func resendNotFound(w *world) {
	for _, id := range []string{uuid.NewString(), "", w.ask(w.someone()).Subject()} {
		_, _, err := w.Store.Resend(w.ctx, resendOf(id))
		w.wantErr(err, signup.ErrNotFound)
	}
	equal(w, "mails accepted", w.books().Accepted, 1)
}

func resendErased(w *world) {
	id := w.in(onboarding.Sent)
	w.erase(id)
	w.Advance(resendAfter)
	equal(w, "progress", w.resend(id.Subject(), true), signup.Progress{State: onboarding.Due, Step: 2})
	w.endsAtClaim(onboarding.NewMailID(id.Subject(), onboarding.SignUp, 2), onboarding.Cancelled)
}

func resendResetsNothing(w *world) {
	who := w.someone()
	id := w.mailed(who).Claim.Mail.Subject()
	for range 3 {
		_, err := w.Store.Try(w.ctx, id, 3)
		w.must(err)
	}
	w.Advance(resendAfter)
	w.resend(id, true)
	second := w.sent(onboarding.NewMailID(id, onboarding.SignUp, 2))
	_, err := w.Store.Try(w.ctx, id, 3)
	w.wantErr(err, signup.ErrTries)
	_, err = w.Store.Redeem(w.ctx, w.redemption(second, who))
	w.must(err)
	w.Advance(time.Hour)
	w.resend(id, true)
	third := w.sent(onboarding.NewMailID(id, onboarding.SignUp, 3))
	_, err = w.Store.Redeem(w.ctx, w.redemption(third, who))
	w.wantErr(err, signup.ErrUsed)
}
