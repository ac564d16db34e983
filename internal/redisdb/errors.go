package redisdb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable is returned when Redis cannot be reached, does not answer
	// in time, or cannot take a command in the state it is in. Whether the step
	// was made may be unknown.
	ErrUnavailable = errors.New("redis is not available")
	// ErrReplicas is returned when the step was made and too few replicas have
	// it: a failover may lose it. It is an [ErrUnavailable].
	ErrReplicas = fmt.Errorf("%w: too few replicas have the write", ErrUnavailable)
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the connection to redis is closed")
)

// temporary is how a server's reply begins when it cannot do now what it can
// do at other times, or after an operator's hand.
var temporary = map[string]bool{
	"LOADING": true, "BUSY": true, "OOM": true, "MISCONF": true, "READONLY": true,
	"NOREPLICAS": true, "MASTERDOWN": true, "UNBLOCKED": true, "NOSCRIPT": true,
	"CLUSTERDOWN": true, "TRYAGAIN": true, "MOVED": true, "ASK": true,
	"NOAUTH": true, "WRONGPASS": true, "NOPERM": true, "DENIED": true,
}

// classify marks the errors that mean that Redis is not available: all but the
// replies that say that the command itself is wrong.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if text, answered := reply(err); answered && !temporary[kind(text)] && !strings.HasPrefix(text, "ERR max number of clients") {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// reply is what the server said; not answered if the error is none of its own.
func reply(err error) (text string, answered bool) {
	var e redis.Error
	if !errors.As(err, &e) {
		return "", false
	}
	return e.Error(), true
}

// kind is the word that a server's error begins with.
func kind(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}

// noScript tells that a script was not run because the server does not know it.
func noScript(err error) bool {
	text, _ := reply(err)
	return kind(text) == "NOSCRIPT"
}
