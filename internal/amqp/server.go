package amqp

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"bellhop/internal/amqp/wire"
)

// Config says who the server is and what it allows. The zero value of a field
// stands for its default.
type Config struct {
	// ContainerID is who the server says it is. Default: "bellhop".
	ContainerID string

	// MaxFrameSize is the largest frame taken, in bytes, and the largest sent,
	// unless the peer wants smaller ones. Default: 65536; at least 512.
	MaxFrameSize uint32

	// ChannelMax is the highest channel, so that a connection has ChannelMax+1
	// sessions at most. Default: 4999.
	ChannelMax uint16

	// HandleMax is the highest handle, so that a session has HandleMax+1 links
	// at most. Default: 1023.
	HandleMax uint32

	// MaxLinks is how many links a connection may have. Default: 5000.
	MaxLinks int

	// IdleTimeout is advertised; a peer that is silent for twice that is closed.
	// Default: 2 minutes.
	IdleTimeout time.Duration

	// HandshakeTimeout is the time from the first byte to the peer's open.
	// Default: 5 seconds.
	HandshakeTimeout time.Duration

	// WriteTimeout is how long a peer may take nothing of what is written to it
	// before it is closed. Default: 30 seconds.
	WriteTimeout time.Duration

	// ConnBytes is how many bytes of incoming deliveries a connection may have
	// unsettled, whole or in part; when it has more, its socket is not read. A
	// delivery counts as 512 bytes at least. Default: 8 MiB.
	ConnBytes int64

	// ServerBytes is the same for all connections together; a connection that has
	// nothing unsettled may always send one delivery. Default: 64 MiB.
	ServerBytes int64

	// MaxUnsettled is how many outgoing deliveries a link may have unsettled.
	// Default: 5000.
	MaxUnsettled int

	// Unknown is the state with which the server settles deliveries that a
	// receiver tells the state of, not settled, but that it never had or that
	// are settled already. Default: nil; they are not answered, as the
	// specification allows.
	Unknown wire.DeliveryState

	// Logger takes what the handler did wrong, such as properties that cannot be
	// encoded. What peers do wrong is what Serve returns. Default: nothing is
	// logged.
	Logger *slog.Logger
}

// Transport says what a connection runs over.
type Transport struct {
	Secure   bool // TLS lies below
	Loopback bool // the peer is on this machine
}

// Handler decides who may open connections and attach links. All methods may be
// called at the same time for different connections, and none with a lock held.
// For one connection all are called on its goroutine, in order, which reads
// nothing from the socket in the meantime.
type Handler interface {
	// Mechanisms lists the SASL mechanisms offered, best first: one at least.
	Mechanisms(t Transport) []wire.Symbol

	// Authenticate judges a SASL exchange in one step; mechanism is one of those
	// that were offered. An error is answered with outcome 1, and the connection
	// is closed.
	Authenticate(c *Conn, mechanism wire.Symbol, initial []byte, hostname string) error

	// Open is called when the peer's open has come. An error is answered with an
	// open and a close that carries it, if it is or wraps a *wire.Error, and
	// amqp:internal-error if not.
	Open(c *Conn, open *wire.Open) error

	// Attach is called for each attach of a peer. It must not block, and sees to
	// exactly one of a.Refuse, a.AcceptIncoming and a.AcceptOutgoing, now or
	// later, from any goroutine.
	Attach(a *Attach)

	// Closed is called once when a connection for which Authenticate was called
	// has ended, after its links' Detached.
	Closed(c *Conn)
}

// Server serves AMQP connections. It is safe for concurrent use.
type Server struct {
	cfg     Config
	handler Handler
	budget  budget
	names   names
	buffers sync.Pool // of *buffer

	// first is the number from which sessions count transfers and deliveries,
	// and links that send. Tests let it wrap.
	first uint32

	mu       sync.Mutex
	conns    map[*Conn]struct{}
	shutdown bool
	serving  sync.WaitGroup // calls of Serve
}

// NewServer makes a server. It starts nothing until Serve is called.
func NewServer(cfg Config, h Handler) *Server {
	cfg = cfg.withDefaults()
	return &Server{
		cfg:     cfg,
		handler: h,
		budget:  budget{limit: cfg.ServerBytes},
		names:   names{links: map[linkName]*link{}},
		buffers: sync.Pool{New: func() any { return new(buffer) }},
		conns:   map[*Conn]struct{}{},
	}
}

// Serve runs one connection to its end, closes nc, and returns why it ended:
// nil after a close without an error from either side, the *wire.Error that
// either side closed it with, or an error of the network. When ctx ends, the
// connection is closed with amqp:connection:forced. After Shutdown it returns
// ErrShutdown at once.
func (s *Server) Serve(ctx context.Context, nc net.Conn, t Transport) error {
	c := newConn(s, nc, t)
	if !s.add(c) {
		return errors.Join(ErrShutdown, nc.Close())
	}
	defer s.remove(c)
	defer context.AfterFunc(ctx, func() { c.Close(failure(wire.ConditionConnectionForced, "the server ends the connection")) })()
	return c.run()
}

func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutdown {
		return false
	}
	s.conns[c] = struct{}{}
	s.serving.Add(1)
	return true
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.serving.Done()
}

// Shutdown closes all connections with amqp:connection:forced and waits until
// all calls of Serve have returned. When ctx ends first, it cuts them off,
// waits, and returns the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.shutdown = true
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		c.Close(failure(wire.ConditionConnectionForced, "the server shuts down"))
	}
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range conns {
		c.cut(ctx.Err())
	}
	<-done
	return ctx.Err()
}

func (cfg Config) withDefaults() Config {
	cfg.ContainerID = cmp.Or(cfg.ContainerID, "bellhop")
	cfg.MaxFrameSize = max(cmp.Or(cfg.MaxFrameSize, 65536), wire.MinMaxFrameSize)
	cfg.ChannelMax = cmp.Or(cfg.ChannelMax, 4999)
	cfg.HandleMax = cmp.Or(cfg.HandleMax, 1023)
	cfg.MaxLinks = cmp.Or(cfg.MaxLinks, 5000)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, 2*time.Minute)
	cfg.HandshakeTimeout = cmp.Or(cfg.HandshakeTimeout, 5*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 30*time.Second)
	cfg.ConnBytes = cmp.Or(cfg.ConnBytes, 8<<20)
	cfg.ServerBytes = cmp.Or(cfg.ServerBytes, 64<<20)
	cfg.MaxUnsettled = cmp.Or(cfg.MaxUnsettled, 5000)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}
