package redis_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/queue/redis"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// through opens a queue whose connections go through a proxy, with a client
// that waits for an answer no longer than a second.
func (r *rig) through(o redis.Options) (*redis.Queue, *redistest.Proxy) {
	r.Helper()
	proxy := redistest.NewProxy(r, r.server.Addr())
	client, err := redisdb.Open(redisdb.Settings{URL: "redis://" + proxy.Addr(), Timeout: time.Second})
	r.must(err)
	r.Cleanup(func() {
		if err := client.Close(); err != nil {
			r.Error(err)
		}
	})
	o.Client = client
	return open(r, o, lane), proxy
}

// warm makes every step once: the server keeps the scripts from then on, and a
// cut before the next reply comes after the step, not after the news that the
// script is not known.
func (r *rig) warm() {
	r.Helper()
	receiver := r.receiver(r.queue)
	defer receiver.Close(r.ctx)
	r.send(r.queue, "warm")
	r.must(r.take(receiver, 1, "warm")[0].Abandon(r.ctx))
	d := r.take(receiver, 2, "warm")[0]
	r.must(d.Renew(r.ctx))
	r.must(d.DeadLetter(r.ctx, "test", "warm"))
	letters, _, err := r.queue.DeadLetters(r.ctx, lane, "", 1)
	r.must(err)
	r.must(r.queue.Replay(r.ctx, lane, letters[0].ID))
	r.must(r.take(receiver, 1, "warm")[0].Complete(r.ctx))
	r.depth(0, 0)
}

// A settlement is made once, and its message is neither lost nor settled twice,
// when the connection is cut between the step and its answer.
func TestLostAnswerToSettlement(t *testing.T) {
	r := newRig(t, redistest.Always)
	r.warm()
	q, proxy := r.through(redis.Options{})
	receiver := r.receiver(q)
	for _, c := range []struct {
		name         string
		settle       func(queue.Delivery) error
		active, dead int64
	}{
		{"Complete", func(d queue.Delivery) error { return d.Complete(r.ctx) }, 0, 0},
		{"DeadLetter", func(d queue.Delivery) error { return d.DeadLetter(r.ctx, "test", "on purpose") }, 0, 1},
		{"Abandon", func(d queue.Delivery) error { return d.Abandon(r.ctx) }, 1, 1},
	} {
		r.send(r.queue, c.name)
		d := r.take(receiver, 1, c.name)[0]
		proxy.CutBeforeReply("EVALSHA", 1)
		cuts := proxy.Cuts()
		r.wants(c.settle(d), redisdb.ErrUnavailable)
		if proxy.Cuts() != cuts+1 {
			t.Fatalf("%s: %d connections were cut, want 1", c.name, proxy.Cuts()-cuts)
		}
		r.depth(c.active, c.dead)
		for range 2 {
			r.wants(c.settle(d), queue.ErrLockLost)
		}
		r.depth(c.active, c.dead)
	}
	again := r.take(receiver, 2, "Abandon")[0]
	proxy.CutBeforeReply("EVALSHA", 1)
	r.wants(again.Renew(r.ctx), redisdb.ErrUnavailable)
	r.must(again.Renew(r.ctx))
	r.must(again.Complete(r.ctx))
	r.empty(receiver)
	r.depth(0, 1)
}

// A settlement that never reached the server gives the message back soon.
func TestLostSettlement(t *testing.T) {
	r := newRig(t, redistest.None)
	r.warm()
	q, proxy := r.through(redis.Options{})
	receiver := r.receiver(q)
	r.send(r.queue, "once")
	d := r.take(receiver, 1, "once")[0]
	// Every connection, until Heal: the queue's bell asks by itself, and would use
	// up a cut that comes once.
	proxy.CutAfter(redistest.ToServer, 0, redistest.EachConnection)
	r.wants(d.Complete(r.ctx), redisdb.ErrUnavailable)
	proxy.Heal()
	began := time.Now()
	r.must(r.take(receiver, 2, "once")[0].Complete(r.ctx))
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the message came again after %v, as if it had waited for its lock", took)
	}
	r.wants(d.Complete(r.ctx), queue.ErrLockLost)
}

// Messages whose delivery was lost on the way come again soon, in order, and
// those that somebody works on do not.
func TestLostAnswerToReceive(t *testing.T) {
	r := newRig(t, redistest.None)
	r.warm()
	q, proxy := r.through(redis.Options{})
	receiver := r.receiver(q)
	r.send(r.queue, "held")
	held := r.take(receiver, 1, "held")[0]
	bodies := numbered("lost", 5)
	r.send(r.queue, bodies...)
	proxy.CutBeforeReply("EVALSHA", 1)
	_, err := receiver.Receive(r.ctx, 5)
	r.wants(err, redisdb.ErrUnavailable)
	began := time.Now()
	lost := r.take(receiver, 2, bodies...)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the messages came again after %v, as if they had waited for their locks", took)
	}
	r.empty(receiver)
	for _, d := range append(lost, held) {
		r.must(d.Complete(r.ctx))
	}
	r.depth(0, 0)
}

// A batch whose answer is lost is there as a whole, once.
func TestLostAnswerToSend(t *testing.T) {
	r := newRig(t, redistest.None)
	r.warm()
	q, proxy := r.through(redis.Options{})
	proxy.CutBeforeReply("EVALSHA", 1)
	bodies := numbered("m", 10)
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{ID: body, Body: []byte(body)}
	}
	r.wants(q.Send(r.ctx, lane, messages...), redisdb.ErrUnavailable)
	r.depth(10, 0)
	r.take(r.receiver(q), 1, bodies...)
}

// While Redis is away, calls fail soon; when it is back, everything goes on,
// and what was acknowledged is there.
func TestRedisGoesAndComesBack(t *testing.T) {
	r := newRig(t, redistest.Always)
	receiver := r.receiver(r.queue)
	r.send(r.queue, "held", "before")
	held := r.take(receiver, 1, "held")[0]
	r.server.Kill()
	began := time.Now()
	r.wants(r.queue.Send(r.ctx, lane, queue.Message{ID: "1"}), redisdb.ErrUnavailable)
	_, err := receiver.Receive(r.ctx, 1)
	r.wants(err, redisdb.ErrUnavailable)
	_, _, err = r.queue.Depth(r.ctx, lane)
	r.wants(err, redisdb.ErrUnavailable)
	r.wants(r.queue.EnsureQueues(r.ctx, lane), redisdb.ErrUnavailable)
	r.wants(held.Renew(r.ctx), redisdb.ErrUnavailable)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("five calls took %v to fail at a server that is not there", took)
	}
	r.server.Restart()
	r.must(held.Renew(r.ctx)) // a lock outlives the server
	r.must(held.Complete(r.ctx))
	r.must(r.take(receiver, 1, "before")[0].Complete(r.ctx))
	r.send(r.queue, "after")
	r.must(r.take(receiver, 1, "after")[0].Complete(r.ctx))
	r.depth(0, 0)
}

// A Redis that does not answer holds nobody up for long, and what it does late
// is not lost.
func TestRedisStalls(t *testing.T) {
	r := newRig(t, redistest.None)
	q, _ := r.through(redis.Options{})
	receiver := r.receiver(q)
	r.send(r.queue, "late")
	r.server.Pause()
	for range 2 {
		began := time.Now()
		_, err := receiver.Receive(r.ctx, 1)
		r.wants(err, redisdb.ErrUnavailable)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("a receive took %v to fail", took)
		}
	}
	r.server.Resume()
	var d queue.Delivery
	r.eventually("the message comes", func() bool {
		got, err := receiver.Receive(r.ctx, 1)
		if err == nil {
			d = got[0]
		}
		return err == nil
	})
	r.must(d.Complete(r.ctx))
	r.depth(0, 0)
}

// What vanished is made anew by whoever misses it, if it was made here.
func TestQueueVanishes(t *testing.T) {
	r := newRig(t, redistest.None)
	near, far := r.receiver(r.queue), r.another(redis.Options{})
	stranger := redis.New(redis.Options{Client: connect(t, r.server.URL(0))})
	defer stranger.Close(r.ctx)
	r.send(far, "gone")
	gone := r.take(near, 1, "gone")[0]
	r.do("FLUSHALL")
	r.wants(gone.Complete(r.ctx), queue.ErrLockLost)
	r.wants(stranger.Send(r.ctx, lane, queue.Message{ID: "1"}), queue.ErrUnknownQueue)
	r.send(far, "sent")
	r.must(r.take(near, 1, "sent")[0].Complete(r.ctx))

	r.do("FLUSHALL")
	r.depth(0, 0)
	r.do("FLUSHALL")
	waiting := make(chan error, 1)
	go func() {
		got, err := near.Receive(r.ctx, 1)
		if err == nil {
			err = got[0].Complete(r.ctx)
		}
		waiting <- err
	}()
	r.eventually("the receiver makes its queue anew", func() bool { return r.do("EXISTS", "{urgent}:messages") == "1" })
	r.send(stranger, "to the waiting one")
	r.must(<-waiting)

	r.send(far, "held", "waiting")
	held := r.take(near, 1, "held")[0]
	r.do("XGROUP", "DESTROY", "{urgent}:messages", "bellhop")
	r.wants(held.Abandon(r.ctx), queue.ErrLockLost)
	for _, d := range r.take(near, 1, "held", "waiting") {
		r.must(d.Complete(r.ctx))
	}
	r.depth(0, 0)
}

// A server without memory takes no more messages, and lets a queue be emptied.
func TestFullServer(t *testing.T) {
	r := newRig(t, redistest.None)
	r.warm()
	r.send(r.queue, "complete", "abandon", "dead-letter")
	r.do("CONFIG", "SET", "maxmemory", "1")
	r.send(r.queue, "late")
	r.must(open(t, redis.Options{Client: connect(t, r.server.URL(0))}, lane).EnsureQueues(r.ctx, lane, "another")) // as a process that starts
	receiver := r.receiver(r.queue)
	ds := r.take(receiver, 1, "complete", "abandon", "dead-letter")
	r.must(ds[0].Renew(r.ctx))
	r.must(ds[0].Complete(r.ctx))
	r.must(ds[1].Abandon(r.ctx))
	r.must(ds[2].DeadLetter(r.ctx, "test", "while the server is full"))
	r.must(r.take(receiver, 2, "abandon")[0].Complete(r.ctx))
	r.must(r.take(receiver, 1, "late")[0].Complete(r.ctx))
	r.depth(0, 1)
	letters, _, err := r.queue.DeadLetters(r.ctx, lane, "", 10)
	r.must(err)
	r.must(r.queue.Replay(r.ctx, lane, letters[0].ID))
	r.must(r.take(receiver, 1, "dead-letter")[0].DeadLetter(r.ctx, "test", "again"))
	letters, _, err = r.queue.DeadLetters(r.ctx, lane, "", 10)
	r.must(err)
	r.must(r.queue.Discard(r.ctx, lane, letters[0].ID))
	r.depth(0, 0)
}

// A user who may not use channels has everything but the bell.
func TestWithoutChannels(t *testing.T) {
	r := newRig(t, redistest.None)
	r.do("ACL", "SETUSER", "quiet", "on", ">secret", "~*", "resetchannels", "+@all")
	q := open(t, redis.Options{Client: connect(t, "redis://quiet:secret@"+r.server.Addr())}, lane)
	receiver := r.receiver(q)
	waiting := make(chan error, 1)
	go func() {
		got, err := receiver.Receive(r.ctx, 1)
		if err == nil {
			err = got[0].Complete(r.ctx)
		}
		waiting <- err
	}()
	r.eventually("the receiver waits", func() bool { return strings.Contains(r.do("INFO", "commandstats"), "cmdstat_xreadgroup") })
	r.send(q, "unannounced")
	r.must(<-waiting)
	r.depth(0, 0)
}

// Through a network that keeps breaking, every message is completed, and no
// completion is confirmed twice.
func TestBreakingNetwork(t *testing.T) {
	r := newRig(t, redistest.EverySec)
	const workers = 3
	done := newTally()
	var sent atomic.Int64
	breaking := make(chan struct{})
	ctx, stop := context.WithCancel(r.ctx)
	defer stop()
	var sending, running sync.WaitGroup
	var proxies []*redistest.Proxy
	for w := range workers {
		q, proxy := r.through(redis.Options{Lock: 5 * time.Second, MaxDeliveries: 10_000})
		proxies = append(proxies, proxy)
		receiver := r.receiver(q)
		sending.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-breaking:
					return
				case <-time.After(time.Millisecond):
				}
				r.sendUntilKnown(ctx, q, fmt.Sprintf("%d.%d", w, i))
				sent.Add(1)
			}
		})
		running.Go(func() {
			for ctx.Err() == nil {
				got, _ := receiver.Receive(ctx, 4)
				for _, d := range got {
					done.note(d.Message(), d.Complete(ctx))
				}
			}
		})
	}
	for i := range 150 {
		proxy := proxies[i%workers]
		switch rand.IntN(3) {
		case 0:
			proxy.Cut()
		case 1:
			proxy.CutBeforeReply("EVALSHA", 1)
		default:
			proxy.CutAfter(redistest.ToClient, rand.IntN(400), redistest.AllTogether)
		}
		r.pause(20 * time.Millisecond)
	}
	for _, proxy := range proxies {
		proxy.Heal()
	}
	close(breaking)
	sending.Wait()
	r.eventually("all messages are completed, and the queue is empty", func() bool {
		active, _, err := r.queue.Depth(r.ctx, lane)
		return err == nil && active == 0 && done.bodies() == sent.Load()
	})
	stop()
	running.Wait()
	r.depth(0, 0)
	for id, n := range done.confirmed {
		if n != 1 {
			t.Errorf("the completion of %s was confirmed %d times", id, n)
		}
	}
	t.Logf("%d messages and %d copies; %d completions confirmed, %d unknown", sent.Load(), done.again, len(done.confirmed), len(done.unknown))
	if done.again == 0 || len(done.unknown) == 0 {
		t.Error("nothing was broken")
	}
}

// sendUntilKnown sends a body, under a fresh id each time, until it is known to
// be sent.
func (r *rig) sendUntilKnown(ctx context.Context, q *redis.Queue, body string) {
	for try := 0; ctx.Err() == nil; try++ {
		err := q.Send(ctx, lane, queue.Message{ID: fmt.Sprintf("%s/%d", body, try), Body: []byte(body)})
		if err == nil {
			return
		}
		if !errors.Is(err, redisdb.ErrUnavailable) && !errors.Is(err, context.Canceled) {
			r.Errorf("send: %v", err)
		}
	}
}

// tally is what became of messages.
type tally struct {
	mu        sync.Mutex
	confirmed map[string]int  // by id: how often Complete returned nil
	unknown   map[string]bool // by id: Complete returned an error that leaves it open
	completed map[string]bool // by body
	again     int
}

func newTally() *tally {
	return &tally{confirmed: map[string]int{}, unknown: map[string]bool{}, completed: map[string]bool{}}
}

func (c *tally) note(m queue.Message, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.confirmed[m.ID]++
		if !strings.HasSuffix(m.ID, "/0") {
			c.again++
		}
		c.completed[string(m.Body)] = true
	case !errors.Is(err, queue.ErrLockLost): // completed, or it comes again
		c.unknown[m.ID] = true
		c.completed[string(m.Body)] = true
	}
}

func (c *tally) bodies() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.completed))
}

// pause waits on a timer.
func (r *rig) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
	}
}
