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

// T13, with the two in sync_test.go: the mistakes that matter most are each caught by a named test. The test
// must fail, and not merely fail to build.
func TestT13_SeededMistakesAreCaught(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		seed   seed
		pkg    string
		caught string // the test that must fail
	}{
		{
			name: "committing after the dot",
			seed: seed{"internal/onboarding/attempt.go", "	if err := c.wait(); err != nil {\n\t\treturn err\n\t}\n\tif time.Since(c.asked)", "	if time.Since(c.asked)"},
			pkg:  "bellhop/internal/onboarding", caught: "TestA6_2_DotOnlyAfterCommitting",
		},
		{
			name: "no compare-and-set",
			seed: seed{"internal/store/sqlite/claims.go", "if m == nil || m.gen != c.Gen {\n\t\t\treturn onboarding.ErrRefused\n\t\t}\n\t\tif !m.claimedBy", "if m == nil {\n\t\t\treturn onboarding.ErrRefused\n\t\t}\n\t\tif !m.claimedBy"},
			pkg:  "bellhop/internal/store/sqlite", caught: "TestStore",
		},
		{
			name: "a dead process's committing taken for due",
			seed: seed{"internal/store/sqlite/presence.go", "if m.state == onboarding.Sending {", "if m.state != onboarding.Due {"},
			pkg:  "bellhop/internal/store/sqlite", caught: "TestStore",
		},
		{
			name: "QUIT after a partial DATA",
			seed: seed{"internal/mail/smtp/client.go", "if outcome.Close || !s.usable() {\n\t\ts.wire.cut()", "if outcome.Close || !s.usable() {\n\t\t_ = s.text.Quit()"},
			pkg:  "bellhop/internal/mail/smtp", caught: "TestPartialDataNeverDelivers",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command("go", "test", "-count=1", "-timeout", "5m", "-overlay", overlay(t, test.seed), "-run", "^"+test.caught+"$", test.pkg)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+test.caught) {
				t.Errorf("%s did not catch it (%v):\n%s", test.caught, err, out)
			}
		})
	}
}
