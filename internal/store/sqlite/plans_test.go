package sqlite

import (
	"context"
	"path/filepath"
	"regexp"
	"testing"

	"bellhop/internal/onboarding"

	zombie "zombiezen.com/go/sqlite"
)

var scan = regexp.MustCompile("^SCAN (mails|signups|attempts)|TEMP B-TREE")

// Cost per mail must not grow with the number of mails owed: every statement
// finds its rows through an index. (Only idempotency keys are read in the order
// they lie in, up to a limit.)
func TestNoStatementScansMails(t *testing.T) {
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "s.db"), Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	statements := []string{
		sqlDue, sqlRelayed, sqlNextPause, sqlNextExpiry, sqlOldestDue, sqlDead, sqlAudit, sqlAuditAttempts, sqlMissing,
		sqlPersonOfKey, sqlEmail, sqlEnded, sqlDoubts, sqlLateAnswer, sqlForgetKeys,
		sqlForgetAnswers, sqlForgetAttemptAnswers, sqlSignUps, sqlMovedAttempts,
	}
	for _, where := range []string{
		"id = ?", sqlSending + " AND holder = ?", sqlCommitting + " LIMIT ?", sqlHeldByDead(onboarding.Sending),
		sqlPauseOver, sqlExpired, sqlStale, sqlAhead, sqlOfSubject, sqlQueued, sqlMoved,
	} {
		statements = append(statements, selectMail+where)
	}
	statements = append(statements, updateMail[:]...)
	for _, sql := range statements {
		for _, step := range plan(t, s, sql) {
			if scan.MatchString(step) {
				t.Errorf("%s\n\t%s", sql, step)
			}
		}
	}
}

func plan(t *testing.T, s *Store, sql string) (steps []string) {
	t.Helper()
	err := s.db.Read(context.Background(), func(conn *zombie.Conn) error {
		_, err := query(conn, "EXPLAIN QUERY PLAN "+sql, func(r *row) error {
			r.col = 3
			steps = append(steps, r.text())
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return steps
}
