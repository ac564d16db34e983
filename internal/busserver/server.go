package busserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

const (
	// DefaultMaxMessageBytes is the largest message of Service Bus's standard
	// tier.
	DefaultMaxMessageBytes = 256 << 10
	// DefaultTokenTimeout is how long the service lets a connection be without
	// a token.
	DefaultTokenTimeout = 20 * time.Second
)

// Options configure [New]. Bus and Keys are required.
type Options struct {
	// Bus keeps the queues. It must take messages of BusMessageBytes, and its
	// OnQueueChange must lead to [Server.QueueChanged].
	Bus *bus.Bus
	// Keys are what tokens and passwords are checked against.
	Keys *sas.Keys
	// AcceptAnyKey lets everybody do everything who presents something well
	// formed: for tests, and a developer's own machine.
	AcceptAnyKey bool
	// MaxMessageBytes bounds a message or a batch on the wire.
	// Default: DefaultMaxMessageBytes.
	MaxMessageBytes int
	// TokenTimeout is how long a connection may be without a valid token.
	// Default: DefaultTokenTimeout.
	TokenTimeout time.Duration
	// Now is the clock by which tokens expire. Default: time.Now.
	Now func() time.Time
	// Logger. Default: none.
	Logger *slog.Logger
	// Faults, unless nil, can make the server misbehave. One server only may
	// have them.
	Faults *Faults
	// AMQP configures the connections. Its Unknown is set by New.
	AMQP amqp.Config
}

// BusMessageBytes is what MaxMessageBytes in [bus.Options] must be for messages
// of maxMessageBytes on the wire, because the bus keeps some of their sections
// twice: as they came, and in its own terms.
func BusMessageBytes(maxMessageBytes int) int { return 2*maxMessageBytes + 64<<10 }

// Server serves Service Bus's protocol on connections that others accept. All
// methods may be called concurrently.
type Server struct {
	opts Options
	amqp *amqp.Server

	changes sync.WaitGroup // goroutines of QueueChanged
	noticed atomic.Int64   // when a wrong key was logged, ns since 1970

	mu       sync.Mutex // guards the two below; conn.mu may be taken while it is held
	conns    map[*conn]struct{}
	shutting bool
}

// New makes a server. It starts nothing until ServeConn is called.
func New(opts Options) *Server {
	if opts.MaxMessageBytes == 0 {
		opts.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if opts.TokenTimeout == 0 {
		opts.TokenTimeout = DefaultTokenTimeout
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	opts.AMQP.Unknown = &wire.Rejected{Error: &wire.Error{Condition: conditionLockLost, Description: lockLostText}}
	s := &Server{opts: opts, conns: map[*conn]struct{}{}}
	s.amqp = amqp.NewServer(opts.AMQP, handler{s})
	if opts.Faults != nil {
		opts.Faults.bind(s)
	}
	return s
}

// ServeConn serves one connection to its end, closes it and returns why it
// ended: nil after a clean close, else as [amqp.Server.Serve] says.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn, t amqp.Transport) error {
	if f := s.opts.Faults; f != nil {
		faulty := f.wrap(nc)
		defer f.forget(faulty)
		nc = faulty
	}
	return s.amqp.Serve(ctx, nc, t)
}

// Shutdown closes all connections with amqp:connection:forced and waits until
// all calls of ServeConn have returned. When ctx ends first it cuts them off,
// and returns the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.shutting = true
	s.mu.Unlock()
	err := s.amqp.Shutdown(ctx)
	s.changes.Wait()
	return err
}

// QueueChanged detaches the links of a queue that was updated or deleted, which
// is how clients of the service learn of it. It is for OnQueueChange of
// [bus.Options]: it does not block.
func (s *Server) QueueChanged(name string, deleted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutting || len(s.conns) == 0 {
		return
	}
	s.changes.Go(func() { s.detachChanged(name, deleted) })
}

func (s *Server) detachChanged(name string, deleted bool) {
	var status bus.Status
	if !deleted {
		q, err := s.opts.Bus.Queue(context.Background(), name)
		switch {
		case errors.Is(err, bus.ErrQueueNotFound): // by now
			deleted = true
		case err != nil:
			return // the bus is closed, or has failed
		}
		status = q.Settings.Status
	}
	s.eachLink(name, func(c *conn, l *link) {
		switch {
		case deleted:
			l.detach(s.tracked(&wire.Error{Condition: wire.ConditionNotFound, Description: notFoundText(c.host + "/" + l.node.entity)}))
		case l.node.kind == nodeManagement:
		case forbids(status, l.fromClient):
			l.detach(s.tracked(disabled(l.node)))
		default:
			l.detach(s.tracked(&wire.Error{
				Condition: wire.ConditionDetachForced, Description: "The messaging entity " + l.node.entity + " was updated; attach again.",
			}))
		}
	})
}

// eachLink calls fn for the links of a queue, its dead-letter queue and their
// management.
func (s *Server) eachLink(queue string, fn func(*conn, *link)) {
	for _, c := range s.connections() {
		for _, l := range c.linksOf(queue) {
			fn(c, l)
		}
	}
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// forbids tells whether a queue's status rules out sending, or receiving.
func forbids(status bus.Status, send bool) bool {
	if send {
		return !status.Sends()
	}
	return !status.Receives()
}

func disabled(n node) *wire.Error {
	return &wire.Error{Condition: conditionEntityDisabled, Description: "The messaging entity " + n.entity + " is disabled for this operation."}
}
