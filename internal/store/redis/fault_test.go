package redis_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/store/redis"
)

// through opens a store whose connections pass a proxy.
func through(t *testing.T, server *redistest.Server, limit time.Duration) (*redis.Store, *redistest.Proxy) {
	t.Helper()
	proxy := redistest.NewProxy(t, server.Addr())
	return connect(t, redisdb.Settings{URL: "redis://" + proxy.Addr() + "/0", Timeout: limit}, redis.Options{}), proxy
}

// The cut moves on by a few bytes from one sign-up to the next, so that it falls
// inside each request and inside each answer: a sign-up that failed and is
// repeated is one sign-up, and its one mail is sent once.
func TestACutAtAnyByteNeitherLosesNorDoublesAnything(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	store, proxy := through(t, server, 0)
	l := newLoad(t, store)
	for _, way := range []struct {
		direction  redistest.Direction
		most, step int // bytes: a sign-up and its mail take more
	}{
		{redistest.ToServer, 900, rounds(11, 41)},
		{redistest.ToClient, 225, rounds(3, 17)},
	} {
		for n := 0; n < way.most; n += way.step {
			proxy.Abrupt(n%2 == 1)
			before := proxy.Cuts()
			proxy.CutAfter(way.direction, n, redistest.AllTogether)
			l.life()
			if proxy.Cuts() == before {
				t.Errorf("nothing was cut after %d bytes", n)
			}
			proxy.Heal()
		}
	}
	l.keepsExactly(store)
	sound(t, store, server.URL(0))
}

// The same while sixteen callers share pipelines, and with every other way in
// which a network goes wrong.
func TestUnderLoadNoFaultOfTheNetworkLosesOrDoublesAnything(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	store, p := through(t, server, 600*time.Millisecond)
	l := newLoad(t, store)
	l.start(16)
	for range rounds(2, 1) {
		for _, fault := range []func(){
			p.Cut,
			func() { p.HalfClose(redistest.ToServer) },
			func() { p.HalfClose(redistest.ToClient) },
			func() { p.Stall(redistest.ToServer) },
			func() { p.Stall(redistest.ToClient) },
			func() { p.Refuse(); p.Cut() },
			func() { p.CutBeforeReply("EVALSHA", 0) },
			func() { p.CutBeforeReply("EVALSHA", 1) },
			func() { p.CutBeforeReply("person", 0) }, // which only a sign-up has in it
		} {
			p.Abrupt(rand.IntN(2) == 0)
			fault()
			l.awaitTrouble(200)
			p.Heal()
			l.await(50)
		}
	}
	for i := 0; i < 48; i += rounds(2, 6) {
		n := i * i * i / 4 // up to 25 KB
		for _, d := range []redistest.Direction{redistest.ToServer, redistest.ToClient} {
			p.CutAfter(d, n, []redistest.Scope{redistest.EachConnection, redistest.AllTogether}[i/6%2])
			l.awaitTrouble(500)
			p.Heal()
			l.await(20)
		}
	}
	if p.Cuts() < 20 {
		t.Errorf("only %d connections were cut", p.Cuts())
	}
	l.finish()
	l.keepsExactly(store)
	sound(t, store, server.URL(0))
}
