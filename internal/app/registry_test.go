package app

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/sqlite"

	"github.com/google/uuid"
)

// B7.6: an operator who asks for an address gets all that is held of it, however
// often somebody has signed up with it; it is said that all of it would go, and
// all of it goes.
func TestB7_6_OperatorsGetAllOfAnAddress(t *testing.T) {
	store, err := sqlite.Open(sqlite.Options{Path: filepath.Join(t.TempDir(), "s.db"), Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const many = signup.MostPeople + 20
	secret := []byte("a secret of these tests")
	to, err := address.Parse("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for range many {
		id := uuid.NewString()
		_, err := store.Accept(t.Context(), signup.Acceptance{
			Person: signup.Person{ID: id, First: "Ada", Address: to}, Fingerprint: to.Fingerprint(secret),
			Mails: []onboarding.Owed{{ID: onboarding.NewMailID(id, onboarding.SignUp, 1), Expiry: time.Hour}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	erasures := 0
	forget := func(context.Context, []address.Address) {}
	r := registry{
		people: signup.NewService(store, signup.Settings{Secret: secret, Forget: forget}),
		erased: func() { erasures++ },
	}
	exported, err := r.export(t.Context(), to.Typed())
	if err != nil || len(exported) != many {
		t.Errorf("%d sign-ups were exported, %v, want %d", len(exported), err, many)
	}
	found, err := r.find(t.Context(), to.Typed())
	if err != nil || len(found) != many {
		t.Errorf("%d sign-ups would be erased, %v, want %d", len(found), err, many)
	}
	erased, err := r.erase(t.Context(), to.Typed())
	if err != nil || len(erased) != many || erasures != many {
		t.Errorf("%d sign-ups were erased, %d counted, %v, want %d", len(erased), erasures, err, many)
	}
	if left, err := r.export(t.Context(), to.Typed()); err != nil || len(left) > 0 {
		t.Errorf("%d sign-ups are left, %v", len(left), err)
	}
}
