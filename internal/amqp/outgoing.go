package amqp

import (
	"context"
	"fmt"

	"bellhop/internal/amqp/wire"
)

// OutgoingOptions say how deliveries are sent to a receiver.
type OutgoingOptions struct {
	// Properties of our attach; nil: none.
	Properties wire.Map

	// Source and Target of our attach; nil: as the peer sent them.
	Source *wire.Source
	Target *wire.Target

	// Dispose is called when the peer tells the state of deliveries, which are in
	// the order of their ids, on the connection's goroutine; it must not block.
	// If settled, they are forgotten; state is nil then when the peer did not
	// tell it. If not, state is an outcome, and the peer waits for l.Settle for
	// each of them; it may tell it again. sent is the callee's.
	Dispose func(l *Outgoing, sent []Sent, state wire.DeliveryState, settled bool)

	// Detached is called once when the link has ended, on any goroutine, with
	// nil when the peer detached it, ended its session or closed its connection
	// without an error. What was not settled is forgotten. May be nil.
	Detached func(err error)
}

// Sent is a delivery that was sent and that the peer has not settled.
type Sent struct {
	ID  uint32 // delivery-id
	Tag []byte
}

// OutMessage is a message to be sent.
type OutMessage struct {
	Tag     []byte // not empty, 32 bytes at most, unique among the link's unsettled
	Format  uint32 // message-format
	Message []byte
	Settled bool // the peer need not answer, and Dispose is not called for it
}

// Demand is what the peer wants to have.
type Demand struct {
	// Credit is how many deliveries may be sent before the next Wait. It can be
	// less than what the peer gave, when the writer's room would not suffice.
	Credit uint32

	// Drain tells that the peer waits only for what is there already: after
	// sending that, up to Credit, call Drained.
	Drain bool

	// Withdrawn is closed when the demand has become smaller or different: by
	// less credit, by drain, or by the end of the link.
	Withdrawn <-chan struct{}
}

// Outgoing is a link that a client receives on. Its methods are safe for
// concurrent use.
type Outgoing struct {
	link
	disposed func(*Outgoing, []Sent, wire.DeliveryState, bool)

	first     uint32 // initial-delivery-count
	count     uint32 // delivery-count when all that waits has been sent
	sent      uint32 // delivery-count
	limit     uint32 // the delivery-count up to which the peer has given credit
	drain     bool
	drained   *uint32 // of the drain's end that waits, when none of the link's messages waits behind it
	flying    int     // deliveries that are queued or sent, and not settled
	typical   int     // size of a message, in bytes
	withdrawn chan struct{}
	wake      chan struct{} // holds one: look again
	waiting   bool
	crowding  bool // is in conn.crowd
}

// firstTypical is the size that a link's messages are thought to have as long
// as there was none, in bytes.
const firstTypical = 16 << 10

// Conn is the link's connection.
func (l *Outgoing) Conn() *Conn { return l.conn() }

// Session is the link's session.
func (l *Outgoing) Session() *Session { return l.session }

// Wait returns when the peer has given credit, the connection's writer has
// room, the session's window is open, and the link has fewer deliveries
// unsettled than Config.MaxUnsettled. It returns ErrDetached when the link has
// ended, or the error of ctx. One goroutine at a time may wait.
func (l *Outgoing) Wait(ctx context.Context) (Demand, error) {
	for {
		demand, ready, err := l.demand()
		if ready || err != nil {
			return demand, err
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return Demand{}, ctx.Err()
		}
	}
}

// demand is what may be sent now. When that is nothing, wake tells when to look
// again.
func (l *Outgoing) demand() (d Demand, ready bool, err error) {
	c := l.conn()
	c.mu.Lock()
	defer c.unlock()
	if l.state != linkAttached {
		return Demand{}, false, ErrDetached
	}
	room := c.server.cfg.MaxUnsettled - l.flying
	credit := creditLeft(l.limit, l.count)
	if l.drain && credit > 0 && room <= 0 {
		l.finishDrain()
		credit = 0
	}
	if credit > 0 && room > 0 && l.session.outgoing > 0 && c.takesMore() {
		l.waiting = false
		fitting := max(1, (writerRoom-c.queued)/max(1, l.typical))
		d.Credit = min(credit, l.session.outgoing, uint32(min(room, fitting)))
		d.Drain = l.drain
		d.Withdrawn = l.demanded()
		return d, true, nil
	}
	l.await()
	return Demand{}, false, nil
}

// await prepares to wait, with mu held.
func (l *Outgoing) await() {
	c := l.conn()
	if l.wake == nil {
		l.wake = make(chan struct{}, 1)
	}
	l.waiting = true
	if !c.takesMore() && !l.crowding {
		l.crowding = true
		c.crowd = append(c.crowd, l)
	}
}

func (l *Outgoing) demanded() <-chan struct{} {
	if l.withdrawn == nil {
		l.withdrawn = make(chan struct{})
	}
	return l.withdrawn
}

// poke has Wait look again, with mu held.
func (l *Outgoing) poke() {
	if !l.waiting {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// withdraw tells that the last Demand holds no more, with mu held.
func (l *Outgoing) withdraw() {
	if l.withdrawn != nil {
		close(l.withdrawn)
		l.withdrawn = nil
	}
}

// Send queues a message, which must not be changed afterwards. It does not
// block. What was settled before on links of the session is told before.
// ErrWithdrawn means that the demand has been withdrawn, ErrDetached
// that the link has ended; in either case the message is not sent.
func (l *Outgoing) Send(m OutMessage) error {
	if n := len(m.Tag); n == 0 || n > wire.MaxDeliveryTag {
		return fmt.Errorf("send message: expected a tag of 1 to %d bytes, got %d", wire.MaxDeliveryTag, n)
	}
	c := l.conn()
	c.mu.Lock()
	defer c.unlock()
	switch {
	case l.state != linkAttached:
		return ErrDetached
	case creditLeft(l.limit, l.count) == 0, l.flying >= c.server.cfg.MaxUnsettled, c.queued+c.held > sendRoom:
		return ErrWithdrawn
	}
	l.count++
	if !m.Settled {
		l.flying++
	}
	l.typical = max(len(m.Message), l.typical-l.typical/8)
	c.held += len(m.Message)
	l.session.flushConfirmation(wire.RoleReceiver) // uAMQP crashes when an answer overtakes its request's outcome
	l.drained = nil
	l.session.pending.push(sending{link: l, message: m, rest: m.Message})
	l.session.pump()
	if l.drain && l.count == l.limit {
		l.finishDrain()
	}
	return nil
}

// pump queues what waits, as far as the session's window allows, with mu held.
func (s *Session) pump() {
	for !s.over && !s.pending.empty() {
		item := s.pending.front()
		switch {
		case item.drained != nil:
			l := item.link
			l.sent += *item.drained
			if l.drained == item.drained {
				l.drained = nil
			}
			s.pending.pop()
			l.sendFlow()
		case s.outgoing == 0:
			return
		default:
			s.sendFrame(item)
		}
	}
}

// sendFrame queues one transfer frame.
func (s *Session) sendFrame(item *sending) {
	c, l, m := s.conn, item.link, &item.message
	t := wire.Transfer{Handle: l.handle}
	if m.Settled {
		t.Settled = wire.Some(true)
	}
	if !item.begun {
		t.DeliveryID, t.DeliveryTag, t.MessageFormat = wire.Some(s.nextDelivery), m.Tag, wire.Some(m.Format)
		t.Settled = wire.Some(m.Settled)
	}
	b, rest, err := wire.AppendTransfer(c.buffer(), s.channel, &t, item.rest, c.maxFrame)
	if err != nil {
		c.fail(err)
		return
	}
	c.enqueue(b)
	sent := len(item.rest) - len(rest)
	s.pending.bytes -= sent
	c.unhold(sent)
	s.nextOutgoing++
	s.outgoing--
	if !item.begun {
		s.beginDelivery(item)
	}
	if item.rest = rest; len(rest) == 0 {
		s.pending.pop()
	}
}

// beginDelivery counts a delivery whose first transfer has been queued.
func (s *Session) beginDelivery(item *sending) {
	item.begun = true
	item.link.sent++
	if !item.message.Settled {
		if s.unsettled == nil {
			s.unsettled = map[uint32]unsettled{}
		}
		s.unsettled[s.nextDelivery] = unsettled{link: item.link, tag: item.message.Tag}
		s.peak = max(s.peak, len(s.unsettled))
	}
	s.nextDelivery++
}

// Drained tells the peer, after a Demand with Drain, that there is no more: its
// credit is used up. It does nothing when the peer does not drain any more.
func (l *Outgoing) Drained() {
	c := l.conn()
	c.mu.Lock()
	defer c.unlock()
	if l.state == linkAttached && l.drain && creditLeft(l.limit, l.count) > 0 {
		l.finishDrain()
	}
}

// finishDrain uses up the credit and tells the peer, behind what waits still.
// Drains that end before the peer can be told are told as one: it may drain
// behind a closed window as often as it likes.
func (l *Outgoing) finishDrain() {
	unused := creditLeft(l.limit, l.count)
	l.count += unused
	if l.drained != nil {
		*l.drained += unused
		return
	}
	l.drained = &unused
	l.session.pending.push(sending{link: l, drained: &unused})
	l.session.pump()
}

// receiverFlow takes over the credit that the peer gives (part 2, 2.6.7).
func (l *Outgoing) receiverFlow(p *wire.Flow) {
	hadDrain, had := l.drain, creditLeft(l.limit, l.count)
	l.drain = p.Drain
	if p.LinkCredit.Present {
		l.limit = p.DeliveryCount.Or(l.first) + min(p.LinkCredit.Value, 1<<31-1)
	}
	credit := creditLeft(l.limit, l.count)
	if credit < had || l.drain != hadDrain {
		l.withdraw()
	}
	switch {
	case l.state != linkAttached:
	case credit > 0:
		l.poke()
	case l.drain:
		l.finishDrain()
	}
}

// sendFlow says drain only of a drain that has ended: some clients take it for
// that.
func (l *Outgoing) sendFlow() {
	credit := creditLeft(l.limit, l.sent)
	f := l.flowFrame(l.sent, credit)
	f.Drain = l.drain && credit == 0
	l.conn().queue(l.session.channel, f)
}

// Settle settles a delivery towards the peer and forgets it. Contiguous ones
// with equal states leave as one range. It does nothing for a delivery that is
// forgotten already. It does not block.
func (l *Outgoing) Settle(id uint32, state wire.DeliveryState) {
	c, s := l.conn(), l.session
	c.mu.Lock()
	defer c.unlock()
	if u, ok := s.unsettled[id]; ok && u.link == l {
		s.forget(id, u)
		s.confirm(wire.RoleSender, id, state, true)
	}
}

// Detach ends the link with an error, or without one when err is nil. It does
// nothing when the link has ended.
func (l *Outgoing) Detach(err *wire.Error) { l.forcedDetach(err) }

// release frees what the link has sent or wanted to, with mu held.
func (l *Outgoing) release() {
	s := l.session
	l.withdraw()
	l.poke()
	if s.over {
		return
	}
	before := s.pending.bytes
	s.pending.drop(l)
	l.conn().unhold(before - s.pending.bytes)
	if l.flying == 0 {
		return
	}
	for id, u := range s.unsettled {
		if u.link == l {
			delete(s.unsettled, id)
		}
	}
}
