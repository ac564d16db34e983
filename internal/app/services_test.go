package app

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/lifecycle"
	"bellhop/internal/lifecycle/lifecycletest"
	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// C1.13: every service of a process returns when it is told to, whenever that
// is, and leaves nothing behind.
func TestServicesStop(t *testing.T) {
	h, post := newHouse(t)
	stressServices(t, h, post, "databases", "heartbeat", "control", "relay", "retention", "signing keys", "sender", "ops", "web", "readiness")
}

// The same for the listener of the bus, which is there when it is asked for.
func TestBusListenerStops(t *testing.T) {
	h, post := newHouse(t, "--bus-listen", "127.0.0.1:0", "--bus-tls-self-signed")
	if got, want := names(h.services()), []string{"databases", "heartbeat", "control", "relay", "retention", "signing keys", "sender", "ops", "bus", "web", "readiness"}; !slices.Equal(got, want) {
		t.Fatalf("services %v, want %v", got, want)
	}
	lifecycletest.Stress(t, func(t *testing.T) lifecycle.Service {
		h.renew(t, post)
		return lifecycle.Service{Name: "bus", Run: h.busFront.run}
	})
}

// The same with everything in Redis. What commands ask the process for is to
// clear the dev mailbox.
func TestServicesStopWithRedis(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	h, post := newHouse(t, "--store", server.URL(0), "--queue", "redis")
	stressServices(t, h, post, "databases", "heartbeat", "control", "relay", "watch", "retention", "signing keys", "sender", "ops", "web", "readiness")
}

// What the roles of a process do not need is not there.
func TestServicesOfRoles(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	for roles, want := range map[string][]string{
		"web":              {"databases", "heartbeat", "signing keys", "ops", "web", "readiness"},
		"relay":            {"databases", "heartbeat", "relay", "watch", "retention", "ops", "readiness"},
		"sender":           {"databases", "heartbeat", "sender", "ops", "readiness"},
		"web,relay,sender": {"databases", "heartbeat", "relay", "watch", "retention", "signing keys", "sender", "ops", "web", "readiness"},
	} {
		h, _ := newHouse(t, "--store", server.URL(0), "--queue", "redis", "--roles", roles,
			"--smtp", "smtp://localhost", "--public-url", "http://a.example")
		if got := names(h.services()); !slices.Equal(got, want) {
			t.Errorf("%s: services %v, want %v", roles, got, want)
		}
		if h.dir != nil || (h.queue == nil) != (roles == "web") {
			t.Errorf("%s: directory %v, queue %v", roles, h.dir, h.queue)
		}
	}
	h, _ := newHouse(t, "--store", server.URL(0), "--roles", "relay,sender", "--smtp", "smtp://localhost", "--public-url", "http://a.example")
	if got, want := names(h.services()), []string{"databases", "heartbeat", "control", "relay", "watch", "retention", "sender", "ops", "readiness"}; !slices.Equal(got, want) {
		t.Errorf("with an embedded queue: services %v, want %v", got, want)
	}
}

// A process that answers people tells those that relay of each sign-up.
func TestSignUpsAreAnnounced(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	in := []string{"--store", server.URL(0), "--queue", "redis", "--smtp", "smtp://localhost", "--public-url", "http://a.example", "--limit-ip", "off", "--roles"}
	web, _ := newHouse(t, append(in, "web")...)
	relay, _ := newHouse(t, append(in, "relay")...)
	told := make(chan onboarding.Lane, 1)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	watching.Go(func() {
		err := relay.store.(watcher).Watch(ctx, func(lane onboarding.Lane) {
			select {
			case told <- lane:
			default:
			}
		})
		if err != nil {
			t.Errorf("Watch = %v, want nil", err)
		}
	})
	again, limit := time.NewTicker(50*time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for { // it may not be listening yet
		form := httptest.NewRequest("POST", "/createUser", strings.NewReader("first=Ada&email=ada%40example.com"))
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer := httptest.NewRecorder()
		if web.handler.ServeHTTP(answer, form); answer.Code != http.StatusAccepted {
			t.Fatalf("sign-up: %d %s", answer.Code, answer.Body)
		}
		select {
		case lane := <-told:
			if lane != onboarding.Urgent {
				t.Errorf("told of the lane %q", lane)
			}
			return
		case <-again.C:
		case <-limit:
			t.Fatal("nobody told of the sign-ups")
		}
	}
}

func names(services []lifecycle.Service) (names []string) {
	for _, s := range services {
		names = append(names, s.Name)
	}
	return names
}

// stressServices stops each of a process's services, which must be these, at
// any moment.
func stressServices(t *testing.T, h *house, post post, want ...string) {
	if got := names(h.services()); !slices.Equal(got, want) {
		t.Fatalf("services %v, want %v", got, want)
	}
	for _, name := range want {
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
func newHouse(t *testing.T, args ...string) (*house, post) {
	t.Helper()
	in, err := config.Parse(append([]string{"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, args...), nil)
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
		if l != nil {
			_ = l.Close() // a service may have closed it
		}
	}
	if h.busFront != nil {
		h.busFront.close()
	}
	if err := errors.Join(h.listen(), h.buildSender(t.Context(), post)); err != nil {
		t.Fatal(err)
	}
	h.relay = onboarding.NewRelay(h.store, h.queue, h.policy, h.self, h.log)
	h.ready = h.newReadiness()
}
