package amqp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"bellhop/internal/amqp/wire"
)

// linger is how long a connection waits for the peer's answer to a close.
const linger = time.Second

// maxDiscard is how many bytes are read of a peer that did something wrong.
const maxDiscard = 1 << 20

// Conn is a peer's connection. Its methods are safe for concurrent use.
//
// Two goroutines work for it: the one that called Server.Serve reads and calls
// the handler, the other one writes what is queued. Everything that changes is
// guarded by mu, which is never held while the handler is called.
type Conn struct {
	server    *Server
	nc        net.Conn
	transport Transport
	ctx       context.Context
	cancel    context.CancelFunc
	wake      chan struct{} // holds one: there is something to write, or the end
	resume    chan struct{} // holds one: look again whether to read

	// Set before the first session, and not changed then.
	known      bool   // to the handler
	maxFrame   uint32 // of what is written
	channelMax uint16 // of what is written
	keepalive  time.Duration

	callbacks sync.WaitGroup // calls that unlock has taken over

	mu       sync.Mutex
	value    any
	open     *wire.Open
	state    connState
	cause    error     // why it ended; nil after a clean close
	deadline time.Time // of all reading and writing, once it is closing
	sessions map[uint16]*Session
	links    int
	later    []func() // to be called by unlock

	out       *buffer     // frames to be written; nil when there are none
	queued    int         // bytes in out and in what is being written
	held      int         // bytes of messages that wait for the window of their session
	confirmed []*Session  // with confirmations that are not in out yet
	crowd     []*Outgoing // links that wait for room

	paused    bool  // reading waits for resume
	unsettled int64 // bytes that the handler has
	partial   int64 // bytes of deliveries of which more is to come

	disposition wire.Disposition // for encoding
}

type connState uint8

const (
	connHandshake connState = iota
	connOpen
	connClosing // a close has been queued, and the peer's may be on its way
	connEnded   // nothing is queued any more
)

func newConn(s *Server, nc net.Conn, t Transport) *Conn {
	ctx, cancel := context.WithCancel(context.Background())
	return &Conn{
		server:    s,
		nc:        nc,
		transport: t,
		ctx:       ctx,
		cancel:    cancel,
		wake:      make(chan struct{}, 1),
		resume:    make(chan struct{}, 1),
		sessions:  map[uint16]*Session{},
	}
}

// SetValue keeps something of the handler's with the connection.
func (c *Conn) SetValue(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = v
}

// Value is what SetValue kept last, nil when nothing.
func (c *Conn) Value() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value
}

// Context ends with the connection: when either side has closed it.
func (c *Conn) Context() context.Context { return c.ctx }

// Open is the peer's open, nil as long as it has not come. It must not be
// changed.
func (c *Conn) Open() *wire.Open {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Transport is what the connection runs over.
func (c *Conn) Transport() Transport { return c.transport }

// Close closes the connection with an error, or without one when err is nil. It
// does not wait. The first call counts.
func (c *Conn) Close(err *wire.Error) {
	c.mu.Lock()
	defer c.unlock()
	c.close(err)
}

// unlock releases mu and makes the calls that had to wait for that.
func (c *Conn) unlock() {
	calls := c.later
	c.later = nil
	c.callbacks.Add(len(calls))
	c.mu.Unlock()
	for _, call := range calls {
		call()
		c.callbacks.Done()
	}
}

// run is the connection's life. It returns why it ended.
func (c *Conn) run() error {
	var writer sync.WaitGroup
	r, err := c.handshake()
	if err == nil {
		writer.Go(c.write)
		err = c.read(r)
	}
	c.end(err)
	writer.Wait()
	if _, told := errors.AsType[*wire.Error](err); err == c.why() && (told || errors.Is(err, errRefused)) {
		c.discard()
	}
	_ = c.nc.Close()
	c.callbacks.Wait()
	if c.known {
		c.server.handler.Closed(c)
	}
	return c.why()
}

// discard leaves the peer the time to read what it did wrong: who closes a
// socket with unread bytes resets it. Who never stops is reset all the same.
func (c *Conn) discard() {
	_ = c.nc.SetDeadline(time.Now().Add(linger))
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c.nc, maxDiscard)
}

// close begins the end from our side. It is called with mu held.
func (c *Conn) close(err *wire.Error) {
	switch c.state {
	case connHandshake:
		c.fail(asError(err))
	case connOpen:
		c.queue(0, &wire.Close{Error: err})
		c.leave(asError(err))
	}
}

// leave is called with mu held when a close has been queued. From now on
// nothing is read but the peer's close.
func (c *Conn) leave(cause error) {
	if c.state != connOpen {
		return
	}
	c.state, c.cause = connClosing, cause
	c.release(cause)
	c.deadline = time.Now().Add(linger)
	_ = c.nc.SetDeadline(c.deadline)
}

// fail ends the connection without a word, with mu held. A reader and a writer
// that wait for the network do not wait any longer. It does not close the
// network's connection itself, because that can take time where TLS lies below.
func (c *Conn) fail(cause error) {
	if c.state == connEnded {
		return
	}
	if c.state != connClosing {
		c.cause = cause
	}
	c.state = connEnded
	c.release(cause)
	c.deadline = time.Unix(1, 0)
	_ = c.nc.SetDeadline(c.deadline)
}

// cut ends the connection at once.
func (c *Conn) cut(cause error) {
	c.mu.Lock()
	c.fail(cause)
	c.unlock()
	_ = c.nc.Close()
}

// end is called when reading has ended; the writer writes what is queued still,
// and ends.
func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.unlock()
	switch c.state {
	case connHandshake:
		c.state, c.cause = connEnded, err
		c.release(err)
	case connClosing:
		c.state = connEnded
		c.signalWriter()
	case connOpen:
		c.fail(err)
	}
}

// release ends all links and wakes whoever waits, with mu held.
func (c *Conn) release(cause error) {
	c.cancel()
	for _, s := range c.sessions {
		s.release(cause)
	}
	clear(c.sessions)
	c.signalWriter()
	c.resumeReading()
}

func (c *Conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}
