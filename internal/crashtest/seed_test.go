package crashtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bellhop/internal/crashpoint"
)

// seed is a known mistake: one place in the source, changed.
type seed struct {
	file     string // from the module's root
	old, new string // old stands there exactly once
}

// overlay writes a file for go build -overlay in which the mistakes are made.
func overlay(t *testing.T, seeds ...seed) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), make(map[string]string)
	for _, s := range seeds {
		path := filepath.Join(root, s.file)
		from := path
		if replace[path] != "" {
			from = replace[path] // one mistake in two places
		}
		source, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), s.old); n != 1 {
			t.Fatalf("%s holds %q %d times, want once: the seed must follow the source", s.file, s.old, n)
		}
		replace[path] = filepath.Join(dir, filepath.Base(s.file))
		changed := strings.Replace(string(source), s.old, s.new, 1)
		if err := os.WriteFile(replace[path], []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mistake is one that a named test must notice.
type mistake struct {
	name   string
	seeds  []seed
	pkg    string
	caught string // the test that must fail, perhaps with the topic in it
}

// isCaught makes the mistake. The test must fail, and not merely fail to build.
func (m mistake) isCaught(t *testing.T) {
	t.Helper()
	pattern := "^" + strings.ReplaceAll(m.caught, "/", "$/^") + "$"
	binary := mistaken(t, "test", m.seeds, "-c", "-vet=off", m.pkg)
	t.Parallel() // not before: whoever waits to compile takes nobody's place
	cmd := exec.Command(binary, "-test.timeout", "10m", "-test.run", pattern)
	cmd.Dir = filepath.Join("../..", strings.TrimPrefix(m.pkg, "bellhop/"))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.caught) {
		t.Errorf("%s did not catch it (%v):\n%s", m.caught, err, out)
	}
}

// T13, with the two in sync_test.go: the mistakes that matter most are each
// caught by a named test.
func TestT13_SeededMistakesAreCaught(t *testing.T) {
	t.Parallel()
	for _, m := range []mistake{
		{
			name:  "committing after the dot",
			seeds: []seed{{"internal/onboarding/attempt.go", "	if err := c.wait(); err != nil {\n\t\treturn err\n\t}\n\tif time.Since(c.asked)", "	if time.Since(c.asked)"}},
			pkg:   "bellhop/internal/onboarding", caught: "TestA6_2_DotOnlyAfterCommitting",
		},
		{
			name:  "no look at the ledger before a late dot",
			seeds: []seed{{"internal/onboarding/attempt.go", "return s.deps.Claims.Check(ctx, h.Claim)", "return nil"}},
			pkg:   "bellhop/internal/onboarding", caught: "TestA6_4_SlowHolderAsksAgain",
		},
		{
			name:  "no compare-and-set",
			seeds: []seed{{"internal/store/sqlite/claims.go", "if m == nil || m.gen != c.Gen {", "if m == nil {"}},
			pkg:   "bellhop/internal/store/sqlite", caught: "TestStore/Claim",
		},
		{
			name:  "a dead process's committing taken for due",
			seeds: []seed{{"internal/store/sqlite/presence.go", "if m.state == onboarding.Sending {", "if m.state != onboarding.Due {"}},
			pkg:   "bellhop/internal/store/sqlite", caught: "TestStore/Sweep",
		},
		{
			name:  "QUIT after a partial DATA",
			seeds: []seed{{"internal/mail/smtp/client.go", "if outcome.Close || !s.usable() {\n\t\ts.wire.cut()", "if outcome.Close || !s.usable() {\n\t\t_ = s.text.Quit()"}},
			pkg:   "bellhop/internal/mail/smtp", caught: "TestPartialDataNeverDelivers",
		},
	} {
		t.Run(m.name, m.isCaught)
	}
}

// T13: the same for what accounts add.
func TestT13_SeededMistakesWithAccountsAreCaught(t *testing.T) {
	t.Parallel()
	for _, m := range []mistake{
		{
			name: "an erased person's mails not called off",
			seeds: []seed{{"internal/store/sqlite/registrar.go",
				"sqlEraseSignUp, s.seq); err != nil {\n\t\treturn err\n\t}\n\treturn t.callOff(s.id, why)", "sqlEraseSignUp, s.seq); err != nil {\n\t\treturn err\n\t}\n\treturn nil"}},
			pkg: "bellhop/internal/store/sqlite", caught: "TestStore/Erase",
		},
		{
			name:  "the budget charged for every attempt in Redis",
			seeds: []seed{{"internal/store/redis/lua/parts/charge.lua", "if m.charged then return nil end", ""}},
			pkg:   "bellhop/internal/store/redis", caught: "TestStore/Budget",
		},
		{
			name:  "an erased person's mails not called off in Redis",
			seeds: []seed{{"internal/store/redis/lua/parts/forget.lua", "cancel(id, 'the person was erased')", ""}},
			pkg:   "bellhop/internal/store/redis", caught: "TestStore/Erase",
		},
	} {
		t.Run(m.name, m.isCaught)
	}
}

// T13: whoever owes the welcome in a commit of its own loses it where people
// redeem; whoever charges a budget for every attempt has people wait for mail in
// vain. The judges of the crash tests notice.
func TestT13_SeededMistakesAreNoticedInCrashes(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		name  string
		seeds []seed
		try   func(*rig)
		says  string
	}{
		{
			name: "the welcome owed outside of the commit",
			seeds: []seed{{"internal/store/sqlite/redeem.go",
				"\treturn t.owe(onboarding.Owed{ID: onboarding.NewMailID(s.id, onboarding.Welcome, 1), Expiry: r.Welcome})",
				"\treturn nil"},
				{"internal/store/sqlite/redeem.go",
					"\tcrashpoint.Here(crashpoint.Redeemed)\n",
					"\tcrashpoint.Here(crashpoint.Redeemed)\n\tif done.Confirmed {\n\t\t_ = s.commit(ctx, func(t *tx) error {\n\t\t\treturn t.owe(onboarding.Owed{ID: onboarding.NewMailID(done.Account.ID, onboarding.Welcome, 1), Expiry: r.Welcome})\n\t\t})\n\t}\n"},
			},
			try: func(r *rig) {
				r.withTown(citizens).killAt(crashpoint.Redeemed, killsAtPointOfAccounts)
				r.judge(r.finish())
			},
			says: "0 welcomes came (confirmed true",
		},
		{
			name: "the budget charged for every attempt",
			seeds: []seed{{"internal/store/sqlite/budget.go",
				"if m.charged || len(t.allowances(s)) == 0 {", "if len(t.allowances(s)) == 0 {"}},
			try:  (*rig).flooded,
			says: "the budget is 3, and ",
		},
	} {
		t.Run(m.name, func(t *testing.T) {
			binary := mistaken(t, "build", m.seeds, "-tags", "crashpoints", program)
			t.Parallel()
			r := newRig(t, binary)
			r.faults = new([]string)
			m.try(r)
			if !slices.ContainsFunc(*r.faults, func(fault string) bool { return strings.Contains(fault, m.says) }) {
				t.Errorf("the judges found %q, and not that %q", *r.faults, m.says)
			}
		})
	}
}

// The same for what only several processes over one Redis can get wrong.
func TestT13_SeededMistakesOnRedisAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	const lua = "internal/store/redis/lua/"
	for _, m := range []mistake{
		{
			name:  "no compare-and-set",
			seeds: []seed{{lua + "claim.lua", "if not m or m.gen ~= gen then", "if not m then"}},
			pkg:   "bellhop/internal/store/redis", caught: "TestStore/Claim",
		},
		{
			name:  "a dead process's committing taken for due",
			seeds: []seed{{lua + "parts/takeback.lua", "if m.state == 'sending' then", "if m.state ~= 'due' then"}},
			pkg:   "bellhop/internal/store/redis", caught: "TestStore/Sweep",
		},
		{
			name:  "a sweeper judges whatever its own heartbeat is",
			seeds: []seed{{lua + "sweep.lua", "or not healthy or now - healthy < dead then return", "and false then return"}},
			pkg:   "bellhop/internal/store/redis", caught: "TestStore/Sweep",
		},
		{
			name:  "a sweeper judges after an outage that its own heartbeat outlasted",
			seeds: []seed{{"internal/onboarding/policy.go", "return p.DeadAfter / 2", "return p.DeadAfter"}},
			pkg:   "bellhop/internal/store/redis", caught: "TestStore/Sweep",
		},
		{
			name:  "a key is not looked up",
			seeds: []seed{{lua + "accept.lua", "if key ~= '' then\n  local at", "if false then\n  local at"}},
			pkg:   "bellhop/internal/store/redis", caught: "TestStore/Idempotency",
		},
		{
			name: "steps are repeated in silence",
			seeds: []seed{
				{"internal/redisdb/client.go", "MaxRetries: -1, DialerRetries: 1,", "MaxRetries: 3,"},
			},
			pkg: "bellhop/internal/redisdb", caught: "TestNothingIsRepeated",
		},
		{
			name:  "a repeated step is made again",
			seeds: []seed{{lua + "record.lua", "if step then", "step = step or steps.unknown\nif step then"}},
			pkg:   "bellhop/internal/store/redis", caught: "TestEveryStepWhoseAnswerWasLostMayBeRepeated",
		},
		{
			name:  "no replica is waited for before the dot",
			seeds: []seed{{"internal/store/redis/claims.go", "s.steps.committing, redisdb.Replicated", "s.steps.committing, redisdb.Answered"}},
			pkg:   "bellhop/internal/store/redis", caught: "TestWithoutItsReplicaNothingIsPromised",
		},
		{
			name:  "a claim whose answer was lost is forgotten",
			seeds: []seed{{"internal/onboarding/attempt.go", "if ctx.Err() == nil { // otherwise leaving gives it back", "if false {"}},
			pkg:   "bellhop/internal/onboarding", caught: "TestALostAnswerToAClaimHoldsNothingUp",
		},
		{
			name:  "a message is settled by whoever held it once",
			seeds: []seed{{"internal/queue/redis/scripts.go", "if not pending or pending[2] ~= consumer or pending[4] ~= count or pending[3] >= lock then", "if not pending then"}},
			pkg:   "bellhop/internal/queue/redis", caught: "TestSettlementAfterTheLock",
		},
	} {
		t.Run(m.name, m.isCaught)
	}
}
