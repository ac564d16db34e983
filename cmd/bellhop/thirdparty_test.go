package main

import (
	"os"
	"os/exec"
	"testing"
)

// TestThirdPartySMTP signs up against a mail server that is not ours, and has
// the mails read by a library that is not ours either.
func TestThirdPartySMTP(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a mail server of its own")
	}
	t.Parallel()
	program, err := exec.LookPath("bellhop")
	if err != nil {
		t.Fatal(err)
	}
	script := exec.CommandContext(t.Context(), "../../scripts/third-party-smtp", program)
	script.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "GORACE="+dontLinger)
	out, err := script.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
