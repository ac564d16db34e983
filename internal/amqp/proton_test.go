package amqp_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"bellhop/internal/amqp"
)

// TestProton has a client with another engine do its part, in Python, as
// testdata/client.py says.
func TestProton(t *testing.T) {
	for name, cfg := range map[string]amqp.Config{"large frames": {}, "small frames": {MaxFrameSize: 512}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := serve(t, cfg, newBroker())
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			out, err := exec.CommandContext(ctx, "/usr/bin/python3", "testdata/client.py", "amqp://"+address).CombinedOutput()
			if err != nil {
				t.Fatalf("client.py: %v\n%s", err, out)
			}
			if n := strings.Count(string(out), "ok "); n != 7 {
				t.Errorf("%d of 7 things worked:\n%s", n, out)
			}
			t.Logf("%s", out)
		})
	}
}
