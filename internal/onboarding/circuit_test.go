package onboarding

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func enter(t *testing.T, c *circuit) (probe bool, changed <-chan struct{}) {
	t.Helper()
	probe, changed, err := c.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return probe, changed
}

// A5.6: it opens after failures in a row, lets one probe through at a time,
// ever more rarely, and closes at the first sign of life.
func TestA5_6_Circuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit()
		for range circuitOpensAfter - 1 {
			c.Down(false, false)
		}
		probe, changed := enter(t, c)
		if probe || c.Open() {
			t.Fatal("open too early")
		}
		if !c.Down(false, false) || !c.Open() {
			t.Fatal("not open")
		}
		<-changed
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 15 * time.Second} {
			began := time.Now()
			if probe, _ := enter(t, c); !probe {
				t.Fatal("let through while open")
			}
			if got := time.Since(began); got != want {
				t.Errorf("probed after %v, want %v", got, want)
			}
			short, cancel := context.WithTimeout(t.Context(), time.Hour)
			if _, _, err := c.Enter(short); err == nil {
				t.Error("a second probe while one is under way")
			}
			cancel()
			c.Down(false, false) // a straggler changes nothing
			c.Down(true, false)
			c.Leave()
		}
		if probe, _ := enter(t, c); !probe {
			t.Fatal("no probe")
		}
		if !c.Up() {
			t.Error("not closed by a sign of life")
		}
		c.Leave()
		if probe, _ := enter(t, c); probe {
			t.Error("still probing when closed")
		}
	})
}

func TestCircuitOpensAtOnceAfterRefusedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit()
		if !c.Down(false, true) {
			t.Error("a refused log-in did not open the circuit")
		}
	})
}

// A probe that finds nothing to take lets another lane probe at once.
func TestCircuitUnusedProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit()
		c.Down(false, true)
		enter(t, c)
		c.Leave()
		began := time.Now()
		if probe, _ := enter(t, c); !probe || time.Since(began) != 0 {
			t.Error("the unused probe was not handed on")
		}
	})
}
