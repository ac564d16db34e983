package clienttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long one client may take for all of its checks.
const patience = 5 * time.Minute

// client is a program of checks, and the checks that it must make.
type client struct {
	name    string // of its test, and in front of the names of its queues
	dir     string // where it runs
	command []string
	checks  map[string]settings // nil: a queue as it is by default
}

// result is what a client prints of one check.
type result struct {
	Check  string
	Passed bool
	MS     int
	Error  string
}

// TestClients runs each client's checks against one bus.
func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs in other languages")
	}
	queues := map[string]settings{}
	for _, c := range clients() {
		for check, s := range c.checks {
			queues[c.name+"/"+check] = s
		}
	}
	b := startBus(t, queues)
	t.Run("all", func(t *testing.T) {
		for _, c := range clients() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, b)
			})
		}
	})
}

// run runs the client and turns each of its checks into a subtest. One that is
// missing has failed.
func (c client) run(t *testing.T, b *bus) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Dir = c.dir
	bus := b.plain
	if strings.HasSuffix(c.name, "-tls") {
		bus = b.secure
	}
	cmd.Env = append(os.Environ(), "BUS="+bus, "BUS_ADMIN="+b.secure, "BUS_CERT="+b.certificate,
		"NODE_EXTRA_CA_CERTS="+b.certificate, "QUEUE_PREFIX="+c.name, "PYTHONDONTWRITEBYTECODE=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(c.command, " "), err, tail(stderr.String()))
	}
	results := parse(t, &stdout)
	for check := range c.checks {
		t.Run(check, func(t *testing.T) {
			got, made := results[check]
			switch {
			case !made:
				t.Error("the client has not made this check")
			case !got.Passed:
				t.Error(got.Error)
			}
		})
	}
	for check := range results {
		if _, known := c.checks[check]; !known {
			t.Errorf("%s made the check %s, which is in no list here", c.name, check)
		}
	}
}

func parse(t *testing.T, output *bytes.Buffer) map[string]result {
	results := map[string]result{}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.Check == "" {
			t.Errorf("printed %q, want the result of a check", lines.Text())
			continue
		}
		if _, twice := results[r.Check]; twice {
			t.Errorf("made the check %s twice", r.Check)
		}
		results[r.Check] = r
		t.Logf("%5d ms %s", r.MS, r.Check)
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return results
}

// TestInstalled expects the JavaScript client in the versions that
// package-lock.json pins.
func TestInstalled(t *testing.T) {
	lock, err := os.ReadFile("../../tests/js/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	installed, err := os.ReadFile("../../tests/js/node_modules/.installed")
	if err != nil || !bytes.Equal(lock, installed) {
		t.Errorf("tests/js/node_modules is not what package-lock.json says (%v); dev/setup installs it", err)
	}
}
