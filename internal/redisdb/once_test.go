package redisdb_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// behindProxy is a Redis that is reached through a proxy, however it is found.
type behindProxy struct {
	url    string
	server *redistest.Server // that holds the tag
	proxy  *redistest.Proxy  // in front of it
}

func single(t *testing.T) behindProxy {
	server := redistest.Start(t, redistest.Options{})
	proxy := redistest.NewProxy(t, server.Addr())
	return behindProxy{"redis://" + proxy.Addr(), server, proxy}
}

// watched is a master that its Sentinels know by the proxy's address.
func watched(t *testing.T) behindProxy {
	server := redistest.Start(t, redistest.Options{})
	replica := redistest.Start(t, redistest.Options{ReplicaOf: server})
	proxy := redistest.NewProxy(t, server.Addr())
	sentinels := redistest.StartSentinel(t, server, replica, "main")
	host, port, _ := strings.Cut(proxy.Addr(), ":")
	for _, s := range sentinels.Servers() {
		must(t, s, "SENTINEL", "REMOVE", "main")
		must(t, s, "SENTINEL", "MONITOR", "main", host, port, "2")
	}
	return behindProxy{sentinels.URL(0), server, proxy}
}

// clustered is a Cluster whose nodes know the tag's owner by the proxy's address.
func clustered(t *testing.T) behindProxy {
	cluster := redistest.StartCluster(t, 0)
	server := cluster.Owner(tagName)
	proxy := redistest.NewProxy(t, server.Addr())
	_, port, _ := strings.Cut(proxy.Addr(), ":")
	must(t, server, "CONFIG", "SET", "cluster-announce-port", port)
	for _, s := range cluster.Servers() {
		eventually(t, "all nodes to know the proxy", func() error {
			slots, err := s.Do("CLUSTER", "NODES")
			if err == nil && !strings.Contains(slots, proxy.Addr()) {
				err = fmt.Errorf("%s does not name %s", slots, proxy.Addr())
			}
			return err
		})
	}
	return behindProxy{cluster.URL(), server, proxy}
}

// Whatever happens to a connection, a step is made once at most: nothing is
// repeated by anybody but the caller.
func TestNothingIsRepeated(t *testing.T) {
	for name, start := range map[string]func(*testing.T) behindProxy{"single": single, "Sentinel": watched, "Cluster": clustered} {
		t.Run(name, func(t *testing.T) {
			redis := start(t)
			tag := connect(t, redisdb.Settings{URL: redis.url, Timeout: slow}).Tag(tagName)
			mustRun(t, tag, count, "warm")
			t.Run("reply lost", func(t *testing.T) { replyLost(t, redis, tag, "EVALSHA") })
			t.Run("reply to the source lost", func(t *testing.T) { replyLost(t, redis, tag, "EVAL\r\n") })
			t.Run("many replies lost", func(t *testing.T) { manyRepliesLost(t, redis, tag) })
			t.Run("cut anywhere", func(t *testing.T) { cutAnywhere(t, redis, tag) })
			t.Run("idle connections closed", func(t *testing.T) {
				cuts := redis.proxy.Cuts()
				redis.proxy.Cut()
				mustCount(t, tag, "idle")
				if redis.proxy.Cuts() == cuts {
					t.Error("no connection was open through the proxy")
				}
			})
		})
	}
}

// replyLost makes steps that are executed, and whose answers to the command are
// lost.
func replyLost(t *testing.T, redis behindProxy, tag *redisdb.Tag, command string) {
	for round := range 10 {
		if command != "EVALSHA" {
			must(t, redis.server, "SCRIPT", "FLUSH")
		}
		key := fmt.Sprintf("%.7q.%d", command, round)
		redis.proxy.CutBeforeReply(command, 1)
		_, err := tag.Run(t.Context(), count, redisdb.Answered, key)
		unavailable(t, "a lost reply", err)
		redis.proxy.Heal()
		if n := counted(t, redis.server, key); n != 1 {
			t.Errorf("the step was made %d times, want once", n)
		}
		recovers(t, tag)
	}
}

// manyRepliesLost lets all pipelines of many callers fail, until the end.
func manyRepliesLost(t *testing.T, redis behindProxy, tag *redisdb.Tag) {
	const callers, rounds = 32, 10
	redis.proxy.CutBeforeReply("EVALSHA", 0)
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for round := range rounds {
				_, err := tag.Run(context.Background(), count, redisdb.Answered, fmt.Sprint("many", caller, ".", round))
				unavailable(t, "a lost reply", err)
			}
		})
	}
	all.Wait()
	redis.proxy.Heal()
	made := 0
	for caller := range callers {
		for round := range rounds {
			n := counted(t, redis.server, fmt.Sprint("many", caller, ".", round))
			if n > 1 {
				t.Errorf("a step was made %d times", n)
			}
			made += n
		}
	}
	if made == 0 {
		t.Error("no step was made: no answer can have been lost")
	}
	t.Logf("%d of %d steps were made", made, callers*rounds)
	recovers(t, tag)
}

// cutAnywhere cuts after every few bytes that a step takes, in both directions.
func cutAnywhere(t *testing.T, redis behindProxy, tag *redisdb.Tag) {
	for _, way := range []redistest.Direction{redistest.ToServer, redistest.ToClient} {
		failed := 0
		for after := 0; after < 120; after += 3 {
			key := fmt.Sprint("cut", way, ".", after)
			recovers(t, tag)
			redis.proxy.CutAfter(way, after, redistest.AllTogether)
			_, err := tag.Run(t.Context(), count, redisdb.Answered, key)
			redis.proxy.Heal()
			n := counted(t, redis.server, key)
			switch {
			case err == nil && n != 1:
				t.Errorf("cut after %d bytes: an answered step was made %d times", after, n)
			case err != nil && n > 1:
				t.Errorf("cut after %d bytes: a failed step was made %d times", after, n)
			}
			if err != nil {
				unavailable(t, "a cut", err)
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("way %d: no call has failed", way)
		}
	}
}
