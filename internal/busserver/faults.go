package busserver

import (
	"context"
	"net"
	"sync"
	"time"

	"bellhop/internal/amqp/wire"
)

// Faults make a server misbehave on demand: for tests of clients. The zero
// value makes no faults. Methods may be called concurrently, and do nothing
// before [New] was given the Faults.
type Faults struct {
	mu     sync.Mutex
	server *Server
	conns  map[*faultyConn]struct{}
	refuse int           // operations still to be answered with server-busy
	delay  time.Duration // before each write
	deaf   chan struct{} // closed when the server answers again; nil when it does
}

// DetachLinks detaches all links of a queue, its dead-letter queue and their
// management with an error, and tells how many there were. Locks stay.
func (f *Faults) DetachLinks(queue, condition, description string) (n int) {
	s := f.bound()
	if s == nil {
		return 0
	}
	s.eachLink(queue, func(_ *conn, l *link) {
		l.detach(s.tracked(&wire.Error{Condition: wire.Symbol(condition), Description: description}))
		n++
	})
	return n
}

// Update detaches the links of a queue as the service does when somebody
// updates it, and tells how many there were.
func (f *Faults) Update(queue string) int {
	return f.DetachLinks(queue, string(wire.ConditionDetachForced), "The messaging entity was updated; attach again.")
}

// DropConnections cuts all connections without a word, and tells how many there
// were.
func (f *Faults) DropConnections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
	return len(f.conns)
}

// LoseLocks ends all locks of a queue or a dead-letter queue as if their time
// had come, and tells how many there were.
func (f *Faults) LoseLocks(ctx context.Context, name string) (int, error) {
	s := f.bound()
	if s == nil {
		return 0, nil
	}
	return s.opts.Bus.LoseLocks(ctx, name)
}

// Busy answers the next n sends, settlements and requests with
// com.microsoft:server-busy instead of carrying them out. 0 ends it.
func (f *Faults) Busy(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = n
}

// Delay holds back everything the server says from now on by d. 0 ends it.
func (f *Faults) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// Deaf makes the server take what clients send and answer nothing, on old
// connections and new ones, until it is called with false; then it says what it
// has held back. A connection held back for longer than the write timeout of
// the connections may be lost by then.
func (f *Faults) Deaf(deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case deaf && f.deaf == nil:
		f.deaf = make(chan struct{})
	case !deaf && f.deaf != nil:
		close(f.deaf)
		f.deaf = nil
	}
}

func (f *Faults) bind(s *Server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server, f.conns = s, map[*faultyConn]struct{}{}
}

func (f *Faults) bound() *Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.server
}

// busy is the refusal of an operation, nil when there is no such fault. It is
// the only fault on the way of every operation: without Faults it is a nil check.
func (f *Faults) busy() *wire.Error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse == 0 {
		return nil
	}
	f.refuse--
	return &wire.Error{Condition: conditionServerBusy, Description: "The server is busy; try again."}
}

func (f *Faults) wrap(nc net.Conn) *faultyConn {
	c := &faultyConn{Conn: nc, faults: f, closed: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = struct{}{}
	return c
}

func (f *Faults) forget(c *faultyConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// faultyConn holds back what the server writes.
type faultyConn struct {
	net.Conn
	faults *Faults
	once   sync.Once
	closed chan struct{}
}

// Write waits as long as the server is deaf or slow, or until Close.
func (c *faultyConn) Write(b []byte) (int, error) {
	c.faults.mu.Lock()
	delay, deaf := c.faults.delay, c.faults.deaf
	c.faults.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	if deaf != nil {
		select {
		case <-deaf:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	return c.Conn.Write(b)
}

// Close ends a Write that waits.
func (c *faultyConn) Close() error {
	c.end()
	return c.Conn.Close()
}

// SetDeadline ends a Write that waits, too, when the time is over: that is how
// a connection whose client has gone stops waiting.
func (c *faultyConn) SetDeadline(at time.Time) error {
	if !at.IsZero() && !at.After(time.Now()) {
		c.end()
	}
	return c.Conn.SetDeadline(at)
}

func (c *faultyConn) end() { c.once.Do(func() { close(c.closed) }) }
