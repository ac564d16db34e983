package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"
)

// What an account takes along goes in commits between which others come in, and
// the account with the last: whoever gave up, or was told that the store is away,
// can ask again.
func TestACrowdIsErasedInSteps(t *testing.T) {
	var commits atomic.Int64
	var stop atomic.Pointer[context.CancelFunc]
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "s.db"), AfterCommit: groupsTo(&commits, &stop)})
	f := address.Fingerprint{1}
	account := signedUp(t, s, f)
	redeem(t, s, account, f)
	const signUps, requests = 250, 130
	join(t, s, f, signUps, requests)

	left := signUps + requests
	for left > mostInCommit {
		ctx, cancel := context.WithCancel(context.Background())
		stop.Store(&cancel)
		_ = s.Erase(ctx, account)
		cancel()
		now := companyOf(t, s, account)
		if gone := left - now.size(); gone < 1 || gone > 2*mostInCommit { // the next one may be on its way already
			t.Fatalf("%d went in one commit, or two, of %d", gone, left)
		}
		left = now.size()
		if p, err := s.Person(context.Background(), account); err != nil || p.Status != signup.Confirmed {
			t.Fatalf("the account is %s, %v, and %d that go with it are left", p.Status, err, left)
		}
	}
	if err := s.Erase(context.Background(), account); err != nil {
		t.Fatal(err)
	}
	books, err := s.Books(context.Background())
	if want := int64(signUps + requests + 1); err != nil || books.States[onboarding.Due] != 0 || books.States[onboarding.Cancelled] < want {
		t.Errorf("the mails are %v (%v), want %d cancelled", books.States, err, want)
	}

	account = signedUp(t, s, f)
	redeem(t, s, account, f)
	join(t, s, f, mostInCommit-1, 1)
	commits.Store(0)
	if err := s.Erase(context.Background(), account); err != nil || commits.Load() != 1 {
		t.Errorf("%v: what fits one commit took %d", err, commits.Load())
	}
}

// groupsTo counts commits, and calls what is to stop something at the next.
func groupsTo(commits *atomic.Int64, stop *atomic.Pointer[context.CancelFunc]) func(sqlitedb.Group) {
	return func(sqlitedb.Group) {
		commits.Add(1)
		if cancel := stop.Swap(nil); cancel != nil {
			(*cancel)()
		}
	}
}

// join stores so many sign-ups and requests to sign in of an address.
func join(t *testing.T, s *Store, f address.Fingerprint, signUps, requests int) {
	t.Helper()
	to, err := address.Parse("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	err = s.commit(context.Background(), func(t *tx) error {
		for i := range signUps {
			id := fmt.Sprintf("sign-up-%d-%d", t.counts[accepted], i)
			_, err := t.accept(signup.Acceptance{
				Person: signup.Person{ID: id, First: "Ada", Address: to}, Fingerprint: f,
				Mails: []onboarding.Owed{{ID: onboarding.NewMailID(id, onboarding.SignUp, 1), Expiry: time.Hour}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for i := range requests {
		id := fmt.Sprintf("request-%d-%d", time.Now().UnixNano(), i)
		if err == nil {
			err = s.Ask(context.Background(), signup.SignInRequest{
				ID: id, Fingerprint: f, Mail: onboarding.Owed{ID: onboarding.NewMailID(id, onboarding.SignIn, 1), Expiry: time.Hour},
			})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
