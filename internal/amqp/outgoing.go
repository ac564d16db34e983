package amqp

import (
	"context"

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
type Outgoing struct{}

// Conn is the link's connection.
func (l *Outgoing) Conn() *Conn { panic("unfinished") }

// Session is the link's session.
func (l *Outgoing) Session() *Session { panic("unfinished") }

// Wait returns when the peer has given credit, the connection's writer has
// room, the session's window is open, and the link has fewer deliveries
// unsettled than Config.MaxUnsettled. It returns ErrDetached when the link has
// ended, or the error of ctx. One goroutine at a time may wait.
func (l *Outgoing) Wait(ctx context.Context) (Demand, error) { panic("unfinished") }

// Send queues a message, which must not be changed afterwards. It does not
// block. ErrWithdrawn means that the demand has been withdrawn, ErrDetached
// that the link has ended; in either case the message is not sent.
func (l *Outgoing) Send(m OutMessage) error { panic("unfinished") }

// Drained tells the peer, after a Demand with Drain, that there is no more: its
// credit is used up. It does nothing when the peer does not drain any more.
func (l *Outgoing) Drained() { panic("unfinished") }

// Settle settles a delivery towards the peer and forgets it. Contiguous ones
// with equal states leave as one range. It does nothing for a delivery that is
// forgotten already. It does not block.
func (l *Outgoing) Settle(id uint32, state wire.DeliveryState) { panic("unfinished") }

// Detach ends the link with an error, or without one when err is nil. It does
// nothing when the link has ended.
func (l *Outgoing) Detach(err *wire.Error) { panic("unfinished") }
