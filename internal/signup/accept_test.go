package signup_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// recorder is a store that keeps what it is given, and answers as told.
type recorder struct {
	signup.Store
	took     []signup.Acceptance
	repeated bool
	err      error
}

func (r *recorder) Accept(_ context.Context, a signup.Acceptance) (signup.Accepted, error) {
	r.took = append(r.took, a)
	return signup.Accepted{ID: a.Person.ID, At: time.Unix(1_800_000_000, 0), Repeated: r.repeated}, r.err
}

func (r *recorder) Person(context.Context, string) (signup.Person, error) {
	return signup.Person{}, r.err
}

func TestAcceptStoresPersonAndMail(t *testing.T) {
	store := new(recorder)
	var told []onboarding.Lane
	policy := onboarding.DefaultPolicy()
	policy.Expiry = 5 * time.Hour
	service := signup.NewService(store, signup.Settings{Policy: policy, Notify: func(l onboarding.Lane) {
		if len(store.took) == 0 {
			t.Error("told before the commit")
		}
		told = append(told, l)
	}})
	got, err := service.Accept(t.Context(), signup.Form{
		First: " Zoe\u0308  Maria ", Last: "", Email: " Ada@Bücher.Example ", IdempotencyKey: "k-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	a := store.took[0]
	if id, err := uuid.Parse(a.Person.ID); err != nil || id.Version() != 7 {
		t.Errorf("id %q: version %d, %v; want a UUIDv7", a.Person.ID, id.Version(), err)
	}
	if a.Person.First != "Zoë Maria" || a.Person.Last != "" {
		t.Errorf("stored %q %q", a.Person.First, a.Person.Last)
	}
	if s := a.Person.Address.Sendable(); s != "Ada@xn--bcher-kva.example" {
		t.Errorf("stored address %q", s)
	}
	owed := onboarding.Owed{ID: onboarding.NewMailID(a.Person.ID, onboarding.SignUp, 1), Expiry: 5 * time.Hour}
	if !slices.Equal(a.Mails, []onboarding.Owed{owed}) {
		t.Errorf("owed %v, want %v", a.Mails, owed)
	}
	if a.Key == nil || a.Key.Hash != sha256.Sum256([]byte("k-1")) {
		t.Errorf("key %+v", a.Key)
	}
	if got != (signup.Accepted{ID: a.Person.ID, At: time.Unix(1_800_000_000, 0)}) {
		t.Errorf("accepted %+v", got)
	}
	if !slices.Equal(told, []onboarding.Lane{onboarding.Urgent}) {
		t.Errorf("told %v", told)
	}
}

func TestAcceptWithoutKey(t *testing.T) {
	store := new(recorder)
	form := signup.Form{First: "Ada", Email: "ada@example.com"}
	service := signup.NewService(store, signup.Settings{})
	for range 2 {
		if _, err := service.Accept(t.Context(), form); err != nil {
			t.Fatal(err)
		}
	}
	if store.took[0].Key != nil || store.took[0].Person.ID == store.took[1].Person.ID {
		t.Error("two forms without a key must be two sign-ups")
	}
}

// B1.7, B7.7: what is kept of a form beside its key is the same for the same form
// and another for others; and nobody can make it who has not the key and the
// secret.
func TestB1_7_WhatIsKeptOfAFormUnderAKey(t *testing.T) {
	keyed := func(key, first, last, email, locale string, change ...func(*signup.Settings)) signup.Key {
		t.Helper()
		store := new(recorder)
		form := signup.Form{First: first, Last: last, Email: email, IdempotencyKey: key, Locale: locale, Muted: locale}
		if _, err := over(store, change...).Accept(t.Context(), form); err != nil {
			t.Fatal(err)
		}
		return *store.took[0].Key
	}
	kept := keyed("k-1", "Ada", "Lovelace", "ada@example.com", "de")
	if kept.Form == [16]byte{} {
		t.Error("nothing is kept of the form")
	}
	for what, same := range map[string]signup.Key{
		"the same form, in another language": keyed("k-1", "Ada", "Lovelace", "ada@example.com", "en"),
		"spaces around":                      keyed("k-1", " Ada ", "Lovelace", "ada@example.com ", "de"),
		"the address in other letters":       keyed("k-1", "Ada", "Lovelace", "ADA@Example.com", "de"),
	} {
		if same != kept || !same.Matches(kept) {
			t.Errorf("%s is another form", what)
		}
	}
	for what, other := range map[string]signup.Key{
		"another first name": keyed("k-1", "Eda", "Lovelace", "ada@example.com", "de"),
		"another last name":  keyed("k-1", "Ada", "Byron", "ada@example.com", "de"),
		"another address":    keyed("k-1", "Ada", "Lovelace", "ada@example.org", "de"),
		"a moved letter":     keyed("k-1", "AdaL", "ovelace", "ada@example.com", "de"),
		"another key":        keyed("k-2", "Ada", "Lovelace", "ada@example.com", "de"),
		"another secret": keyed("k-1", "Ada", "Lovelace", "ada@example.com", "de", func(s *signup.Settings) {
			s.Secret = []byte("another secret")
		}),
	} {
		if other.Form == kept.Form || other.Matches(kept) {
			t.Errorf("%s is the same form", what)
		}
	}
	if !kept.Matches(signup.Key{Hash: kept.Hash}) {
		t.Error("a form is not taken for that of an older program's key")
	}
}

// B1.5, B5.6: a form that was caught, or one too many for its address, is
// stored like any other; only its mails are not to be sent.
func TestB5_6_CaughtFormsAreStoredMuted(t *testing.T) {
	evidence := signup.Consent{Text: "2026-11", Origin: [16]byte{1}}
	for _, test := range []struct {
		name    string
		caught  string
		over    bool
		muted   bool
		counted int
	}{
		{"like any other", "", false, false, 1},
		{"a robot", "honeypot", false, true, 0},
		{"one too many", "", true, true, 1},
		{"a robot, one too many", "honeypot", true, true, 0}, // it cannot use up what a person may do
	} {
		t.Run(test.name, func(t *testing.T) {
			store := new(recorder)
			counted, told := 0, 0
			service := over(store, func(s *signup.Settings) {
				s.AddressLimit = func(_ context.Context, f address.Fingerprint) bool {
					if f != fingerprint(t, "ada@example.com") {
						t.Error("another address was counted")
					}
					counted++
					return test.over
				}
				s.Notify = func(onboarding.Lane) { told++ }
			})
			form := signup.Form{First: "Ada", Email: "Ada@Example.com", Muted: test.caught, Locale: "de-at", Consent: evidence}
			if _, err := service.Accept(t.Context(), form); err != nil {
				t.Fatal(err)
			}
			a := store.took[0]
			if (a.Muted != "") != test.muted || counted != test.counted || told != 1 || len(a.Mails) != 1 {
				t.Errorf("muted %q, counted %d, told %d, %v", a.Muted, counted, told, a.Mails)
			}
			if a.Fingerprint != fingerprint(t, "ada@example.com") || a.Person.Locale != "de-AT" || a.Person.Consent != evidence {
				t.Errorf("stored %+v", a)
			}
		})
	}
}

// A language that is none is not stored: what comes from outside is not trusted.
func TestAcceptKeepsLanguagesOnly(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "en": "en", "EN-gb": "en-GB", "und": "", "no language": "", "de\r\nBcc: x@y": "", "../../etc": "", strings.Repeat("en-", 20) + "gb": "",
	} {
		store := new(recorder)
		if _, err := over(store).Accept(t.Context(), signup.Form{First: "Ada", Email: "ada@example.com", Locale: in}); err != nil {
			t.Fatal(err)
		}
		if got := store.took[0].Person.Locale; got != want {
			t.Errorf("%q is stored as %q, want %q", in, got, want)
		}
	}
}

// Nobody is told of a mail that is not there, or was told of already.
func TestAcceptTellsOnlyOfNewMails(t *testing.T) {
	for _, store := range []*recorder{{repeated: true}, {err: signup.ErrConflict}, {err: signup.ErrUnavailable}} {
		service := signup.NewService(store, signup.Settings{Notify: func(onboarding.Lane) { t.Error("told") }})
		got, err := service.Accept(t.Context(), signup.Form{First: "Ada", Email: "ada@example.com"})
		if !errors.Is(err, store.err) || got.Repeated != store.repeated {
			t.Errorf("Accept = %+v, %v", got, err)
		}
	}
}

func TestAcceptRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		form signup.Form
		want string // Invalid.Error
	}{
		{"everything at once", signup.Form{First: "", Last: "a\nb", Email: "ada", IdempotencyKey: "a b"},
			"form: Idempotency-Key key email no-at first empty last character"},
		{"name of spaces", signup.Form{First: " \u2003 ", Email: "ada@example.com"}, "form: first empty"},
		{"link in a name", signup.Form{First: "Ada", Last: "evil.com", Email: "ada@example.com"}, "form: last link"},
		{"no address", signup.Form{First: "Ada"}, "form: email empty"},
		{"key too long", signup.Form{First: "Ada", Email: "ada@example.com", IdempotencyKey: strings.Repeat("k", 256)}, "form: Idempotency-Key key"},
		{"key not ASCII", signup.Form{First: "Ada", Email: "ada@example.com", IdempotencyKey: "ü"}, "form: Idempotency-Key key"},
		{"key with a line break", signup.Form{First: "Ada", Email: "ada@example.com", IdempotencyKey: "k\n"}, "form: Idempotency-Key key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := new(recorder)
			_, err := signup.NewService(store, signup.Settings{}).Accept(t.Context(), tt.form)
			invalid, ok := errors.AsType[*signup.Invalid](err)
			if !ok || invalid.Error() != tt.want {
				t.Fatalf("Accept: %v, want %v", err, tt.want)
			}
			for field, refused := range invalid.Fields {
				if refused.Code == "" || !strings.HasSuffix(refused.Message, ".") {
					t.Errorf("%s: code %q, message %q", field, refused.Code, refused.Message)
				}
			}
			if len(store.took) != 0 {
				t.Error("something was stored")
			}
		})
	}
	longest := signup.Form{First: "Ada", Email: "ada@example.com", IdempotencyKey: strings.Repeat("~", 255)}
	if _, err := signup.NewService(new(recorder), signup.Settings{}).Accept(t.Context(), longest); err != nil {
		t.Errorf("a key of 255 characters: %v", err)
	}
}

// B7.1: what was typed is not in an error, whatever it was typed into.
func TestInvalidHoldsNothingTyped(t *testing.T) {
	const canary = "canary.com"
	service, ctx := over(newFake()), t.Context()
	_, accept := service.Accept(ctx, signup.Form{First: canary, Last: canary, Email: canary, IdempotencyKey: canary + " ", Locale: canary, Muted: canary})
	_, _, ask := service.AskSignIn(ctx, signup.SignInForm{Email: canary, Locale: canary, Muted: canary, Device: canary})
	_, look := service.Look(ctx, onboarding.SignUp, canary)
	_, redeem := service.Redeem(ctx, onboarding.SignIn, canary, signup.NewSession{ID: canary})
	_, code := service.RedeemCode(ctx, onboarding.SignUp, []string{canary}, canary, signup.NewSession{ID: canary})
	_, later := service.RedeemCode(ctx, onboarding.SignIn, nil, "123456", signup.NewSession{ID: canary})
	_, find := service.Find(ctx, canary)
	_, nobody := service.Find(ctx, "canary@canary.com")
	_, _, session := service.Session(ctx, canary, [32]byte{})
	for i, err := range []error{accept, ask, look, redeem, code, later, find, nobody, session} {
		if err == nil {
			t.Fatalf("call %d: no error", i)
		}
		if all := fmt.Sprintf("%v %+v %#v", err, errors.Unwrap(err), err); strings.Contains(all, "canary") {
			t.Errorf("an error holds what was typed: %s", all)
		}
	}
}

func TestInvalidKey(t *testing.T) {
	if got := signup.InvalidKey().Error(); got != "form: Idempotency-Key key" {
		t.Error(got)
	}
}

func TestPersonErrors(t *testing.T) {
	service := signup.NewService(&recorder{err: signup.ErrNotFound}, signup.Settings{})
	if _, err := service.Person(t.Context(), "x"); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("Person: %v", err)
	}
}
