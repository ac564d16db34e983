package redisdb_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

func TestRunReplies(t *testing.T) {
	tag := tagOf(t, redistest.Start(t, redistest.Options{}), slow)
	for body, want := range map[string]any{
		"return 'text'":                       "text",
		"return ''":                           "",
		"return 42":                           int64(42),
		"return true":                         int64(1),
		"return false":                        nil,
		"return nil":                          nil,
		"return redis.call('GET', KEYS[1])":   nil,
		"return redis.status_reply('FINE')":   "FINE",
		"return {}":                           []any{},
		"return {1, 'a', {false, 'b'}}":       []any{int64(1), "a", []any{nil, "b"}},
		"return KEYS":                         []any{tagName},
		"return {#ARGV, unpack(ARGV)}":        []any{int64(6), "s", "b", "-7", "8", "1.5", "1"},
		"return redis.call('PING')":           "PONG",
		"return redis.call('TIME')[3] or 'x'": "x",
	} {
		t.Run(body, func(t *testing.T) {
			script := redisdb.NewScript("reply", "#!lua\n"+body)
			got, err := tag.Run(t.Context(), script, redisdb.Replicated, "s", []byte("b"), -7, uint64(8), 1.5, true)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, %v, want %#v", got, err, want)
			}
		})
	}
}

func TestRunGivesEachCallerItsReply(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	var groups, calls atomic.Int64
	tag := connect(t, redisdb.Settings{URL: server.URL(0), Timeout: slow, AfterGroup: func(name string, n int, took time.Duration) {
		if name != tagName || took <= 0 {
			t.Errorf("a pipeline of %s took %v", name, took)
		}
		groups.Add(1)
		calls.Add(int64(n))
	}}).Tag(tagName)
	const callers, rounds = 64, 50
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for round := range rounds {
				want := fmt.Sprintf("[%d %d]", caller, round)
				got, err := tag.Run(t.Context(), echo, redisdb.Answered, caller, round)
				if err != nil || fmt.Sprint(got) != want {
					t.Errorf("got %v, %v, want %s", got, err, want)
				}
			}
		})
	}
	all.Wait()
	if calls.Load() != callers*rounds || groups.Load() == 0 || groups.Load() > calls.Load()/2 {
		t.Errorf("%d calls shared %d pipelines, want %d calls, and several in one", calls.Load(), groups.Load(), callers*rounds)
	}
}

// A server that has forgotten its scripts, as after a restart, learns them
// again, and none runs twice for that.
func TestRunAfterScriptFlush(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	tag := tagOf(t, server, slow)
	stop := make(chan struct{})
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := server.Do("SCRIPT", "FLUSH"); err != nil {
					t.Error(err)
				}
			}
		}
	})
	const callers, rounds = 16, 20
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range rounds {
				// Between the two ways to name a script there is no moment in
				// which it could be forgotten.
				if _, err := tag.Run(t.Context(), count, redisdb.Answered, "n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	flushing.Wait()
	if n := counted(t, server, "n"); n != callers*rounds {
		t.Errorf("%d calls counted %d", callers*rounds, n)
	}
}

// held lets calls wait until all of them share as few pipelines as possible:
// the server stands still until do has been called and waiting of its calls
// wait behind those that hold the pipelines.
func held(t *testing.T, server *redistest.Server, tag *redisdb.Tag, waiting int, do func()) {
	t.Helper()
	mustRun(t, tag, echo)
	server.Pause()
	var holding sync.WaitGroup
	for held := range redisdb.Pipelines {
		holding.Go(func() { _, _ = tag.Run(t.Context(), echo, redisdb.Answered) })
		eventually(t, "a pipeline to be held", func() error {
			if n := tag.Busy(); n != held+1 {
				return fmt.Errorf("%d pipelines are under way, want %d", n, held+1)
			}
			return nil
		})
	}
	do()
	waits(t, tag, waiting)
	server.Resume()
	holding.Wait()
}

// waits waits until so many calls wait for a pipeline.
func waits(t *testing.T, tag *redisdb.Tag, want int) {
	t.Helper()
	eventually(t, "the calls to wait", func() error {
		if n := tag.Waiting(); n != want {
			return fmt.Errorf("%d wait, want %d", n, want)
		}
		return nil
	})
}

// What is wrong with a script fails those who called it, and nobody else in
// the pipeline.
func TestRunFailsAlone(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	var largest atomic.Int64
	tag := connect(t, redisdb.Settings{URL: server.URL(0), Timeout: slow, AfterGroup: func(_ string, n int, _ time.Duration) {
		largest.Store(max(largest.Load(), int64(n)))
	}}).Tag(tagName)
	raises := redisdb.NewScript("raises", "#!lua\nreturn redis.error_reply('GONE ' .. ARGV[1])")
	breaks := redisdb.NewScript("breaks", "#!lua\nredis.call('SET', KEYS[1], 'x')\nreturn redis.call('INCR', KEYS[1])")
	garbled := redisdb.NewScript("garbled", "#!lua\nreturn +")
	const each = 10
	var all sync.WaitGroup
	held(t, server, tag, 4*each, func() {
		for i := range each {
			all.Go(func() { mustCount(t, tag, fmt.Sprint("sound", i)) })
			for _, c := range []struct {
				script *redisdb.Script
				want   string
			}{{raises, fmt.Sprintf("raises: GONE %d", i)}, {breaks, "not an integer"}, {garbled, "garbled: ERR Error compiling script"}} {
				all.Go(func() {
					_, err := tag.Run(t.Context(), c.script, redisdb.Answered, i)
					if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, redisdb.ErrUnavailable) {
						t.Errorf("got the error %v, want one with %q", err, c.want)
					}
				})
			}
		}
	})
	all.Wait()
	if largest.Load() < 4*each/redisdb.Pipelines {
		t.Errorf("the calls were to share pipelines, and the largest was of %d", largest.Load())
	}
	for i := range each {
		if n := counted(t, server, fmt.Sprint("sound", i)); n != 1 {
			t.Errorf("a sound call ran %d times", n)
		}
	}
}

func mustCount(t testing.TB, tag *redisdb.Tag, name string) {
	if reply, err := tag.Run(t.Context(), count, redisdb.Answered, name); err != nil || reply != int64(1) {
		t.Errorf("count %s: got %v, %v, want 1", name, reply, err)
	}
}

func TestRunRefusesWhatCannotBeSent(t *testing.T) {
	tag := tagOf(t, redistest.Start(t, redistest.Options{}), slow)
	for _, arg := range []any{nil, struct{}{}, []string{"a"}, time.Second, redisdb.OK} {
		_, err := tag.Run(t.Context(), echo, redisdb.Answered, "fine", arg)
		want := fmt.Sprintf("echo: argument 2: want a string, bytes, a number or a bool, got a %T", arg)
		if err == nil || err.Error() != want {
			t.Errorf("got the error %v, want %s", err, want)
		}
	}
}

// A caller that leaves is not waited for, and what had not been sent for it
// never is.
func TestRunCancelled(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	tag := tagOf(t, server, slow)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	held(t, server, tag, 1, func() {
		go func() {
			_, err := tag.Run(ctx, count, redisdb.Answered, "left")
			left <- err
		}()
		waits(t, tag, 1)
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, redisdb.ErrUnavailable) {
			t.Errorf("want context.Canceled, got %v", err)
		}
	})
	if err := answers(t, tag); err != nil {
		t.Error(err)
	}
	if n := counted(t, server, "left"); n != 0 {
		t.Errorf("the step was made %d times although its caller had left before", n)
	}
	if _, err := tag.Run(ctx, count, redisdb.Answered, "left"); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
}

func TestRunWithAFullQueue(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	tag := tagOf(t, server, slow)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	held(t, server, tag, redisdb.WaitingMost, func() {
		for range redisdb.WaitingMost {
			all.Go(func() { _, _ = tag.Run(ctx, count, redisdb.Answered, "many") })
		}
		waits(t, tag, redisdb.WaitingMost)
		_, err := tag.Run(t.Context(), count, redisdb.Answered, "one too many")
		unavailable(t, "one too many", err)
		if err == nil || !strings.Contains(err.Error(), "8192 steps are waiting already") {
			t.Errorf("got the error %v", err)
		}
	})
	all.Wait()
	cancel()
	if many, more := counted(t, server, "many"), counted(t, server, "one too many"); many != redisdb.WaitingMost || more != 0 {
		t.Errorf("%d and %d steps were made, want %d and none", many, more, redisdb.WaitingMost)
	}
}

func TestCloseWaitsForCalls(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	client, err := redisdb.Open(redisdb.Settings{URL: server.URL(0), Timeout: slow})
	if err != nil {
		t.Fatal(err)
	}
	tag := client.Tag(tagName)
	var made, refused atomic.Int64
	var all sync.WaitGroup
	half := make(chan struct{}, 1000)
	for range 50 {
		all.Go(func() {
			for range 1000 {
				_, err := tag.Run(context.Background(), count, redisdb.Answered, "n")
				switch {
				case err == nil:
					made.Add(1)
					select {
					case half <- struct{}{}:
					default:
					}
				case errors.Is(err, redisdb.ErrClosed):
					refused.Add(1)
					return
				default:
					t.Errorf("want no error or ErrClosed, got %v", err)
				}
			}
		})
	}
	for range 500 {
		<-half
	}
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
			_ = client.Tag("{late}") // while the others are closed
		})
	}
	closing.Wait()
	all.Wait()
	if n := counted(t, server, "n"); int64(n) != made.Load() || refused.Load() == 0 {
		t.Errorf("%d steps were made, %d answered, and %d callers refused", n, made.Load(), refused.Load())
	}
	for _, name := range []string{tagName, "{another}"} {
		if _, err := client.Tag(name).Run(context.Background(), echo, redisdb.Answered); !errors.Is(err, redisdb.ErrClosed) {
			t.Errorf("want ErrClosed, got %v", err)
		}
	}
}

func TestOpenConnectsToNothing(t *testing.T) {
	client := connect(t, redisdb.Settings{URL: "redis://127.0.0.1:1"})
	a := client.Tag("{a}")
	if client.Tag("{a}") != a || client.Tag("{b}") == a || a.Name() != "{a}" {
		t.Error("a tag is not the same for its name alone")
	}
	if client.Settings().URL != "redis://127.0.0.1:1" {
		t.Errorf("opened with %s", client.Settings())
	}
	_, err := client.Tag(tagName).Run(t.Context(), echo, redisdb.Answered)
	unavailable(t, "nobody there", err)
	_, err = client.Tag(tagName).Facts(t.Context())
	unavailable(t, "nobody there", err)
	if err == nil || !strings.Contains(err.Error(), "ask redis://127.0.0.1:1/0: ") {
		t.Errorf("want to be told who was asked, got %v", err)
	}
}
