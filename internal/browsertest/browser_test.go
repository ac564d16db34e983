package browsertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/chromedp/chromedp"
)

var errNoBrowser = errors.New("there is no Chromium; dev/setup installs Debian's")

// headless is one running Chromium that all tests share. Each visitor has
// cookies of its own in it.
type headless struct {
	ctx    context.Context
	cancel context.CancelFunc
	output *lockedBuffer // what Chromium says
}

// startBrowser starts Chromium so that it finds this machine and nothing else.
func startBrowser() (*headless, error) {
	path, err := browserPath()
	if err != nil {
		return nil, err
	}
	dir, err := shelf()
	if err != nil {
		return nil, err
	}
	b := &headless{output: new(lockedBuffer)}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.UserDataDir(filepath.Join(dir, "chromium")),
		chromedp.CombinedOutput(b.output),
		// Tests' own names for this machine, and no other names at all.
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
		chromedp.Flag("no-proxy-server", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	b.ctx, b.cancel = chromedp.NewContext(allocator)
	if err := chromedp.Do(b.ctx); err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w\n%s", path, err, b.output)
	}
	both := b.cancel
	b.cancel = func() { both(); stop() }
	running.Store(b)
	return b, nil
}

// browserPath finds Chromium.
func browserPath() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoBrowser
}

// close ends Chromium and all its processes.
func (b *headless) close() error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := chromedp.Cancel(ctx)
	b.cancel()
	if err != nil {
		return fmt.Errorf("close Chromium: %w\n%s", err, b.output)
	}
	return nil
}

// lockedBuffer is a buffer that is written and read at the same time.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
