package signup_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// I7: a request to sign in is stored, and nobody is looked up for it.
func TestAskSignInStoresARequest(t *testing.T) {
	store := newFake() // with Person and People, it would be an error to find somebody
	store.people = nil
	var told []onboarding.Lane
	service := over(store, func(s *signup.Settings) {
		s.Policy = onboarding.DefaultPolicy()
		s.Policy.SignInExpiry = 7 * time.Minute
		s.Notify = func(l onboarding.Lane) { told = append(told, l) }
	})
	id, asked, err := service.AskSignIn(t.Context(), signup.SignInForm{Email: " Ada@Bücher.example", Locale: "DE"})
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 7 {
		t.Errorf("id %q, %v", id, err)
	}
	if age := time.Since(asked); age < 0 || age > time.Minute || asked.Nanosecond() != 0 {
		t.Errorf("asked at %v", asked)
	}
	want := signup.SignInRequest{
		ID: id, Fingerprint: fingerprint(t, "ada@bücher.example"), Budget: onboarding.BudgetSignIn, Locale: "de",
		Mail: onboarding.Owed{ID: onboarding.NewMailID(id, onboarding.SignIn, 1), Expiry: 7 * time.Minute},
	}
	if len(store.asked) != 1 || store.asked[0] != want {
		t.Errorf("stored %+v, want %+v", store.asked, want)
	}
	if len(told) != 1 || told[0] != onboarding.Urgent {
		t.Errorf("told %v", told)
	}
}

func TestAskSignInRefuses(t *testing.T) {
	store := newFake()
	service := over(store, func(s *signup.Settings) { s.Notify = func(onboarding.Lane) { t.Error("told") } })
	_, _, err := service.AskSignIn(t.Context(), signup.SignInForm{Email: "ada"})
	if invalid, ok := errors.AsType[*signup.Invalid](err); !ok || invalid.Error() != "form: email no-at" || len(store.asked) > 0 {
		t.Errorf("%v, stored %v", err, store.asked)
	}
	store.err = signup.ErrUnavailable
	if _, _, err := service.AskSignIn(t.Context(), signup.SignInForm{Email: "ada@example.com"}); !errors.Is(err, signup.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// B5.5: a browser in which the account was signed in has a budget of its own,
// which strangers cannot use up; any other shares one, and a limit.
func TestB5_5_KnownBrowsersHaveTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		limited := 0
		service := over(store, func(s *signup.Settings) {
			s.AddressLimit = func(context.Context, address.Fingerprint) bool { limited++; return true }
		})
		ada := signup.Person{ID: "a", Address: parse(t, "Ada@Example.com")}
		device := service.Device(ada)
		other := service.Device(signup.Person{ID: "b", Address: parse(t, "bob@example.com")})
		elsewhere := signup.NewService(store, signup.Settings{Secret: []byte("another")}).Device(ada)
		raw, err := base64.RawURLEncoding.DecodeString(device)
		if err != nil {
			t.Fatal(err)
		}
		raw[7]++ // a little later than it was made
		younger := base64.RawURLEncoding.EncodeToString(raw)
		check := func(name, device string, known bool) {
			t.Helper()
			store.asked, limited = nil, 0
			for _, caught := range []string{"", "honeypot"} {
				form := signup.SignInForm{Email: "ada@example.COM", Device: device, Muted: caught}
				if _, _, err := service.AskSignIn(t.Context(), form); err != nil {
					t.Fatal(err)
				}
			}
			first, caught := store.asked[0], store.asked[1]
			if (first.Budget == onboarding.BudgetDevice) != known || (first.Muted == "") != known || (limited == 0) != known {
				t.Errorf("%s: %+v, limited %d times, want it known: %t", name, first, limited, known)
			}
			if caught.Muted != "honeypot" {
				t.Errorf("%s: caught, and stored as %+v", name, caught)
			}
		}
		check("its own", device, true)
		check("none", "", false)
		check("another's", other, false)
		check("of another installation", elsewhere, false)
		check("made up", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false)
		check("changed", younger, false)
		check("longer", device+"A", false)
		<-time.After(signup.DeviceLife - time.Second)
		check("old", device, true)
		<-time.After(time.Second)
		check("too old", device, false)
	})
}
