package redisdb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// quick is a timeout that tests wait for.
const quick = 900 * time.Millisecond

// suffer lets many callers call a Redis that does not answer: each of them
// hears so about when it may expect to.
func suffer(t *testing.T, tag *redisdb.Tag) {
	t.Helper()
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			for range 2 {
				began := time.Now()
				_, err := tag.Run(context.Background(), count, redisdb.Answered, fmt.Sprint("suffering", i))
				unavailable(t, "a call", err)
				if took := time.Since(began); took > quick+5*time.Second {
					t.Errorf("a call with a timeout of %v took %v", quick, took)
				}
			}
		})
	}
	all.Wait()
}

// recovers waits until calls work again by themselves, and tells how long that
// took.
func recovers(t testing.TB, tag *redisdb.Tag) time.Duration {
	t.Helper()
	began := time.Now()
	eventually(t, "calls to work again", func() error {
		err := answers(t, tag)
		if err != nil {
			unavailable(t, "a call", err)
		}
		return err
	})
	return time.Since(began)
}

func TestOutage(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	for name, c := range map[string]struct{ begin, end func(*redistest.Proxy) }{
		"server stopped":   {func(*redistest.Proxy) { server.Pause() }, func(*redistest.Proxy) { server.Resume() }},
		"server killed":    {func(*redistest.Proxy) { server.Kill() }, func(*redistest.Proxy) { server.Restart() }},
		"requests stalled": {func(p *redistest.Proxy) { p.Stall(redistest.ToServer) }, (*redistest.Proxy).Heal},
		"replies stalled":  {func(p *redistest.Proxy) { p.Stall(redistest.ToClient) }, (*redistest.Proxy).Heal},
		"all cut":          {func(p *redistest.Proxy) { p.Refuse(); p.Cut() }, (*redistest.Proxy).Heal},
		"all reset":        {func(p *redistest.Proxy) { p.Abrupt(true); p.Refuse(); p.Cut() }, (*redistest.Proxy).Heal},
		"replies half":     {func(p *redistest.Proxy) { p.CutAfter(redistest.ToClient, 3, redistest.EachConnection) }, (*redistest.Proxy).Heal},
	} {
		for _, before := range []string{"connected", "not connected"} {
			t.Run(name+", "+before, func(t *testing.T) {
				proxy := redistest.NewProxy(t, server.Addr())
				tag := connect(t, redisdb.Settings{URL: "redis://" + proxy.Addr(), Timeout: quick}).Tag(tagName)
				if before == "connected" {
					mustRun(t, tag, count, "before")
				}
				c.begin(proxy)
				suffer(t, tag)
				c.end(proxy)
				t.Logf("works again after %v", recovers(t, tag))
			})
		}
	}
}

// While a server with appendfsync always is killed and comes back, nothing
// that was answered is lost, and nothing is made twice.
func TestKillUnderLoad(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	tag := tagOf(t, server, quick)
	mustRun(t, tag, count, "n")
	var made, asked atomic.Int64
	made.Add(1)
	asked.Add(1)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				_, err := tag.Run(context.Background(), count, redisdb.Answered, "n")
				if err == nil {
					made.Add(1)
				} else {
					unavailable(t, "a call", err)
				}
			}
		})
	}
	for range 3 {
		more := made.Load() + 500
		eventually(t, "progress", func() error {
			if n := made.Load(); n < more {
				return fmt.Errorf("%d calls have worked, want %d", n, more)
			}
			return nil
		})
		server.Kill()
		server.Restart()
	}
	recovers(t, tag)
	close(stop)
	all.Wait()
	if n := int64(counted(t, server, "n")); n < made.Load() || n > asked.Load() {
		t.Errorf("%d steps are there; %d were answered, %d asked for", n, made.Load(), asked.Load())
	}
}

// A full server refuses a step as a whole, but for those that may need memory.
func TestFullMemory(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	tag := tagOf(t, server, slow)
	half := redisdb.NewScript("half", "#!lua\nlocal n = redis.call('GET', KEYS[1] .. ':read') redis.call('SET', KEYS[1] .. ':half', '1') return n")
	flagless := redisdb.NewScript("flagless", "#!lua\nreturn 1")
	mustRun(t, tag, half)
	mustRun(t, tag, flagless)
	must(t, server, "DEL", tagName+":half")
	fill(t, server)
	for _, script := range []*redisdb.Script{half, flagless} {
		_, err := tag.Run(t.Context(), script, redisdb.Answered)
		unavailable(t, "a script without flags", err)
		if err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("want OOM, got %v", err)
		}
	}
	if text := must(t, server, "GET", tagName+":half"); text != "" {
		t.Errorf("a part of the step was made: %q", text)
	}
	if reply := mustRun(t, tag, countFull, "n"); reply != int64(1) {
		t.Errorf("a script with allow-oom: got %v", reply)
	}
	if reply := mustRun(t, tag, read, "n"); reply != "1" {
		t.Errorf("a script that only reads: got %v", reply)
	}
	must(t, server, "CONFIG", "SET", "maxmemory", "64mb")
	mustRun(t, tag, half)
}

// fill lets a server's memory be full until it is given more.
func fill(t *testing.T, server *redistest.Server) {
	t.Helper()
	must(t, server, "CONFIG", "SET", "maxmemory", "100kb", "maxmemory-policy", "noeviction")
}

// A server that has become a replica takes no writes until it is a master again.
func TestReadOnly(t *testing.T) {
	master, server := redistest.Start(t, redistest.Options{}), redistest.Start(t, redistest.Options{})
	tag := tagOf(t, server, slow)
	mustRun(t, tag, count, "n")
	host, port, _ := strings.Cut(master.Addr(), ":")
	must(t, server, "REPLICAOF", host, port)
	server.WaitReplica()
	_, err := tag.Run(t.Context(), count, redisdb.Answered, "n")
	unavailable(t, "a write to a replica", err)
	if err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("want READONLY, got %v", err)
	}
	server.Promote()
	if reply := mustRun(t, tag, count, "n"); reply != int64(1) {
		t.Errorf("got %v from a server that had lost what it held", reply)
	}
}

// What a server says about a password is an outage that ends when it has been
// set right, and never shows it.
func TestPasswords(t *testing.T) {
	for _, user := range []string{"", "bellhop"} {
		t.Run("user "+user, func(t *testing.T) {
			server := redistest.Start(t, redistest.Options{User: user, Password: "s3cr3t"})
			bare := "redis://" + server.Addr()
			if user != "" {
				bare = "redis://" + user + "@" + server.Addr()
			}
			for name, s := range map[string]redisdb.Settings{
				"in the URL": {URL: server.URL(3)}, "beside it": {URL: bare, Password: "s3cr3t"},
			} {
				if err := answers(t, connect(t, s).Tag(tagName)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, s := range map[string]redisdb.Settings{
				"none": {URL: "redis://" + server.Addr()}, "wrong": {URL: bare, Password: "wr0ng"},
			} {
				tag := connect(t, s).Tag(tagName)
				_, err := tag.Run(t.Context(), echo, redisdb.Replicated)
				unavailable(t, name, err)
				_, asked := tag.Facts(t.Context())
				unavailable(t, name, asked)
				if shown := errors.Join(err, asked).Error(); strings.Contains(shown, "wr0ng") || !strings.Contains(shown, "NOAUTH") && !strings.Contains(shown, "WRONGPASS") {
					t.Errorf("%s: want to be told of the password, without it, got %s", name, shown)
				}
			}
		})
	}
}

// A server that takes no more connections is one that is not available.
func TestTooManyConnections(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	first := tagOf(t, server, slow)
	mustRun(t, first, echo)
	must(t, server, "CONFIG", "SET", "maxclients", "1")
	second := tagOf(t, server, slow)
	_, err := second.Run(t.Context(), echo, redisdb.Answered)
	unavailable(t, "a connection too many", err)
	mustRun(t, first, echo)
}

// follows waits until a server counts its replica, which is when that has first
// told what it has.
func follows(t *testing.T, tag *redisdb.Tag) (facts redisdb.Facts) {
	t.Helper()
	eventually(t, "the replica to be counted", func() (err error) {
		if facts, err = tag.Facts(t.Context()); err == nil && facts.Replicas != 1 {
			err = fmt.Errorf("%d are", facts.Replicas)
		}
		return err
	})
	return facts
}

func TestFacts(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.EverySec, Config: []string{"maxmemory 64mb", "maxmemory-policy volatile-lru", "save 3600 1"}})
	tag := tagOf(t, server, slow)
	want := redisdb.Facts{
		Role: "master", AOF: true, Sync: "everysec", Snapshots: "3600 1", Eviction: "volatile-lru", MaxMemory: 64 << 20,
	}
	got, err := tag.Facts(t.Context())
	want.Version, want.UsedMemory = got.Version, got.UsedMemory
	if err != nil || got != want || !strings.HasPrefix(got.Version, "7.") || got.UsedMemory < 1<<20 {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	replica := redistest.Start(t, redistest.Options{ReplicaOf: server, Config: []string{"no-appendfsync-on-rewrite yes"}})
	replica.WaitReplica()
	follows(t, tag)
	got, err = tagOf(t, replica, slow).Facts(t.Context())
	if err != nil || got.Role != "slave" || got.AOF || !got.NoSyncOnRewrite || got.Snapshots != "" {
		t.Errorf("of a replica without persistence: %+v, %v", got, err)
	}
	// A hosted server keeps its settings to itself.
	must(t, server, "ACL", "SETUSER", "default", "-config")
	if got, err = tag.Facts(t.Context()); err != nil || got.Sync != "" || got.Snapshots != "" || !got.AOF {
		t.Errorf("of a server that tells no settings: %+v, %v", got, err)
	}
}
