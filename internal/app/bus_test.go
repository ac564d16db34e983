package app

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bellhop/internal/bus"
	"bellhop/internal/config"
	"bellhop/internal/lifecycle"
	"bellhop/internal/lifecycle/lifecycletest"
	"bellhop/internal/sas"
	"bellhop/internal/sqlitedb"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// newBusHouse builds a process of "bellhop bus" on a free port, in a directory
// of its own unless args name one, without running it.
func newBusHouse(t *testing.T, args ...string) *busHouse {
	t.Helper()
	in, err := config.Parse(append([]string{"bus", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0"}, args...), nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Program{Stdout: io.Discard, Stderr: io.Discard}.buildBus(t.Context(), in.Command.(*config.Bus), sqlitedb.Full)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

func TestBusServicesStop(t *testing.T) {
	for _, args := range [][]string{nil, {"--tls-self-signed"}} {
		h := newBusHouse(t, args...)
		settings := h.front.cfg
		lifecycletest.Stress(t, func(t *testing.T) lifecycle.Service {
			h.front.close()
			front, err := openBusFront(h.bus, &h.wiring, h.dir, settings, h.log)
			if err != nil {
				t.Fatal(err)
			}
			h.front = front
			return lifecycle.Service{Name: "bus", Run: front.run}
		})
		lifecycletest.Stress(t, func(*testing.T) lifecycle.Service { return lifecycle.Service{Name: "database", Run: h.watch} })
	}
}

// C1.15: a bus whose commit has failed ends the process.
func TestC1_15_FailedCommitEndsTheProcess(t *testing.T) {
	dir := t.TempDir()
	h := newBusHouse(t, "--data-dir", dir, "--queue", "orders")
	conn, err := sqlite.OpenConn(filepath.Join(dir, busFile), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Counters are written at the end of each group: this makes that fail.
	if err := sqlitex.ExecuteTransient(conn, "CREATE TRIGGER broken BEFORE UPDATE ON subqueue BEGIN SELECT RAISE(ABORT, 'disk on fire'); END", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.bus.Send(t.Context(), "orders", bus.Message{}); !errors.Is(err, bus.ErrFailed) {
		t.Fatalf("send: %v", err)
	}
	err = lifecycle.Run(t.Context(), h.cfg.DrainTimeout, h.log,
		lifecycle.Service{Name: "database", Run: h.watch}, lifecycle.Service{Name: "bus", Run: h.front.run})
	if err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("it ends with %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct {
		listen        string
		hosts         []string
		leaf          *x509.Certificate // nil: self-signed
		plain, secure string
	}{
		{"127.0.0.1:0", nil, nil, "127.0.0.1", "127.0.0.1"},
		{"127.0.0.1:0", []string{"bus.example"}, nil, "127.0.0.1", "127.0.0.1"},
		{"[::1]:0", nil, nil, "[::1]", "[::1]"},
		{"localhost:0", nil, nil, "localhost", "localhost"},
		{":0", nil, nil, "localhost", "localhost"},
		{"0.0.0.0:0", []string{"bus.example", "other"}, nil, "bus.example", "bus.example"},
		{"[::]:0", nil, &x509.Certificate{DNSNames: []string{"*.example", "bus.example"}}, "localhost", "bus.example"},
		{"127.0.0.1:0", nil, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 7)}}, "127.0.0.1", "10.0.0.7"},
		{"127.0.0.1:0", nil, &x509.Certificate{}, "127.0.0.1", "localhost"},
	} {
		h := newBusHouse(t)
		h.front.cfg.listen, h.front.leaf = test.listen, test.leaf
		h.front.cfg.tls = &config.BusTLS{TLSSelfSigned: test.leaf == nil, TLSHosts: test.hosts}
		_, port, err := net.SplitHostPort(h.front.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for secure, want := range map[bool]string{false: test.plain, true: test.secure} {
			if got := h.front.endpoint(secure); got != "sb://"+want+":"+port {
				t.Errorf("%s %v: %s", test.listen, test.hosts, got)
			}
			c, err := sas.ParseConnectionString(h.front.connection(secure).String())
			if err != nil || c.Emulator == secure || c.Key != h.front.keys.Root().Key {
				t.Errorf("%s %v: %v, %v", test.listen, test.hosts, c, err)
			}
		}
	}
}

func TestManyQueuesAreNotAllNamed(t *testing.T) {
	args := []string{}
	for _, name := range strings.Split("abcdefghijkl", "") {
		args = append(args, "--queue", name)
	}
	greeting, err := newBusHouse(t, args...).greeting(t.Context())
	if err != nil || !strings.Contains(greeting, "Queues    a, b, c, d, e, f, g, h, i, j, and 2 more\n") {
		t.Errorf("%s%v", greeting, err)
	}
}

// What cannot be is said before anything is touched.
func TestBusIsRefused(t *testing.T) {
	config := func(text string) string {
		path := filepath.Join(t.TempDir(), "Config.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for want, args := range map[string][]string{
		"UserConfig":             {"--config", config("{}")},
		"address already in use": {"--listen", held.Addr().String()},
	} {
		var said strings.Builder
		args = append([]string{"bus", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data")}, args...)
		code := Run(context.Background(), Program{Args: args, Stdout: io.Discard, Stderr: &said})
		if code != exitFailed || !strings.Contains(said.String(), want) {
			t.Errorf("%v: exit %d, %s", args, code, &said)
		}
	}
}
