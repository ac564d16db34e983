package datadir_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bellhop/internal/datadir"
)

// holdVariable makes the test binary hold the directory it names until it is
// killed.
const holdVariable = "DATADIR_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdVariable); path != "" {
		hold(path)
	}
	os.Exit(m.Run())
}

func hold(path string) {
	if _, err := datadir.Open(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent is gone
	os.Exit(0)
}

func open(t *testing.T, path string) *datadir.Dir {
	t.Helper()
	d, err := datadir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestOpenMakesItPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d := open(t, path)
	if got := mode(t, path); got != 0o700 {
		t.Errorf("mode = %04o, want 0700", got)
	}
	if got := mode(t, d.Path("lock")); got != 0o600 {
		t.Errorf("mode of the lock = %04o, want 0600", got)
	}
	if got := d.Path("x"); got != filepath.Join(path, "x") {
		t.Errorf("Path = %q", got)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestPathIsAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	d := open(t, "data")
	if !filepath.IsAbs(d.Path("x")) {
		t.Errorf("Path = %q, want an absolute one", d.Path("x"))
	}
}

func TestExposedDirectory(t *testing.T) {
	path := t.TempDir()
	chmod(t, path, 0o755)
	open(t, path).Close()
	if got := mode(t, path); got != 0o700 {
		t.Errorf("an empty directory has mode %04o after Open, want 0700", got)
	}
	chmod(t, path, 0o750) // and now it holds the lock file
	_, err := datadir.Open(path)
	if !errors.Is(err, datadir.ErrExposed) || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("err = %v, want ErrExposed with what to do", err)
	}
}

func TestSecondHolderIsRefused(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	_, err := datadir.Open(path)
	if !errors.Is(err, datadir.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d;", os.Getpid())) {
		t.Errorf("err = %v, want ErrLocked with the process %d", err, os.Getpid())
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	open(t, path)
}

// TestDeathUnlocks kills a process that holds the directory.
func TestDeathUnlocks(t *testing.T) {
	path := t.TempDir()
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), holdVariable+"="+path)
	in, err := holder.StdinPipe() // keeps the child waiting
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q, want held", line)
	}
	_, err = datadir.Open(path)
	if !errors.Is(err, datadir.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d;", holder.Process.Pid)) {
		t.Errorf("err = %v, want ErrLocked with the process %d", err, holder.Process.Pid)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // killed
	open(t, path)
}

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "missing")
	if _, err := datadir.OpenExisting(path); !errors.Is(err, datadir.ErrMissing) {
		t.Errorf("err = %v, want ErrMissing", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("OpenExisting made the directory")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := datadir.Check(file); !errors.Is(err, datadir.ErrMissing) {
		t.Errorf("Check of a file = %v, want ErrMissing", err)
	}
	if _, err := datadir.Open(file); err == nil {
		t.Error("Open of a file succeeds")
	}
	if err := datadir.Check(dir); err != nil {
		t.Errorf("Check = %v, want nil", err)
	}
}
