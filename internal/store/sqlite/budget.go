package sqlite

import (
	"time"

	"bellhop/internal/onboarding"
)

const overBudgetText = "the budget of its address is used up"

// overBudget tells whether one more mail is too many for the budget of its
// address. One that was charged before is not. A clock that was set back must
// not keep people from their mail, so what is as far ahead as an allowance looks
// back does not count for it.
func (t *tx) overBudget(m *mail, s *subject) (bool, error) {
	allowances := t.allowances(s)
	if m.charged || len(allowances) == 0 {
		return false, nil
	}
	longest := time.Duration(0)
	for _, a := range allowances {
		longest = max(longest, a.Per)
	}
	var charged []time.Duration
	_, err := query(t.conn, sqlCharges, func(r *row) error {
		ago := t.now - r.int()
		charged = append(charged, time.Duration(max(ago, -ago))*time.Millisecond)
		return nil
	}, s.fingerprint[:], string(s.budget), t.now-ms(longest), t.now+ms(longest))
	if err != nil {
		return false, err
	}
	return !t.policy.Budgets.Allows(s.budget, charged), nil
}

// allowances are those of the budget that the mails of a subject are charged
// to, if there is one.
func (t *tx) allowances(s *subject) []onboarding.Allowance {
	if s == nil || s.fingerprint.IsZero() {
		return nil
	}
	return t.policy.Budgets[s.budget]
}

// charge counts a mail in the budget of its address, once.
func (t *tx) charge(m *mail, s *subject) error {
	if m.charged || len(t.allowances(s)) == 0 {
		return nil
	}
	m.charged = true
	_, err := t.exec("INSERT INTO charges (fingerprint, budget, at) VALUES (?, ?, ?)", s.fingerprint[:], string(s.budget), t.now)
	return err
}

// sweepCharges forgets what no allowance looks back to. Charges lie in the order
// of time, so that the old ones are found without an index on their age.
func sweepCharges(t *tx, _ onboarding.Incarnation, limit int, _ *onboarding.Swept) (int, error) {
	longest := ms(t.policy.Budgets.Longest())
	return t.exec(sqlForgetCharges, limit, t.now-longest, t.now+longest)
}

const (
	sqlCharges       = "SELECT at FROM charges WHERE fingerprint = ? AND budget = ? AND at BETWEEN ? AND ?"
	sqlForgetCharges = `DELETE FROM charges WHERE seq IN (
		SELECT seq FROM (SELECT seq, at FROM charges ORDER BY seq LIMIT ?1) WHERE at <= ?2 OR at >= ?3)`
)
