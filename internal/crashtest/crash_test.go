package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bellhop/internal/crashpoint"
)

const (
	clients      = 8
	randomKills  = 130
	killsAtPoint = 6 // at each of the named points
)

// aheadMost is how many may wait for their mail while a process goes on until it
// comes to a point.
const aheadMost = 200

// At each of the points of accounts, which take more to come to; and how many
// people do more than sign up: where Bellhop is killed at random moments, and
// where it is many processes or goes on until somebody has come to a point.
const (
	killsAtPointOfAccounts = 3
	citizens               = 400
	citizensOfMany         = 150
)

// settleAfter is how many kills one mail may live through: on a machine that is
// busy a process may be killed before it has sent anything, and what twenty have
// claimed in vain is taken for poison. On Redis the claims of the dead wait for
// the end anyway.
const settleAfter = 18

// How often on Redis, where nothing of a dead process is recovered before ten
// seconds, and where what it had received comes again after a minute: there all
// of it is waited for once, at the end.
const (
	randomKillsOnRedis  = 80
	killsAtPointOnRedis = 4
)

// T1, A6.2, C1.1, C1.14: the process is killed at random moments, again and
// again over one data directory. Whatever was answered with 202 is in the mail
// server's log once, or more than once with the same Message-ID and bytes
// where the ledger says so. Some of those who have signed up confirm their
// address, sign in, stay in and leave; whatever they were answered is so.
func TestC1_1_KilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	newRig(t, built(t, mortal)).withTown(citizens).killAtRandom(randomKills)
}

// The same over one Redis.
func TestC1_1_KilledAtRandomMomentsOnRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	t.Parallel()
	newRedisRig(t, built(t, mortal), durable(t).URL(0)).withTown(citizens).killAtRandom(randomKillsOnRedis)
}

func (r *rig) killAtRandom(times int) {
	r.t.Helper()
	for n := range times {
		if r.dir != "" && n%settleAfter == settleAfter-1 {
			r.settle()
		}
		p := r.start()
		if p == nil {
			r.t.Fatal("died without being killed")
		}
		ctx, cancel := context.WithTimeout(r.t.Context(), rand.N(300*time.Millisecond))
		p.load(ctx, clients)
		cancel()
		p.kill()
	}
	r.judge(r.finish())
}

// The same, killed at each of the named points in turn, at the first time it
// is come to and at later ones.
func TestA6_2_KilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	binary := built(t, mortal)
	for _, point := range crashpoint.Points() {
		t.Run(string(point), func(t *testing.T) {
			r := newRig(t, binary)
			r.killAt(point, killsAtPoint)
			r.judge(r.settle())
		})
	}
}

// The same over one Redis, which all of them have left something behind in when
// it is settled.
func TestA6_2_KilledAtEveryPointOnRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	t.Parallel()
	r := newRedisRig(t, built(t, mortal), durable(t).URL(0))
	ofOwnDisk := []crashpoint.Point{crashpoint.Committing, crashpoint.Synced}
	for _, point := range crashpoint.Points() {
		if !slices.Contains(ofOwnDisk, point) {
			r.killAt(point, killsAtPointOnRedis)
		}
	}
	r.judge(r.settle())
}

// The same where people redeem what is in their mails, and where they are
// erased.
func TestA6_2_KilledAtEveryPointOfAccounts(t *testing.T) {
	t.Parallel()
	binary := built(t, mortal)
	for _, point := range crashpoint.AccountPoints() {
		t.Run(string(point), func(t *testing.T) {
			r := newRig(t, binary).withTown(citizensOfMany)
			r.killAt(point, killsAtPointOfAccounts)
			r.judge(r.finish())
		})
	}
}

// The same over one Redis.
func TestA6_2_KilledAtEveryPointOfAccountsOnRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	r := newRedisRig(t, built(t, mortal), durable(t).URL(0)).withTown(citizensOfMany)
	for _, point := range crashpoint.AccountPoints() {
		r.killAt(point, killsAtPointOfAccounts)
	}
	r.judge(r.finish())
}

func (r *rig) killAt(point crashpoint.Point, times int) {
	r.t.Helper()
	r.ahead = aheadMost
	died := 0
	for n := range times {
		// A process that comes to the point while it starts dies there: that is
		// a crash like any other.
		p := r.start(fmt.Sprintf("BELLHOP_CRASHPOINT=%s:%d", point, 1+n*n*3))
		if p == nil {
			died++
			continue
		}
		ctx, cancel := context.WithTimeout(r.t.Context(), patience)
		for p.running() && pause(ctx, time.Millisecond) {
			p.load(ctx, clients)
		}
		if !p.running() {
			died++
		}
		cancel()
		p.kill()
	}
	if died < times {
		r.t.Errorf("the process came to %s in %d of %d runs", point, died, times)
	}
}
