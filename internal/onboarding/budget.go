package onboarding

import "time"

// Budget names what mails to one address are counted under. A mail that is over
// its budget ends suppressed, and nobody is told: not who asked for it, and not
// who has the address.
type Budget string

// The budgets. A welcome mail has none: there is one in an account's life.
const (
	// BudgetSignUp is for what anybody can have sent to anybody.
	BudgetSignUp Budget = "sign-up"
	// BudgetSignIn is for sign-in mails, which only go to confirmed addresses.
	BudgetSignIn Budget = "sign-in"
	// BudgetDevice is for sign-in mails asked for by a browser in which the
	// account was signed in before, so that strangers cannot use it up.
	BudgetDevice Budget = "device"
)

// Allowance is so many mails within a time that slides.
type Allowance struct {
	Mails int
	Per   time.Duration
}

// Budgets are the allowances of each budget; all of a budget's must hold. A
// budget that is missing allows everything.
type Budgets map[Budget][]Allowance

// DefaultBudgets returns the defaults: for sign-ups one mail in 10 minutes, 3 a
// day, 10 in 30 days; for sign-ins 3 in 15 minutes and 10 a day; twice that for
// known browsers.
func DefaultBudgets() Budgets {
	const day = 24 * time.Hour
	return Budgets{
		BudgetSignUp: {{1, 10 * time.Minute}, {3, day}, {10, 30 * day}},
		BudgetSignIn: {{3, 15 * time.Minute}, {10, day}},
		BudgetDevice: {{6, 15 * time.Minute}, {20, day}},
	}
}

// Longest is how long a mail is remembered for its budget: the longest time of
// any allowance.
func (b Budgets) Longest() (longest time.Duration) {
	for _, allowances := range b {
		for _, a := range allowances {
			longest = max(longest, a.Per)
		}
	}
	return longest
}

// Allows tells whether one more mail is within a budget, given how long ago
// earlier ones were charged.
func (b Budgets) Allows(of Budget, charged []time.Duration) bool {
	for _, a := range b[of] {
		n := 0
		for _, ago := range charged {
			if ago < a.Per {
				n++
			}
		}
		if n >= a.Mails {
			return false
		}
	}
	return true
}
