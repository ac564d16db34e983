package redisdb_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// load runs steps that a replica must have, each with a name of its own, until
// it is stopped, and keeps the names of those that were answered.
type load struct {
	stop    chan struct{}
	callers sync.WaitGroup

	mu       sync.Mutex
	answered []string
}

func begin(t *testing.T, tag *redisdb.Tag) *load {
	l := &load{stop: make(chan struct{})}
	for caller := range 8 {
		l.callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				name := fmt.Sprint("load", caller, ".", n)
				if _, err := tag.Run(context.Background(), count, redisdb.Replicated, name); err != nil {
					unavailable(t, "a call during a failover", err)
					continue
				}
				l.mu.Lock()
				l.answered = append(l.answered, name)
				l.mu.Unlock()
			}
		})
	}
	return l
}

// reaches waits until so many calls have been answered.
func (l *load) reaches(t *testing.T, want int) {
	t.Helper()
	eventually(t, "calls to be answered", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := len(l.answered); n < want {
			return fmt.Errorf("%d have been, want %d", n, want)
		}
		return nil
	})
}

// end stops the load, and looks for what was answered.
func (l *load) end(t *testing.T, server *redistest.Server) {
	t.Helper()
	close(l.stop)
	l.callers.Wait()
	keys := make([]string, len(l.answered))
	for i, name := range l.answered {
		keys[i] = tagName + ":" + name
	}
	there := strings.Split(must(t, server, append([]string{"MGET"}, keys...)...), "\n")
	lost := 0
	for i := range keys {
		if there[i] != "1" {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d answered steps are lost", lost, len(keys))
	}
	t.Logf("%d steps were answered", len(keys))
}

// The death of a master costs what its Sentinels need, and nothing that a
// replica had to have.
func TestSentinelFailover(t *testing.T) {
	for name, c := range map[string]struct {
		fail    func(*redistest.Server)
		restore func(*redistest.Server)
	}{
		"killed":  {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"stopped": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			master, replica := pair(t)
			sentinels := redistest.StartSentinel(t, master, replica, "main")
			tag, alone := connect(t, redisdb.Settings{URL: sentinels.URL(0), Wait: 1}).Tag(tagName), connect(t, redisdb.Settings{URL: sentinels.URL(0)}).Tag(tagName)
			l := begin(t, tag)
			l.reaches(t, 200)
			began := time.Now()
			c.fail(master)
			eventually(t, "the promotion", func() error { return isMaster(replica) })
			promoted := time.Since(began)
			t.Logf("promoted after %v, calls work %v later, also beside those that wait for a replica in vain after %v", promoted, recovers(t, alone), recovers(t, tag))
			sentinels.WaitMaster(replica)
			c.restore(master)
			master.WaitReplica()
			l.reaches(t, len(l.names())+200)
			l.end(t, replica)
			if facts := follows(t, tag); !facts.Sentinel || facts.Cluster {
				t.Errorf("got the facts %+v", facts)
			}
		})
	}
}

func isMaster(server *redistest.Server) error {
	role, err := server.Do("ROLE")
	if err == nil && !strings.HasPrefix(role, "master") {
		err = fmt.Errorf("its role is %.6s", role)
	}
	return err
}

func (l *load) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

// A Sentinel that has fallen silent is given up for another, also if it dies
// with the master, as on one machine.
func TestSentinelFailoverWithSilentSentinel(t *testing.T) {
	master, replica := pair(t)
	sentinels := redistest.StartSentinel(t, master, replica, "main")
	tag := connect(t, redisdb.Settings{URL: sentinels.URL(0)}).Tag(tagName)
	mustRun(t, tag, echo)
	trusted(t, sentinels).Pause()
	began := time.Now()
	master.Kill()
	eventually(t, "the promotion", func() error { return isMaster(replica) })
	promoted := time.Since(began)
	t.Logf("promoted after %v, calls work %v later", promoted, recovers(t, tag))
	if tag := replicaOf(t, tag); tag != replica.Addr() {
		t.Errorf("the master is %s, want %s", tag, replica.Addr())
	}
}

// trusted is the Sentinel that the client listens to.
func trusted(t *testing.T, sentinels *redistest.Sentinels) (found *redistest.Server) {
	t.Helper()
	eventually(t, "the client to choose a Sentinel", func() error {
		n := 0
		for _, s := range sentinels.Servers() {
			if strings.Contains(must(t, s, "CLIENT", "LIST"), "name=bellhop") {
				found = s
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("it is connected to %d, want 1", n)
		}
		return nil
	})
	return found
}

// replicaOf is where the tag's node is.
func replicaOf(t *testing.T, tag *redisdb.Tag) string {
	node, err := tag.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info := node.Info(t.Context(), "server").Val()
	_, port, _ := strings.Cut(info, "tcp_port:")
	port, _, _ = strings.Cut(port, "\r")
	return "127.0.0.1:" + port
}

func TestClusterFailover(t *testing.T) {
	for name, c := range map[string]struct {
		fail    func(*redistest.Server)
		restore func(*redistest.Server)
	}{
		"killed":  {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"stopped": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := redistest.StartCluster(t, 1, "appendonly yes", "appendfsync always")
			owner := cluster.Owner(tagName)
			tag, alone := connect(t, redisdb.Settings{URL: cluster.URL(), Wait: 1}).Tag(tagName), connect(t, redisdb.Settings{URL: cluster.URL()}).Tag(tagName)
			l := begin(t, tag)
			l.reaches(t, 200)
			began := time.Now()
			c.fail(owner)
			successor := cluster.Owner(tagName)
			promoted := time.Since(began)
			t.Logf("promoted after %v, calls work %v later, also beside those that wait for a replica in vain after %v", promoted, recovers(t, alone), recovers(t, tag))
			if at := replicaOf(t, tag); at != successor.Addr() || successor == owner {
				t.Errorf("calls go to %s, the owner is %s, before it was %s", at, successor.Addr(), owner.Addr())
			}
			c.restore(owner)
			owner.WaitReplica()
			l.reaches(t, len(l.names())+200)
			l.end(t, successor)
			if facts := follows(t, tag); !facts.Cluster || facts.Sentinel {
				t.Errorf("got the facts %+v", facts)
			}
		})
	}
}

// Commands of one's own, such as blocking reads, find the new owner without
// any step that fails.
func TestClusterFailoverOfNode(t *testing.T) {
	cluster := redistest.StartCluster(t, 1)
	owner := cluster.Owner(tagName)
	tag := connect(t, redisdb.Settings{URL: cluster.URL()}).Tag(tagName)
	if err := asksMaster(t, tag); err != nil {
		t.Fatal(err)
	}
	owner.Kill()
	began := time.Now()
	eventually(t, "the new owner to be found", func() error { return asksMaster(t, tag) })
	t.Logf("found after %v", time.Since(began))
}

// asksMaster is nil if the tag's node is a master that answers.
func asksMaster(t *testing.T, tag *redisdb.Tag) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	node, err := tag.Node(ctx)
	if err != nil {
		return err
	}
	role, err := node.Do(ctx, "ROLE").Result()
	if err == nil && !strings.HasPrefix(fmt.Sprint(role), "[master ") {
		err = fmt.Errorf("its role is %v", role)
	}
	return err
}
