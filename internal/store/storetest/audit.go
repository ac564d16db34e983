package storetest

import (
	"time"

	"bellhop/internal/onboarding"
)

var auditTests = []test{
	{name: "RowsInTheOrderOfCreationFromACursor", run: auditInOrder},
	{name: "TellsHowLongAMailHasNotMoved", run: auditOverdue},
	{name: "TellsWhetherTheHolderIsAlive", run: auditHolder},
	{name: "ListsTheAttemptsOfEachMail", run: auditAttempts},
	{name: "MissingMailsListsSignUpsWithoutAMail", run: missingMails},
}

func auditInOrder(w *world) {
	var want []onboarding.MailID
	for range 7 {
		want = append(want, w.accept())
	}
	after := int64(0)
	for len(want) > 0 {
		rows, err := w.Store.Audit(w.ctx, after, 3)
		w.must(err)
		equal(w, "rows", len(rows), min(3, len(want)))
		for i, r := range rows {
			equal(w, "number", r.Number, after+int64(i)+1)
			equal(w, "mail", r.ID, want[i])
		}
		after, want = rows[len(rows)-1].Number, want[len(rows):]
	}
	rows, err := w.Store.Audit(w.ctx, after, 3)
	w.must(err)
	equal(w, "rows after the last", len(rows), 0)
}

func auditOverdue(w *world) {
	var moving, finished []onboarding.MailID
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing} {
		moving = append(moving, w.in(state))
	}
	for _, state := range []onboarding.State{onboarding.Sent, onboarding.Unknown, onboarding.Failed, onboarding.Cancelled} {
		finished = append(finished, w.in(state))
	}
	waiting := w.accept()
	r := to(onboarding.Due)
	r.After = time.Hour
	w.record(w.claim(waiting).Claim, r)
	w.Advance(time.Minute)
	for _, id := range moving {
		equal(w, "overdue", w.row(id).Overdue, time.Minute)
	}
	for _, id := range append(finished, waiting) {
		equal(w, "overdue", w.row(id).Overdue, 0)
	}
}

func auditHolder(w *world) {
	w.heartbeat(me)
	sending, committing, due := w.in(onboarding.Sending), w.in(onboarding.Committing), w.accept()
	w.record(w.claim(due).Claim, to(onboarding.Due))
	for _, id := range []onboarding.MailID{sending, committing} {
		equal(w, "holder alive", w.row(id).HolderAlive, true)
	}
	equal(w, "holder of none alive", w.row(due).HolderAlive, false)
	equal(w, "lane attended", w.lane(onboarding.Urgent).Attended, true)
	equal(w, "lane attended for", w.lane(onboarding.Urgent).AttendedFor, 0)
	w.live(time.Minute, me)
	equal(w, "lane attended for", w.lane(onboarding.Urgent).AttendedFor, time.Minute)
	w.Advance(w.policy.DeadAfter + time.Second)
	for _, id := range []onboarding.MailID{sending, committing} {
		equal(w, "holder alive", w.row(id).HolderAlive, false)
		equal(w, "overdue since the last heartbeat", w.row(id).Overdue, w.policy.DeadAfter+time.Second)
	}
	equal(w, "lane attended by the dead", w.lane(onboarding.Urgent).Attended, false)
	equal(w, "lane attended by the dead for", w.lane(onboarding.Urgent).AttendedFor, 0)
	w.heartbeat(other)
	equal(w, "lane attended by another", w.lane(onboarding.Urgent).Attended, true)
	equal(w, "lane attended by another for", w.lane(onboarding.Urgent).AttendedFor, 0)
}

func auditAttempts(w *world) {
	quiet := w.accept()
	id := w.copyDue()
	w.record(w.committing(id).Claim, to(onboarding.Due))
	w.record(w.committing(id).Claim, to(onboarding.Sent))
	last := w.in(onboarding.Sent)
	equal(w, "attempts of one not sent", len(w.row(quiet).Attempts), 0)
	equal(w, "attempts of one sent", len(w.row(last).Attempts), 1)
	want := []onboarding.AuditAttempt{
		{Outcome: onboarding.Uncertain},
		{Outcome: onboarding.Undelivered, Copy: true},
		{Outcome: onboarding.Accepted, Copy: true},
	}
	got := w.row(id).Attempts
	equal(w, "attempts", len(got), len(want))
	for i := range want {
		equal(w, "attempt", got[i], want[i])
	}
}

func missingMails(w *world) {
	var want []string
	for i := range 7 {
		a := w.acceptance()
		if i%3 == 1 {
			a.Mails = nil
			want = append(want, a.Person.ID)
		}
		_, err := w.Store.Accept(w.ctx, a)
		w.must(err)
	}
	var got []string
	for after := int64(0); ; {
		ids, scanned, err := w.Store.MissingMails(w.ctx, after, 2)
		w.must(err)
		got = append(got, ids...)
		if scanned == after {
			break
		}
		after = scanned
	}
	equal(w, "sign-ups without a mail", len(got), len(want))
	for i := range want {
		equal(w, "sign-up without a mail", got[i], want[i])
	}
}
