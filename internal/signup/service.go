package signup

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

// Settings are what a [Service] is told. Zero fields have the defaults that are
// named here.
type Settings struct {
	// Policy says how long mails and their links make sense, and what an
	// address may get. Default: [onboarding.DefaultPolicy].
	Policy onboarding.Policy
	// Links derives the links and codes. It has no default.
	Links onboarding.Links
	// Secret is what fingerprints, device tokens and [Key.Form] are made with, the
	// same in every process of an installation and for good. It has no default.
	Secret []byte
	// Notify is called after each commit that made a mail due in a lane. It must
	// not block. Default: nobody is told.
	Notify func(onboarding.Lane)
	// Forget is called after an erasure with the addresses it has freed, so that
	// whoever keeps mails can throw theirs away. Default: nobody does.
	Forget func(context.Context, []address.Address)
	// AddressLimit counts a form for an address and tells whether there were too
	// many lately: its mail ends suppressed then. Default: never.
	AddressLimit func(context.Context, address.Fingerprint) bool
	// ResendAfter is how old the latest mail must be before one more is sent.
	// Default: the shortest time of the address's budget, and a little more, as
	// a mail is charged when it leaves and its age counts from when it was owed.
	ResendAfter time.Duration
	// MaxSteps is how many mails one sign-up can have; MaxTries how many codes
	// can be tried on a sign-up, or on a request to sign in, in all its life.
	// Default: 5 each.
	MaxSteps, MaxTries int
	// SessionIdle is how long a session lasts unused, SessionLife how long at
	// most. Default: 7 days, 30 days.
	SessionIdle, SessionLife time.Duration
	// RefreshGrace is [Rotation.Grace]. Default: 30 s.
	RefreshGrace time.Duration
	// Retention is how long what was not confirmed is kept. Default: 14 days,
	// requests to sign in 24 h; 500 at a time.
	Retention Retention
}

// Service is all that people, and programs for them, can do. It may be used
// concurrently.
type Service struct {
	store              Store
	set                Settings
	deviceKey, formKey []byte
}

// NewService returns the service over a store.
func NewService(store Store, settings Settings) *Service {
	settings.fill()
	return &Service{
		store: store, set: settings,
		deviceKey: keyFor(settings.Secret, "device"), formKey: keyFor(settings.Secret, "form"),
	}
}

// keyFor derives the key for a use from the secret. Of addresses, the secret
// makes fingerprints: a use has no "@".
func keyFor(secret []byte, use string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(use))
	return mac.Sum(nil)
}

const day = 24 * time.Hour

// fill puts defaults where nothing is.
func (s *Settings) fill() {
	if s.Policy.Expiry == 0 {
		s.Policy = onboarding.DefaultPolicy()
	}
	if s.Notify == nil {
		s.Notify = func(onboarding.Lane) {}
	}
	if s.Forget == nil {
		s.Forget = func(context.Context, []address.Address) {}
	}
	if s.AddressLimit == nil {
		s.AddressLimit = func(context.Context, address.Fingerprint) bool { return false }
	}
	orElse(&s.ResendAfter, resendAfter(s.Policy.Budgets[onboarding.BudgetSignUp]))
	orElse(&s.MaxSteps, 5)
	orElse(&s.MaxTries, 5)
	orElse(&s.SessionIdle, 7*day)
	orElse(&s.SessionLife, 30*day)
	orElse(&s.RefreshGrace, 30*time.Second)
	orElse(&s.Retention.Unconfirmed, 14*day)
	orElse(&s.Retention.SignIns, day)
	orElse(&s.Retention.Limit, 500)
}

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// resendSlack is how long a mail may take from being owed to being charged, so
// that one that is asked for at the end of the countdown is within the budget.
const resendSlack = 15 * time.Second

func resendAfter(budget []onboarding.Allowance) time.Duration {
	if len(budget) == 0 {
		return 10 * time.Minute
	}
	shortest := budget[0].Per
	for _, a := range budget[1:] {
		shortest = min(shortest, a.Per)
	}
	return shortest + resendSlack
}

// mute is why the mails of a form for an address must not be sent; "" if they
// may. A form that was caught at the door does not count, or robots could use
// up what a person may do.
func (s *Service) mute(ctx context.Context, caught string, f address.Fingerprint) string {
	if caught == "" && s.set.AddressLimit(ctx, f) {
		return "too many forms for this address"
	}
	return caught
}
