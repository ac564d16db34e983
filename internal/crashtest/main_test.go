package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"bellhop/internal/sidebyside"
)

// atOnce is how many tests run side by side when nothing else is said: they
// wait for most of their time, for the dead to be found out and locks to end.
const atOnce = 10

func TestMain(m *testing.M) {
	if err := sidebyside.AtOnce(atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	if dir, err := shelf(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// program is the package that is built.
const program = "bellhop/cmd/bellhop"

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
	binary := filepath.Join(dir, name)
	return binary, compiler("build", append(args, "-o", binary, program)...)
}

// compiler runs go build, or go test -c. Nobody looks at what it makes with a
// debugger, and to link for one takes as long as all the rest.
func compiler(what string, args ...string) error {
	out, err := exec.Command("go", append([]string{what, "-ldflags=-s -w"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", what, err, out)
	}
	return nil
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

// compiling is full while so many mistakes are compiled that the rest of the
// machine is needed for those that are judged meanwhile.
var compiling = make(chan struct{}, 2)

// mistaken compiles something with mistakes in it.
func mistaken(t *testing.T, what string, seeds []seed, args ...string) (binary string) {
	t.Helper()
	compiling <- struct{}{}
	defer func() { <-compiling }()
	binary = filepath.Join(t.TempDir(), "mistaken")
	if err := compiler(what, append([]string{"-overlay", overlay(t, seeds...), "-o", binary}, args...)...); err != nil {
		t.Fatal(err)
	}
	return binary
}
