package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"bellhop/internal/bus"

	"github.com/Azure/go-amqp"
)

const (
	// backlogTTL gives each of the queued messages a place among those that
	// expire, without one that does.
	backlogTTL = 24 * time.Hour
	// fillPiece is how many messages go into the engine at a time.
	fillPiece = 1000
)

// busBacklog measures whether a long queue costs anything.
func busBacklog(ctx context.Context, o Options, b BusOptions) error {
	s := newSheet()
	err := inTemporaryDir(o, func(dir string) error {
		long := filepath.Join(dir, "long")
		fmt.Fprintf(o.Progress, "queueing %d messages\n", b.Backlog)
		if err := fillBus(ctx, b, long, b.Backlog); err != nil {
			return fmt.Errorf("queue %d messages: %w", b.Backlog, err)
		}
		return s.rounds(o, func(n int, dir string) error { return backlogRound(ctx, o, b, n, dir, long, s) })
	})
	if err != nil {
		return err
	}
	return s.print(o, fmt.Sprintf("Bellhop's bus with %d messages queued, beside %d: messages of %d bytes that expire after %v, received and accepted from the head by go-amqp on 1 link,\n"+
		"%d in all, in turns of %d: after each as many are sent to the tail, so that the queue keeps its length",
		b.Backlog, b.Short, bodyBytes, backlogTTL, max(b.Messages, b.Short), b.Short))
}

// fillBus queues messages without a network.
func fillBus(ctx context.Context, b BusOptions, dir string, n int) error {
	opened, err := b.OpenBus(dir, false)
	if err != nil {
		return err
	}
	err = opened.CreateQueue(ctx, busQueue, bus.Settings{})
	body := aBody()
	for n > 0 && err == nil {
		messages := make([]bus.Message, min(n, fillPiece))
		for i := range messages {
			messages[i] = bus.Message{Body: bus.Body{Kind: bus.BodyData, Bytes: body}, TTL: backlogTTL}
		}
		_, err = opened.Send(ctx, busQueue, messages...)
		n -= len(messages)
	}
	return errors.Join(err, opened.Close())
}

// The names of the figures of this part.
const (
	drainRate   = "receive and accept"
	drainMemory = "memory of the bus"
	restartTime = "from the start after kill -9 to the first message"
)

func backlogRound(ctx context.Context, o Options, b BusOptions, n int, dir, long string, s *sheet) error {
	o.round(n, "bus at rest")
	if err := measureRest(ctx, o, filepath.Join(dir, "rest"), b.Rest, s); err != nil {
		return fmt.Errorf("at rest: %w", err)
	}
	short := filepath.Join(dir, "short")
	if err := fillBus(ctx, b, short, b.Short); err != nil {
		return fmt.Errorf("queue %d messages: %w", b.Short, err)
	}
	for _, q := range []struct {
		name, dir string
	}{{queued(b.Short), short}, {queued(b.Backlog), long}} {
		o.round(n, q.name)
		if err := measureQueued(ctx, o, b, q.dir, q.name, s); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	compare := func(what, unit string, a aim) {
		name := what + ", " + queued(b.Backlog) + " against " + queued(b.Short)
		s.add(name, unit, s.last(what+", "+queued(b.Backlog))/s.last(what+", "+queued(b.Short)))
		s.aim(name, a)
	}
	compare(drainRate, "of its rate", aim{limit: 0.8, atLeast: true})
	compare(drainMemory, "times its memory", aim{limit: 1.2})
	s.aim(restartTime+", "+queued(b.Backlog), aim{limit: 2000})
	return nil
}

func queued(n int) string { return fmt.Sprintf("%d queued", n) }

// measureRest reads the memory of a bus that has nothing to do.
func measureRest(ctx context.Context, o Options, dir string, rest time.Duration, s *sheet) error {
	server, err := startBus(ctx, o, dir)
	if err != nil {
		return err
	}
	defer server.process.stop()
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return ctx.Err()
	}
	name := fmt.Sprintf("memory at rest, %v after the start on an empty directory", rest)
	s.add(name, "MB", server.process.memory())
	s.aim(name, aim{limit: 40})
	return nil
}

// measureQueued drains the head of the queue in a data directory, kills the bus
// then, and starts it again.
func measureQueued(ctx context.Context, o Options, b BusOptions, dir, name string, s *sheet) error {
	if err := drainAndKill(ctx, o, b, dir, name, s); err != nil {
		return err
	}
	began := time.Now()
	server, err := startBus(ctx, o, dir)
	if err != nil {
		return err
	}
	defer server.process.stop()
	at := server.broker()
	return at.with(ctx, 1, func(c *client) error {
		receivers, err := c.receivers(ctx)
		if err != nil {
			return err
		}
		if err := hold(ctx, receivers[0]); err != nil {
			return err
		}
		s.add(restartTime+", "+name, "ms", float64(time.Since(began).Microseconds())/1000)
		return nil
	})
}

// drainAndKill ends the bus while messages are locked.
func drainAndKill(ctx context.Context, o Options, b BusOptions, dir, name string, s *sheet) error {
	server, err := startBus(ctx, o, dir)
	if err != nil {
		return err
	}
	at := server.broker()
	c, err := at.connect(ctx, 1)
	if err != nil {
		server.process.stop()
		return err
	}
	defer func() {
		server.process.stop()
		_ = c.close() // its server is gone
	}()
	receivers, err := c.receivers(ctx)
	if err != nil {
		return err
	}
	all := counted{}
	for range max(b.Messages/b.Short, 1) {
		piece, err := count(server.process, func() (int, time.Duration, error) { return drain(ctx, receivers, b.Short) })
		if err != nil {
			return err
		}
		all.n, all.took, all.cpu = all.n+piece.n, all.took+piece.took, all.cpu+piece.cpu
		if err := at.fill(ctx, b.Short); err != nil {
			return err
		}
	}
	s.addCounted(drainRate+", "+name, all, server.process)
	s.add(drainMemory+", "+name, "MB", server.process.memory())
	return hold(ctx, receivers[0])
}

// hold has messages come, receives one of them and accepts none.
func hold(ctx context.Context, r *amqp.Receiver) error {
	if err := r.IssueCredit(window); err != nil {
		return err
	}
	_, err := r.Receive(ctx, nil)
	return err
}
