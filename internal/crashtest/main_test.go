package crashtest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// atOnce is how many tests run side by side when nothing else is said: they
// wait for most of their time, for the dead to be found out and locks to end.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	code := m.Run()
	if dir, err := shelf(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// The program, built when it is first asked for: as it is shipped, and so that
// it can be told where to die. shelf is where they are until the tests end.
var (
	shelf   = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "crashtest-") })
	shipped = sync.OnceValues(func() (string, error) { return compile("shipped") })
	mortal  = sync.OnceValues(func() (string, error) { return compile("mortal", "-tags", "crashpoints") })
)

// compile puts the program on the shelf.
func compile(name string, args ...string) (string, error) {
	dir, err := shelf()
	if err != nil {
		return "", err
	}
	return goBuild(filepath.Join(dir, name), args...)
}

func goBuild(binary string, args ...string) (string, error) {
	cmd := exec.Command("go", append(append([]string{"build"}, args...), "-o", binary, "bellhop/cmd/bellhop")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// built returns one of the programs above.
func built(t *testing.T, program func() (string, error)) string {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// buildWith builds a program of the test's own.
func buildWith(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := goBuild(filepath.Join(t.TempDir(), "bellhop"), args...)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}
