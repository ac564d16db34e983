package app

import (
	"reflect"
	"testing"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/onboarding"
)

// B5.5: a browser that is known has twice the budget to sign in.
func TestPolicyOfSettings(t *testing.T) {
	in, err := config.Parse([]string{"serve", "--mail-budget", "off", "--sign-in-budget", "1/1m,2/1h", "--sign-in-expiry", "20m", "--code-expiry", "5m"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := policyOf(in.Command.(*config.Serve))
	want := onboarding.Budgets{
		onboarding.BudgetSignUp: nil,
		onboarding.BudgetSignIn: {{Mails: 1, Per: time.Minute}, {Mails: 2, Per: time.Hour}},
		onboarding.BudgetDevice: {{Mails: 2, Per: time.Minute}, {Mails: 4, Per: time.Hour}},
	}
	if !reflect.DeepEqual(p.Budgets, want) || p.SignInExpiry != 20*time.Minute || p.CodeLife != 5*time.Minute {
		t.Errorf("policy %+v", p)
	}
	if !p.Budgets.Allows(onboarding.BudgetSignUp, make([]time.Duration, 1000)) {
		t.Error("off is not off")
	}
}

// The defaults of the settings are those of the domain.
func TestDefaultBudgets(t *testing.T) {
	in, err := config.Parse([]string{"serve"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, want := policyOf(in.Command.(*config.Serve)), onboarding.DefaultPolicy()
	want.Retention = 30 * 24 * time.Hour // a store's own, see --mail-retention
	if !reflect.DeepEqual(p, want) {
		t.Errorf("the policy of the default settings is\n%+v, want\n%+v", p, want)
	}
}

func TestPlain(t *testing.T) {
	for d, want := range map[time.Duration]string{10 * time.Minute: "10m", 24 * time.Hour: "24h", 90 * time.Second: "1m30s", 90 * time.Minute: "1h30m", 10 * time.Second: "10s"} {
		if got := plain(d); got != want {
			t.Errorf("plain(%v) = %q, want %q", d, got, want)
		}
	}
}
