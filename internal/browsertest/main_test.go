package browsertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/sidebyside"

	"go.uber.org/goleak"
)

// patience is how long anything may take on a busy machine.
const patience = 2 * time.Minute

// settled is more than the time in which nothing is said of a mail but that it
// was accepted.
const settled = 15 * time.Second

// again is after what time a person tries once more what had no effect.
const again = 10 * time.Second

// atOnce is how many tests run side by side when nothing else is said: for some
// of their time they wait for the browser.
const atOnce = 4

func TestMain(m *testing.M) {
	if err := sidebyside.AtOnce(atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	if b := running.Load(); b != nil {
		if err := b.close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if dir, err := shelf(); err == nil {
		_ = os.RemoveAll(dir)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// The browser and the program, each there when it is first asked for; shelf is
// where their files are until the tests end.
var (
	shelf    = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "browsertest-") })
	chromium = sync.OnceValues(startBrowser)
	shipped  = sync.OnceValues(build)

	running atomic.Pointer[headless] // once it has started
)

// build builds the program as it is shipped.
func build() (string, error) {
	dir, err := shelf()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "bellhop")
	if out, err := exec.Command("go", "build", "-o", binary, "bellhop/cmd/bellhop").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}
