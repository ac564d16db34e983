package amqp

import (
	"bellhop/internal/amqp/wire"
)

// window is how many transfer frames a peer may send before it hears again from
// us, and what it is told that we might. What bounds memory is not this window
// but Config.ConnBytes.
const window = 5000

// unsettledPeak is how many unsettled deliveries make a map that is not kept
// when it is empty.
const unsettledPeak = 256

// Session is the identity of a peer's session.
type Session struct {
	conn      *Conn
	peer      uint16 // the peer's channel
	channel   uint16 // ours
	handleMax uint32 // of ours

	// Guarded by conn.mu.
	ending bool // an end has been queued, and the peer's is on its way
	over   bool // nothing is queued any more
	links  map[uint32]*link

	nextIncoming  uint32 // transfer-id
	incoming      uint32 // window: transfers the peer may send
	lastDelivery  uint32 // the peer's delivery-id
	hadDelivery   bool
	nextOutgoing  uint32 // transfer-id
	firstOutgoing uint32
	outgoing      uint32 // window: transfers we may send
	nextDelivery  uint32 // our delivery-id
	pending       fifo
	unsettled     map[uint32]unsettled
	peak          int

	confirmations [2]confirmation // as sender, as receiver
	confirming    bool            // is in conn.confirmed
}

// session is the session of the peer's channel. It is called with mu held.
func (c *Conn) session(channel uint16) (*Session, error) {
	if s, ok := c.sessions[channel]; ok {
		return s, nil
	}
	if channel > c.server.cfg.ChannelMax {
		return nil, failure(wire.ConditionFramingError, "channel %d is above channel-max, which is %d", channel, c.server.cfg.ChannelMax)
	}
	return nil, failure(wire.ConditionIllegalState, "channel %d has no session", channel)
}

// begin begins a session and answers the peer, with mu held.
func (c *Conn) begin(channel uint16, p *wire.Begin) *wire.Error {
	cfg := &c.server.cfg
	if channel > cfg.ChannelMax {
		return failure(wire.ConditionFramingError, "channel %d is above channel-max, which is %d", channel, cfg.ChannelMax)
	}
	if c.sessions[channel] != nil {
		return failure(wire.ConditionIllegalState, "channel %d has a session already", channel)
	}
	if p.RemoteChannel.Present {
		return failure(wire.ConditionInvalidField, "begin.remote-channel: this server begins no sessions that could be answered")
	}
	ours, ok := c.freeChannel(channel)
	if !ok {
		return failure(wire.ConditionNotAllowed, "there are more sessions than open.channel-max allows to be answered")
	}
	first := c.server.first
	c.sessions[channel] = &Session{
		conn:          c,
		peer:          channel,
		channel:       ours,
		handleMax:     p.HandleMax.Or(1<<32 - 1),
		nextIncoming:  p.NextOutgoingID,
		incoming:      window,
		nextOutgoing:  first,
		firstOutgoing: first,
		outgoing:      p.IncomingWindow,
		nextDelivery:  first,
	}
	c.queue(ours, &wire.Begin{
		RemoteChannel:  wire.Some(channel),
		NextOutgoingID: first,
		IncomingWindow: window,
		OutgoingWindow: window,
		HandleMax:      wire.Some(cfg.HandleMax),
	})
	return nil
}

// freeChannel picks the channel of ours for a peer's: the same number, unless
// the peer cannot take that.
func (c *Conn) freeChannel(channel uint16) (uint16, bool) {
	if channel <= c.channelMax && !c.uses(channel) {
		return channel, true
	}
	for n := range min(uint16(len(c.sessions)), c.channelMax) + 1 {
		if !c.uses(n) {
			return n, true
		}
	}
	return 0, false
}

func (c *Conn) uses(channel uint16) bool {
	for _, s := range c.sessions {
		if s.channel == channel {
			return true
		}
	}
	return false
}

// end ends the session with an error, with mu held. What the peer has sent
// before it knows is ignored.
func (s *Session) end(err *wire.Error) {
	if s.ending || s.over {
		return
	}
	s.flushConfirmations()
	s.conn.queue(s.channel, &wire.End{Error: err})
	s.ending = true
	s.release(err)
}

// peerEnds answers the peer's end, with mu held.
func (s *Session) peerEnds(p *wire.End) {
	if !s.ending {
		s.flushConfirmations()
		s.conn.queue(s.channel, &wire.End{})
	}
	s.release(asError(p.Error))
	delete(s.conn.sessions, s.peer)
}

// release ends the session's links, with mu held.
func (s *Session) release(cause error) {
	s.over = true
	s.unsettled = nil
	s.conn.unhold(s.pending.bytes)
	s.pending = fifo{}
	s.conn.links -= len(s.links)
	for _, l := range s.links {
		l.release(cause)
	}
	s.links = nil
}

// flow handles a flow of the peer's, with mu held.
func (s *Session) flow(p *wire.Flow) {
	if s.ending {
		return
	}
	if err := s.openWindow(p); err != nil {
		s.end(err)
		return
	}
	var l *link
	if p.Handle.Present {
		if l = s.links[p.Handle.Value]; l == nil {
			s.end(failure(wire.ConditionUnattachedHandle, "flow.handle: %d is not attached", p.Handle.Value))
			return
		}
		l.flow(p)
	}
	s.pump()
	if !p.Echo || s.over {
		return
	}
	switch {
	case l == nil:
		s.conn.queue(s.channel, s.flowFrame())
	case l.state == linkAttached:
		l.echo()
	}
}

// openWindow takes over how many transfers the peer wants (part 2, 2.5.6).
func (s *Session) openWindow(p *wire.Flow) *wire.Error {
	next := p.NextIncomingID.Or(s.firstOutgoing)
	flying := wire.SerialDistance(s.nextOutgoing, next)
	if flying < 0 {
		return failure(wire.ConditionInvalidField, "flow.next-incoming-id: %d has not been sent yet", next)
	}
	wasClosed := s.outgoing == 0
	s.outgoing = p.IncomingWindow - min(p.IncomingWindow, uint32(flying))
	if wasClosed && s.outgoing > 0 {
		for _, l := range s.links {
			if l.out != nil {
				l.out.poke()
			}
		}
	}
	return nil
}

// flowFrame is what every flow says of the session.
func (s *Session) flowFrame() *wire.Flow {
	return &wire.Flow{
		NextIncomingID: wire.Some(s.nextIncoming),
		IncomingWindow: s.incoming,
		NextOutgoingID: s.nextOutgoing,
		OutgoingWindow: window,
	}
}

// countTransfer counts a transfer frame that came, and opens the window again
// when half of it is used. So it is never closed: what is not to come yet is
// not read.
func (s *Session) countTransfer() {
	s.nextIncoming++
	if s.incoming--; s.incoming <= window/2 {
		s.incoming = window
		s.conn.queue(s.channel, s.flowFrame())
	}
}
