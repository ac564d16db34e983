package redis_test

import (
	"context"
	"testing"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/queue/queuetest"
	"bellhop/internal/queue/redis"
	"bellhop/internal/redistest"
)

// The contract holds in a Cluster, where each queue lives on a node of its own.
// What a Cluster keeps is proven elsewhere, so nothing is reopened here.
func TestContractInCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 0)
	t.Run("every node has queues", func(t *testing.T) { everyNode(t, cluster) })
	queuetest.Run(t, queuetest.Features{Volatile: true}, func(t *testing.T) queuetest.Broker {
		for _, node := range cluster.Servers() {
			if _, err := node.Do("FLUSHALL"); err != nil {
				t.Fatal(err)
			}
		}
		options := redis.Options{Client: connect(t, cluster.URL()), MaxDeliveries: queuetest.MaxDeliveries}
		return queuetest.Broker{
			Queue: open(t, options, queuetest.Main, queuetest.Other),
			EndLocks: func(t *testing.T) {
				endLocks(t, cluster.Owner("{main}"), queuetest.Main)
				endLocks(t, cluster.Owner("{other}"), queuetest.Other)
			},
		}
	})
}

// everyNode uses a queue on each node.
func everyNode(t *testing.T, cluster *redistest.Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q := open(t, redis.Options{Client: connect(t, cluster.URL())})
	used := map[*redistest.Server]bool{}
	for _, name := range numbered("queue", 20) {
		used[cluster.Owner("{"+name+"}")] = true
		if err := q.EnsureQueues(ctx, name); err != nil {
			t.Fatal(err)
		}
		if err := q.Send(ctx, name, queue.Message{ID: name}); err != nil {
			t.Fatal(err)
		}
		receiver, err := q.Receiver(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := receiver.Receive(ctx, 1)
		if err != nil || got[0].Message().ID != name {
			t.Fatalf("%s: received %v, error %v", name, got, err)
		}
		if err := got[0].Complete(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if len(used) != len(cluster.Servers()) {
		t.Errorf("%d nodes have queues, want %d", len(used), len(cluster.Servers()))
	}
}

// When a Cluster's master dies, its replica has the queue: what waits, what is
// held and by whom, and the dead letters. Receivers go over by themselves.
func TestClusterFailover(t *testing.T) {
	cluster := redistest.StartCluster(t, 1)
	failover(t, cluster.URL(), func() {
		cluster.WaitReplicas()
		cluster.Owner("{urgent}").Kill()
	})
}

// So it is with Sentinels.
func TestSentinelFailover(t *testing.T) {
	master := redistest.Start(t, redistest.Options{})
	replica := redistest.Start(t, redistest.Options{ReplicaOf: master})
	sentinels := redistest.StartSentinel(t, master, replica, "lobby")
	failover(t, sentinels.URL(0), func() {
		replica.WaitReplica()
		master.Kill()
	})
}

// failover fills a queue, loses its master and goes on.
func failover(t *testing.T, url string, lose func()) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	r := &rig{T: t, ctx: ctx}
	r.queue = open(t, redis.Options{Client: connect(t, url)}, lane)
	near, far := r.receiver(r.queue), r.receiver(r.queue)
	r.send(r.queue, "dead", "held", "abandoned", "waiting")
	ds := r.take(near, 1, "dead", "held", "abandoned")
	r.must(ds[0].DeadLetter(r.ctx, "test", "to be kept"))
	r.must(ds[2].Abandon(r.ctx))
	lose()
	r.eventually("the message that waits comes", func() bool {
		got, err := far.Receive(r.ctx, 1)
		if err != nil {
			return false
		}
		if d := got[0]; string(d.Message().Body) != "abandoned" || d.Count() != 2 {
			t.Fatalf("received %q with count %d", d.Message().Body, d.Count())
		}
		r.must(got[0].Complete(r.ctx))
		return true
	})
	r.must(ds[1].Renew(r.ctx))
	r.must(ds[1].Complete(r.ctx))
	r.must(r.take(near, 1, "waiting")[0].Complete(r.ctx))
	r.depth(0, 1)
	const rounds = 20
	began := time.Now()
	for range rounds { // the bell is there again, or soon
		got := make(chan []queue.Delivery, 1)
		go func() {
			defer close(got)
			if ds, err := near.Receive(r.ctx, 1); err == nil {
				got <- ds
			}
		}()
		r.depth(0, 1)
		r.send(r.queue, "news")
		for _, d := range <-got {
			r.must(d.Complete(r.ctx))
		}
	}
	r.depth(0, 1)
	if took := time.Since(began); took > rounds*250*time.Millisecond {
		t.Errorf("after the failover a waiting receiver had a message after %v on average", took/rounds)
	}
}
