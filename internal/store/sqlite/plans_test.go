package sqlite

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"bellhop/internal/onboarding"

	zombie "zombiezen.com/go/sqlite"
)

var scan = regexp.MustCompile(`^SCAN (mails|signups|attempts|signins|sessions|charges|s|a)\b|TEMP B-TREE`)

// Cost per mail must not grow with the number of mails owed: every statement
// finds its rows through an index. (Only idempotency keys, requests to sign in
// and charges are read in the order they lie in, up to a limit. And whoever asks
// who shares an address reads the whole index of sign-ups that are no accounts,
// but no row of them, and not on the writer.)
func TestNoStatementScansMails(t *testing.T) {
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "s.db"), Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	statements := []string{
		sqlDue, sqlRelayed, sqlNextPause, sqlNextExpiry, sqlOldestDue, sqlDead, sqlAudit, sqlAuditAttempts, sqlMissing,
		sqlOfKey, sqlSignUp, sqlSignIn, sqlAccountOf, sqlSignUpNumber, sqlProgress, sqlTrySignUp, sqlTrySignIn,
		sqlDiscard, sqlConfirm, sqlCharges, sqlCharged, sqlSeenDue, sqlSeen, sqlRotate, sqlEndSession, sqlEndSessions,
		sqlAlong + "seq = ?2", sqlAlong + "seq > ?2", sqlAlong + "redeemed_at IS NOT NULL", sqlSignInsOf, sqlSignInsOf + " AND seq = ?2", sqlForgetSessions, sqlEraseSignUp, sqlUnconfirmed, sqlPurgeSessions, sqlSignInRecords,
		selectPerson + sqlPersonThere, selectPerson + sqlAccount,
		selectSession + sqlSession, selectSession + sqlSessionIn, sqlEnded, sqlDoubts, sqlLateAnswer, sqlForgetKeys,
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

// The budget of an address is read at every claim and every commit: that must
// be one look at one index, and nothing else.
func TestABudgetAndAnAccountAreOneIndexedLookup(t *testing.T) {
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "s.db"), Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := []string{"SEARCH charges USING COVERING INDEX charges_of (fingerprint=? AND budget=? AND at>? AND at<?)"}
	if steps := plan(t, s, sqlCharges); !slices.Equal(steps, want) {
		t.Errorf("the plan is %q", steps)
	}
	want = []string{"SEARCH signups USING COVERING INDEX accounts (fingerprint=?)"}
	if steps := plan(t, s, sqlAccountOf); !slices.Equal(steps, want) {
		t.Errorf("the plan of the account's is %q", steps)
	}
	want = []string{"SCAN signups USING COVERING INDEX signups_pending"}
	if steps := plan(t, s, sqlOthers); !slices.Equal(steps, want) {
		t.Errorf("the plan of those who share an address is %q", steps)
	}
	want = []string{"SEARCH signups USING COVERING INDEX signups_pending (accepted>?)"}
	if steps := plan(t, s, sqlOthersPage); !slices.Equal(steps, want) {
		t.Errorf("the plan of a page of them is %q", steps)
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
