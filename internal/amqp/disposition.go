package amqp

import (
	"maps"
	"slices"

	"bellhop/internal/amqp/wire"
)

// unsettled is a delivery that we sent and that is not settled.
type unsettled struct {
	link *Outgoing
	tag  []byte
}

// confirmation is a range of deliveries that share a disposition which has not
// been queued yet.
type confirmation struct {
	waits       bool
	first, last uint32
	state       wire.DeliveryState
	settled     bool
}

// confirm tells the peer the state of a delivery, with mu held: together with
// others when they are contiguous and their states are equal.
func (s *Session) confirm(role wire.Role, id uint32, state wire.DeliveryState, settled bool) {
	if s.over {
		return
	}
	at := s.confirmation(role)
	if at.waits && at.settled == settled && sameState(at.state, state) {
		switch id {
		case at.last + 1:
			at.last = id
			return
		case at.first - 1:
			at.first = id
			return
		}
	}
	s.flushConfirmation(role)
	*at = confirmation{waits: true, first: id, last: id, state: state, settled: settled}
	if !s.confirming {
		s.confirming = true
		s.conn.confirmed = append(s.conn.confirmed, s)
		s.conn.signalWriter()
	}
}

func (s *Session) confirmation(role wire.Role) *confirmation {
	if role == wire.RoleReceiver {
		return &s.confirmations[1]
	}
	return &s.confirmations[0]
}

// sameState tells whether two states may share a disposition. Those that say
// more than that they are what they are share one with nothing but themselves.
func sameState(a, b wire.DeliveryState) bool {
	switch a.(type) {
	case *wire.Accepted:
		_, same := b.(*wire.Accepted)
		return same
	case *wire.Released:
		_, same := b.(*wire.Released)
		return same
	}
	return a == b
}

// flushConfirmations queues the dispositions that wait.
func (s *Session) flushConfirmations() {
	s.flushConfirmation(wire.RoleSender)
	s.flushConfirmation(wire.RoleReceiver)
	s.confirming = false
}

func (s *Session) flushConfirmation(role wire.Role) {
	at := s.confirmation(role)
	if !at.waits || s.over {
		return
	}
	at.waits = false
	s.sendDisposition(role, at.first, at.last, at.state, at.settled)
	at.state = nil
}

func (s *Session) sendDisposition(role wire.Role, first, last uint32, state wire.DeliveryState, settled bool) {
	p := &s.conn.disposition
	*p = wire.Disposition{Role: role, First: first, Settled: settled, State: state}
	if last != first {
		p.Last = wire.Some(last)
	}
	s.conn.queue(s.channel, p)
}

// disposal is what one link's handler hears of a disposition.
type disposal struct {
	link *Outgoing
	sent []Sent
}

// dispose handles a disposition of the peer's.
func (c *Conn) dispose(channel uint16, p *wire.Disposition) error {
	disposals, err := c.settle(channel, p)
	for _, d := range disposals {
		d.link.disposed(d.link, d.sent, p.State, p.Settled)
	}
	return err
}

func (c *Conn) settle(channel uint16, p *wire.Disposition) ([]disposal, error) {
	c.mu.Lock()
	defer c.unlock()
	if c.state != connOpen {
		return nil, nil
	}
	s, err := c.session(channel)
	switch {
	case err != nil || s.ending:
		return nil, err
	case wire.SerialBefore(p.Last.Or(p.First), p.First):
		s.end(failure(wire.ConditionInvalidField, "disposition.last: %d comes before first, which is %d", p.Last.Value, p.First))
		return nil, nil
	case p.Role == wire.RoleSender:
		// What a sender settles is settled here already, or will be.
		return nil, nil
	}
	switch p.State.(type) {
	case *wire.TransactionalState, *wire.Declared:
		s.end(failure(wire.ConditionNotImplemented, "this server has no transactions"))
		return nil, nil
	case *wire.Received, nil:
		if !p.Settled {
			return nil, nil // no outcome yet
		}
	}
	return s.collect(p), nil
}

// collect finds the deliveries that a receiver's disposition is about, and
// forgets them if it settles them.
func (s *Session) collect(p *wire.Disposition) (disposals []disposal) {
	next := p.First // the first that has not been dealt with
	for _, id := range s.known(p.First, p.Last.Or(p.First)) {
		s.confirmUnknown(p, next, id)
		next = id + 1
		u := s.unsettled[id]
		if n := len(disposals); n == 0 || disposals[n-1].link != u.link {
			disposals = append(disposals, disposal{link: u.link})
		}
		d := &disposals[len(disposals)-1]
		d.sent = append(d.sent, Sent{ID: id, Tag: u.tag})
		if p.Settled {
			s.forget(id, u)
		}
	}
	s.confirmUnknown(p, next, p.Last.Or(p.First)+1)
	return disposals
}

// known lists the unsettled deliveries from first to last. A range can be huge,
// what is unsettled is not.
func (s *Session) known(first, last uint32) (ids []uint32) {
	span := last - first
	if uint64(span) < uint64(len(s.unsettled)) {
		for id := first; id != last+1; id++ {
			if _, ok := s.unsettled[id]; ok {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for id := range maps.Keys(s.unsettled) {
		if id-first <= span {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uint32) int { return int(wire.SerialDistance(a, b)) })
	return ids
}

// confirmUnknown settles deliveries from first up to end, exclusive, that the
// peer waits for, but that are not there.
func (s *Session) confirmUnknown(p *wire.Disposition, first, end uint32) {
	if unknown := s.conn.server.cfg.Unknown; unknown != nil && !p.Settled && first != end {
		s.sendDisposition(wire.RoleSender, first, end-1, unknown, true)
	}
}

// forget forgets a delivery that is settled.
func (s *Session) forget(id uint32, u unsettled) {
	delete(s.unsettled, id)
	if len(s.unsettled) == 0 && s.peak > unsettledPeak {
		s.unsettled, s.peak = nil, 0
	}
	u.link.flying--
	u.link.poke()
}
