package crashtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"bellhop/internal/redistest"
)

// underLoad lets people come to the fleet while something is done to its Redis.
func (f *fleet) underLoad(do func()) {
	f.rig.t.Helper()
	ctx, cancel := context.WithCancel(f.rig.t.Context())
	defer cancel()
	rng := seeded(f.rig.t)
	var crowd sync.WaitGroup
	crowd.Go(func() { f.crowd(within).answers(ctx, rng) })
	pause(ctx, 5*time.Second)
	do()
	pause(ctx, 5*time.Second)
	cancel()
	crowd.Wait()
	f.unharmed()
	f.judge(f.settle())
}

// C1.9: the master dies, its Sentinels make the replica the master, and nothing
// is lost that was answered, because every answer has waited for the replica.
// While there is no replica nothing is answered with 202.
func TestC1_9_SentinelFailoverUnderAFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	master := durable(t)
	replica := redistest.Start(t, redistest.Options{ReplicaOf: master, Persistence: redistest.Always})
	sentinels := redistest.StartSentinel(t, master, replica, "desk")
	f := newRedisRig(t, built(t, shipped), sentinels.URL(0), "--redis-wait", "1").newFleet()
	f.underLoad(func() {
		master.Kill()
		sentinels.WaitMaster(replica)
		master.Restart() // and is the replica now
	})
}

// The same in a Cluster of three masters, where the ledger and the lanes are on
// different nodes; and again with a master that does not die, but is not heard
// of for a while.
func TestC1_9_ClusterFailoverUnderAFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	cluster := redistest.StartCluster(t, 1, "appendonly yes", "appendfsync always")
	f := newRedisRig(t, built(t, shipped), cluster.URL(), "--redis-wait", "1").newFleet()
	f.underLoad(func() {
		first := cluster.Owner("{bellhop}")
		first.Kill()
		second := cluster.Owner("{bellhop}") // waits for it
		first.Restart()
		cluster.WaitReplicas()
		second.Pause()
		cluster.Owner("{bellhop}")
		second.Resume() // and finds out that it is none any more
	})
}
