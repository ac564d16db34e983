package onboarding

import (
	"context"
	"slices"
	"testing"
	"time"
)

// rows is a ledger that holds nothing but what verify reads.
type rows struct {
	Ledger
	books   Books
	lane    LaneProgress
	audit   []AuditRow
	missing []string
}

func (r *rows) Books(context.Context) (Books, error)             { return r.books, nil }
func (r *rows) Lane(context.Context, Lane) (LaneProgress, error) { return r.lane, nil }
func (r *rows) MissingMails(_ context.Context, after int64, _ int) ([]string, int64, error) {
	if after > 0 {
		return nil, after, nil
	}
	return r.missing, int64(len(r.audit)), nil
}
func (r *rows) Audit(_ context.Context, after int64, _ int) ([]AuditRow, error) {
	i := slices.IndexFunc(r.audit, func(row AuditRow) bool { return row.Number > after })
	if i < 0 {
		return nil, nil
	}
	return r.audit[i:min(i+2, len(r.audit))], nil
}

func row(n int64, state State, attempts ...AuditAttempt) AuditRow {
	return AuditRow{Number: n, ID: NewMailID(subject, SignUp, int(n)), State: state, Attempts: attempts}
}

func id(n int) string { return string(NewMailID(subject, SignUp, n)) }

// Conservation: every kind of broken promise is named, and nothing else.
func TestVerifyNamesEveryFault(t *testing.T) {
	now := time.Now()
	ok, unknown, undelivered := AuditAttempt{Outcome: Accepted}, AuditAttempt{Outcome: Uncertain}, AuditAttempt{Outcome: Undelivered}
	abandoned := row(9, Sending)
	abandoned.Overdue = time.Hour
	alive := abandoned
	alive.Number, alive.ID, alive.HolderAlive = 10, MailID(id(10)), true
	left := row(11, Queued)
	left.Overdue = time.Hour
	l := &rows{
		books: Books{Accepted: 14},
		lane:  LaneProgress{Now: now, Arrived: now.Add(-time.Second), Attended: true, AttendedFor: time.Hour},
		audit: []AuditRow{
			row(1, Sent, ok),
			row(2, Sent, undelivered, ok),
			row(3, Sent, ok, ok),
			row(4, Sent, unknown, AuditAttempt{Outcome: Accepted, Copy: true}),
			row(5, Unknown, unknown),
			row(6, Sent),
			row(8, Committing, AuditAttempt{}),
			abandoned, alive, left,
			row(12, Committing, ok, AuditAttempt{}),
			row(13, Due),
			row(14, Due, ok),
			row(15, Due), // created after the books were read
		},
		missing: []string{"who"},
	}
	r, err := Verify(t.Context(), l, DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	check("lost", r.Lost, id(6), "mail number 7: accepted, but its row is gone", "sign-up who: has no mail")
	check("double", r.Double, id(3), id(12), id(14))
	check("unknown", r.Unknown, id(5))
	check("copies", r.Copies, id(4))
	check("stuck", r.Stuck, id(9), id(11))
	if r.OK || r.States[Sent] != 5 || r.States[Due] != 2 {
		t.Errorf("report %+v", r)
	}
}

// A lane through which nothing comes makes nobody stuck: the mail server is
// down, or nothing runs.
func TestVerifyCallsNothingStuckInAStillLane(t *testing.T) {
	left := row(1, Queued)
	left.Overdue = time.Hour
	l := &rows{books: Books{Accepted: 1}, lane: LaneProgress{Now: time.Now(), Attended: true, AttendedFor: time.Hour}, audit: []AuditRow{left}}
	r, err := Verify(t.Context(), l, DefaultPolicy())
	if err != nil || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
}

// A process that was killed with mails in its hands leaves nobody stuck: nothing
// runs that could have recovered them.
func TestVerifyCallsNothingStuckAfterAKill(t *testing.T) {
	held, left, waiting := row(1, Committing, AuditAttempt{}), row(2, Queued), row(3, Due)
	held.Overdue, left.Overdue, waiting.Overdue = 5*time.Minute, 5*time.Minute, 5*time.Minute
	now := time.Now()
	l := &rows{
		books: Books{Accepted: 3}, lane: LaneProgress{Now: now, Arrived: now.Add(-30 * time.Second)},
		audit: []AuditRow{held, left, waiting},
	}
	r, err := Verify(t.Context(), l, DefaultPolicy())
	if err != nil || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
	l.lane.Attended, l.lane.AttendedFor = true, 10*time.Second
	r, err = Verify(t.Context(), l, DefaultPolicy())
	if err != nil || !r.OK {
		t.Errorf("with somebody who has just come to work: %+v, %v", r, err)
	}
	l.lane.AttendedFor = 2 * time.Minute
	r, err = Verify(t.Context(), l, DefaultPolicy())
	if err != nil || len(r.Stuck) != 3 {
		t.Errorf("with somebody at work: %+v, %v, want all three stuck", r, err)
	}
}
