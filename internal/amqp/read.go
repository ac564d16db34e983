package amqp

import (
	"errors"
	"fmt"
	"os"
	"time"

	"bellhop/internal/amqp/wire"
)

// idleReader reads from a connection and gives up a peer that is silent for
// twice the time that it was told. It renews the deadline now and then only,
// because that takes longer than to read a frame.
type idleReader struct {
	c     *Conn
	renew time.Time
}

func (r *idleReader) Read(p []byte) (int, error) {
	timeout := r.c.server.cfg.IdleTimeout
	if now := time.Now(); !now.Before(r.renew) && r.c.readUntil(now.Add(2*timeout)) {
		r.renew = now.Add(timeout / 8)
	}
	return r.c.nc.Read(p)
}

// readUntil sets the deadline of reading if the connection is open: another one
// governs the handshake and the end.
func (c *Conn) readUntil(deadline time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != connOpen {
		return false
	}
	_ = c.nc.SetReadDeadline(deadline)
	return true
}

// read handles frames until the connection ends, and returns why it did.
func (c *Conn) read(r *wire.Reader) error {
	for {
		c.awaitRoom()
		frame, err := r.ReadFrame()
		if err != nil {
			return c.readFailed(err)
		}
		if over, err := c.handle(frame); err != nil {
			c.Close(asFailure(err))
		} else if over {
			return nil
		}
	}
}

// readFailed tells the peer what it did wrong, if that was it.
func (c *Conn) readFailed(err error) error {
	told, wrong := errors.AsType[*wire.Error](err)
	switch {
	case wrong:
	case errors.Is(err, os.ErrDeadlineExceeded):
		told = failure(wire.ConditionResourceLimitExceeded, "nothing came for twice the idle-time-out")
	default:
		return fmt.Errorf("read frame: %w", err)
	}
	c.Close(told)
	return told
}

// handle handles one frame. over tells that the peer has closed; an error is to
// be told to it.
func (c *Conn) handle(frame wire.Frame) (over bool, err error) {
	if frame.Type != wire.FrameAMQP {
		return false, failure(wire.ConditionFramingError, "the SASL exchange is over")
	}
	if frame.Empty() {
		return false, nil
	}
	p, payload, err := wire.DecodePerformative(frame.Body)
	if err != nil {
		return false, err
	}
	switch p := p.(type) {
	case *wire.Transfer:
		return false, c.transfer(frame.Channel, p, payload)
	case *wire.Disposition:
		return false, c.dispose(frame.Channel, p)
	case *wire.Attach:
		return false, c.attach(frame.Channel, p)
	case *wire.Close:
		c.peerCloses(p)
		return true, nil
	case *wire.Open:
		return false, failure(wire.ConditionIllegalState, "the connection is open already")
	default:
		return false, c.control(frame.Channel, p)
	}
}

// control handles the performatives of which the handler hears only by
// Detached.
func (c *Conn) control(channel uint16, p wire.Performative) error {
	c.mu.Lock()
	defer c.unlock()
	if c.state != connOpen {
		return nil
	}
	if begin, ok := p.(*wire.Begin); ok {
		return asError(c.begin(channel, begin))
	}
	s, err := c.session(channel)
	if err != nil {
		return err
	}
	switch p := p.(type) {
	case *wire.End:
		s.peerEnds(p)
	case *wire.Flow:
		s.flow(p)
	case *wire.Detach:
		s.detach(p)
	}
	return nil
}

func (c *Conn) peerCloses(p *wire.Close) {
	c.mu.Lock()
	defer c.unlock()
	if c.state == connOpen {
		c.queue(0, &wire.Close{})
		c.leave(asError(p.Error))
	}
}

// awaitRoom returns when the peer may send more: when not too much is unsettled
// and it takes what it is answered, or when the connection ends.
func (c *Conn) awaitRoom() {
	if c.hasRoom() {
		return
	}
	budget := &c.server.budget
	budget.pause(c)
	defer budget.goOn(c)
	for !c.hasRoom() {
		<-c.resume
	}
}

// hasRoom tells whether the peer may send more. One that has nothing unsettled
// may: what it settles and asks for does not wait for others, and of a delivery
// that has begun only reading can bring the rest.
func (c *Conn) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = c.state == connOpen && (c.queued > repliesRoom ||
		c.unsettled > 0 && (c.unsettled+c.partial > c.server.cfg.ConnBytes || c.server.budget.exceeded()))
	return !c.paused
}

func (c *Conn) resumeReading() {
	select {
	case c.resume <- struct{}{}:
	default:
	}
}
