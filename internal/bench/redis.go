package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// redisModes are the settings of appendfsync that a redis-server of our own is
// measured with.
func redisModes() []string { return []string{"always", "everysec"} }

// onRedis calls fn with the Redis that the options name, or with one of our own
// after the other.
func onRedis(ctx context.Context, o Options, dir string, s *sheet, fn func(r *redisUnderTest, dir string) error) error {
	if o.Redis.URL != "" {
		return withTheirs(ctx, o.Redis.URL, func(r *redisUnderTest) error { return fn(r, dir) })
	}
	defer func() { s.prefix = "" }()
	for _, mode := range redisModes() {
		s.prefix = mode + ": "
		if err := withOurs(ctx, filepath.Join(dir, mode), mode, fn); err != nil {
			return fmt.Errorf("appendfsync %s: %w", mode, err)
		}
	}
	return nil
}

// withOurs calls fn with a redis-server that ends afterwards.
func withOurs(ctx context.Context, dir, appendfsync string, fn func(r *redisUnderTest, dir string) error) error {
	server, err := startRedis(ctx, dir, appendfsync)
	if err != nil {
		return err
	}
	defer server.stop()
	r, err := openRedis(ctx, server.url())
	if err != nil {
		return err
	}
	return errors.Join(fn(r, dir), r.close())
}

// withTheirs calls fn with a database that is empty, and is so again
// afterwards.
func withTheirs(ctx context.Context, url string, fn func(*redisUnderTest) error) (err error) {
	r, err := openRedis(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.wantEmpty(ctx); err != nil {
		return err
	}
	defer func() {
		// Also after an interrupt, which ends ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, r.clean(ctx))
	}()
	return fn(r)
}

// signUpRedisRound measures the writes of a sign-up from the inside out: alone,
// behind a bare handler, as Bellhop, and as a program without any of this does
// them.
func signUpRedisRound(ctx context.Context, o Options, n int, dir string, s *sheet) error {
	return onRedis(ctx, o, dir, s, func(r *redisUnderTest, dir string) error {
		for _, step := range []struct {
			what    string
			measure func() error
		}{
			{"grouped pipelines alone", func() error { return measurePipelines(ctx, o, r, s) }},
			{"grouped pipelines behind a bare handler", func() error { return measureHandler(ctx, o, r, "pipelines", handledPipelines, s) }},
			{"bellhop, mail server down", func() error { return measureServeRedis(ctx, o, r, filepath.Join(dir, "serve"), s) }},
			{"bellhop with the role web alone", func() error { return measureWebRedis(ctx, o, r, filepath.Join(dir, "web"), s) }},
			{"a new connection for each request", func() error { return measureHandler(ctx, o, r, "connections", handledConnections, s) }},
		} {
			o.round(n, s.prefix+step.what)
			if err := errors.Join(step.measure(), r.clean(ctx)); err != nil {
				return fmt.Errorf("%s: %w", step.what, err)
			}
		}
		for _, ours := range []string{"sign-ups", webAlone} {
			s.add(ours+", against grouped pipelines behind HTTP", "of their rate", s.last(ours)/s.last(handledPipelines))
			s.add(ours+", against a new connection each", "times its rate", s.last(ours)/s.last(handledConnections))
		}
		return nil
	})
}

// The names of figures that ratios are made of.
const (
	handledPipelines   = "grouped pipelines behind HTTP"
	handledConnections = "a new connection each, four HSETs"
	webAlone           = "sign-ups, role web alone"
)

// measureHandler measures a [Child] that writes to Redis.
func measureHandler(ctx context.Context, o Options, r *redisUnderTest, kind, name string, s *sheet) error {
	handler, err := startChild(ctx, o, kind, r.url)
	if err != nil {
		return err
	}
	defer handler.stop()
	peak, err := r.closedLoop(ctx, o, handler)
	if err != nil {
		return err
	}
	s.addRedisPeak(name, "requests/s", peak)
	return nil
}

// measureServeRedis measures all roles in one process. Its relay puts the first
// mails into their lane meanwhile, until that is full.
func measureServeRedis(ctx context.Context, o Options, r *redisUnderTest, dir string, s *sheet) error {
	down, err := closedPort()
	if err != nil {
		return err
	}
	serve, err := startServe(ctx, o, dir, "smtp://"+down, "BELLHOP_STORE="+r.url)
	if err != nil {
		return err
	}
	defer serve.stop()
	peak, err := r.closedLoop(ctx, o, serve)
	if err != nil {
		return err
	}
	s.addRedisPeak("sign-ups", "sign-ups/s", peak)
	return measureTimes(ctx, o, serve, 0.7*peak.rate, s)
}

// measureWebRedis measures nothing but sign-ups.
func measureWebRedis(ctx context.Context, o Options, r *redisUnderTest, dir string, s *sheet) error {
	serve, err := startServe(ctx, o, dir, "mailbox", "BELLHOP_STORE="+r.url, "BELLHOP_ROLES=web")
	if err != nil {
		return err
	}
	defer serve.stop()
	peak, err := r.closedLoop(ctx, o, serve)
	if err != nil {
		return err
	}
	s.addRedisPeak(webAlone, "sign-ups/s", peak)
	return nil
}

// redisPeak is what a closed loop found of a server and its Redis.
type redisPeak struct {
	peak
	redis float64 // of the Redis, µs a request
}

func (s *sheet) addRedisPeak(name, unit string, p redisPeak) {
	s.add(name, unit, p.rate)
	s.add(name+", server CPU each", "µs", p.cpu)
	s.add(name+", Redis CPU each", "µs", p.redis)
}

func (r *redisUnderTest) closedLoop(ctx context.Context, o Options, p *process) (redisPeak, error) {
	before, err := r.cpu(ctx)
	if err != nil {
		return redisPeak{}, err
	}
	peak, err := closedLoop(ctx, o, p, p.address)
	if err != nil {
		return redisPeak{}, err
	}
	after, err := r.cpu(ctx)
	return redisPeak{peak, float64((after - before).Microseconds()) / float64(peak.done)}, err
}
