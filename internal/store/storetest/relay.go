package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

// bulkPurpose stands for any purpose that travels in the bulk lane.
const bulkPurpose onboarding.Purpose = "welcome"

var relayTests = []test{
	{name: "DueMailsOldestFirstUpToTheLimit", run: dueMailsInOrder},
	{name: "DueMailsTellsWhenTheNextIsDue", run: dueMailsNext},
	{name: "DueMailsOfOneLane", run: dueMailsOfLane},
	{name: "DueMailsSeesEveryEarlierRelayed", run: dueMailsSeesRelayed},
	{name: "RelayedMovesDueToQueued", run: relayedQueues},
	{name: "RelayedLeavesAloneWhatHasMovedOn", run: relayedLosesQuietly},
	{name: "QueuedMailsPerLane", run: queuedMailsPerLane},
	{name: "LaneKeepsTheLatestSentMarkerThatArrived", run: markersArrive},
	{name: "AClaimOfAQueuedMailIsAnArrival", run: claimsArrive},
	{name: "LaneForgetsAnArrivalFromTheFuture", run: arrivalFromTheFuture},
}

func dueMailsInOrder(w *world) {
	var want []onboarding.MailID
	for range 3 {
		want = append(want, w.accept())
		w.Advance(time.Second)
	}
	refs, next, err := w.Store.DueMails(w.ctx, onboarding.Urgent, 2)
	w.must(err)
	equal(w, "mails listed", len(refs), 2)
	equal(w, "next", next, 0)
	for i, ref := range refs {
		equal(w, "mail listed", ref.Mail, want[i])
	}
	refs, next, err = w.Store.DueMails(w.ctx, onboarding.Urgent, 3)
	w.must(err)
	equal(w, "mails listed", len(refs), 3)
	w.never(next)
}

func dueMailsNext(w *world) {
	_, next, err := w.Store.DueMails(w.ctx, onboarding.Urgent, 10)
	w.must(err)
	w.never(next)
	id := w.accept()
	r := to(onboarding.Due)
	r.After = 10 * time.Minute
	w.record(w.claim(id).Claim, r)
	now := w.accept()
	w.Advance(time.Minute)
	refs, next, err := w.Store.DueMails(w.ctx, onboarding.Urgent, 1)
	w.must(err)
	equal(w, "mails listed", len(refs), 1)
	equal(w, "mail listed", refs[0].Mail, now)
	equal(w, "next", next, 9*time.Minute)
	w.Advance(9 * time.Minute)
	equal(w, "mails due", len(w.due()), 2)
}

func dueMailsOfLane(w *world) {
	a := w.acceptance()
	a.Mails = append(a.Mails, owed(a.Person.ID, bulkPurpose, 1))
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	for i, lane := range onboarding.Lanes() {
		refs, _, err := w.Store.DueMails(w.ctx, lane, 10)
		w.must(err)
		equal(w, "mails due", len(refs), 1)
		equal(w, "mail due", refs[0].Mail, a.Mails[i].ID)
	}
}

func dueMailsSeesRelayed(w *world) {
	for range 20 {
		w.accept()
		w.relay()
		equal(w, "mails due", len(w.due()), 0)
	}
}

func relayedQueues(w *world) {
	id := w.accept()
	w.relay()
	w.isIn(id, onboarding.Queued)
	w.must(w.Store.Relayed(w.ctx, nil))
}

func relayedLosesQuietly(w *world) {
	stale := w.accept()
	old := w.ref(stale)
	w.record(w.claim(stale).Claim, to(onboarding.Due))
	claimed := w.accept()
	early := w.ref(claimed)
	w.claim(claimed) // the message was faster than the mark
	good := w.accept()
	w.must(w.Store.Relayed(w.ctx, []onboarding.Ref{
		old, early, {Mail: onboarding.NewMailID("nobody", onboarding.SignUp, 1), Gen: 1}, {Mail: "no mail id"}, w.ref(good),
	}))
	w.isIn(stale, onboarding.Due)
	w.isIn(claimed, onboarding.Sending)
	w.isIn(good, onboarding.Queued)
}

func queuedMailsPerLane(w *world) {
	a := w.acceptance()
	a.Mails = append(a.Mails, owed(a.Person.ID, bulkPurpose, 1), owed(a.Person.ID, bulkPurpose, 2))
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	for _, lane := range onboarding.Lanes() {
		refs, _, err := w.Store.DueMails(w.ctx, lane, 10)
		w.must(err)
		w.must(w.Store.Relayed(w.ctx, refs))
	}
	for i, lane := range onboarding.Lanes() {
		n, err := w.Store.QueuedMails(w.ctx, lane)
		w.must(err)
		equal(w, "queued mails of "+string(lane), n, int64(i+1))
		equal(w, "queued mails in the books", w.books().Queued[lane], int64(i+1))
		equal(w, "queued mails in progress", w.lane(lane).Queued, int64(i+1))
	}
}

func (w *world) lane(lane onboarding.Lane) onboarding.LaneProgress {
	w.Helper()
	p, err := w.Store.Lane(w.ctx, lane)
	w.must(err)
	return p
}

func markersArrive(w *world) {
	start := w.lane(onboarding.Urgent)
	if !start.Arrived.IsZero() {
		w.Fatalf("something arrived at %v in a fresh store", start.Arrived)
	}
	equal(w, "the store's clock", start.Now.UnixMilli(), w.Now().UnixMilli())
	w.Advance(time.Minute)
	sent := w.lane(onboarding.Urgent).Now
	w.Advance(time.Minute)
	w.must(w.Store.Arrived(w.ctx, onboarding.Urgent, sent))
	equal(w, "arrived", w.lane(onboarding.Urgent).Arrived.UnixMilli(), sent.UnixMilli())
	w.must(w.Store.Arrived(w.ctx, onboarding.Urgent, sent.Add(-time.Second)))
	equal(w, "arrived after an earlier one", w.lane(onboarding.Urgent).Arrived.UnixMilli(), sent.UnixMilli())
	if p := w.lane(onboarding.Bulk); !p.Arrived.IsZero() {
		w.Fatalf("it arrived in the other lane too, at %v", p.Arrived)
	}
}

func claimsArrive(w *world) {
	w.accept()
	refs := w.relay()
	relayed := w.Now()
	w.Advance(time.Minute)
	_, err := w.Store.Claim(w.ctx, w.newClaim(refs[0], me))
	w.must(err)
	equal(w, "arrived", w.lane(onboarding.Urgent).Arrived.UnixMilli(), relayed.UnixMilli())
}

// C1.9: a clock that was wrong for a while leaves nothing behind.
func arrivalFromTheFuture(w *world) {
	w.Advance(365 * 24 * time.Hour)
	w.must(w.Store.Arrived(w.ctx, onboarding.Urgent, w.Now()))
	w.Advance(-365 * 24 * time.Hour)
	w.must(w.Store.Arrived(w.ctx, onboarding.Urgent, w.Now()))
	equal(w, "arrived", w.lane(onboarding.Urgent).Arrived.UnixMilli(), w.Now().UnixMilli())
}
