package redis_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"

	"github.com/google/uuid"
)

// pair starts a master and a replica that has its copy.
func pair(t *testing.T) (master, replica *redistest.Server) {
	t.Helper()
	master = redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	replica = redistest.Start(t, redistest.Options{Persistence: redistest.Always, ReplicaOf: master})
	replica.WaitReplica()
	return master, replica
}

func TestWithOneReplicaAwaitedAPromotionLosesNothingAcknowledged(t *testing.T) {
	for range rounds(3, 1) {
		master, replica := pair(t)
		l := newLoad(t, connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1}, redis.Options{}))
		l.start(16)
		l.await(100 + rand.IntN(1000))
		master.Kill()
		l.stop()
		replica.Promote()
		after := connect(t, redisdb.Settings{URL: replica.URL(0)}, redis.Options{})
		if promises := l.keeps(after); promises < 50 {
			t.Errorf("only %d promises were made before the master died", promises)
		}
		sound(t, after, replica.URL(0))
	}
}

// This is what waiting is for: without it the same promotion does lose
// something.
func TestWithoutWaitingAPromotionCanLoseWhatWasAcknowledged(t *testing.T) {
	master, replica := pair(t)
	proxy := redistest.NewProxy(t, master.Addr())
	host, port, err := net.SplitHostPort(proxy.Addr())
	ok(t, err)
	_, err = replica.Do("REPLICAOF", host, port)
	ok(t, err)
	replica.WaitReplica()
	proxy.Stall(redistest.ToClient) // which the replica is

	hasty := connect(t, redisdb.Settings{URL: master.URL(0)}, redis.Options{})
	stored, err := hasty.Accept(within(t), form(uuid.NewString(), 1, false))
	ok(t, err)
	careful := connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1, Timeout: 500 * time.Millisecond}, redis.Options{})
	if _, err := careful.Accept(within(t), form(uuid.NewString(), 2, false)); !errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("a replica that is behind: %v, want %v", err, redisdb.ErrReplicas)
	}
	master.Kill()
	proxy.Close()
	replica.Promote()
	after := connect(t, redisdb.Settings{URL: replica.URL(0)}, redis.Options{})
	if _, err := after.Person(within(t), stored.ID); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("a sign-up that no replica had is there after the promotion (%v): this test proves nothing", err)
	}
}

// Everything that is a promise, while the one replica stands still: refused, and
// within the deadline. Repeated afterwards it has happened once.
func TestWithoutItsReplicaNothingIsPromised(t *testing.T) {
	master, replica := pair(t)
	const limit = 4 * time.Second
	before := connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1}, redis.Options{})
	s := connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1, Timeout: limit}, redis.Options{})
	ctx := within(t)
	for number := 1; number <= 5; number++ {
		_, err := before.Accept(ctx, form(subject(number), number, true))
		ok(t, err)
	}
	claim := func(number int) onboarding.Claim {
		ref := onboarding.Ref{Mail: onboarding.NewMailID(subject(number), onboarding.SignUp, 1), Gen: 1}
		c := onboarding.Claim{Ref: ref, Holder: me, Op: subject(number)}
		_, err := before.Claim(ctx, c)
		ok(t, err)
		return c
	}
	sending, committing, late := claim(2), claim(3), claim(5)
	rendered := onboarding.Rendered{Mint: 1, BodyHash: [32]byte{7}}
	for _, c := range []onboarding.Claim{committing, late} {
		ok(t, before.Committing(ctx, c, rendered))
	}
	promises := map[string]func(s *redis.Store) error{
		"a sign-up": func(s *redis.Store) error { _, err := s.Accept(ctx, form(uuid.NewString(), 6, true)); return err },
		"a sign-up stored before": func(s *redis.Store) error {
			again, err := s.Accept(ctx, form(uuid.NewString(), 1, true))
			if err == nil && (!again.Repeated || again.ID != subject(1)) {
				t.Errorf("the repeated sign-up is %+v", again)
			}
			return err
		},
		"committing":   func(s *redis.Store) error { return s.Committing(ctx, sending, rendered) },
		"a late dot":   func(s *redis.Store) error { return s.Check(ctx, late) },
		"an outcome":   func(s *redis.Store) error { _, err := s.Record(ctx, committing, result(onboarding.Sent)); return err },
		"erasing":      func(s *redis.Store) error { return s.Erase(ctx, subject(4)) },
		"a shared key": func(s *redis.Store) error { _, err := s.SharedKey(ctx, "mint", []byte("secret")); return err },
		"a ping":       func(s *redis.Store) error { return s.Ping(ctx) },
	}

	// Without the replica each has a store of its own: in one pipeline a call that
	// waits for no replica may be held up by those that do, and then looks as if it
	// had waited, too.
	alone, together := map[string]func() error{}, map[string]func() error{}
	for what, promise := range promises {
		own := connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1, Timeout: limit}, redis.Options{})
		alone[what] = func() error { return promise(own) }
		together[what] = func() error { return promise(s) }
	}

	ok(t, before.Heartbeat(ctx, me))
	replica.Pause()
	ask(alone, func(what string, took time.Duration, err error) {
		if !errors.Is(err, signup.ErrUnavailable) || took > limit+5*time.Second {
			t.Errorf("%s without the replica: %v after %v, want %v within %v", what, err, took, signup.ErrUnavailable, limit)
		}
	})
	if _, err := s.Person(ctx, subject(1)); err != nil {
		t.Errorf("what is no promise needs no replica: %v", err)
	}
	replica.Resume()
	for again := true; again; {
		again = errors.Is(s.Ping(ctx), signup.ErrUnavailable) // it is catching up
	}
	ok(t, s.Heartbeat(ctx, me))
	ask(together, func(what string, _ time.Duration, err error) {
		if err != nil {
			t.Errorf("%s with the replica: %v", what, err)
		}
	})

	master.Kill()
	replica.Promote()
	after := connect(t, redisdb.Settings{URL: replica.URL(0)}, redis.Options{})
	books, err := after.Books(ctx)
	ok(t, err)
	got := []int64{books.Accepted, books.States[onboarding.Committing], books.States[onboarding.Sent], books.States[onboarding.Cancelled]}
	for i, want := range []int64{6, 2, 1, 1} {
		if got[i] != want {
			t.Errorf("accepted, committing, sent and cancelled are %v, want 6, 2, 1, 1", got)
		}
	}
	sound(t, after, replica.URL(0))
}

func subject(number int) string { return uuid.NewSHA1(uuid.Nil, []byte{byte(number)}).String() }

// ask makes some calls at once.
func ask(calls map[string]func() error, told func(what string, took time.Duration, err error)) {
	var group sync.WaitGroup
	for what, call := range calls {
		group.Go(func() {
			began := time.Now()
			err := call()
			told(what, time.Since(began), err)
		})
	}
	group.Wait()
}
