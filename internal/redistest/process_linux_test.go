package redistest_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/redistest"
)

// TestServerDiesWithTheTest runs itself again, and has that run killed where no
// cleanup can help.
func TestServerDiesWithTheTest(t *testing.T) {
	const child, said = "REDISTEST_CHILD", "the server is at "
	if os.Getenv(child) != "" {
		fmt.Println(said + redistest.Start(t, redistest.Options{}).Addr())
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.Output()
	_, address, found := strings.Cut(string(out), said)
	if err == nil || !found {
		t.Fatalf("got %v, want a killed run that has told of its server:\n%s", err, out)
	}
	address, _, _ = strings.Cut(address, "\n")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the server at %s outlived its test", address)
		}
	}
}
