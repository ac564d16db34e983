package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"
	"time"
)

// busSDK measures the official client on the bus beside the engine alone.
func busSDK(ctx context.Context, o Options, b BusOptions) error {
	s := newSheet()
	err := s.rounds(o, func(n int, dir string) error {
		defer func() { s.prefix = "" }()
		for _, durable := range []bool{true, false} {
			s.prefix = "durable, "
			if !durable {
				s.prefix = "not durable, "
			}
			o.round(n, s.prefix+"the official client and the engine alone")
			if err := sdkRound(ctx, o, b, filepath.Join(dir, fmt.Sprint(durable)), durable, s); err != nil {
				return fmt.Errorf("%s%w", s.prefix, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.print(o, fmt.Sprintf("Bellhop's bus by the official client (azservicebus: one client, a link for each caller) beside its engine, called without a network;\n"+
		"messages of %d bytes: sent for %v, then received and completed for %v or until they run out; a durable message is on disk when its send returns",
		bodyBytes, o.For, o.For))
}

// The names of what moves messages.
const (
	byClient = "official client"
	byEngine = "engine alone"
)

// sdkRound measures the client and the engine in turn in each way: what else the
// machine does changes from one moment to the next.
func sdkRound(ctx context.Context, o Options, b BusOptions, dir string, durable bool, s *sheet) error {
	return withClient(ctx, o, dir, durable, func(client mover, server *process) error {
		return withEngine(b, dir+"-engine", durable, func(engine mover) error {
			fill := way{b.Links, b.Batch}
			bus, alone := stock{mover: client, by: fill}, stock{mover: engine, by: fill}
			for _, w := range b.ways() {
				if err := measureWay(ctx, o, b, w, &bus, server, byClient, s); err != nil {
					return fmt.Errorf("%s: %w", byClient, err)
				}
				if err := measureWay(ctx, o, b, w, &alone, nil, byEngine, s); err != nil {
					return fmt.Errorf("%s: %w", byEngine, err)
				}
				for _, what := range []string{sending, completing} {
					s.add(w.figure(what, "client against engine"), "of its rate", s.last(w.figure(what, byClient))/s.last(w.figure(what, byEngine)))
				}
			}
			return nil
		})
	})
}

// completing is what receivers of the first part do.
const completing = "receive and complete"

// way is how messages go: by how many callers at once, and how many together.
type way struct{ callers, batch int }

func (b BusOptions) ways() []way {
	return []way{{1, 1}, {b.Links, 1}, {1, b.Batch}, {b.Links, b.Batch}}
}

// figure names one of this way.
func (w way) figure(what, of string) string {
	how := "one by one"
	if w.batch > 1 {
		how = fmt.Sprintf("%d together", w.batch)
	}
	return fmt.Sprintf("%s %s, %s: %s", what, how, links(w.callers, "caller"), of)
}

// call moves some messages, and returns how many when that is confirmed.
type call func(context.Context) (int, error)

// callers are the calls of as many callers, which each repeats for itself.
type callers struct {
	calls  []call
	closes []func(context.Context) error
}

// add adds a caller's call, and what ends its link unless that is nil.
func (c *callers) add(closes func(context.Context) error, fn call) {
	c.calls = append(c.calls, fn)
	if closes != nil {
		c.closes = append(c.closes, closes)
	}
}

func (c *callers) close(ctx context.Context) error {
	var errs []error
	for _, fn := range c.closes {
		errs = append(errs, fn(ctx))
	}
	return errors.Join(errs...)
}

// mover is something that messages go into and come out of. Each call of the
// w.callers moves w.batch messages, or fewer when it receives; what is received
// is then completed.
type mover interface {
	senders(w way) (callers, error)
	receivers(w way) (callers, error)
}

// measureWay measures one way. The server's CPU is among the figures if there is
// a server.
func measureWay(ctx context.Context, o Options, b BusOptions, w way, k *stock, server *process, by string, s *sheet) error {
	sent, err := k.send(ctx, w, o.For, server)
	if err != nil {
		return fmt.Errorf("send %+v: %w", w, err)
	}
	s.addCounted(w.figure(sending, by), sent, server)
	if err := k.fill(ctx, b.Messages+3*w.callers*w.batch); err != nil {
		return fmt.Errorf("fill the queue: %w", err)
	}
	received, err := k.receive(ctx, w, o.For, server)
	if err != nil {
		return fmt.Errorf("receive %+v: %w", w, err)
	}
	s.addCounted(w.figure(completing, by), received, server)
	return nil
}

// stock knows how many messages a mover holds.
type stock struct {
	mover
	n  int
	by way // it is filled
}

// send sends for a time, once all callers have sent before.
func (k *stock) send(ctx context.Context, w way, d time.Duration, server *process) (counted, error) {
	return k.measure(ctx, k.senders, w, 1, server, func(all *callers) (int, time.Duration, error) {
		return move(ctx, all, w, d, math.MaxInt64)
	})
}

// receive receives for a time or until little is left, once all callers have
// received before. What the official client has asked for and did not wait for is
// locked meanwhile, and for a while after its link has ended: as many as can be
// asked for at once are left, and are then no longer counted on.
func (k *stock) receive(ctx context.Context, w way, d time.Duration, server *process) (counted, error) {
	locked := w.callers * w.batch
	c, err := k.measure(ctx, k.receivers, w, -1, server, func(all *callers) (int, time.Duration, error) {
		return move(ctx, all, w, d, int64(k.n-locked))
	})
	k.n -= locked
	return c, err
}

// fill sends until there are at least n, or a few more.
func (k *stock) fill(ctx context.Context, n int) (err error) {
	if k.n >= n {
		return nil
	}
	all, err := k.senders(k.by)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.close(ctx)) }()
	sent, _, err := move(ctx, &all, k.by, math.MaxInt64, int64(n-k.n+k.by.batch))
	k.n += sent
	return err
}

// measure makes the callers, has each call once, which makes its link, and
// counts what fn moves with them. Each message adds sign to the stock.
func (k *stock) measure(ctx context.Context, make func(way) (callers, error), w way, sign int, server *process,
	fn func(*callers) (int, time.Duration, error)) (c counted, err error) {
	all, err := make(w)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, all.close(ctx)) }()
	warm, err := all.once(ctx)
	k.n += sign * warm
	if err != nil {
		return c, err
	}
	c, err = count(server, func() (int, time.Duration, error) { return fn(&all) })
	k.n += sign * c.n
	return c, err
}

// once makes each call once, and returns how many messages that moved.
func (c *callers) once(ctx context.Context) (int, error) {
	var moved atomic.Int64
	err := together(ctx, len(c.calls), func(ctx context.Context, i int) error {
		n, err := c.calls[i](ctx)
		moved.Add(int64(n))
		return err
	})
	return int(moved.Load()), err
}

// move has all callers call for a time, as long as that cannot move more than
// most messages in all.
func move(ctx context.Context, all *callers, w way, d time.Duration, most int64) (int, time.Duration, error) {
	var moved, left atomic.Int64
	left.Store(most)
	began := time.Now()
	err := together(ctx, len(all.calls), func(ctx context.Context, i int) error {
		for time.Since(began) < d && left.Add(int64(-w.batch)) >= 0 {
			n, err := all.calls[i](ctx)
			if err != nil {
				return err
			}
			left.Add(int64(w.batch - n))
			moved.Add(int64(n))
		}
		return nil
	})
	return int(moved.Load()), time.Since(began), err
}
