package redis_test

import (
	"math/rand/v2"
	"testing"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/store/redis"
)

// A failover that nobody but the servers takes part in: the store finds the new
// master by itself, and goes on once a replica follows that one.
func TestAfterAFailoverBySentinelsTheStoreGoesOn(t *testing.T) {
	master, replica := pair(t)
	sentinels := redistest.StartSentinel(t, master, replica, "bellhop")
	store := connect(t, redisdb.Settings{URL: sentinels.URL(0), Wait: 1}, redis.Options{})
	goesOn(t, store, master, func() *redistest.Server {
		sentinels.WaitMaster(replica)
		return replica
	})
}

func TestAfterTheFailoverOfTheLedgersNodeInAClusterTheStoreGoesOn(t *testing.T) {
	cluster := redistest.StartCluster(t, 1, "appendonly yes", "appendfsync always")
	store := connect(t, redisdb.Settings{URL: cluster.URL(), Wait: 1}, redis.Options{})
	goesOn(t, store, cluster.Owner(redis.Tag), func() *redistest.Server { return cluster.Owner(redis.Tag) })
}

// goesOn kills the master under load, lets it come back as a replica of its
// successor, and finds everything that was ever promised.
func goesOn(t *testing.T, store *redis.Store, master *redistest.Server, successor func() *redistest.Server) {
	t.Helper()
	l := newLoad(t, store)
	l.forgets = true // claims are not waited for
	l.start(16)
	l.await(100 + rand.IntN(500))
	master.Kill()
	next := successor()
	master.Restart()
	l.await(200)
	l.finish()
	l.keepsExactly(store)
	if next == master {
		t.Error("the master has no successor")
	}
	sound(t, store, next.URL(0))
}
