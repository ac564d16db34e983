package crashtest

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
)

// within is how long anybody may wait for a 503: a second for each of two limits,
// three for the sign-up, and the rest for a machine that runs several of these
// tests. An outage that is to be refused lasts until that is read, however long
// that is.
const within = 30 * time.Second

// A2.4: the network between all processes and Redis breaks in every way, again
// and again, while people sign up. Nobody dies of it; whoever repeats a sign-up
// with the same key has one sign-up and one mail.
func TestA2_4_FleetBehindABrokenNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	rng, server := seeded(t), durable(t)
	proxy := redistest.NewProxy(t, server.Addr())
	f := newRedisRig(t, built(t, shipped), server.URLAt(proxy.Addr(), 0)).withTown(citizensOfMany).newFleet()
	f.refusesWhile(func() { proxy.Stall(redistest.ToClient) }, proxy.Heal)
	f.refusesWhile(func() { proxy.Refuse(); proxy.Cut() }, proxy.Heal)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	faults := 0
	var chaos sync.WaitGroup
	own := split(rng)
	chaos.Go(func() { faults = tamper(ctx, proxy, own) })
	f.crowd(within).answers(ctx, rng)
	chaos.Wait()
	t.Logf("%d faults, %d connections cut, %d made", faults, proxy.Cuts(), proxy.Connections())
	f.unharmed()
	f.judge(f.settle())
}

// answers lets people come who are all told something in time.
func (c *crowd) answers(ctx context.Context, rng *rand.Rand) {
	c.rig.t.Helper()
	c.come(ctx, rng)
	if n := c.unanswered.Load(); n > 0 {
		c.rig.t.Errorf("%d times there was no answer within %v", n, c.leaves)
	}
}

// tamper breaks what passes through a proxy until ctx ends, and returns how
// often. It leaves nothing broken.
func tamper(ctx context.Context, proxy *redistest.Proxy, rng *rand.Rand) (faults int) {
	direction := func() redistest.Direction { return redistest.Direction(rng.IntN(2)) }
	const briefly, long = time.Second, 4 * time.Second
	ways := []struct {
		most time.Duration // that it lasts
		fail func()
	}{
		{briefly, proxy.Cut},
		{briefly, func() { proxy.HalfClose(direction()) }},
		{briefly, func() { proxy.CutAfter(direction(), rng.IntN(2000), redistest.AllTogether) }},
		{briefly, func() { proxy.CutAfter(direction(), rng.IntN(5000), redistest.EachConnection) }},
		{briefly, func() { proxy.CutBeforeReply("EVALSHA", 1+rng.IntN(20)) }},
		{long, func() { proxy.Refuse(); proxy.Cut() }},
		{long, func() { proxy.Stall(redistest.ToServer) }},
		{long, func() { proxy.Stall(redistest.ToClient) }},
	}
	for pause(ctx, between(rng, 50*time.Millisecond, briefly)) {
		faults++
		proxy.Abrupt(rng.IntN(2) == 0)
		way := ways[rng.IntN(len(ways))]
		way.fail()
		pause(ctx, between(rng, 50*time.Millisecond, way.most))
		proxy.Heal()
	}
	return faults
}

// refusesWhile breaks the store and mends it: meanwhile every process says that
// it is not ready, and a sign-up is refused in time; afterwards both come back
// by themselves.
func (f *fleet) refusesWhile(broken, mended func()) {
	f.rig.t.Helper()
	broken()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: within}
	for _, m := range f.members {
		f.rig.await("the role "+m.roles+" to say that it is not ready", func() bool {
			return m.running().readyz() == http.StatusServiceUnavailable
		})
	}
	for _, door := range f.doors() {
		req, err := signUpRequest(f.rig.t.Context(), door, "nobody@example.com")
		if err != nil {
			f.rig.t.Fatal(err)
		}
		req.Header.Set("Idempotency-Key", "never.answered.at."+door)
		resp, err := client.Do(req)
		if err != nil {
			f.rig.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || retryAfter(resp) != nil {
			f.rig.t.Errorf("a sign-up was answered %s, %v", resp.Status, retryAfter(resp))
		}
	}
	mended()
	for _, m := range f.members {
		f.rig.await("the role "+m.roles+" to be ready again", m.running().ready)
	}
}

// C1.9: Redis itself dies and comes back, again and again, once for longer than
// a heartbeat may be old; and it stands still for a while. Nothing answered is
// lost, every process goes on, and none takes another for dead.
func TestC1_9_RedisKilledUnderAFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	rng, server := seeded(t), durable(t)
	f := newRedisRig(t, built(t, shipped), server.URL(0)).withTown(citizensOfMany).newFleet()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var crowd sync.WaitGroup
	own := split(rng)
	crowd.Go(func() { f.crowd(within).answers(ctx, own) })
	outages := []time.Duration{0, time.Second, 3 * time.Second, 12 * time.Second, 5 * time.Second, 7 * time.Second}
	for _, outage := range outages {
		pause(ctx, between(rng, 2*time.Second, 5*time.Second))
		server.Kill()
		pause(ctx, outage)
		server.Restart()
	}
	pause(ctx, between(rng, 2*time.Second, 5*time.Second))
	server.Pause()
	pause(ctx, 8*time.Second)
	server.Resume()
	pause(ctx, 3*time.Second)
	cancel()
	crowd.Wait()
	t.Logf("Redis was killed %d times, and stood still once", len(outages))
	f.unharmed()
	report := f.settle()
	f.judge(report)
	f.judgeNoDoubt(report)
}

// judgeNoDoubt is for when no process has died: nobody may have been taken for
// dead, and so no mail for unknown.
func (f *fleet) judgeNoDoubt(report onboarding.Report) {
	f.rig.t.Helper()
	if len(report.Copies)+len(report.Unknown) > 0 {
		f.rig.t.Errorf("no process has died, and %d mails were unknown, of which %d still are", len(report.Copies), len(report.Unknown))
	}
}
