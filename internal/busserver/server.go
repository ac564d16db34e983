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
	"bellhop/internal/notice"
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

// Options configure [New]. Bus, Wiring and Keys are required.
type Options struct {
	// Bus keeps the queues. It must have been opened with the options that
	// Wiring makes.
	Bus *bus.Bus
	// Wiring is that of Bus.
	Wiring *Wiring
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

// Wiring leads from a bus, which is opened first, to the server over it, whose
// links end when a queue changes. The zero value is ready for use, by one bus
// and one server.
type Wiring struct{ server atomic.Pointer[Server] }

// Bus makes options of a bus good for one that clients reach: it tells the server
// of changes, and takes what a client may send, of which it keeps some sections
// twice, as they came and in its own terms.
func (w *Wiring) Bus(o bus.Options) bus.Options {
	o.MaxMessageBytes = 2*DefaultMaxMessageBytes + 64<<10
	o.OnQueueChange = func(name string, change bus.QueueChange) {
		if s := w.server.Load(); s != nil {
			s.queueChanged(name, change)
		}
	}
	return o
}

// Server serves Service Bus's protocol on connections that others accept. All
// methods may be called concurrently.
type Server struct {
	opts Options
	amqp *amqp.Server

	changes sync.WaitGroup // goroutines of queueChanged
	notices notice.Notices

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
	opts.Wiring.server.Store(s)
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

// queueChanged detaches the links of a queue that was updated or deleted, which
// is how clients of the service learn of it. It does not block. To a queue that
// was created there is no link yet, or one that need not end.
func (s *Server) queueChanged(name string, change bus.QueueChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if change == bus.QueueCreated || s.shutting || len(s.conns) == 0 {
		return
	}
	s.changes.Go(func() { s.detachChanged(name, change == bus.QueueDeleted) })
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
