package porttest_test

import (
	"net"
	"testing"

	"bellhop/internal/porttest"
)

// TestNobodyElse proves that those who ask for any port get no port that is
// held, though as many are held as listeners are asked for, and that connections
// go out from none.
func TestNobodyElse(t *testing.T) {
	const each = 300
	held := map[string]bool{}
	for range each {
		held[porttest.Hold(t)] = true
	}
	if len(held) != each {
		t.Fatalf("%d of %d ports are held twice", each-len(held), each)
	}
	for range each {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, given := range []net.Addr{l.Addr(), c.LocalAddr()} {
			if held[given.String()] {
				t.Fatalf("%s is held, and given to somebody else", given)
			}
		}
	}
}
