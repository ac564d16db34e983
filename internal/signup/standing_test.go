package signup_test

import (
	"errors"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// I7: what is kept back on purpose, or called off, looks like what is sent: while
// that may still be on its way, and while it would wait.
func TestI7_StandingTellsHowTheMailIs(t *testing.T) {
	const young, old = 10*time.Second - time.Millisecond, 10 * time.Second
	for _, test := range []struct {
		states                      []onboarding.State
		young, settled, whenDelayed signup.MailStatus
	}{
		{
			[]onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing},
			signup.MailAccepted, signup.MailWaiting, signup.MailWaiting,
		},
		{
			[]onboarding.State{onboarding.Sent, onboarding.Unknown, onboarding.Purged},
			signup.MailAccepted, signup.MailHandedOver, signup.MailHandedOver,
		},
		{
			[]onboarding.State{onboarding.Suppressed, onboarding.Cancelled},
			signup.MailAccepted, signup.MailHandedOver, signup.MailWaiting,
		},
		{
			[]onboarding.State{onboarding.Failed, onboarding.Expired},
			signup.MailGivenUp, signup.MailGivenUp, signup.MailGivenUp,
		},
	} {
		for _, state := range test.states {
			for _, p := range []struct {
				age     time.Duration
				delayed bool
				want    signup.MailStatus
			}{
				{0, false, test.young}, {young, false, test.young}, {young, true, test.young},
				{old, false, test.settled}, {time.Hour, false, test.settled}, {old, true, test.whenDelayed},
			} {
				store := newFake()
				store.progress = signup.Progress{State: state, Step: 1, Age: p.age, Delayed: p.delayed}
				got, err := over(store).Standing(t.Context(), "x")
				if err != nil || got.Mail != p.want {
					t.Errorf("%+v stands as %q, %v, want %q", store.progress, got.Mail, err, p.want)
				}
			}
		}
	}
	if n := len(onboarding.States()); n != 11 {
		t.Errorf("there are %d states: what are the others called?", n)
	}
}

// The countdown knows this sign-up only.
func TestStandingCountsDown(t *testing.T) {
	for _, test := range []struct {
		step  int
		age   time.Duration
		again time.Duration
		left  int
	}{
		{1, 0, 10 * time.Minute, 4},
		{1, 4 * time.Minute, 6 * time.Minute, 4},
		{2, 10 * time.Minute, 0, 3},
		{4, time.Hour, 0, 1},
		{5, 0, 0, 0}, // there will be none, so there is nothing to wait for
		{9, 0, 0, 0},
	} {
		store := newFake()
		store.progress = signup.Progress{State: onboarding.Failed, Step: test.step, Age: test.age}
		service := over(store, func(s *signup.Settings) { s.ResendAfter = 10 * time.Minute })
		want := signup.Standing{Mail: signup.MailGivenUp, ResendIn: test.again, ResendsLeft: test.left}
		if got, err := service.Standing(t.Context(), "x"); err != nil || got != want {
			t.Errorf("step %d, %v old: %+v, %v, want %+v", test.step, test.age, got, err, want)
		}
		if got, err := service.Resend(t.Context(), "x"); err != nil || got != want {
			t.Errorf("asked for one more: %+v, %v, want the same answer", got, err)
		}
	}
}

// A mail that is asked for when the countdown ends is within its address's
// budget, although the one before was charged a while after it was owed.
func TestCountdownIsHonest(t *testing.T) {
	const day = 24 * time.Hour
	for name, budget := range map[string][]onboarding.Allowance{
		"default": onboarding.DefaultBudgets()[onboarding.BudgetSignUp],
		"other":   {{Mails: 3, Per: day}, {Mails: 1, Per: time.Minute}},
		"none":    nil,
	} {
		policy := onboarding.DefaultPolicy()
		policy.Budgets = onboarding.Budgets{onboarding.BudgetSignUp: budget}
		store := newFake()
		store.progress = signup.Progress{State: onboarding.Sent, Step: 1}
		got, err := over(store, func(s *signup.Settings) { s.Policy = policy }).Standing(t.Context(), "x")
		if err != nil || got.ResendIn < time.Minute || got.ResendIn > 11*time.Minute {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		charged := []time.Duration{got.ResendIn - 10*time.Second}
		if !policy.Budgets.Allows(onboarding.BudgetSignUp, charged) {
			t.Errorf("%s: after %v one more is over the budget", name, got.ResendIn)
		}
	}
}

func TestResendAsksTheStore(t *testing.T) {
	store := newFake()
	var told []onboarding.Lane
	service := over(store, func(s *signup.Settings) {
		s.Policy = onboarding.DefaultPolicy()
		s.Policy.Expiry = 5 * time.Hour
		s.ResendAfter, s.MaxSteps = time.Minute, 3
		s.Notify = func(l onboarding.Lane) { told = append(told, l) }
	})
	for _, store.made = range []bool{false, true} {
		if _, err := service.Resend(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		want := signup.Resend{SignUp: "x", Expiry: 5 * time.Hour, After: time.Minute, Most: 3}
		if got := store.resends[len(store.resends)-1]; got != want {
			t.Errorf("asked for %+v, want %+v", got, want)
		}
	}
	if len(told) != 1 || told[0] != onboarding.Urgent {
		t.Errorf("told %v, want the urgent lane, of the mail that was made", told)
	}
	store.err, store.made = signup.ErrNotFound, true
	if _, err := service.Resend(t.Context(), "x"); !errors.Is(err, signup.ErrNotFound) || len(told) != 1 {
		t.Errorf("%v, told %v", err, told)
	}
	if _, err := service.Standing(t.Context(), "x"); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
