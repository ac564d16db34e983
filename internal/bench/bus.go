package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bellhop/internal/bus"
)

// The parts of [Bus].
const (
	// PartSDK measures the official client on the bus, beside the engine alone.
	PartSDK = "sdk"
	// PartRabbitMQ measures the bus beside RabbitMQ, with the same client.
	PartRabbitMQ = "rabbitmq"
	// PartBacklog measures a long queue beside a short one, and memory at rest.
	PartBacklog = "backlog"
)

// BusParts are all parts of [Bus] in their order.
func BusParts() []string { return []string{PartSDK, PartRabbitMQ, PartBacklog} }

// BusOptions say what of the bus is measured.
type BusOptions struct {
	// Parts to measure; none are all.
	Parts []string
	// Messages is how many messages one measurement receives at most, of those
	// that count messages rather than time.
	Messages int
	// Links is how many links or callers there are where there are many, Batch
	// how many messages go together where they do.
	Links, Batch int
	// Backlog is how many messages are in the long queue, Short in the short one.
	Backlog, Short int
	// Rest is how long a new process is left alone before its memory is read.
	Rest time.Duration
	// OpenBus opens the bus of a data directory, which is made if it is missing.
	// Its commits wait for the disk if it is durable.
	OpenBus func(dir string, durable bool) (*bus.Bus, error)
}

const (
	// busQueue is the queue of all measurements.
	busQueue = "bench"
	// bodyBytes is the size of a message's body.
	bodyBytes = 1024
)

// aBody is what all messages say.
func aBody() []byte {
	body := make([]byte, bodyBytes)
	for i := range body {
		body[i] = byte('a' + i%26)
	}
	return body
}

// Bus measures the bus on the wire: with the official client beside the engine
// alone, with one AMQP client beside RabbitMQ, and with a long queue beside a
// short one. Each part prints a table of its own when it is done.
func Bus(ctx context.Context, o Options, b BusOptions) error {
	measures := map[string]func(context.Context, Options, BusOptions) error{
		PartSDK: busSDK, PartRabbitMQ: busBrokers, PartBacklog: busBacklog,
	}
	for _, part := range BusParts() {
		if len(b.Parts) > 0 && !slices.Contains(b.Parts, part) {
			continue
		}
		if err := measures[part](ctx, o, b); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// counted is how many messages a measurement moved, and in what time.
type counted struct {
	n    int
	took time.Duration
	cpu  time.Duration // of the server, if it is a process of its own
}

// count measures what fn moves through a server, which is nil if it is in this
// process. It is an error if nothing was moved: that has no rate.
func count(server *process, fn func() (int, time.Duration, error)) (counted, error) {
	var before, after time.Duration
	var err error
	if server != nil {
		if before, err = server.cpu(); err != nil {
			return counted{}, err
		}
	}
	n, took, err := fn()
	if err == nil && n == 0 {
		err = fmt.Errorf("no message went through in %v", took)
	}
	if err == nil && server != nil {
		after, err = server.cpu()
	}
	return counted{n: n, took: took, cpu: after - before}, err
}

// addCounted adds the rate of a measurement, and what it cost the server if that
// is a process of its own.
func (s *sheet) addCounted(name string, c counted, server *process) {
	s.add(name, "messages/s", float64(c.n)/c.took.Seconds())
	if server != nil {
		s.add(name+", CPU each", "µs", float64(c.cpu.Microseconds())/float64(c.n))
	}
}

// links says how many there are, for names of figures.
func links(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
