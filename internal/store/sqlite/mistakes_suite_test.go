package sqlite_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/storetest"

	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// mistakeVariable names the mistake that the store under TestStore makes.
const mistakeVariable = "BELLHOP_STORE_MISTAKE"

// mistake makes a store do one thing wrong on purpose.
type mistake func(*owner, storetest.Store) storetest.Store

func mistakes() map[string]mistake {
	return map[string]mistake{
		"charges-per-attempt": func(o *owner, s storetest.Store) storetest.Store {
			return &overcharger{Store: s, owner: o, commits: map[onboarding.MailID]int{}}
		},
		"redeems-again": func(_ *owner, s storetest.Store) storetest.Store { return &forgetter{s} },
		"counts-after": func(_ *owner, s storetest.Store) storetest.Store {
			return &lateCounter{Store: s, tries: map[string]int{}}
		},
	}
}

// T13: each of these mistakes fails the tests that are there for it. The suite
// runs in a process of its own, where it may.
func TestTheSuiteCatches(t *testing.T) {
	for _, tt := range []struct{ mistake, test string }{
		{"charges-per-attempt", "TestStore/Budget/I4_AMailIsChargedOnceHoweverOftenItIsTried"},
		{"redeems-again", "TestStore/Redeem/B2_3_UsedBySomebodyElse"},
		{"redeems-again", "TestStore/Redeem/B2_3_OfAHundredCallersOneSucceeds"},
		{"redeems-again", "TestStore/Redeem/B2_3_OfAHundredCallersOneSignsIn"},
		{"redeems-again", "TestStore/History/B2_3_OfSingleUseIsLinearizable"},
		{"counts-after", "TestStore/Try/OfAHundredCallersNoMoreThanTheMostMayTry"},
	} {
		t.Run(tt.mistake, func(t *testing.T) {
			parts := strings.Split(tt.test, "/")
			child := exec.Command(os.Args[0], "-test.run=^"+strings.Join(parts, "$/^")+"$", "-test.v")
			child.Env = append(os.Environ(), mistakeVariable+"="+tt.mistake)
			said, err := child.CombinedOutput()
			_, failed := errors.AsType[*exec.ExitError](err)
			if !failed || !strings.Contains(string(said), "--- FAIL: "+tt.test+" ") {
				t.Errorf("%s has not caught it: %v\n%s", tt.test, err, said)
			}
		})
	}
}

// overcharger charges the budget for every attempt, where a mail is charged
// once.
type overcharger struct {
	storetest.Store
	owner   *owner
	commits map[onboarding.MailID]int
}

func (s *overcharger) Committing(ctx context.Context, c onboarding.Claim, r onboarding.Rendered) error {
	if err := s.Store.Committing(ctx, c, r); err != nil {
		return err
	}
	if s.commits[c.Mail]++; s.commits[c.Mail] == 1 {
		return nil
	}
	conn, err := zombie.OpenConn(s.owner.opts.Path, zombie.OpenReadWrite)
	if err != nil {
		return err
	}
	err = sqlitex.Execute(conn, `INSERT INTO charges (fingerprint, budget, at) SELECT fingerprint, budget, at FROM charges
		WHERE fingerprint = (SELECT fingerprint FROM signups WHERE id = ?) ORDER BY seq DESC LIMIT 1`,
		&sqlitex.ExecOptions{Args: []any{c.Mail.Subject()}})
	return errors.Join(err, conn.Close())
}

// forgetter does not look whether a link was used before.
type forgetter struct{ storetest.Store }

func (s *forgetter) Redeem(ctx context.Context, r signup.Redemption) (signup.Redeemed, error) {
	redeemed, err := s.Store.Redeem(ctx, r)
	if !errors.Is(err, signup.ErrUsed) {
		return redeemed, err
	}
	of, err := s.Store.Person(ctx, r.Mail.Subject())
	return signup.Redeemed{Account: of}, err
}

// lateCounter looks whether there are tries left, answers, and counts then.
type lateCounter struct {
	storetest.Store
	mu    sync.Mutex
	tries map[string]int
}

func (s *lateCounter) Try(ctx context.Context, subject string, most int) ([]signup.Mint, error) {
	s.mu.Lock()
	over := s.tries[subject] >= most
	s.mu.Unlock()
	if over {
		return nil, signup.ErrTries
	}
	defer func() {
		s.mu.Lock()
		s.tries[subject]++
		s.mu.Unlock()
	}()
	return s.Store.Try(ctx, subject, 1_000_000)
}
