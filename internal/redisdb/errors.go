package redisdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

// temporary are the beginnings of replies by which a server says that it
// cannot do now what it can do at other times.
var temporary = []string{
	"LOADING", "READONLY", "OOM", "MISCONF", "MASTERDOWN", "NOREPLICAS", "BUSY",
	"CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "UNBLOCKED", "NOSCRIPT", "ERR max number of clients",
	"NOAUTH", "WRONGPASS", "NOPERM",
}

// classify marks the errors that mean that Redis is not available.
func classify(err error) error {
	var network net.Error
	var reply redis.Error
	switch {
	case err == nil, errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, redis.Nil):
		return nil
	case errors.As(err, &reply):
		for _, start := range temporary {
			if strings.HasPrefix(reply.Error(), start) {
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
		}
		return err
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted), errors.Is(err, redis.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// What is left comes from the client itself: no master known to the
	// Sentinels, no node for a slot, a broken reply.
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// moved tells that the Cluster's picture of itself has changed.
func moved(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return err != nil && !errors.Is(err, redis.Nil)
	}
	for _, start := range []string{"MOVED", "ASK", "CLUSTERDOWN", "READONLY"} {
		if strings.HasPrefix(reply.Error(), start) {
			return true
		}
	}
	return false
}

func noScript(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "NOSCRIPT")
}
