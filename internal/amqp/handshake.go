package amqp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"bellhop/internal/amqp/wire"
)

// readAhead is how much is read at once, in bytes: some dozens of small frames.
const readAhead = 16 << 10

// maxSilence is how long nothing is written before an empty frame is, at most:
// some clients give up a server that is silent for a minute.
const maxSilence = 15 * time.Second

// minIdleTimeout is the shortest time-out of a peer's that the server heeds.
const minIdleTimeout = 100 * time.Millisecond

// errRefused is why a handshake ended that the peer got its answer to.
var errRefused = errors.New("amqp: handshake refused")

// handshake leads the connection from the first byte to both opens, within
// Config.HandshakeTimeout, however slowly the bytes come.
func (c *Conn) handshake() (*wire.Reader, error) {
	if err := c.limitHandshake(); err != nil {
		return nil, fmt.Errorf("limit handshake: %w", err)
	}
	src := bufio.NewReaderSize(&idleReader{c: c}, readAhead)
	if err := c.letIn(src); err != nil {
		return nil, err
	}
	// A Reader takes a bufio.Reader as it is, with what that has read ahead.
	r := wire.NewReader(src, c.server.cfg.MaxFrameSize)
	open, err := c.readOpen(r)
	if err != nil {
		return nil, c.refuseOpen(err)
	}
	return r, c.accept(open)
}

func (c *Conn) limitHandshake() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != connHandshake {
		return net.ErrClosed
	}
	return c.nc.SetDeadline(time.Now().Add(c.server.cfg.HandshakeTimeout))
}

// mechanismAnonymous is how a peer comes in that has nothing to show.
const mechanismAnonymous wire.Symbol = "ANONYMOUS"

// letIn leads up to both headers of AMQP. A peer that leaves SASL out is
// anonymous, where such are let in: Azure's JavaScript client does so when it
// has a signature and no key.
func (c *Conn) letIn(src *bufio.Reader) error {
	r := wire.NewReader(src, wire.MinMaxFrameSize)
	bare := wire.HeaderOf(wire.ProtocolAMQP).Append(nil)
	first, _ := src.Peek(len(bare)) // what is wrong shows when it is read
	if bytes.Equal(first, bare) && slices.Contains(c.server.handler.Mechanisms(c.transport), mechanismAnonymous) {
		c.known = true
		if err := c.server.handler.Authenticate(c, mechanismAnonymous, nil, ""); err != nil {
			return fmt.Errorf("%w: authenticate: %w", errRefused, err)
		}
	} else if err := c.authenticate(r); err != nil {
		return err
	}
	return c.expectHeader(r, wire.ProtocolAMQP)
}

// expectHeader reads a protocol header and answers it with ours, which is all
// that a peer gets that speaks something else (part 2, 2.2).
func (c *Conn) expectHeader(r *wire.Reader, id wire.ProtocolID) error {
	got, err := r.ReadProtocolHeader()
	if _, garbage := errors.AsType[*wire.Error](err); err != nil && !garbage {
		return fmt.Errorf("read protocol header: %w", err)
	}
	if _, err := c.nc.Write(wire.HeaderOf(id).Append(nil)); err != nil {
		return fmt.Errorf("write protocol header: %w", err)
	}
	if err != nil || got != wire.HeaderOf(id) {
		return fmt.Errorf("%w: expected the header of protocol %d, version 1.0.0", errRefused, id)
	}
	return nil
}

// authenticate is the SASL exchange (part 5, 5.3).
func (c *Conn) authenticate(r *wire.Reader) error {
	if err := c.expectHeader(r, wire.ProtocolSASL); err != nil {
		return err
	}
	offered := c.server.handler.Mechanisms(c.transport)
	if err := c.writeSASL(&wire.SASLMechanisms{Mechanisms: offered}); err != nil {
		return err
	}
	init, err := readSASL(r)
	if err != nil {
		return err
	}
	refused := fmt.Errorf("the mechanism was not offered")
	if slices.Contains(offered, init.Mechanism) {
		c.known = true
		refused = c.server.handler.Authenticate(c, init.Mechanism, init.InitialResponse, init.Hostname)
	}
	if refused != nil {
		return errors.Join(fmt.Errorf("%w: authenticate: %w", errRefused, refused), c.writeSASL(&wire.SASLOutcome{Code: wire.SASLAuthFailed}))
	}
	return c.writeSASL(&wire.SASLOutcome{Code: wire.SASLOk})
}

func readSASL(r *wire.Reader) (*wire.SASLInit, error) {
	frame, err := r.ReadFrame()
	if err != nil {
		return nil, fmt.Errorf("read sasl-init: %w", err)
	}
	if frame.Type != wire.FrameSASL {
		return nil, fmt.Errorf("%w: expected a SASL frame", errRefused)
	}
	body, err := wire.DecodeSASL(frame.Body)
	if err != nil {
		return nil, fmt.Errorf("decode sasl-init: %w", err)
	}
	init, ok := body.(*wire.SASLInit)
	if !ok {
		return nil, fmt.Errorf("%w: expected sasl-init, got %T", errRefused, body)
	}
	return init, nil
}

func (c *Conn) writeSASL(body wire.SASL) error {
	b, err := wire.AppendSASL(nil, body)
	if err == nil {
		_, err = c.nc.Write(b)
	}
	if err != nil {
		return fmt.Errorf("write %T: %w", body, err)
	}
	return nil
}

// readOpen reads the peer's open. An error that is a *wire.Error is to be told
// to the peer.
func (c *Conn) readOpen(r *wire.Reader) (*wire.Open, error) {
	for {
		frame, err := r.ReadFrame()
		if err != nil {
			return nil, fmt.Errorf("read open: %w", err)
		}
		if frame.Type != wire.FrameAMQP {
			return nil, failure(wire.ConditionFramingError, "the SASL exchange is over")
		}
		if frame.Empty() {
			continue
		}
		p, _, err := wire.DecodePerformative(frame.Body)
		if err != nil {
			return nil, err
		}
		open, ok := p.(*wire.Open)
		if !ok {
			return nil, failure(wire.ConditionIllegalState, "expected an open first, got %T", p)
		}
		return open, nil
	}
}

// accept answers the peer's open.
func (c *Conn) accept(open *wire.Open) error {
	cfg := &c.server.cfg
	idle := time.Duration(open.IdleTimeOut) * time.Millisecond
	switch {
	case open.MaxFrameSize.Or(wire.MinMaxFrameSize) < wire.MinMaxFrameSize:
		return c.refuseOpen(failure(wire.ConditionInvalidField, "open.max-frame-size: %d is less than %d", open.MaxFrameSize.Value, wire.MinMaxFrameSize))
	case idle > 0 && idle < minIdleTimeout:
		return c.refuseOpen(failure(wire.ConditionNotAllowed, "open.idle-time-out: %v is less than %v", idle, minIdleTimeout))
	}
	c.maxFrame = min(open.MaxFrameSize.Or(cfg.MaxFrameSize), cfg.MaxFrameSize)
	c.channelMax = open.ChannelMax.Or(65535)
	c.keepalive = maxSilence
	if idle > 0 {
		c.keepalive = min(maxSilence, idle/2)
	}
	c.mu.Lock()
	c.open = open
	c.mu.Unlock()
	if err := c.server.handler.Open(c, open); err != nil {
		return c.refuseOpen(asFailure(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != connHandshake {
		return c.cause
	}
	c.state = connOpen
	c.queue(0, c.ourOpen())
	return c.nc.SetDeadline(time.Time{})
}

func (c *Conn) ourOpen() *wire.Open {
	cfg := &c.server.cfg
	return &wire.Open{
		ContainerID:  cfg.ContainerID,
		MaxFrameSize: wire.Some(cfg.MaxFrameSize),
		ChannelMax:   wire.Some(cfg.ChannelMax),
		IdleTimeOut:  uint32(cfg.IdleTimeout.Milliseconds()),
	}
}

// refuseOpen tells the peer what is wrong, for which an open must come before
// the close.
func (c *Conn) refuseOpen(err error) error {
	told, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return err
	}
	b, encodeErr := wire.AppendFrame(nil, 0, c.ourOpen())
	if encodeErr == nil {
		b, encodeErr = wire.AppendFrame(b, 0, &wire.Close{Error: told})
	}
	if encodeErr != nil {
		return encodeErr
	}
	_, writeErr := c.nc.Write(b)
	return errors.Join(err, writeErr)
}
