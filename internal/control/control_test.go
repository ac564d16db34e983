package control_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bellhop/internal/control"
	"bellhop/internal/lifecycle"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers commands in dir with their path, until the test ends.
func serve(t *testing.T, dir string) {
	t.Helper()
	ln, err := control.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	service := lifecycle.HTTP("control", &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	})}, ln)
	drain, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- service.Run(t.Context(), drain) }()
	t.Cleanup(func() {
		close(drain)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "control.sock")); err == nil {
			t.Error("the socket is left behind")
		}
	})
}

func command(t *testing.T, dir string) {
	t.Helper()
	client, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(control.BaseURL + "/dead/replay")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "/dead/replay" {
		t.Errorf("the answer is %q, %v", body, err)
	}
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir)
	command(t, dir)
	info, err := os.Stat(filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %04o, want 0600", info.Mode().Perm())
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30), strings.Repeat("er", 60))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" {
		if _, err := control.Listen(dir); err == nil || !strings.Contains(err.Error(), "shorter --data-dir") {
			t.Errorf("err = %v, want one that says what to do", err)
		}
		return
	}
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Dial = %v, want ErrNotRunning", err)
	}
	serve(t, dir)
	command(t, dir)
}

func TestNotRunning(t *testing.T) {
	dir := t.TempDir()
	for _, missing := range []string{dir, filepath.Join(dir, "missing"), filepath.Join(dir, strings.Repeat("x", 200))} {
		if _, err := control.Dial(t.Context(), missing); !errors.Is(err, control.ErrNotRunning) {
			t.Errorf("Dial = %v, want ErrNotRunning", err)
		}
	}
}

// TestStaleSocket leaves a socket behind, as a killed process does.
func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "control.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Dial = %v, want ErrNotRunning", err)
	}
	serve(t, dir)
	command(t, dir)
}
