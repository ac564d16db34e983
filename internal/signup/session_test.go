package signup_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"bellhop/internal/signup"
)

// A session is whose secret it is, of the kind that was asked for, and of the
// account it was asked for.
func TestSessions(t *testing.T) {
	store := newFake()
	account := store.join(t, "ada@example.com", signup.Confirmed)
	hash := [32]byte{1, 2, 3}
	store.sessions["b"] = signup.Session{ID: "b", Account: account, Kind: signup.Browser, Hash: hash}
	store.sessions["a"] = signup.Session{ID: "a", Account: account, Kind: signup.API, Hash: hash}
	service := over(store)
	for _, test := range []struct {
		name string
		ask  func() (signup.Session, signup.Person, error)
		seen string
	}{
		{"cookie", func() (signup.Session, signup.Person, error) { return service.Session(t.Context(), "b", hash) }, "b"},
		{"a cookie of another secret", func() (signup.Session, signup.Person, error) {
			return service.Session(t.Context(), "b", [32]byte{1, 2, 4})
		}, ""},
		{"a cookie for a program's session", func() (signup.Session, signup.Person, error) { return service.Session(t.Context(), "a", hash) }, ""},
		{"a cookie for none", func() (signup.Session, signup.Person, error) { return service.Session(t.Context(), "x", hash) }, ""},
		{"access token", func() (signup.Session, signup.Person, error) { return service.SessionOf(t.Context(), "a", account) }, "a"},
		{"an access token of another", func() (signup.Session, signup.Person, error) { return service.SessionOf(t.Context(), "a", "other") }, ""},
		{"an access token for a browser's session", func() (signup.Session, signup.Person, error) {
			return service.SessionOf(t.Context(), "b", account)
		}, ""},
		{"an access token for none", func() (signup.Session, signup.Person, error) { return service.SessionOf(t.Context(), "x", account) }, ""},
	} {
		store.seen = nil
		session, person, err := test.ask()
		if test.seen == "" {
			if !errors.Is(err, signup.ErrNotFound) || session != (signup.Session{}) || person != (signup.Person{}) || len(store.seen) > 0 {
				t.Errorf("%s: %+v, %+v, %v, seen %v", test.name, session, person, err, store.seen)
			}
			continue
		}
		if err != nil || session.ID != test.seen || person.ID != account || !slices.Equal(store.seen, []string{test.seen}) {
			t.Errorf("%s: %+v, %+v, %v, seen %v", test.name, session, person, err, store.seen)
		}
	}
}

func TestRotateAsksTheStore(t *testing.T) {
	store := newFake()
	store.sessions["a"] = signup.Session{ID: "a", Number: 4}
	service := over(store, func(s *signup.Settings) { s.RefreshGrace = 9 * time.Second })
	got, err := service.Rotate(t.Context(), "a", 3, [32]byte{1}, [32]byte{2})
	want := signup.Rotation{ID: "a", Number: 3, Hash: [32]byte{1}, Next: [32]byte{2}, Grace: 9 * time.Second}
	if err != nil || got.Number != 4 || store.rotation != want {
		t.Errorf("%+v, %v, asked for %+v", got, err, store.rotation)
	}
	store.err = signup.ErrReused
	if _, err := service.Rotate(t.Context(), "a", 3, [32]byte{1}, [32]byte{2}); !errors.Is(err, signup.ErrReused) {
		t.Errorf("%v", err)
	}
}

func TestSessionsEnd(t *testing.T) {
	store := newFake()
	store.sessions["a"] = signup.Session{ID: "a", Account: "x"}
	store.sessions["b"] = signup.Session{ID: "b", Account: "x"}
	service := over(store)
	if err := service.EndSession(t.Context(), "y", "a"); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	if err := service.EndSession(t.Context(), "x", "a"); err != nil {
		t.Error(err)
	}
	if all, err := service.Sessions(t.Context(), "x"); err != nil || len(all) != 1 || all[0].ID != "b" {
		t.Errorf("%+v, %v", all, err)
	}
	if n, err := service.EndSessions(t.Context(), "x"); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	store.err = signup.ErrUnavailable
	_, list := service.Sessions(t.Context(), "x")
	_, all := service.EndSessions(t.Context(), "x")
	if !errors.Is(list, signup.ErrUnavailable) || !errors.Is(all, signup.ErrUnavailable) {
		t.Errorf("%v, %v", list, all)
	}
}
