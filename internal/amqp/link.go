package amqp

import (
	"bellhop/internal/amqp/wire"
)

// link is what both directions have in common. It is guarded by the
// connection's mu, but for what does not change.
type link struct {
	session *Session
	name    linkName
	peer    uint32 // the peer's handle
	handle  uint32 // ours
	in      *Incoming
	out     *Outgoing

	state    linkState
	left     *wire.Detach // the peer's, which came before the handler answered
	detached func(error)
	cause    error // why it ended
}

type linkState uint8

const (
	linkPending   linkState = iota // the handler has not answered yet
	linkAttached                   // frames go both ways
	linkDetaching                  // a detach has been queued, and the peer's is on its way
	linkGone
)

func (l *link) conn() *Conn { return l.session.conn }

// detach handles the peer's detach, with mu held.
func (s *Session) detach(p *wire.Detach) {
	l := s.links[p.Handle]
	switch {
	case s.ending:
	case l == nil:
		s.end(failure(wire.ConditionUnattachedHandle, "detach.handle: %d is not attached", p.Handle))
	case l.state == linkPending:
		l.left = p
	default:
		l.peerDetaches(p)
	}
}

// peerDetaches answers the peer's detach in kind: with closed when it said
// closed. Either way the link is forgotten; who attaches it again begins anew.
func (l *link) peerDetaches(p *wire.Detach) {
	s := l.session
	if l.state == linkAttached {
		s.flushConfirmations()
		s.conn.queue(s.channel, &wire.Detach{Handle: l.handle, Closed: p.Closed})
	}
	l.release(asError(p.Error))
	l.forget()
}

// forget frees the peer's handle.
func (l *link) forget() {
	delete(l.session.links, l.peer)
	l.conn().links--
}

// end detaches the link from our side, with mu held.
func (l *link) end(err *wire.Error) {
	if l.state != linkAttached {
		return
	}
	s := l.session
	s.flushConfirmations()
	s.conn.queue(s.channel, &wire.Detach{Handle: l.handle, Closed: true, Error: err})
	l.release(asError(err))
	l.state = linkDetaching
}

// Detach is Incoming.Detach and Outgoing.Detach.
func (l *link) forcedDetach(err *wire.Error) {
	c := l.conn()
	c.mu.Lock()
	defer c.unlock()
	l.end(err)
}

// release frees what the link holds and has Detached called, with mu held.
func (l *link) release(cause error) {
	if l.state != linkAttached && l.state != linkPending {
		l.state = linkGone
		return
	}
	c := l.conn()
	if l.state == linkAttached {
		c.server.names.drop(l.name, l)
		if l.detached != nil {
			c.later = append(c.later, func() { l.detached(cause) })
		}
	}
	l.state, l.cause = linkGone, cause
	if l.in != nil {
		l.in.dropPartial()
	} else {
		l.out.release()
	}
}

// flow handles what a flow says of the link.
func (l *link) flow(p *wire.Flow) {
	switch {
	case l.state == linkDetaching:
	case l.in != nil:
		l.in.senderFlow(p)
	default:
		l.out.receiverFlow(p)
	}
}

// echo tells the peer how the link stands.
func (l *link) echo() {
	if l.in != nil {
		l.in.sendFlow()
	} else {
		l.out.sendFlow()
	}
}

// flowFrame is a flow of the link; the caller adds count and credit.
func (l *link) flowFrame(count, credit uint32) *wire.Flow {
	f := l.session.flowFrame()
	f.Handle = wire.Some(l.handle)
	f.DeliveryCount = wire.Some(count)
	f.LinkCredit = wire.Some(credit)
	return f
}

// creditLeft is how far limit is ahead of count, 0 when it is not.
func creditLeft(limit, count uint32) uint32 {
	return uint32(max(wire.SerialDistance(limit, count), 0))
}
