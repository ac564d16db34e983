package storetest

import (
	"slices"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

var operatorTests = []test{
	{name: "I3_BooksHoldEveryState", run: booksHoldStates},
	{name: "BooksTellHowLongTheOldestWaits", run: booksOldest},
	{name: "DeadMailsInTheOrderTheyWereGivenUp", run: deadMailsInOrder},
	{name: "DeadMailsPageByPage", run: deadMailsPages},
	{name: "DeadMailsAreNoOthers", run: deadMailsNoOthers},
	{name: "ReplaySendsAgain", run: replay},
	{name: "ReplayOfAnUnknownIsACopy", run: replayUnknown},
	{name: "ReplayOfAnUnknownThatWasCalledOff", run: replayCalledOff},
	{name: "ReplayGivesAFreshExpiryAndCount", run: replayFresh},
	{name: "DiscardPurges", run: discard},
	{name: "NoMailAndWrongState", run: wrongState},
	{name: "CancelCallsOffWhatIsNotFinished", run: cancelStates},
	{name: "CancelTouchesNoOtherSubject", run: cancelOthers},
	{name: "ACancelledMailsMessageMeansNothing", run: cancelRefusesMessages},
}

func booksHoldStates(w *world) {
	all := []onboarding.State{
		onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing, onboarding.Sent, onboarding.Unknown,
		onboarding.Failed, onboarding.Cancelled, onboarding.Expired, onboarding.Purged,
	}
	for _, state := range all {
		w.in(state)
	}
	b := w.books()
	equal(w, "accepted", b.Accepted, int64(len(all)))
	for _, state := range onboarding.States() {
		want := int64(0)
		if slices.Contains(all, state) {
			want = 1
		}
		equal(w, "mails "+string(state), b.States[state], want)
	}
	w.reopen()
	b = w.books()
	equal(w, "accepted after reopening", b.Accepted, int64(len(all)))
	equal(w, "sent after reopening", b.States[onboarding.Sent], 1)
}

func booksOldest(w *world) {
	equal(w, "oldest of none", w.books().OldestDue, 0)
	r := to(onboarding.Due)
	r.After = 10 * time.Minute
	w.record(w.claim(w.accept()).Claim, r)
	equal(w, "oldest of none whose time has come", w.books().OldestDue, 0)
	w.accept()
	w.Advance(time.Minute)
	equal(w, "oldest", w.books().OldestDue, time.Minute)
}

func deadMailsInOrder(w *world) {
	first, second, third := w.committing(w.accept()), w.committing(w.accept()), w.committing(w.accept())
	var want []onboarding.MailID
	for _, h := range []onboarding.Held{second, third, first} {
		w.record(h.Claim, to(onboarding.Failed))
		want = append(want, h.Claim.Mail)
		w.Advance(time.Second)
	}
	if got := w.dead(); !slices.Equal(got, want) {
		w.Fatalf("the order is %v, want %v", got, want)
	}
}

func deadMailsPages(w *world) {
	want := map[onboarding.MailID]bool{}
	for i := range 7 {
		want[w.in(onboarding.Failed)] = true
		w.Advance(time.Duration(i/3) * time.Second) // some at the same time
	}
	pages := 0
	for after := ""; ; {
		mails, next, err := w.Store.DeadMails(w.ctx, after, 3)
		w.must(err)
		for _, m := range mails {
			if !want[m.ID] {
				w.Fatalf("mail %s is listed twice", m.ID)
			}
			delete(want, m.ID)
		}
		pages++
		if after = next; after == "" {
			break
		}
	}
	equal(w, "mails not listed", len(want), 0)
	equal(w, "pages", pages, 3)
	if _, _, err := w.Store.DeadMails(w.ctx, "no cursor", 3); err == nil {
		w.Fatal("a cursor that is none was taken")
	}
}

func deadMailsNoOthers(w *world) {
	for _, state := range []onboarding.State{
		onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing,
		onboarding.Sent, onboarding.Unknown, onboarding.Cancelled, onboarding.Purged,
	} {
		w.in(state)
	}
	equal(w, "mails listed as dead", len(w.dead()), 0)
}

var givenUp = []onboarding.State{onboarding.Failed, onboarding.Expired, onboarding.Unknown}

func replay(w *world) {
	for _, state := range givenUp {
		id := w.in(state)
		before := w.books().Accepted
		w.must(w.Store.Replay(w.ctx, id))
		w.ref(id)
		equal(w, "accepted", w.books().Accepted, before)
		equal(w, "mails listed as dead", len(w.dead()), 0)
		w.record(w.committing(id).Claim, to(onboarding.Sent))
		w.isIn(id, onboarding.Sent)
	}
}

func replayUnknown(w *world) {
	h := w.unknown()
	w.must(w.Store.Replay(w.ctx, h.Claim.Mail))
	_, err := w.Store.Record(w.ctx, h.Claim, to(onboarding.Sent)) // it is no longer this claim's
	w.wantErr(err, onboarding.ErrRefused)
	again := w.committing(h.Claim.Mail)
	equal(w, "copy", again.Copy, true)
	equal(w, "mint", again.NextMint(), 1)
	equal(w, "copies", w.books().Copies, 1)
}

// An operator may want what a person called off.
func replayCalledOff(w *world) {
	h := w.committing(w.accept())
	w.cancel(h.Claim.Mail, 1)
	w.record(h.Claim, to(onboarding.Unknown))
	w.must(w.Store.Replay(w.ctx, h.Claim.Mail))
	w.record(w.committing(h.Claim.Mail).Claim, to(onboarding.Sent))
	w.isIn(h.Claim.Mail, onboarding.Sent)
}

func replayFresh(w *world) {
	id := w.accept()
	for range 3 {
		w.record(w.committing(id).Claim, to(onboarding.Due))
	}
	w.claim(id)
	w.must(w.Store.Leave(w.ctx, me))
	w.Advance(2 * w.policy.Expiry)
	w.sweep(me)
	w.must(w.Store.Replay(w.ctx, id))
	w.Advance(time.Hour)
	h := w.claim(id)
	equal(w, "expires in", h.ExpiresIn, w.policy.Expiry-time.Hour)
	equal(w, "attempts", h.Attempts, 0)
	equal(w, "claims", h.Claims, 1)
	equal(w, "mint", h.NextMint(), 4)
}

func discard(w *world) {
	for _, state := range givenUp {
		id := w.in(state)
		w.must(w.Store.Discard(w.ctx, id))
		w.isIn(id, onboarding.Purged)
	}
	h := w.unknown()
	w.must(w.Store.Discard(w.ctx, h.Claim.Mail))
	_, err := w.Store.Record(w.ctx, h.Claim, to(onboarding.Due))
	w.wantErr(err, onboarding.ErrRefused)
	equal(w, "mails listed as dead", len(w.dead()), 0)
	w.Advance(w.policy.Expiry)
	equal(w, "copies made due", w.sweep(me).Copied, 0)
}

func wrongState(w *world) {
	for _, ask := range []func(onboarding.MailID) error{
		func(id onboarding.MailID) error { return w.Store.Replay(w.ctx, id) },
		func(id onboarding.MailID) error { return w.Store.Discard(w.ctx, id) },
	} {
		w.wantErr(ask(owed(w.acceptance().Person.ID, onboarding.SignUp, 1).ID), onboarding.ErrNoMail)
		w.wantErr(ask("no mail id"), onboarding.ErrNoMail)
		for _, state := range []onboarding.State{
			onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing,
			onboarding.Sent, onboarding.Cancelled, onboarding.Purged,
		} {
			id := w.in(state)
			w.wantErr(ask(id), onboarding.ErrWrongState)
			w.isIn(id, state)
		}
	}
}

func cancelStates(w *world) {
	for state, want := range map[onboarding.State]onboarding.State{
		onboarding.Due:        onboarding.Cancelled,
		onboarding.Queued:     onboarding.Cancelled,
		onboarding.Sending:    onboarding.Cancelled,
		onboarding.Unknown:    onboarding.Cancelled,
		onboarding.Committing: onboarding.Committing,
	} {
		id := w.in(state)
		w.cancel(id, 1)
		w.isIn(id, want)
		w.cancel(id, 0)
	}
	for _, state := range []onboarding.State{
		onboarding.Sent, onboarding.Failed, onboarding.Cancelled, onboarding.Expired, onboarding.Purged,
	} {
		id := w.in(state)
		w.cancel(id, 0)
		w.isIn(id, state)
	}
	_, err := w.Store.Cancel(w.ctx, "nobody", "test")
	w.must(err)
}

func cancelOthers(w *world) {
	a, b := w.acceptance(), w.acceptance()
	b.Person.ID = a.Person.ID + "0" // lies right behind in any order
	b.Mails = []onboarding.Owed{owed(b.Person.ID, onboarding.SignUp, 1)}
	a.Mails = append(a.Mails, owed(a.Person.ID, onboarding.SignUp, 2), owed(a.Person.ID, bulkPurpose, 1))
	for _, form := range []signup.Acceptance{a, b} {
		_, err := w.Store.Accept(w.ctx, form)
		w.must(err)
	}
	w.cancel(a.Mails[0].ID, 3)
	w.isIn(b.Mails[0].ID, onboarding.Due)
}

func cancelRefusesMessages(w *world) {
	id := w.in(onboarding.Queued)
	w.cancel(id, 1)
	for gen := range int64(4) {
		w.refusesClaim(onboarding.Ref{Mail: id, Gen: gen})
	}
	w.Advance(w.policy.Expiry)
	w.sweep(me)
	w.isIn(id, onboarding.Cancelled)
}
