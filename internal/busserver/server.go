package busserver

import (
	"context"
	"log/slog"
	"net"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

// DefaultMaxMessageBytes is the largest message of Service Bus's standard tier.
const DefaultMaxMessageBytes = 256 << 10

// Options configure [New]. Bus and Keys are required.
type Options struct {
	// Bus keeps the queues. It must take messages of BusMessageBytes, and tell
	// [Server.QueueChanged] of what becomes of its queues.
	Bus *bus.Bus
	// Keys are what tokens and passwords are checked against.
	Keys *sas.Keys
	// AcceptAnyKey lets everybody in who presents something well formed: for
	// tests and a developer's own machine.
	AcceptAnyKey bool
	// MaxMessageBytes bounds a message or a batch on the wire.
	// Default: DefaultMaxMessageBytes.
	MaxMessageBytes int
	// TokenTimeout is how long a connection may stay without a valid token.
	// Default: 20 s.
	TokenTimeout time.Duration
	// Now is the clock by which tokens expire. Default: time.Now.
	Now func() time.Time
	// Logger. Default: none.
	Logger *slog.Logger
	// Faults, if set, can make the server misbehave: for tests of clients.
	Faults *Faults
	// AMQP configures the connections.
	AMQP amqp.Config
}

// BusMessageBytes is what [bus.Options] must set as MaxMessageBytes so that a
// message of maxMessageBytes on the wire fits: the bus keeps some of its
// sections twice, once as they came and once in its own terms.
func BusMessageBytes(maxMessageBytes int) int { return 2*maxMessageBytes + 64<<10 }

// Server serves Service Bus's protocol on connections that others accept. All
// methods may be called concurrently.
type Server struct {
	opts Options
}

// New makes a server.
func New(opts Options) *Server { return &Server{opts: opts} }

// ServeConn serves one connection to its end and returns why it ended: nil
// after a clean close.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn, t amqp.Transport) error {
	return nil
}

// Shutdown closes all connections with amqp:connection:forced, and returns when
// they have ended or ctx has, whose error it then returns.
func (s *Server) Shutdown(ctx context.Context) error { return nil }

// QueueChanged detaches the links of a queue that was updated or deleted, as
// clients of the service expect it. It is for [bus.Options].OnQueueChange.
func (s *Server) QueueChanged(name string, deleted bool) {}

// Tick detaches the links whose tokens have expired by the clock of
// [Options].Now. The server does so by itself; Tick is for clocks that jump.
func (s *Server) Tick() {}
