package crashtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
		source, err := os.ReadFile(path)
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
	cmd := exec.Command("go", "test", "-count=1", "-timeout", "5m", "-overlay", overlay(t, m.seeds...), "-run", pattern, m.pkg)
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
			pkg:   "bellhop/internal/store/sqlite", caught: "TestStore",
		},
		{
			name:  "a dead process's committing taken for due",
			seeds: []seed{{"internal/store/sqlite/presence.go", "if m.state == onboarding.Sending {", "if m.state != onboarding.Due {"}},
			pkg:   "bellhop/internal/store/sqlite", caught: "TestStore",
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
