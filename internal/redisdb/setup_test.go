package redisdb_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// patience is how long anything may take here before it counts as broken.
const patience = 60 * time.Second

// slow is a timeout that no call reaches unless it hangs.
const slow = 30 * time.Second

const tagName = "{tag}"

// scripts of the tests.
var (
	// count counts in a key of its own, which its argument names.
	count = redisdb.NewScript("count", "#!lua\nreturn redis.call('INCR', KEYS[1] .. ':' .. ARGV[1])")
	// countFull counts also when memory is full.
	countFull = redisdb.NewScript("countFull", "#!lua flags=allow-oom\nreturn redis.call('INCR', KEYS[1] .. ':' .. ARGV[1])")
	// read writes nothing.
	read = redisdb.NewScript("read", "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1] .. ':' .. ARGV[1])")
	// echo returns its arguments.
	echo = redisdb.NewScript("echo", "#!lua flags=no-writes\nreturn ARGV")
)

// connect opens a client, which the end of the test closes.
func connect(t testing.TB, s redisdb.Settings) *redisdb.Client {
	t.Helper()
	client, err := redisdb.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return client
}

// tagOf opens a client for a server, and returns a tag of it.
func tagOf(t testing.TB, server *redistest.Server, timeout time.Duration) *redisdb.Tag {
	t.Helper()
	return connect(t, redisdb.Settings{URL: server.URL(0), Timeout: timeout}).Tag(tagName)
}

// counted is how often count has run with this argument.
func counted(t testing.TB, server *redistest.Server, name string) int {
	t.Helper()
	text := must(t, server, "GET", tagName+":"+name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually asks until there is no error.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("wait for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// mustRun runs a step that cannot fail.
func mustRun(t testing.TB, tag *redisdb.Tag, s *redisdb.Script, args ...any) any {
	t.Helper()
	reply, err := tag.Run(t.Context(), s, redisdb.Answered, args...)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// answers is nil if a call works.
func answers(t testing.TB, tag *redisdb.Tag) error {
	reply, err := tag.Run(t.Context(), echo, redisdb.Answered, "hello")
	if err == nil && fmt.Sprint(reply) != "[hello]" {
		err = fmt.Errorf("want hello, got %v", reply)
	}
	return err
}

// unavailable complains of an error that is not ErrUnavailable.
func unavailable(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, redisdb.ErrUnavailable) {
		t.Errorf("%s: want ErrUnavailable, got %v", what, err)
	}
}

// must asks a server for what cannot fail.
func must(t testing.TB, server *redistest.Server, command ...string) string {
	t.Helper()
	answer, err := server.Do(command...)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
