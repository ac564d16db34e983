package onboarding

import (
	"context"
	"fmt"
	"time"
)

// auditRows is how many rows verify reads in one transaction.
const auditRows = 2000

// Report is what verify found. Its JSON form is part of the command's
// interface. Lists hold mail ids, or sign-up ids where the mail is missing.
type Report struct {
	// OK is true when Lost, Double and Stuck are empty.
	OK       bool            `json:"ok"`
	Accepted int64           `json:"accepted"`
	States   map[State]int64 `json:"states"`
	// Lost: a sign-up without its mail, a mail without its row, or a mail
	// called sent that no attempt was accepted for.
	Lost []string `json:"lost"`
	// Double: two accepted attempts, or one more attempt after one that was
	// neither unknown nor certainly undelivered, or about to be made.
	Double []string `json:"double"`
	// Unknown: nobody knows whether the mail server took it. No finding.
	Unknown []string `json:"unknown"`
	// Copies: submitted again after an unknown. No finding.
	Copies []string `json:"copies"`
	// Stuck: held by nobody alive, or waiting past its time, although its
	// lane's messages come through.
	Stuck []string `json:"stuck"`
}

// Auditor is the part of a [Ledger] that verify reads. A store offers it to
// other processes too, beside the one that writes.
type Auditor interface {
	Books(ctx context.Context) (Books, error)
	Lane(ctx context.Context, lane Lane) (LaneProgress, error)
	Audit(ctx context.Context, after int64, limit int) ([]AuditRow, error)
	MissingMails(ctx context.Context, after int64, limit int) (ids []string, scanned int64, err error)
}

// Verify recomputes the conservation law from the rows and names every mail
// that breaks a promise. It reads in short transactions, so a running process
// is not held up; rows that are created meanwhile are left out.
func Verify(ctx context.Context, ledger Auditor, policy Policy) (Report, error) {
	books, err := ledger.Books(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("read the books: %w", err)
	}
	v := verifier{
		policy: policy,
		report: Report{Accepted: books.Accepted, States: make(map[State]int64),
			Lost: []string{}, Double: []string{}, Unknown: []string{}, Copies: []string{}, Stuck: []string{}},
		lanes: make(map[Lane]LaneProgress),
	}
	for _, s := range States() {
		v.report.States[s] = 0
	}
	for _, lane := range Lanes() {
		if v.lanes[lane], err = ledger.Lane(ctx, lane); err != nil {
			return Report{}, fmt.Errorf("read the %s lane: %w", lane, err)
		}
	}
	if err := v.audit(ctx, ledger); err != nil {
		return Report{}, err
	}
	if err := v.missing(ctx, ledger); err != nil {
		return Report{}, err
	}
	r := v.report
	r.OK = len(r.Lost)+len(r.Double)+len(r.Stuck) == 0
	return r, nil
}

type verifier struct {
	policy Policy
	report Report
	lanes  map[Lane]LaneProgress
	next   int64 // the number the next row should have
}

func (v *verifier) audit(ctx context.Context, ledger Auditor) error {
	v.next = 1
	for {
		rows, err := ledger.Audit(ctx, v.next-1, auditRows)
		if err != nil {
			return fmt.Errorf("read the ledger's rows: %w", err)
		}
		for _, row := range rows {
			if row.Number > v.report.Accepted {
				rows = nil
				break
			}
			v.gap(row.Number)
			v.row(row)
		}
		if len(rows) == 0 {
			v.gap(v.report.Accepted + 1)
			return nil
		}
	}
}

// gap reports the mails between the expected number and the one found.
func (v *verifier) gap(found int64) {
	for ; v.next < found; v.next++ {
		v.report.Lost = append(v.report.Lost, fmt.Sprintf("mail number %d: accepted, but its row is gone", v.next))
	}
	v.next = found + 1
}

func (v *verifier) row(row AuditRow) {
	r, id := &v.report, string(row.ID)
	r.States[row.State]++
	accepted, double, copied := auditAttempts(row.Attempts)
	if row.State == Sent && accepted == 0 {
		r.Lost = append(r.Lost, id)
	}
	if double || accepted > 0 && unfinished(row.State) {
		r.Double = append(r.Double, id)
	}
	if row.State == Unknown {
		r.Unknown = append(r.Unknown, id)
	}
	if copied {
		r.Copies = append(r.Copies, id)
	}
	if v.stuck(row) {
		r.Stuck = append(r.Stuck, id)
	}
}

// unfinished tells whether a mail in this state would be sent.
func unfinished(s State) bool { return s == Due || s == Queued || s == Sending }

func auditAttempts(attempts []AuditAttempt) (accepted int, double, copied bool) {
	for i, a := range attempts {
		if a.Outcome == Accepted {
			accepted++
		}
		if a.Copy && a.Outcome != Undelivered {
			copied = true
		}
		if i > 0 {
			if before := attempts[i-1].Outcome; before != Undelivered && before != Uncertain {
				double = true
			}
		}
	}
	return accepted, double || accepted > 1, copied
}

// stuckSlack is how long beyond its time a row may stay before it is called
// stuck: the sweep comes every second, in steps.
const stuckSlack = 15 * time.Second

// stuck judges only while the lane is alive: when the mail server is down, or
// nothing runs, mails wait as they should. What was left behind before is due to
// be dealt with from when somebody came to work again.
func (v *verifier) stuck(row AuditRow) bool {
	if row.State == Purged {
		return false
	}
	_, purpose, _, err := row.ID.Parse()
	if err != nil {
		return true
	}
	lane := v.lanes[purpose.Lane()]
	if !lane.Attended || lane.Now.Sub(lane.Arrived) > v.policy.StaleAfter {
		return false
	}
	ignored := min(row.Overdue, lane.AttendedFor)
	switch row.State {
	case Sending, Committing:
		return !row.HolderAlive && ignored > v.policy.DeadAfter+stuckSlack
	case Queued:
		sent := lane.Now.Add(-row.Overdue)
		return ignored > v.policy.StaleAfter+stuckSlack && sent.Before(lane.Arrived.Add(-stuckSlack))
	case Due:
		return ignored > v.policy.StaleAfter+stuckSlack && lane.Queued < v.policy.LaneLimit/2
	default:
		return false
	}
}

func (v *verifier) missing(ctx context.Context, ledger Auditor) error {
	for after := int64(0); ; {
		ids, scanned, err := ledger.MissingMails(ctx, after, auditRows)
		if err != nil {
			return fmt.Errorf("look for sign-ups without a mail: %w", err)
		}
		for _, id := range ids {
			v.report.Lost = append(v.report.Lost, "sign-up "+id+": has no mail")
		}
		if scanned == after {
			return nil
		}
		after = scanned
	}
}
