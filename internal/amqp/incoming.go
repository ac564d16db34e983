package amqp

import (
	"slices"

	"bellhop/internal/amqp/wire"
)

const defaultCredit = 1000

// IncomingOptions say how deliveries of a sender are taken.
type IncomingOptions struct {
	// Credit is how many deliveries the peer may have sent that are not settled
	// yet. It is topped up when half of it is used. Default: 1000.
	Credit uint32

	// MaxMessageSize is the size of the largest message, in bytes. It is told to
	// the peer. A larger one is rejected with amqp:link:message-size-exceeded
	// when its last transfer has come; one that the peer has settled detaches
	// the link with that. Default: no limit but Config.ConnBytes.
	MaxMessageSize uint64

	// SettleFirst settles each delivery when its state is told, even if the peer
	// asked to be told before it settles (rcv-settle-mode second): some ask for
	// that and then wait for our settling for ever. Default: as the peer asked.
	SettleFirst bool

	// Properties of our attach; nil: none.
	Properties wire.Map

	// Source and Target of our attach; nil: as the peer sent them.
	Source *wire.Source
	Target *wire.Target

	// Deliver is called for each whole delivery, in order, on the connection's
	// goroutine. It must not block, and must see to exactly one d.Settle, also
	// when the link or the connection has ended, because the bytes of d count
	// until then.
	Deliver func(d *Delivery)

	// Detached is called once when the link has ended, on any goroutine, with
	// nil when the peer detached it, ended its session or closed its connection
	// without an error. A call of Deliver that has begun may end later. May be nil.
	Detached func(err error)
}

// Incoming is a link that a client sends on. Its methods are safe for
// concurrent use.
type Incoming struct {
	link

	// Set when the link is accepted.
	deliver func(*Delivery)
	credit  uint32
	max     uint64
	first   bool // IncomingOptions.SettleFirst
	second  bool // the peer settles last

	count     uint32 // delivery-count
	limit     uint32 // the delivery-count up to which the peer has credit
	unsettled uint32 // deliveries that have begun and are not settled
	partial   *Delivery
	counted   int64 // bytes that partial counts
}

// Conn is the link's connection.
func (l *Incoming) Conn() *Conn { return l.conn() }

// Session is the link's session.
func (l *Incoming) Session() *Session { return l.session }

// Detach ends the link with an error, or without one when err is nil. Deliver
// is not called for what comes later. It does nothing when the link has ended.
func (l *Incoming) Detach(err *wire.Error) { l.forcedDetach(err) }

// Delivery is a message that came.
type Delivery struct {
	Message []byte // belongs to who takes the delivery
	Format  uint32 // message-format
	Tag     []byte
	Settled bool // the sender has settled it and waits for no answer
	Link    *Incoming

	id      uint32
	size    int64 // what it counts
	ignored bool  // nobody gets it
	large   bool  // too large, and its bytes are dropped
	second  bool  // the sender settles last
	done    bool  // guarded by the connection's mu
}

// Settle says what became of the delivery: it is confirmed to the sender unless
// that has settled it, and its bytes and its credit are free again. Contiguous
// deliveries of a session that are settled with equal states are confirmed
// together. Of several calls the first counts. It does not block.
func (d *Delivery) Settle(state wire.DeliveryState) {
	l := d.Link
	c := l.conn()
	c.mu.Lock()
	if d.done {
		c.mu.Unlock()
		return
	}
	d.done = true
	c.unsettled -= d.size
	if c.paused {
		c.resumeReading()
	}
	l.unsettled--
	if l.state == linkAttached {
		if !d.Settled {
			l.session.confirm(wire.RoleReceiver, d.id, state, l.first || !d.second)
		}
		l.topUp()
	}
	c.unlock()
	c.server.budget.add(-d.size)
}

// transfer handles a transfer of the peer's and hands over the delivery that it
// makes whole.
func (c *Conn) transfer(channel uint16, p *wire.Transfer, payload []byte) error {
	d, err := c.receive(channel, p, payload)
	if d != nil {
		d.Link.deliver(d)
	}
	return err
}

func (c *Conn) receive(channel uint16, p *wire.Transfer, payload []byte) (*Delivery, error) {
	c.mu.Lock()
	defer c.unlock()
	if c.state != connOpen {
		return nil, nil
	}
	s, err := c.session(channel)
	if err != nil || s.ending {
		return nil, err
	}
	s.countTransfer()
	l := s.links[p.Handle]
	switch {
	case l == nil:
		s.end(failure(wire.ConditionUnattachedHandle, "transfer.handle: %d is not attached", p.Handle))
	case l.in == nil:
		s.end(failure(wire.ConditionNotAllowed, "transfer.handle: on %d this server is the sender", p.Handle))
	case l.state != linkDetaching:
		return l.in.receive(p, payload), nil
	}
	return nil, nil
}

// receive adds a transfer to the delivery it belongs to, and returns that when
// it is whole.
func (l *Incoming) receive(p *wire.Transfer, payload []byte) *Delivery {
	if l.partial == nil {
		if !l.begin(p) {
			return nil
		}
	} else if err := l.partial.continues(p); err != nil {
		l.session.end(err)
		return nil
	}
	d := l.partial
	d.Settled = d.Settled || p.Settled.Value
	d.second = d.second || p.ReceiverSettleMode.Value == wire.ReceiverSecond
	switch {
	case p.Aborted:
		d.ignored = true
	case d.ignored || d.large:
	case l.max > 0 && uint64(len(d.Message)+len(payload)) > l.max:
		d.large, d.Message = true, nil
	case d.Message == nil:
		d.Message = slices.Clone(payload)
	default:
		d.Message = append(d.Message, payload...)
	}
	if p.More && !p.Aborted {
		l.countPartial()
		return nil
	}
	return l.complete()
}

// begin begins a delivery with its first transfer.
func (l *Incoming) begin(p *wire.Transfer) bool {
	s := l.session
	_, transactional := p.State.(*wire.TransactionalState)
	switch {
	case !p.DeliveryID.Present || p.DeliveryTag == nil:
		s.end(failure(wire.ConditionInvalidField, "transfer: delivery-id and delivery-tag are mandatory in a delivery's first transfer"))
		return false
	case s.hadDelivery && wire.SerialDistance(p.DeliveryID.Value, s.lastDelivery) <= 0:
		s.end(failure(wire.ConditionInvalidField, "transfer.delivery-id: %d does not follow %d", p.DeliveryID.Value, s.lastDelivery))
		return false
	case creditLeft(l.limit, l.count) == 0:
		l.overrun()
		return false
	case transactional:
		l.end(failure(wire.ConditionNotImplemented, "this server has no transactions"))
		return false
	}
	s.hadDelivery, s.lastDelivery = true, p.DeliveryID.Value
	l.count++
	l.unsettled++
	l.partial = &Delivery{
		Format: p.MessageFormat.Value,
		Tag:    p.DeliveryTag,
		Link:   l,
		id:     p.DeliveryID.Value,
		second: l.second,
		// Our attach said that nothing is unsettled, so that there is nothing to
		// resume (part 2, 2.7.5: the receiver must ignore it).
		ignored: p.Resume,
	}
	return true
}

// overrun ends a link whose peer has sent without credit. One that has not been
// accepted yet cannot be detached.
func (l *Incoming) overrun() {
	err := failure(wire.ConditionTransferLimitExceeded, "the link has no credit")
	if l.state == linkPending {
		l.session.end(err)
		return
	}
	l.end(err)
}

// continues checks a further transfer of a delivery.
func (d *Delivery) continues(p *wire.Transfer) *wire.Error {
	switch {
	case p.DeliveryID.Or(d.id) != d.id:
		return failure(wire.ConditionInvalidField, "transfer.delivery-id: delivery %d of this link is not complete", d.id)
	case p.DeliveryTag != nil && string(p.DeliveryTag) != string(d.Tag):
		return failure(wire.ConditionInvalidField, "transfer.delivery-tag: it differs from that of the delivery's first transfer")
	case p.MessageFormat.Or(d.Format) != d.Format:
		return failure(wire.ConditionInvalidField, "transfer.message-format: it differs from that of the delivery's first transfer")
	}
	return nil
}

// countPartial counts the bytes of a delivery of which more is to come.
func (l *Incoming) countPartial() {
	c := l.conn()
	budget := &c.server.budget
	more := weight(len(l.partial.Message)) - l.counted
	l.counted += more
	c.partial += more
	budget.partial.Add(more)
	if c.partial > c.server.cfg.ConnBytes || budget.crowded(c.partial) {
		l.end(failure(wire.ConditionResourceLimitExceeded, "too much of deliveries has come that are not complete"))
	}
}

// complete ends the delivery that has begun.
func (l *Incoming) complete() *Delivery {
	d, c := l.partial, l.conn()
	l.dropPartial()
	if d.ignored || d.large {
		l.unsettled--
		l.decline(d)
		return nil
	}
	d.size = weight(len(d.Message))
	c.unsettled += d.size
	c.server.budget.add(d.size)
	return d
}

// decline has done with a delivery that nobody gets. One that is too large is
// rejected and not, as the specification has it, a reason to detach the link
// (part 2, 2.7.3): senders wait for its outcome, some for a minute, and are told
// nothing when the link goes.
func (l *Incoming) decline(d *Delivery) {
	if d.large && !d.ignored {
		err := failure(wire.ConditionMessageSizeExceeded, "a message has %d bytes at most on this link", l.max)
		if d.Settled {
			l.end(err)
			return
		}
		l.session.confirm(wire.RoleReceiver, d.id, &wire.Rejected{Error: err}, true)
	}
	l.topUp()
}

func (l *Incoming) dropPartial() {
	l.conn().partial -= l.counted
	l.conn().server.budget.partial.Add(-l.counted)
	l.partial, l.counted = nil, 0
}

// take is called with mu held when the link is accepted.
func (l *Incoming) take(o IncomingOptions) {
	l.deliver, l.credit, l.max, l.first = o.Deliver, o.Credit, o.MaxMessageSize, o.SettleFirst
	if l.credit == 0 {
		l.credit = defaultCredit
	}
}

// topUp gives the peer credit again when half of it or more is missing.
func (l *Incoming) topUp() {
	granted := l.unsettled + creditLeft(l.limit, l.count)
	if l.credit > granted && l.credit-granted >= (l.credit+1)/2 {
		l.limit = l.count + l.credit - l.unsettled
		l.sendFlow()
	}
}

func (l *Incoming) sendFlow() {
	l.conn().queue(l.session.channel, l.flowFrame(l.count, creditLeft(l.limit, l.count)))
}

// senderFlow takes over the delivery-count of a sender that has let credit go
// by.
func (l *Incoming) senderFlow(p *wire.Flow) {
	if !p.DeliveryCount.Present || wire.SerialDistance(p.DeliveryCount.Value, l.count) <= 0 {
		return
	}
	if wire.SerialDistance(p.DeliveryCount.Value, l.limit) > 0 {
		l.overrun()
		return
	}
	l.count = p.DeliveryCount.Value
	l.topUp()
}
