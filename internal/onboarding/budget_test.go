package onboarding

import (
	"slices"
	"testing"
	"time"
)

// B5.3, B5.5: every allowance of a budget must hold, and what was charged
// counts for as long as the allowance looks back.
func TestB5_3_BudgetsAllow(t *testing.T) {
	const day = 24 * time.Hour
	ago := func(d ...time.Duration) []time.Duration { return d }
	days := func(n int) (all []time.Duration) {
		for i := range n {
			all = append(all, time.Duration(i+1)*day)
		}
		return all
	}
	defaults := DefaultBudgets()
	for _, test := range []struct {
		name    string
		budgets Budgets
		of      Budget
		charged []time.Duration
		want    bool
	}{
		{"the first", defaults, BudgetSignUp, nil, true},
		{"a second at once", defaults, BudgetSignUp, ago(0), false},
		{"a moment too soon", defaults, BudgetSignUp, ago(10*time.Minute - time.Nanosecond), false},
		{"ten minutes later", defaults, BudgetSignUp, ago(10 * time.Minute), true},
		{"the third of a day", defaults, BudgetSignUp, ago(time.Hour, 2*time.Hour), true},
		{"the fourth of a day", defaults, BudgetSignUp, ago(time.Hour, 2*time.Hour, day-time.Second), false},
		{"the fourth, a day later", defaults, BudgetSignUp, ago(time.Hour, 2*time.Hour, day), true},
		{"the tenth in 30 days", defaults, BudgetSignUp, days(9), true},
		{"the eleventh", defaults, BudgetSignUp, days(10), false},
		{"in whatever order", defaults, BudgetSignUp, ago(40*day, time.Minute), false},
		{"sign-ins have their own", defaults, BudgetSignIn, ago(0, 0), true},
		{"and its end", defaults, BudgetSignIn, ago(0, 0, 0), false},
		{"known browsers have more", defaults, BudgetDevice, ago(0, 0, 0, 0, 0), true},
		{"and not for ever", defaults, BudgetDevice, ago(0, 0, 0, 0, 0, 0), false},
		{"a clock set back", defaults, BudgetSignUp, ago(-time.Hour), false},
		{"no such budget", defaults, "", slices.Repeat(ago(0), 1000), true},
		{"a budget of nothing", Budgets{BudgetSignUp: {{0, day}}}, BudgetSignUp, nil, false},
		{"no budgets", nil, BudgetSignUp, ago(0, 0), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			charged := slices.Clone(test.charged)
			if got := test.budgets.Allows(test.of, test.charged); got != test.want {
				t.Errorf("allowed: %t, want %t", got, test.want)
			}
			if !slices.Equal(charged, test.charged) {
				t.Error("the list was changed")
			}
		})
	}
}

func TestLongestAllowance(t *testing.T) {
	if d := DefaultBudgets().Longest(); d != 30*24*time.Hour {
		t.Errorf("%v", d)
	}
	if d := (Budgets{}).Longest(); d != 0 {
		t.Errorf("%v without budgets", d)
	}
}
