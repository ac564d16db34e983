package amqp

import (
	"fmt"
	"time"

	"bellhop/internal/amqp/wire"
)

const (
	// writerRoom is how many bytes may be queued for a peer before nobody sends
	// it more messages.
	writerRoom = 1 << 20

	// repliesRoom is how many before nothing more is read from it. It is more,
	// so that a peer that writes without reading is not stuck by messages alone.
	repliesRoom = 2 << 20

	// heldRoom is how many bytes of messages may wait for the windows of sessions
	// before nobody sends more.
	heldRoom = 4 << 20

	// sendRoom is how many bytes of both before a message is refused for which
	// there was demand once.
	sendRoom = 8 << 20

	// writeStep is how many bytes a peer must take within Config.WriteTimeout.
	writeStep = 64 << 10
)

// buffer is where frames are queued. The buffers of a server are shared, so that
// a connection that is idle has none.
type buffer struct{ b []byte }

// write writes what is queued, until the connection ends. What is queued while
// it writes leaves together with the next write.
func (c *Conn) write() {
	idle := time.NewTimer(c.keepalive)
	defer idle.Stop()
	for {
		out, last := c.takeQueued()
		if out != nil {
			idle.Reset(c.keepalive)
			if err := c.writeAll(out); err != nil {
				c.cut(fmt.Errorf("write frames: %w", err))
				return
			}
			continue
		}
		if last {
			return
		}
		select {
		case <-c.wake:
		case <-idle.C:
			c.queueSignOfLife()
		}
	}
}

// takeQueued takes all that is queued, nil when there is nothing. last tells
// that nothing will be queued any more.
func (c *Conn) takeQueued() (out *buffer, last bool) {
	c.mu.Lock()
	defer c.unlock()
	for _, s := range c.confirmed {
		s.flushConfirmations()
	}
	clear(c.confirmed)
	c.confirmed = c.confirmed[:0]
	out, c.out = c.out, nil
	return out, c.state == connEnded
}

func (c *Conn) writeAll(out *buffer) error {
	for rest := out.b; len(rest) > 0; {
		n := min(len(rest), writeStep)
		if err := c.limitWrite(); err != nil {
			return err
		}
		if _, err := c.nc.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
		c.wrote(n)
	}
	out.b = out.b[:0]
	c.server.buffers.Put(out)
	return nil
}

func (c *Conn) limitWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.IsZero() {
		return c.nc.SetWriteDeadline(c.deadline)
	}
	return c.nc.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
}

// wrote frees the room that n bytes took.
func (c *Conn) wrote(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued -= n
	c.pokeCrowd()
	if c.paused {
		c.resumeReading()
	}
}

// unhold is called with mu held when n bytes wait for a window no longer.
func (c *Conn) unhold(n int) {
	c.held -= n
	c.pokeCrowd()
}

// takesMore tells whether there is room for messages.
func (c *Conn) takesMore() bool { return c.queued < writerRoom && c.held < heldRoom }

// pokeCrowd wakes the links that wait for room when there is some.
func (c *Conn) pokeCrowd() {
	if len(c.crowd) == 0 || !c.takesMore() {
		return
	}
	for _, l := range c.crowd {
		l.crowding = false
		l.poke()
	}
	clear(c.crowd)
	c.crowd = c.crowd[:0]
}

func (c *Conn) queueSignOfLife() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == connOpen {
		c.enqueue(wire.AppendEmptyFrame(c.buffer()))
	}
}

// queue queues a frame, with mu held. When the peer takes only smaller ones,
// there is nothing left to say to it.
func (c *Conn) queue(channel uint16, p wire.Performative) {
	before := c.buffer()
	b, err := wire.AppendFrame(before, channel, p)
	if err != nil {
		c.server.cfg.Logger.Error("encode AMQP frame", "error", err)
		c.fail(err)
		return
	}
	if size := len(b) - len(before); size > int(c.maxFrame) {
		c.fail(failure(wire.ConditionFrameSizeTooSmall, "a frame of %d bytes is larger than the %d that the peer takes", size, c.maxFrame))
		return
	}
	c.enqueue(b)
}

// buffer is where the next frame is appended, with mu held; enqueue takes the
// result.
func (c *Conn) buffer() []byte {
	if c.out == nil {
		c.out = c.server.buffers.Get().(*buffer)
	}
	return c.out.b
}

func (c *Conn) enqueue(b []byte) {
	c.queued += len(b) - len(c.out.b)
	c.out.b = b
	c.signalWriter()
}

func (c *Conn) signalWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
