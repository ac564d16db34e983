package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/metrics"
	redisqueue "bellhop/internal/queue/redis"
	"bellhop/internal/redisdb"
	redisstore "bellhop/internal/store/redis"
)

// links are a process's ways to Redis: nil where the store or the queue is
// embedded, and one and the same where both are in one Redis.
type links struct{ store, queue *redisdb.Client }

// newLinks makes the links that the settings ask for. They have connected to
// nothing.
func newLinks(data *config.Data, m *metrics.Metrics) (l links, err error) {
	store, queue := redisSettings(data, data.Store, m), redisSettings(data, data.QueueLocation(), m)
	if !data.Store.Embedded() {
		if l.store, err = redisdb.Open(store); err != nil {
			return links{}, fmt.Errorf("--store: %w", err)
		}
	}
	switch {
	case !data.Queue.Redis():
	case l.store != nil && store.Same(queue):
		l.queue = l.store
	default:
		if l.queue, err = redisdb.Open(queue); err != nil {
			return links{}, errors.Join(fmt.Errorf("--queue: %w", err), l.close())
		}
	}
	return l, nil
}

// redisSettings are how the Redis at a location is reached.
func redisSettings(data *config.Data, at config.Location, m *metrics.Metrics) redisdb.Settings {
	s := redisdb.Settings{
		URL: at.Reveal(), Password: data.RedisPassword.Reveal(), Wait: data.RedisWait,
		AfterGroup: func(tag string, calls int, took time.Duration) {
			if tag == redisstore.Tag {
				m.Commit("store", calls, took)
			} else {
				m.Commit("queue", calls, took)
			}
		},
	}
	if at.TLS() {
		s.CAFile = data.RedisCAFile
	}
	return s
}

func (l links) close() error {
	var errs []error
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.queue != nil && l.queue != l.store {
		errs = append(errs, l.queue.Close())
	}
	return errors.Join(errs...)
}

func (r *rooms) redisStore(ctx context.Context) (store, error) {
	s, err := redisstore.Open(ctx, redisstore.Options{
		Client: r.redis.store, Policy: r.policy, Announce: r.announce, Command: r.command, Logger: r.log,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (r *rooms) redisQueue(ctx context.Context) (broker, error) {
	q := redisqueue.New(redisqueue.Options{Client: r.redis.queue, Logger: r.log})
	if err := q.EnsureQueues(ctx, laneQueues()...); err != nil {
		return nil, errors.Join(err, q.Close(ctx))
	}
	return q, nil
}
