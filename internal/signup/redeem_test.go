package signup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// mailFor is a mail that was sent a minute ago, for a sign-up of
// ada@example.com or for a request to sign in.
func (f *fake) mailFor(t *testing.T, p onboarding.Purpose) signup.Mint {
	t.Helper()
	variant, err := onboarding.ChooseVariant(p, false)
	if err != nil {
		t.Fatal(err)
	}
	subject := f.join(t, "ada@example.com", signup.Pending)
	m := f.mail(onboarding.NewMailID(subject, p, 1), 3, variant, time.Minute)
	if p == onboarding.SignIn { // its subject is no sign-up
		delete(f.people, subject)
	}
	return m
}

// Which links work, and what looking at one and redeeming it say.
func TestLinks(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(m *signup.Mint)
		look   error
		redeem error // before the store is asked
	}{
		{"latest", func(*signup.Mint) {}, nil, nil},
		{"replaced by a later one", func(m *signup.Mint) { m.Number++ }, signup.ErrLinkDead, signup.ErrLinkDead},
		{"almost over", func(m *signup.Mint) { m.Age = time.Hour - 1 }, nil, nil},
		{"over", func(m *signup.Mint) { m.Age = time.Hour }, signup.ErrLinkDead, nil},
		{"used", func(m *signup.Mint) { m.Used = true }, nil, nil},
		{"used and over", func(m *signup.Mint) { m.Used, m.Age = true, 2*time.Hour }, nil, nil},
		{"used, by a later one", func(m *signup.Mint) { m.Used, m.Number = true, m.Number+1 }, nil, nil},
	} {
		for _, p := range []onboarding.Purpose{onboarding.SignUp, onboarding.SignIn} {
			t.Run(fmt.Sprintf("%s %s", p, test.name), func(t *testing.T) {
				store := newFake()
				m := store.mailFor(t, p)
				made := token(t, m)
				test.change(&m)
				store.mints[m.Mail] = m
				service := over(store, func(s *signup.Settings) {
					s.Policy = onboarding.DefaultPolicy()
					s.Policy.Expiry, s.Policy.SignInExpiry = time.Hour, time.Hour
				})
				got, err := service.Look(t.Context(), p, made)
				if !errors.Is(err, test.look) || (err == nil) != (test.look == nil) {
					t.Errorf("looked at: %+v, %v, want %v", got, err, test.look)
				}
				want := signup.Invitation{Mail: m.Mail, Subject: m.Mail.Subject(), Address: m.Address, Locale: "de", Used: m.Used}
				if p == onboarding.SignUp && !m.Used {
					want.First = "Ada"
				}
				if err == nil && got != want {
					t.Errorf("invites to %+v, want %+v", got, want)
				}
				if len(store.redeemed) > 0 || len(store.tries) > 0 {
					t.Error("looking changed something")
				}
				_, err = service.Redeem(t.Context(), p, made, signup.NewSession{ID: "s"})
				if !errors.Is(err, test.redeem) || (err == nil) != (test.redeem == nil) || len(store.redeemed) > 0 != (err == nil) {
					t.Errorf("redeemed: %v, the store was asked %d times", err, len(store.redeemed))
				}
			})
		}
	}
}

// A sign-up's link says what the account would be called, unless there is one by
// now: then it signs in to that, whatever the mail said.
func TestLookForeseesTheAccount(t *testing.T) {
	store := newFake()
	service := over(store)
	m := store.mailFor(t, onboarding.SignUp)
	subject := m.Mail.Subject()
	store.people[subject] = signup.Person{ID: subject, First: "Mallory", Last: "Evil", Address: m.Address, Status: signup.Pending}
	store.join(t, "ada@example.com", signup.Pending)
	store.join(t, "eve@example.com", signup.Confirmed)
	look := func() (signup.Invitation, error) { return service.Look(t.Context(), onboarding.SignUp, token(t, m)) }
	if got, err := look(); err != nil || got.Known || got.First != "Mallory" || got.Last != "Evil" {
		t.Errorf("a new address: %+v, %v", got, err)
	}
	owner := store.join(t, "ada@example.com", signup.Confirmed)
	if got, err := look(); err != nil || !got.Known || got.First != "" || got.Last != "" {
		t.Errorf("an address that has an account by now: %+v, %v", got, err)
	}
	delete(store.people, owner)
	delete(store.people, subject)
	if got, err := look(); !errors.Is(err, signup.ErrLinkDead) {
		t.Errorf("a sign-up that was erased just now: %+v, %v", got, err)
	}
	store.err = signup.ErrUnavailable
	if _, err := look(); !errors.Is(err, signup.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// B2.4: a link is for one purpose, and only one that we made is one.
func TestB2_4_OtherLinksAreDead(t *testing.T) {
	store := newFake()
	service := over(store)
	good := store.mailFor(t, onboarding.SignUp)
	signIn := store.mailFor(t, onboarding.SignIn)
	unknown := signup.Mint{Mail: onboarding.NewMailID(uuid.NewString(), onboarding.SignUp, 1), Number: 1}
	for name, made := range map[string]string{
		"for another purpose": token(t, signIn), "none": "", "made up": strings.Repeat("A", 46), "of a mail that is not there": token(t, unknown),
	} {
		if got, err := service.Look(t.Context(), onboarding.SignUp, made); !errors.Is(err, signup.ErrLinkDead) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := service.Redeem(t.Context(), onboarding.SignUp, made, signup.NewSession{}); !errors.Is(err, signup.ErrLinkDead) {
			t.Errorf("%s: redeemed, %v", name, err)
		}
	}
	if len(store.redeemed) > 0 {
		t.Errorf("the store was asked for %+v", store.redeemed)
	}
	store.err = signup.ErrUnavailable
	if _, err := service.Redeem(t.Context(), onboarding.SignUp, token(t, good), signup.NewSession{}); !errors.Is(err, signup.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// What the store is asked for, and who is told of what came of it.
func TestRedeemAsksTheStore(t *testing.T) {
	policy := onboarding.DefaultPolicy()
	policy.Expiry, policy.SignInExpiry, policy.CodeLife = 5*time.Hour, 7*time.Minute, 3*time.Minute
	session := signup.NewSession{ID: "s", Kind: signup.API, Hash: [32]byte{1}, Idle: 1, Life: 1}
	for _, test := range []struct {
		name   string
		p      onboarding.Purpose
		byCode bool
		within time.Duration
		by     address.Fingerprint
	}{
		{"a link to confirm", onboarding.SignUp, false, 5 * time.Hour, fingerprint(t, "ada@example.com")},
		{"a code to confirm", onboarding.SignUp, true, 3 * time.Minute, fingerprint(t, "ada@example.com")},
		{"a link to sign in", onboarding.SignIn, false, 7 * time.Minute, fingerprint(t, "ada@example.com")},
		{"a code to sign in", onboarding.SignIn, true, 3 * time.Minute, address.Fingerprint{}},
	} {
		for _, confirmed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, confirmed %t", test.name, confirmed), func(t *testing.T) {
				store := newFake()
				m := store.mailFor(t, test.p)
				store.redemption = signup.Redeemed{Account: signup.Person{ID: "a"}, Confirmed: confirmed}
				var told []onboarding.Lane
				service := over(store, func(s *signup.Settings) {
					s.Policy, s.SessionIdle, s.SessionLife = policy, time.Hour, 2*time.Hour
					s.Notify = func(l onboarding.Lane) { told = append(told, l) }
				})
				var got signup.Redeemed
				var err error
				if test.byCode {
					got, err = service.RedeemCode(t.Context(), test.p, []string{m.Mail.Subject()}, links.Code(m.Mail, m.Number), session)
				} else {
					got, err = service.Redeem(t.Context(), test.p, token(t, m), session)
				}
				if err != nil || got != store.redemption {
					t.Fatalf("%+v, %v", got, err)
				}
				want := signup.Redemption{
					Mail: m.Mail, Number: 3, Within: test.within, ByCode: test.byCode, Fingerprint: test.by, Welcome: 5 * time.Hour,
					Session: signup.NewSession{ID: "s", Kind: signup.API, Hash: [32]byte{1}, Idle: time.Hour, Life: 2 * time.Hour},
				}
				if len(store.redeemed) != 1 || store.redeemed[0] != want {
					t.Errorf("asked for %+v, want %+v", store.redeemed, want)
				}
				if (len(told) == 1 && told[0] == onboarding.Bulk) != confirmed || len(told) > 1 {
					t.Errorf("told %v", told)
				}
			})
		}
	}
}

// The store's word on a link is passed on as it is.
func TestRedeemPassesRefusalsOn(t *testing.T) {
	for _, refusal := range []error{signup.ErrUsed, signup.ErrLinkDead, signup.ErrUnavailable} {
		store := newFake()
		store.redeemErr = refusal
		service := over(store, func(s *signup.Settings) { s.Notify = func(onboarding.Lane) { t.Error("told") } })
		m := store.mailFor(t, onboarding.SignUp)
		if _, err := service.Redeem(t.Context(), onboarding.SignUp, token(t, m), signup.NewSession{}); !errors.Is(err, refusal) {
			t.Errorf("%v became %v", refusal, err)
		}
	}
}

// A2.4: a redemption whose answer was lost is asked for again, under the same
// session; once, and not for whoever has left.
func TestALostAnswerUsesUpNoLink(t *testing.T) {
	for name, test := range map[string]struct {
		lost, asked int
		gone        bool
		want        error
	}{
		"once":         {lost: 1, asked: 2},
		"twice":        {lost: 2, asked: 2, want: signup.ErrUnavailable},
		"nobody waits": {lost: 1, asked: 1, gone: true, want: signup.ErrUnavailable},
	} {
		store := newFake()
		store.lost = test.lost
		m := store.mailFor(t, onboarding.SignUp)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		if test.gone {
			leave()
		}
		_, err := over(store).Redeem(ctx, onboarding.SignUp, token(t, m), signup.NewSession{ID: "one"})
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if len(store.redeemed) != test.asked || store.redeemed[0] != store.redeemed[test.asked-1] {
			t.Errorf("%s: the store was asked for %+v", name, store.redeemed)
		}
	}
}

// wantRefused checks that a code was refused, for a reason that shows from
// inside only.
func wantRefused(t *testing.T, err, cause error) {
	t.Helper()
	refused, ok := errors.AsType[*signup.CodeError](err)
	if !ok || !errors.Is(err, signup.ErrCode) {
		t.Fatalf("%v, want it refused as any code", err)
	}
	for _, told := range []error{signup.ErrUsed, signup.ErrTries, signup.ErrLinkDead, signup.ErrNotFound} {
		if errors.Is(err, told) {
			t.Errorf("%v can be told from other codes", err)
		}
	}
	if !errors.Is(refused.Cause, cause) || (cause == nil) != (refused.Cause == nil) {
		t.Errorf("refused because of %v, want %v", refused.Cause, cause)
	}
}

// Which codes work: those of a mail that has one, for a while, while there are
// tries left; and each costs a try before anything is compared.
func TestCodesThatWork(t *testing.T) {
	for _, test := range []struct {
		name    string
		p       onboarding.Purpose
		change  func(*fake, *signup.Mint)
		works   bool
		cause   error
		counted int
	}{
		{"confirm", onboarding.SignUp, func(*fake, *signup.Mint) {}, true, nil, 1},
		{"sign in", onboarding.SignIn, func(*fake, *signup.Mint) {}, true, nil, 1},
		{"almost late", onboarding.SignUp, func(_ *fake, m *signup.Mint) { m.Age = 15*time.Minute - 1 }, true, nil, 1},
		{"late", onboarding.SignUp, func(_ *fake, m *signup.Mint) { m.Age = 15 * time.Minute }, false, nil, 1},
		{"of an earlier mint", onboarding.SignIn, func(_ *fake, m *signup.Mint) { m.Number++ }, false, nil, 1},
		{"of a mail without a code", onboarding.SignUp, func(_ *fake, m *signup.Mint) { m.Variant = onboarding.AlreadyRegistered }, false, nil, 1},
		{"of a mail that was not sent", onboarding.SignUp, func(f *fake, m *signup.Mint) { delete(f.mints, m.Mail); m.Mail = "" }, false, nil, 1},
		{"the fifth", onboarding.SignUp, func(f *fake, m *signup.Mint) { f.tries[m.Mail.Subject()] = 4 }, true, nil, 5},
		{"the sixth", onboarding.SignUp, func(f *fake, m *signup.Mint) { f.tries[m.Mail.Subject()] = 5 }, false, signup.ErrTries, 5},
		{"used, or another's account", onboarding.SignUp, func(f *fake, m *signup.Mint) { f.tryErr[m.Mail.Subject()] = signup.ErrUsed }, false, signup.ErrUsed, 0},
		{"of nobody", onboarding.SignIn, func(f *fake, m *signup.Mint) { f.tryErr[m.Mail.Subject()] = signup.ErrNotFound }, false, signup.ErrNotFound, 0},
		{"used meanwhile", onboarding.SignUp, func(f *fake, _ *signup.Mint) { f.redeemErr = signup.ErrUsed }, false, signup.ErrUsed, 1},
		{"dead meanwhile", onboarding.SignIn, func(f *fake, _ *signup.Mint) { f.redeemErr = signup.ErrLinkDead }, false, signup.ErrLinkDead, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newFake()
			m := store.mailFor(t, test.p)
			subject, code := m.Mail.Subject(), links.Code(m.Mail, m.Number)
			test.change(store, &m)
			if m.Mail != "" {
				store.mints[m.Mail] = m
			}
			_, err := over(store).RedeemCode(t.Context(), test.p, []string{subject}, code, signup.NewSession{})
			if test.works && err != nil {
				t.Error(err)
			}
			if !test.works {
				wantRefused(t, err, test.cause)
			}
			if store.tries[subject] != test.counted {
				t.Errorf("%d tries are counted, want %d", store.tries[subject], test.counted)
			}
		})
	}
}

// A wrong code is refused and counted, a text that is no code is not counted,
// and a right one may be typed in many ways.
func TestCodesAsTheyAreTyped(t *testing.T) {
	store := newFake()
	m := store.mailFor(t, onboarding.SignUp)
	subject, code := m.Mail.Subject(), links.Code(m.Mail, m.Number)
	service := over(store, func(s *signup.Settings) { s.MaxTries = 100 })
	redeem := func(typed string) error {
		_, err := service.RedeemCode(t.Context(), onboarding.SignUp, []string{subject}, typed, signup.NewSession{})
		return err
	}
	for _, typed := range []string{"", "12345", "1234567", code + "0", "abcdef", code[:5] + "O", "①②③④⑤⑥", "一二三四五六", "-123456e1", strings.Repeat(" ", 70) + code, "\x00" + code, code + "\xff"} {
		if err := redeem(typed); !errors.Is(err, signup.ErrCode) || store.tries[subject] != 0 {
			t.Errorf("%q: %v, %d tries", typed, err, store.tries[subject])
		}
	}
	wrong := []byte(code)
	wrong[5] = '0' + (wrong[5]-'0'+1)%10
	wantRefused(t, redeem(string(wrong)), nil)
	if store.tries[subject] != 1 || len(store.redeemed) > 0 {
		t.Errorf("a wrong code: %d tries, %v", store.tries[subject], store.redeemed)
	}
	rapid.Check(t, func(r *rapid.T) {
		store.tries[subject] = 0
		noise := rapid.SampledFrom([]string{"", "", "", " ", "-", "\u00a0", "\u2013", "\u3000", "\t", "\r\n"})
		zero := rapid.SampledFrom([]rune("0０٠۰०๐᪀᪐𝟎𝟘𝟶")).Draw(r, "zero") // of a keyboard, or of whatever it was copied from
		var typed strings.Builder
		for _, digit := range code {
			typed.WriteString(noise.Draw(r, "noise") + string(zero+digit-'0'))
		}
		if err := redeem(typed.String() + noise.Draw(r, "noise")); err != nil {
			r.Fatalf("%q: %v", typed.String(), err)
		}
	})
}

// A code is tried on this browser's own sign-ups of the address that was given
// last: somebody who signs up twice may have either mail in front of them.
func TestCodesAreForTheNewestAddress(t *testing.T) {
	store := newFake()
	service := over(store)
	mail := func(email string) (string, string) {
		id := store.join(t, email, signup.Pending)
		m := store.mail(onboarding.NewMailID(id, onboarding.SignUp, 1), 1, onboarding.Confirm, time.Minute)
		return id, links.Code(m.Mail, m.Number)
	}
	older, olderCode := mail("ada@example.com")
	other, otherCode := mail("bob@example.com")
	newest, newestCode := mail("ADA@example.com")
	gone := uuid.NewString()
	own := []string{gone, newest, other, older} // newest first
	for _, code := range []string{olderCode, newestCode} {
		clear(store.tries)
		store.redeemed = nil
		if _, err := service.RedeemCode(t.Context(), onboarding.SignUp, own, code, signup.NewSession{}); err != nil || len(store.redeemed) != 1 {
			t.Errorf("%v, %+v", err, store.redeemed)
		}
		if store.tries[other] != 0 || store.tries[newest] != 1 {
			t.Errorf("tries %v", store.tries)
		}
	}
	_, err := service.RedeemCode(t.Context(), onboarding.SignUp, own, otherCode, signup.NewSession{})
	wantRefused(t, err, nil)
	if store.tries[other] != 0 || store.tries[older] != 1 || store.tries[newest] != 2 {
		t.Errorf("tries %v", store.tries)
	}
	// What is used up on one leaves the other.
	store.tryErr[newest] = signup.ErrUsed
	if _, err := service.RedeemCode(t.Context(), onboarding.SignUp, own, olderCode, signup.NewSession{}); err != nil {
		t.Error(err)
	}
	for _, none := range [][]string{nil, {gone}} {
		_, err := service.RedeemCode(t.Context(), onboarding.SignUp, none, newestCode, signup.NewSession{})
		if !errors.Is(err, signup.ErrCode) {
			t.Errorf("with %d subjects: %v", len(none), err)
		}
	}
}

// A store that is away is no wrong code.
func TestCodesWithoutAStore(t *testing.T) {
	for name, fail := range map[string]func(*fake, string){
		"at the sign-up":    func(f *fake, _ string) { f.err = signup.ErrUnavailable },
		"at the try":        func(f *fake, id string) { f.tryErr[id] = signup.ErrUnavailable },
		"at the redemption": func(f *fake, _ string) { f.redeemErr = signup.ErrUnavailable },
	} {
		store := newFake()
		m := store.mailFor(t, onboarding.SignUp)
		fail(store, m.Mail.Subject())
		_, err := over(store).RedeemCode(t.Context(), onboarding.SignUp, []string{m.Mail.Subject()}, links.Code(m.Mail, m.Number), signup.NewSession{})
		if !errors.Is(err, signup.ErrUnavailable) || errors.Is(err, signup.ErrCode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
