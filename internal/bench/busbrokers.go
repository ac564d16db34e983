package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The names of figures of brokers.
const (
	sending    = "send"
	accepting  = "receive and accept"
	ourBus     = "Bellhop"
	theQuorum  = "RabbitMQ, quorum queue"
	theClassic = "RabbitMQ, classic queue"
	ourRatio   = "Bellhop against the quorum queue"
)

// brokerFigure names a figure of so many links.
func brokerFigure(what string, n int, of string) string {
	return fmt.Sprintf("%s, %s: %s", what, links(n, "link"), of)
}

// busBrokers measures the bus and RabbitMQ in turn, one running at a time.
func busBrokers(ctx context.Context, o Options, b BusOptions) error {
	if _, _, err := findRabbitMQ(); err != nil {
		return err
	}
	s := newSheet()
	if err := s.rounds(o, func(n int, dir string) error { return brokersRound(ctx, o, b, n, dir, s) }); err != nil {
		return err
	}
	return s.print(o, fmt.Sprintf("Bellhop's bus beside RabbitMQ, by one go-amqp program: durable messages of %d bytes, a connection for each link;\n"+
		"each sends for %v, one message when the one before is confirmed; then all receive and accept %d messages or what was sent, %d at a time",
		bodyBytes, o.For, b.Messages, window))
}

// brokersRound measures RabbitMQ first in every other round.
func brokersRound(ctx context.Context, o Options, b BusOptions, n int, dir string, s *sheet) error {
	turns := []func() error{
		func() error { return measureOurs(ctx, o, b, n, filepath.Join(dir, "bus"), s) },
		func() error { return measureRabbitMQ(ctx, o, b, n, filepath.Join(dir, "rabbitmq"), s) },
	}
	if n%2 == 1 {
		slices.Reverse(turns)
	}
	for _, turn := range turns {
		if err := turn(); err != nil {
			return err
		}
	}
	for _, l := range []int{1, b.Links} {
		for _, what := range []string{sending, accepting} {
			ratio := brokerFigure(what, l, ourRatio)
			s.add(ratio, "times its rate", s.last(brokerFigure(what, l, ourBus))/s.last(brokerFigure(what, l, theQuorum)))
			s.aim(ratio, aim{limit: 1, atLeast: true})
		}
	}
	return nil
}

func measureOurs(ctx context.Context, o Options, b BusOptions, n int, dir string, s *sheet) error {
	o.round(n, "Bellhop")
	server, err := startBus(ctx, o, dir)
	if err != nil {
		return err
	}
	defer server.process.stop()
	return measureBroker(ctx, o, b, server.broker(), ourBus, s)
}

func measureRabbitMQ(ctx context.Context, o Options, b BusOptions, n int, dir string, s *sheet) error {
	o.round(n, "RabbitMQ")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	rabbit, err := startRabbitMQ(ctx, dir)
	if err != nil {
		return err
	}
	defer rabbit.stop()
	if err := measureBroker(ctx, o, b, rabbit.broker(quorumQueue), theQuorum, s); err != nil {
		return err
	}
	return measureBroker(ctx, o, b, rabbit.broker(classicQueue), theClassic, s)
}

// measureBroker sends and receives with one link, then with many.
func measureBroker(ctx context.Context, o Options, b BusOptions, at *broker, of string, s *sheet) error {
	for _, l := range []int{1, b.Links} {
		sent, err := measureSends(ctx, o, at, l)
		if err != nil {
			return fmt.Errorf("%s: send with %s: %w", of, links(l, "link"), err)
		}
		s.addCounted(brokerFigure(sending, l, of), sent, at.process)
		received, err := measureAccepts(ctx, at, l, sent.n, b.Messages)
		if err != nil {
			return fmt.Errorf("%s: receive with %s: %w", of, links(l, "link"), err)
		}
		s.addCounted(brokerFigure(accepting, l, of), received, at.process)
	}
	return at.wantEmpty(ctx)
}

func measureSends(ctx context.Context, o Options, at *broker, l int) (c counted, err error) {
	err = at.with(ctx, l, func(client *client) error {
		senders, err := client.senders(ctx)
		if err != nil {
			return err
		}
		c, err = count(at.process, func() (int, time.Duration, error) { return send(ctx, senders, o.For) })
		return err
	})
	return c, err
}

// measureAccepts makes up for the messages that were not sent before.
func measureAccepts(ctx context.Context, at *broker, l, sent, want int) (c counted, err error) {
	if missing := want - sent; missing > 0 {
		if err := at.fill(ctx, missing); err != nil {
			return c, fmt.Errorf("fill the queue: %w", err)
		}
	}
	err = at.with(ctx, l, func(client *client) error {
		receivers, err := client.receivers(ctx)
		if err != nil {
			return err
		}
		c, err = count(at.process, func() (int, time.Duration, error) { return drain(ctx, receivers, max(sent, want)) })
		return errors.Join(err, rest(ctx))
	})
	return c, err
}
