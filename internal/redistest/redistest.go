// Package redistest runs the Redis that tests are proven against: real servers
// of their own on free ports of 127.0.0.1, in directories that go away with
// the test, and never a server that happens to run.
//
// A test can start one server with the persistence it is about, a replica, a
// master watched by Sentinels or a Cluster, can kill, stop and restart each of
// them, and can put a proxy in between that breaks connections in a chosen way.
//
// It knows the programs redis-server (7.0 or later) and nothing of ours; it
// speaks the few lines of RESP it needs by itself, so that a fault in the
// product's client cannot hide behind itself. Tests only.
package redistest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"bellhop/internal/porttest"
)

// patience is how long anything here may take before it counts as broken: far
// more than it takes on a busy machine, far less than the time limit of go
// test.
const patience = 60 * time.Second

// host is the only address that anything here listens on.
const host = "127.0.0.1"

// holdPort chooses a port of 127.0.0.1 that is the test's until it ends.
func holdPort(t testing.TB) (int, error) {
	t.Helper()
	_, port, err := net.SplitHostPort(porttest.Hold(t))
	if err != nil {
		return 0, fmt.Errorf("hold a port: %w", err)
	}
	return strconv.Atoi(port)
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// errGone ends await early: what is waited for cannot come any more.
var errGone = errors.New("the process has ended")

// await asks until done returns nil. Its error is the last one that done gave,
// at once if that is errGone, otherwise after patience.
func await(what string, done func() error) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return nil
		}
		if errors.Is(err, errGone) {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("wait for %s: not within %s: %w", what, patience, err)
		}
	}
}
