package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"bellhop/internal/sas"
)

// busProcess is a "bellhop bus".
type busProcess struct {
	process    *process
	connection sas.ConnectionString
}

// printed is the connection string in what a bus prints.
var printed = regexp.MustCompile(`Endpoint=sb://\S+\n`)

// startBus starts a bus on a free port in a data directory, with the queue of the
// measurements, and waits until it takes connections.
func startBus(ctx context.Context, o Options, dir string) (*busProcess, error) {
	return startBusWith(ctx, o, dir, "bus", "--listen", "127.0.0.1:0", "--data-dir", dir, "--queue", busQueue)
}

func startBusWith(ctx context.Context, o Options, dir string, args ...string) (*busProcess, error) {
	p := &process{cmd: exec.CommandContext(ctx, o.Program, args...)}
	p.cmd.Env = withoutSettings(os.Environ())
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	var text []byte
	if err := p.run(ctx, func() bool {
		text, err = os.ReadFile(log.Name())
		return err == nil && printed.Match(text)
	}); err != nil {
		return nil, fmt.Errorf("start the bus: %w\n%s", err, text)
	}
	connection, err := sas.ParseConnectionString(strings.TrimSpace(string(printed.Find(text))))
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("what the bus prints: %w", err)
	}
	p.address = connection.Host()
	return &busProcess{process: p, connection: connection}, nil
}

// broker is its queue, for a client that knows nothing of Service Bus.
func (b *busProcess) broker() *broker {
	return &broker{name: "Bellhop", process: b.process, url: "amqp://" + b.process.address,
		user: b.connection.KeyName, password: b.connection.Key, queue: busQueue}
}
