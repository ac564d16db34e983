package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/queue/redis"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// A child process receives from the lane of the Redis in childEnv. It completes
// what it gets, or holds it for ever, and then prints the body.
const (
	childEnv  = "BELLHOP_QUEUE_CHILD"
	childHold = "BELLHOP_QUEUE_CHILD_HOLD"
)

// child is the child process's main.
func child(url string) int {
	client, err := redisdb.Open(redisdb.Settings{URL: url})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	q := redis.New(redis.Options{Client: client})
	receiver, err := q.Receiver(lane)
	for err == nil {
		var printed strings.Builder
		got, failed := receiver.Receive(context.Background(), 3)
		err = failed
		for _, d := range got {
			if os.Getenv(childHold) == "" {
				err = d.Complete(context.Background())
			}
			fmt.Fprintln(&printed, string(d.Message().Body))
		}
		if err == nil {
			_, err = os.Stdout.WriteString(printed.String())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// startChild starts a child process, which the end of the test ends, and
// returns what it prints.
func (r *rig) startChild(env ...string) (kill func(), bodies *bufio.Scanner) {
	r.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+r.server.URL(0)), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	r.must(err)
	r.must(cmd.Start())
	kill = func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	}
	r.Cleanup(kill)
	return kill, bufio.NewScanner(out)
}

// Two processes share a lane: each message is completed by one of them, once.
func TestTwoProcesses(t *testing.T) {
	r := newRig(t, redistest.EverySec)
	const n = 600
	r.send(r.queue, numbered("m", n)...)
	kill, printed := r.startChild()
	type completed struct{ where, body string }
	all := make(chan completed, 2*n)
	var running sync.WaitGroup
	running.Go(func() {
		for printed.Scan() {
			all <- completed{"there", printed.Text()}
		}
	})
	ctx, stop := context.WithCancel(r.ctx)
	receiver := r.receiver(r.queue)
	running.Go(func() {
		for {
			got, err := receiver.Receive(ctx, 3)
			for _, d := range got {
				if err := d.Complete(r.ctx); err != nil {
					t.Error(err)
				}
				all <- completed{"here", string(d.Message().Body)}
			}
			if err != nil {
				return
			}
		}
	})
	times, by := map[string]int{}, map[string]int{}
	count := func(c completed) { times[c.body]++; by[c.where]++ }
	for len(times) < n || by["there"] == 0 {
		select {
		case c := <-all:
			count(c)
		case <-r.ctx.Done():
			t.Fatalf("%d of %d messages were completed: %v", len(times), n, by)
		}
		if len(times) == n && by["there"] == 0 { // it has only just started
			times = map[string]int{}
			r.send(r.queue, numbered("m", n)...)
		}
	}
	r.depth(0, 0)
	stop()
	kill()
	running.Wait()
	close(all)
	for c := range all {
		count(c)
	}
	t.Log(by)
	for body, n := range times {
		if n != 1 {
			t.Errorf("%s was completed %d times", body, n)
		}
	}
}

// What a process held when it died comes back, in its old place, and the
// consumer that it was is forgotten; one that waits is not.
func TestProcessDies(t *testing.T) {
	r := newRig(t, redistest.EverySec)
	bodies := numbered("m", 5)
	r.send(r.queue, bodies...)
	kill, printed := r.startChild(childHold + "=1")
	for i := 0; i < len(bodies) && printed.Scan(); i++ {
		if printed.Text() != bodies[i] {
			t.Fatalf("the other process has %q, want %q", printed.Text(), bodies[i])
		}
	}
	kill()
	r.send(r.queue, "later")
	q := r.another(redis.Options{Lock: 3 * time.Second, Consumer: "survivor"})
	receiver := r.receiver(q)
	r.must(r.take(receiver, 1, "later")[0].Complete(r.ctx))
	for _, d := range r.take(receiver, 2, bodies...) {
		r.must(d.Complete(r.ctx))
	}
	waiting, stop := context.WithCancel(r.ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer stop()
	wait.Go(func() {
		if got, err := receiver.Receive(waiting, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("received %d messages, error %v", len(got), err)
		}
	})
	consumers := func() string { return r.do("XINFO", "CONSUMERS", "{urgent}:messages", "bellhop") }
	r.eventually("only the survivor is there", func() bool { return strings.Count(consumers(), "name") == 2 })
	if list := consumers(); !strings.Contains(list, "survivor.1") || !strings.Contains(list, "returned") {
		t.Errorf("consumers:\n%s", list)
	}
}

// A consumer that held more than is swept at once loses none of it.
func TestManyLocksEnd(t *testing.T) {
	r := newRig(t, redistest.None)
	bodies := numbered("m", 350)
	r.send(r.queue, bodies...)
	r.take(r.receiver(r.queue), 1, bodies...)
	began := time.Now()
	receiver := r.receiver(r.another(redis.Options{Lock: 2 * time.Second}))
	for _, d := range r.take(receiver, 2, bodies...) {
		r.must(d.Complete(r.ctx))
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the last lock was over after %v", took)
	}
	r.depth(0, 0)
}

// An entry that has only just become this consumer's is not taken for one whose
// delivery was lost: it may be that its delivery is on the way.
func TestFreshEntryIsLeftAlone(t *testing.T) {
	r := newRig(t, redistest.None)
	receiver := r.receiver(r.another(redis.Options{Consumer: "me"}))
	r.send(r.queue, "on its way")
	began := time.Now()
	r.do("XREADGROUP", "GROUP", "bellhop", "me.1", "STREAMS", "{urgent}:messages", ">")
	r.take(receiver, 2, "on its way")
	if took := time.Since(began); took < time.Second || took > 30*time.Second {
		t.Errorf("the entry was taken back after %v, want a second or somewhat more", took)
	}
}
