package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/queue/queuetest"
	"bellhop/internal/queue/redis"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		os.Exit(child(url))
	}
	goleak.VerifyTestMain(m)
}

// lane is the queue of the tests that need only one.
const lane = "urgent"

// patience is how long a test waits for what must come.
const patience = time.Minute

// rig is a server and a queue on it.
type rig struct {
	*testing.T
	ctx    context.Context // of the whole test, with an end
	server *redistest.Server
	queue  *redis.Queue
}

// newRig opens a queue with a lane on a server of its own.
func newRig(t *testing.T, persistence redistest.Persistence) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	r := &rig{T: t, ctx: ctx, server: redistest.Start(t, redistest.Options{Persistence: persistence})}
	r.queue = open(t, redis.Options{Client: connect(t, r.server.URL(0))}, lane)
	return r
}

// another is a queue on the same server that shares nothing else with the
// first, as in another process.
func (r *rig) another(o redis.Options) *redis.Queue {
	r.Helper()
	o.Client = connect(r, r.server.URL(0))
	return open(r, o, lane)
}

// connect opens a client, which the end of the test closes.
func connect(t testing.TB, url string) *redisdb.Client {
	t.Helper()
	client, err := redisdb.Open(redisdb.Settings{URL: url, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// open makes a queue, which the end of the test closes.
func open(t testing.TB, o redis.Options, names ...string) *redis.Queue {
	t.Helper()
	q := redis.New(o)
	t.Cleanup(func() {
		if err := q.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := q.EnsureQueues(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
	return q
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) wants(err, want error) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Fatalf("error %v, want %v", err, want)
	}
}

func (r *rig) do(args ...string) string {
	r.Helper()
	answer, err := r.server.Do(args...)
	r.must(err)
	return answer
}

func (r *rig) receiver(q queue.Queue) queue.Receiver {
	r.Helper()
	receiver, err := q.Receiver(lane)
	r.must(err)
	return receiver
}

// send sends one message for each body, in one step.
func (r *rig) send(q queue.Queue, bodies ...string) {
	r.Helper()
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{ID: "id of " + body, Body: []byte(body)}
	}
	r.must(q.Send(r.ctx, lane, messages...))
}

// take receives one message for each body, in this order, with this count.
func (r *rig) take(receiver queue.Receiver, count int, bodies ...string) []queue.Delivery {
	r.Helper()
	var all []queue.Delivery
	for len(all) < len(bodies) {
		got, err := receiver.Receive(r.ctx, len(bodies)-len(all))
		r.must(err)
		all = append(all, got...)
	}
	for i, d := range all {
		if string(d.Message().Body) != bodies[i] || d.Count() != count {
			r.Fatalf("received %q with count %d, want %q with %d", d.Message().Body, d.Count(), bodies[i], count)
		}
	}
	return all
}

// empty checks that nothing comes, even after the receiver has looked for locks
// that have ended.
func (r *rig) empty(receiver queue.Receiver) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 2500*time.Millisecond)
	defer cancel()
	got, err := receiver.Receive(ctx, 10)
	if len(got) > 0 {
		r.Fatalf("received %q, want nothing", got[0].Message().Body)
	}
	r.wants(err, context.DeadlineExceeded)
}

func (r *rig) depth(active, dead int64) {
	r.Helper()
	a, d, err := r.queue.Depth(r.ctx, lane)
	r.must(err)
	if a != active || d != dead {
		r.Fatalf("depth: %d active and %d dead, want %d and %d", a, d, active, dead)
	}
}

// eventually asks until done says yes.
func (r *rig) eventually(what string, done func() bool) {
	r.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			r.Fatalf("never: %s", what)
		}
	}
}

// endLocks makes everything that is pending as old as if its lock were over.
func (r *rig) endLocks() {
	r.Helper()
	endLocks(r.T, r.server, lane)
}

func endLocks(t *testing.T, s *redistest.Server, names ...string) {
	t.Helper()
	for _, name := range names {
		key := "{" + name + "}:messages"
		pending, err := s.Do("XPENDING", key, "bellhop", "-", "+", "10000")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(pending, "\n") // id, consumer, idle, count
		for i := 0; i+3 < len(lines); i += 4 {
			if _, err := s.Do("XCLAIM", key, "bellhop", lines[i+1], "0", lines[i], "IDLE", "3600000", "JUSTID"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return all
}

// The driver keeps the whole contract, on a server that is killed and started
// again where the contract asks for it.
func TestContract(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	queuetest.Run(t, queuetest.Features{}, func(t *testing.T) queuetest.Broker {
		if _, err := server.Do("FLUSHALL"); err != nil {
			t.Fatal(err)
		}
		openAgain := func(t *testing.T) queue.Queue {
			options := redis.Options{Client: connect(t, server.URL(0)), MaxDeliveries: queuetest.MaxDeliveries}
			return open(t, options, queuetest.Main, queuetest.Other)
		}
		return queuetest.Broker{
			Queue:    openAgain(t),
			EndLocks: func(t *testing.T) { endLocks(t, server, queuetest.Main, queuetest.Other) },
			Reopen: func(t *testing.T) queue.Queue {
				server.Restart() // by SIGKILL; locks outlive it
				endLocks(t, server, queuetest.Main, queuetest.Other)
				return openAgain(t)
			},
		}
	})
}

// A lock that is over is over, also before anybody else has the message.
func TestSettlementAfterTheLock(t *testing.T) {
	r := newRig(t, redistest.None)
	receiver := r.receiver(r.queue)
	for count, settle := range []func(queue.Delivery) error{
		func(d queue.Delivery) error { return d.Renew(r.ctx) },
		func(d queue.Delivery) error { return d.Complete(r.ctx) },
		func(d queue.Delivery) error { return d.Abandon(r.ctx) },
		func(d queue.Delivery) error { return d.DeadLetter(r.ctx, "late", "too late") },
	} {
		if count == 0 {
			r.send(r.queue, "late")
		}
		d := r.take(receiver, count+1, "late")[0]
		r.endLocks()
		r.wants(settle(d), queue.ErrLockLost)
		r.depth(1, 0)
	}
}

// A lock ends by time alone, and not while it is renewed.
func TestLockEndsInTime(t *testing.T) {
	r := newRig(t, redistest.None)
	const lock = 2 * time.Second
	q := r.another(redis.Options{Lock: lock})
	receiver, other := r.receiver(q), r.receiver(q)
	began := time.Now()
	r.send(q, "slow")
	d := r.take(receiver, 1, "slow")[0]
	if until := d.LockedUntil(); until.Before(began.Add(lock)) || until.After(time.Now().Add(lock)) {
		t.Errorf("locked until %v after the beginning, want about %v", until.Sub(began), lock)
	}
	renewed := time.Now()
	r.must(d.Renew(r.ctx))
	r.take(other, 2, "slow")
	if took := time.Since(renewed); took < lock {
		t.Errorf("somebody else got the message %v after the lock was renewed, want %v", took, lock)
	}
	r.wants(d.Complete(r.ctx), queue.ErrLockLost)
}

// Waiting receivers are told, by whichever process, and do not wait until they
// look by themselves, once a second.
func TestWaitingReceiverIsTold(t *testing.T) {
	r := newRig(t, redistest.None)
	near, far := r.receiver(r.queue), r.another(redis.Options{})
	holder := r.receiver(far)
	held := queue.Delivery(nil)
	for what, do := range map[string]func(i int){
		"send":    func(int) { r.send(far, "news") },
		"abandon": func(int) { r.must(held.Abandon(r.ctx)) },
		"replay": func(int) {
			letters, _, err := far.DeadLetters(r.ctx, lane, "", 1)
			r.must(err)
			r.must(far.Replay(r.ctx, lane, letters[0].ID))
		},
	} {
		const rounds = 20
		took := time.Duration(0)
		for i := range rounds {
			if what != "send" {
				r.send(far, "news")
				held = r.take(holder, 1, "news")[0]
			}
			if what == "replay" {
				r.must(held.DeadLetter(r.ctx, "test", "to be replayed"))
			}
			got := make(chan queue.Delivery, 1)
			go func() {
				defer close(got)
				if ds, err := near.Receive(r.ctx, 1); err == nil {
					got <- ds[0]
				}
			}()
			r.depth(map[string]int64{"abandon": 1}[what], map[string]int64{"replay": 1}[what]) // it waits by now, or nearly so
			began := time.Now()
			do(i)
			d := <-got
			took += time.Since(began)
			if d == nil {
				t.Fatalf("%s: nothing came", what)
			}
			r.must(d.Complete(r.ctx))
		}
		t.Logf("%s: %v on average", what, took/rounds)
		if took > rounds*250*time.Millisecond {
			t.Errorf("%s: a waiting receiver had the message after %v on average", what, took/rounds)
		}
	}
}

// Waiting costs next to nothing.
func TestIdleCost(t *testing.T) {
	r := newRig(t, redistest.None)
	r.must(r.queue.EnsureQueues(r.ctx, "bulk"))
	bulk, err := r.queue.Receiver("bulk")
	r.must(err)
	r.empty(r.receiver(r.queue)) // scripts are loaded, bells subscribed
	before := r.calls("evalsha")
	var waiting sync.WaitGroup
	for _, receiver := range []queue.Receiver{bulk, r.receiver(r.queue)} {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(r.ctx, 2500*time.Millisecond)
			defer cancel()
			if _, err := receiver.Receive(ctx, 10); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waiting for nothing ended with %v", err)
			}
		})
	}
	waiting.Wait()
	if n := r.calls("evalsha") - before; n < 2 || n > 14 {
		t.Errorf("two receivers made %d steps in 2.5 seconds, want about one a second each", n)
	}
}

// calls is how often a command has been called.
func (r *rig) calls(command string) (n int) {
	r.Helper()
	_, stats, _ := strings.Cut(r.do("INFO", "commandstats"), "cmdstat_"+command+":")
	if _, err := fmt.Sscanf(stats, "calls=%d,", &n); err != nil {
		r.Fatalf("calls of %s: %v", command, err)
	}
	return n
}
