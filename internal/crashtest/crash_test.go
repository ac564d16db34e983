package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"bellhop/internal/crashpoint"
)

const (
	clients      = 8
	randomKills  = 130
	killsAtPoint = 6 // at each of the named points
)

// T1, A6.2, C1.1, C1.14: the process is killed at random moments, again and
// again over one data directory. Whatever was answered with 202 is in the mail
// server's log once, or more than once with the same Message-ID and bytes
// where the ledger says so.
func TestC1_1_KilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	r := newRig(t, build(t, "-tags", "crashpoints"))
	for range randomKills {
		p := r.start()
		if p == nil {
			t.Fatal("died without being killed")
		}
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(300*time.Millisecond))
		p.load(ctx, clients)
		cancel()
		p.kill()
	}
	r.judge(r.settle())
}

// The same, killed at each of the named points in turn, at the first time it
// is come to and at later ones.
func TestA6_2_KilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	binary := build(t, "-tags", "crashpoints")
	for _, point := range crashpoint.Points() {
		t.Run(string(point), func(t *testing.T) {
			r := newRig(t, binary)
			died := 0
			for n := range killsAtPoint {
				// A process that comes to the point while it starts dies there:
				// that is a crash like any other.
				p := r.start(fmt.Sprintf("BELLHOP_CRASHPOINT=%s:%d", point, 1+n*n*3))
				if p == nil {
					died++
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				p.load(ctx, clients)
				if ctx.Err() == nil {
					died++
				}
				cancel()
				p.kill()
			}
			if died < killsAtPoint {
				t.Errorf("the process came to %s in %d of %d runs", point, died, killsAtPoint)
			}
			r.judge(r.settle())
		})
	}
}
