package redis

import (
	"fmt"
	"strings"

	"bellhop/internal/onboarding"
)

// purse is what mails of a purpose may be charged to, for the steps: the budget
// of those whose subject does not name one, and the allowances of all that it
// could be, as JSON. The zero purse is that of mails that have no budget.
type purse struct{ budget, budgets string }

// pursesOf makes the purses of a policy.
func pursesOf(budgets onboarding.Budgets) map[onboarding.Purpose]purse {
	return map[onboarding.Purpose]purse{
		onboarding.SignUp: {string(onboarding.BudgetSignUp), allowances(budgets, onboarding.BudgetSignUp)},
		onboarding.SignIn: {"", allowances(budgets, onboarding.BudgetSignIn, onboarding.BudgetDevice)},
	}
}

// purseOf returns that of a mail.
func (s *Store) purseOf(id onboarding.MailID) purse {
	_, purpose, _, _ := id.Parse() // a mail with another id is not there
	p := s.purses[purpose]
	if p.budgets == "" {
		p.budgets = "{}"
	}
	return p
}

// allowances are those of some budgets, as JSON for Lua: pairs of a number of
// mails and a time in milliseconds.
func allowances(budgets onboarding.Budgets, names ...onboarding.Budget) string {
	var all []string
	for _, name := range names {
		var pairs []string
		for _, a := range budgets[name] {
			pairs = append(pairs, fmt.Sprintf("[%d,%d]", a.Mails, ms(a.Per)))
		}
		if len(pairs) > 0 {
			all = append(all, fmt.Sprintf("%q:[%s]", string(name), strings.Join(pairs, ",")))
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}
