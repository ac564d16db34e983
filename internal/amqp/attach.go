package amqp

import "bellhop/internal/amqp/wire"

// Attach is a peer's wish to attach a link. The package itself refuses what no
// handler could accept: a null, dynamic or transactional terminus, and more
// than Config.MaxLinks.
type Attach struct {
	link     *link
	frame    *wire.Attach
	answered bool // guarded by the connection's mu
}

// Conn is the connection it came on.
func (a *Attach) Conn() *Conn { return a.link.conn() }

// Session is the session it came on. Links with the same Session can answer
// one another.
func (a *Attach) Session() *Session { return a.link.session }

// Frame is the peer's attach. It must not be changed. If FromClient its Target
// is not nil, otherwise its Source is not nil.
func (a *Attach) Frame() *wire.Attach { return a.frame }

// FromClient tells whether the peer is the sender.
func (a *Attach) FromClient() bool { return a.frame.Role == wire.RoleSender }

// attach handles the peer's attach.
func (c *Conn) attach(channel uint16, p *wire.Attach) error {
	a, err := c.prepare(channel, p)
	if a == nil {
		return err
	}
	if refusal := unacceptable(p); refusal != nil {
		a.Refuse(refusal)
	} else if c.tooManyLinks() {
		a.Refuse(failure(wire.ConditionResourceLimitExceeded, "a connection has %d links at most", c.server.cfg.MaxLinks))
	} else {
		c.server.handler.Attach(a)
	}
	return nil
}

// prepare makes the link to which the peer may refer from now on. It is nil
// when there is nothing to be answered.
func (c *Conn) prepare(channel uint16, p *wire.Attach) (*Attach, error) {
	c.mu.Lock()
	defer c.unlock()
	if c.state != connOpen {
		return nil, nil
	}
	s, err := c.session(channel)
	if err != nil || s.ending {
		return nil, err
	}
	if handleMax := c.server.cfg.HandleMax; p.Handle > handleMax {
		return nil, failure(wire.ConditionFramingError, "handle %d is above handle-max, which is %d", p.Handle, handleMax)
	}
	if s.links[p.Handle] != nil {
		s.end(failure(wire.ConditionHandleInUse, "attach.handle: %d is attached already", p.Handle))
		return nil, nil
	}
	handle, ok := s.freeHandle(p.Handle)
	if !ok {
		s.end(failure(wire.ConditionNotAllowed, "there are more links than begin.handle-max allows to be answered"))
		return nil, nil
	}
	if c.links > 2*c.server.cfg.MaxLinks {
		return nil, failure(wire.ConditionResourceLimitExceeded, "links that were refused have not been detached")
	}
	return &Attach{link: s.newLink(p, handle), frame: p}, nil
}

func (c *Conn) tooManyLinks() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links > c.server.cfg.MaxLinks
}

// unacceptable tells what no handler could accept.
func unacceptable(p *wire.Attach) *wire.Error {
	fromClient := p.Role == wire.RoleSender
	switch {
	case p.Coordinator != nil:
		return failure(wire.ConditionNotImplemented, "this server has no transactions")
	case fromClient && p.Target == nil:
		return failure(wire.ConditionInvalidField, "attach.target: a sender's target is mandatory")
	case !fromClient && p.Source == nil:
		return failure(wire.ConditionInvalidField, "attach.source: a receiver's source is mandatory")
	case fromClient && p.Target.Dynamic, !fromClient && p.Source.Dynamic:
		return failure(wire.ConditionNotImplemented, "this server makes no dynamic nodes")
	}
	return nil
}

// freeHandle picks the handle of ours for a peer's: the same number, unless the
// peer cannot take that.
func (s *Session) freeHandle(handle uint32) (uint32, bool) {
	if handle <= s.handleMax && !s.uses(handle) {
		return handle, true
	}
	for n := range uint32(len(s.links) + 1) {
		if n <= s.handleMax && !s.uses(n) {
			return n, true
		}
	}
	return 0, false
}

func (s *Session) uses(handle uint32) bool {
	for _, l := range s.links {
		if l.handle == handle {
			return true
		}
	}
	return false
}

func (s *Session) newLink(p *wire.Attach, handle uint32) (l *link) {
	if p.Role == wire.RoleSender {
		in := &Incoming{count: p.InitialDeliveryCount.Value}
		in.limit = in.count
		in.second = p.ReceiverSettleMode.Value == wire.ReceiverSecond
		l, in.link.in = &in.link, in
	} else {
		first := s.conn.server.first
		out := &Outgoing{first: first, count: first, sent: first, limit: first, typical: firstTypical}
		l, out.link.out = &out.link, out
	}
	l.session, l.peer, l.handle = s, p.Handle, handle
	l.name = linkName{container: s.conn.open.ContainerID, name: p.Name, role: p.Role}
	if l.name.container == "" {
		l.name.conn = s.conn
	}
	if s.links == nil {
		s.links = map[uint32]*link{}
	}
	s.links[p.Handle] = l
	s.conn.links++
	return l
}

// accepted is our attach to a link that the handler has accepted.
func (a *Attach) accepted(source *wire.Source, target *wire.Target) *wire.Attach {
	reply := a.answer()
	reply.Source, reply.Target = source, target
	if source == nil {
		reply.Source = a.frame.Source
	}
	if target == nil {
		reply.Target = a.frame.Target
	}
	return reply
}

// answer is our attach, with the peer's settle modes, because some clients fail
// when they find others, and with null termini.
func (a *Attach) answer() *wire.Attach {
	p := a.frame
	reply := &wire.Attach{
		Name:               p.Name,
		Handle:             a.link.handle,
		Role:               !p.Role,
		SenderSettleMode:   p.SenderSettleMode,
		ReceiverSettleMode: p.ReceiverSettleMode,
	}
	if p.Unsettled != nil {
		reply.Unsettled = wire.Map{} // nothing is resumed
	}
	if a.link.out != nil {
		reply.InitialDeliveryCount = wire.Some(a.link.out.first)
	}
	return reply
}

// Refuse answers with an attach whose terminus is null and a detach with the
// error, in one write.
func (a *Attach) Refuse(err *wire.Error) {
	c := a.Conn()
	c.mu.Lock()
	defer c.unlock()
	a.once()
	l := a.link
	if l.state != linkPending {
		return
	}
	c.queue(l.session.channel, a.answer())
	c.queue(l.session.channel, &wire.Detach{Handle: l.handle, Closed: true, Error: err})
	l.release(asError(err))
	l.state = linkDetaching
	if l.left != nil {
		l.forget()
	}
}

// once is called with mu held.
func (a *Attach) once() {
	if a.answered {
		panic("amqp: an attach has been answered twice")
	}
	a.answered = true
}

// AcceptIncoming answers the attach of a sender and gives it credit. A link of
// the same name and direction that the peer's container had on any connection
// is detached with amqp:link:stolen. When the peer has gone in the meantime,
// the link that is returned is detached already and Detached has been called.
func (a *Attach) AcceptIncoming(o IncomingOptions) *Incoming {
	l := a.link.in
	reply := a.accepted(o.Source, o.Target)
	reply.Properties, reply.MaxMessageSize = o.Properties, o.MaxMessageSize
	a.accept(reply, o.Detached, func() { l.take(o) })
	return l
}

// AcceptOutgoing answers the attach of a receiver, otherwise as AcceptIncoming.
func (a *Attach) AcceptOutgoing(o OutgoingOptions) *Outgoing {
	l := a.link.out
	reply := a.accepted(o.Source, o.Target)
	reply.Properties = o.Properties
	a.accept(reply, o.Detached, func() { l.disposed = o.Dispose })
	return l
}

// accept answers with reply and attaches the link, after prepare.
func (a *Attach) accept(reply *wire.Attach, detached func(error), prepare func()) {
	c := a.Conn()
	c.mu.Lock()
	a.once()
	if l := a.link; l.state != linkPending {
		c.mu.Unlock()
		if detached != nil {
			detached(l.cause)
		}
		return
	}
	defer c.unlock()
	prepare()
	a.attachLink(reply, detached)
}

func (a *Attach) attachLink(reply *wire.Attach, detached func(error)) {
	l, c := a.link, a.Conn()
	l.state, l.detached = linkAttached, detached
	if robbed := c.server.names.take(l.name, l); robbed != nil {
		c.later = append(c.later, func() {
			robbed.forcedDetach(failure(wire.ConditionStolen, "the link has been attached elsewhere"))
		})
	}
	c.queue(l.session.channel, reply)
	switch {
	case l.left != nil:
		l.peerDetaches(l.left)
	case l.in != nil:
		l.in.topUp()
	}
}
