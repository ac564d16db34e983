package app

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"bellhop/internal/config"
	"bellhop/internal/lifecycle"
	"bellhop/internal/lifecycle/lifecycletest"
	"bellhop/internal/onboarding"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// C1.13: every service of a process returns when it is told to, whenever that
// is, and leaves nothing behind.
func TestServicesStop(t *testing.T) {
	h, post := newHouse(t)
	for _, name := range []string{"databases", "heartbeat", "control", "relay", "sender", "ops", "web", "readiness"} {
		t.Run(name, func(t *testing.T) {
			lifecycletest.Stress(t, func(t *testing.T) lifecycle.Service {
				h.renew(t, post)
				services := h.services()
				return services[slices.IndexFunc(services, func(s lifecycle.Service) bool { return s.Name == name })]
			})
		})
	}
}

// newHouse builds a process in a directory of its own, without running it.
func newHouse(t *testing.T) (*house, post) {
	t.Helper()
	in, err := config.Parse([]string{"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := in.Command.(*config.Serve)
	h, err := Program{Stdout: io.Discard, Stderr: io.Discard}.build(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	post, err := newPost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h, post
}

// renew replaces what a service has used up: all but the open files.
func (h *house) renew(t *testing.T, post post) {
	t.Helper()
	for _, l := range []net.Listener{h.front, h.ops, h.control} {
		_ = l.Close() // a service may have closed it
	}
	if err := errors.Join(h.listen(), h.buildSender(t.Context(), post)); err != nil {
		t.Fatal(err)
	}
	h.relay = onboarding.NewRelay(h.store, h.queue, h.policy, h.self, h.log)
	h.web = newReadiness(h.store.Ping, h.queueAnswers, h.cfg.DrainTimeout/5)
}
