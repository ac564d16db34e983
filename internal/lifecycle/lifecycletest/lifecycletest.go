// Package lifecycletest holds the test that every lifecycle.Service passes: it
// returns when it is told to, whenever that is.
package lifecycletest

import (
	"context"
	"runtime"
	"testing"
	"time"

	"bellhop/internal/lifecycle"
)

// patience is how long a service may take to return before the test fails. It
// is generous: a slow machine is no broken contract.
const patience = 30 * time.Second

// Stress runs many services made by fresh, and asks each to stop at another
// moment: before it starts, while it starts, when it has run for a while, and
// with no time left. fresh returns a new, working service every time. The
// caller's TestMain should call goleak.VerifyTestMain to see that nothing is
// left behind.
func Stress(t *testing.T, fresh func(t *testing.T) lifecycle.Service) {
	t.Helper()
	for name, ask := range map[string]func(run, drain, cut func(), turn int){
		"drained before the start": func(run, drain, _ func(), _ int) { drain(); run() },
		"cut before the start":     func(run, drain, cut func(), _ int) { drain(); cut(); run() },
		"drained":                  func(run, drain, _ func(), turn int) { run(); yield(turn); drain() },
		"cut":                      func(run, drain, cut func(), turn int) { run(); yield(turn); drain(); cut() },
		"cut while draining":       func(run, drain, cut func(), turn int) { run(); yield(turn); drain(); yield(turn); cut() },
	} {
		t.Run(name, func(t *testing.T) {
			for turn := range 20 {
				once(t, fresh(t), func(run, drain, cut func()) { ask(run, drain, cut, turn) })
			}
		})
	}
}

// yield lets the service come a bit further each turn.
func yield(turn int) {
	for range turn * turn * 10 {
		runtime.Gosched()
	}
}

func once(t *testing.T, service lifecycle.Service, ask func(run, drain, cut func())) {
	t.Helper()
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	drain, ended := make(chan struct{}), make(chan error, 1)
	run := func() { go func() { ended <- service.Run(ctx, drain) }() }
	ask(run, func() { close(drain) }, cut)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%s: %v, want nil after being asked to stop", service.Name, err)
		}
	case <-time.After(patience):
		t.Fatalf("%s does not return", service.Name)
	}
}
