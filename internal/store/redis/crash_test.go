package redis_test

import (
	"math/rand/v2"
	"testing"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/store/redis"
)

// rounds is how often something is done: less often when the tests are to be
// quick.
func rounds(many, few int) int {
	if testing.Short() {
		return few
	}
	return many
}

// A6.2: what was answered is on the disk.
func TestNothingAcknowledgedIsMissingWhenTheServerWasKilled(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	settings := redisdb.Settings{URL: server.URL(0)}
	l := newLoad(t, connect(t, settings, redis.Options{}))
	l.start(16)
	for range rounds(10, 2) {
		l.await(50 + rand.IntN(500))
		server.Kill()
		server.Restart()
	}
	l.finish()
	server.Kill()
	server.Restart()
	after := connect(t, settings, redis.Options{})
	l.keepsExactly(after)
	sound(t, after, server.URL(0))
}

// The tests' own notes are worth something only if they tell when something is
// missing.
func TestTheNotesTellWhatAServerHasForgotten(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Persistence: redistest.None})
	settings := redisdb.Settings{URL: server.URL(0)}
	l := newLoad(t, connect(t, settings, redis.Options{}))
	for range 5 {
		l.life()
	}
	server.Kill()
	server.Restart()
	if missing := l.missing(connect(t, settings, redis.Options{})); len(missing) != 12 {
		t.Errorf("five sign-ups, five mails and two accounts are gone; the notes miss %q", missing)
	}
}
