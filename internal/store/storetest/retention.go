package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

var retentionTests = []test{
	{name: "PurgesEveryFinishedMailAndNothingElse", run: purgesFinished, needs: retention},
	{name: "KeepsWhatWasReplayedMeanwhile", run: purgeSparesReplayed, needs: retention},
	{name: "I2_APurgedMailIsNeverOwedAgain", run: purgedStaysOwed, needs: retention},
	{name: "KeepsForEverWithoutOne", run: keepsForEver},
}

// kept is how long the tests keep finished mails: less than what waits keeps.
const kept = 40 * time.Hour

func (w *world) keeping() *world {
	w.Helper()
	p := w.policy
	p.Retention = kept
	return newWorld(w.T, w.open, p)
}

func purgesFinished(w *world) {
	w = w.keeping()
	w.heartbeat(me)
	finished := []onboarding.State{onboarding.Sent, onboarding.Failed, onboarding.Cancelled, onboarding.Purged}
	others := []onboarding.State{onboarding.Queued, onboarding.Sending, onboarding.Committing, onboarding.Unknown}
	var gone, stay []onboarding.MailID
	for _, state := range finished {
		gone = append(gone, w.in(state))
	}
	for _, state := range others {
		stay = append(stay, w.in(state))
	}
	w.Advance(kept - time.Second)
	w.heartbeat(me)
	equal(w, "mails purged early", w.sweep(me).Purged, 0)
	w.Advance(time.Second)
	equal(w, "mails purged", w.sweep(me).Purged, len(finished))
	equal(w, "mails purged again", w.sweep(me).Purged, 0)
	equal(w, "counted as purged", w.books().States[onboarding.Purged], int64(len(finished)))
	for _, row := range w.rows() {
		if row.State == onboarding.Purged {
			equal(w, "what is left of a purged mail", row.ID, "")
		}
	}
	for _, id := range stay {
		w.row(id)
	}
	equal(w, "mails listed as dead", len(w.dead()), 0)
	for _, id := range gone {
		w.wantErr(w.Store.Replay(w.ctx, id), onboarding.ErrNoMail)
		_, err := w.Store.Claim(w.ctx, w.newClaim(onboarding.Ref{Mail: id, Gen: 1}, me))
		w.wantErr(err, onboarding.ErrRefused)
	}
	missing, _, err := w.Store.MissingMails(w.ctx, 0, 100)
	w.must(err)
	equal(w, "sign-ups without a mail", len(missing), 0)
	report, err := onboarding.Verify(w.ctx, w.Store, w.policy)
	w.must(err)
	equal(w, "verified", report.OK, true)
}

func purgeSparesReplayed(w *world) {
	w = w.keeping()
	id := w.in(onboarding.Failed)
	w.Advance(kept / 2)
	w.must(w.Store.Replay(w.ctx, id))
	w.Advance(kept)
	equal(w, "mails purged while due", w.sweep(me).Purged, 0)
	w.record(w.committing(id).Claim, to(onboarding.Sent))
	w.Advance(kept - time.Second)
	equal(w, "mails purged too early after the second end", w.sweep(me).Purged, 0)
	w.isIn(id, onboarding.Sent)
	w.Advance(time.Second)
	equal(w, "mails purged", w.sweep(me).Purged, 1)
}

func purgedStaysOwed(w *world) {
	w = w.keeping()
	id := w.in(onboarding.Sent)
	w.Advance(kept)
	w.sweep(me)
	a := w.acceptance()
	a.Mails = append(a.Mails, onboarding.Owed{ID: id, Expiry: time.Hour})
	if _, err := w.Store.Accept(w.ctx, a); err == nil {
		w.Fatal("a mail that was purged is owed again")
	}
	_, err := w.Store.Person(w.ctx, id.Subject()) // people are not mails
	w.must(err)
}

func keepsForEver(w *world) {
	id := w.in(onboarding.Sent)
	w.Advance(100 * 365 * 24 * time.Hour)
	equal(w, "mails purged", w.sweep(me).Purged, 0)
	w.isIn(id, onboarding.Sent)
}
