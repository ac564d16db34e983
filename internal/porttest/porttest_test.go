package porttest_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"bellhop/internal/porttest"
)

// TestHold proves that servers come and go at an address that is held, and that
// it refuses in between.
func TestHold(t *testing.T) {
	address := porttest.Hold(t)
	for range 3 {
		if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("without a server: %v, want connection refused", err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// The server's end is closed first: it is the one that lingers.
		accepted.Close()
		c.Close()
		l.Close()
	}
}
