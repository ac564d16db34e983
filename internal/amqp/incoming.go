package amqp

import "bellhop/internal/amqp/wire"

// IncomingOptions say how deliveries of a sender are taken.
type IncomingOptions struct {
	// Credit is how many deliveries the peer may have sent that are not settled
	// yet. It is topped up when half of it is used. Default: 1000.
	Credit uint32

	// MaxMessageSize is the size of the largest message, in bytes. It is told to
	// the peer; a larger one detaches the link with
	// amqp:link:message-size-exceeded as soon as that is clear. Default: no
	// limit but Config.ConnBytes.
	MaxMessageSize uint64

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

// Delivery is a message that came.
type Delivery struct {
	Message []byte // belongs to who takes the delivery
	Format  uint32 // message-format
	Tag     []byte
	Settled bool // the sender has settled it and waits for no answer
	Link    *Incoming
}

// Settle says what became of the delivery: it is confirmed to the sender unless
// that has settled it, and its bytes and its credit are free again. Contiguous
// deliveries of a session that are settled with equal states are confirmed
// together. Of several calls the first counts. It does not block.
func (d *Delivery) Settle(state wire.DeliveryState) { panic("unfinished") }

// Incoming is a link that a client sends on. Its methods are safe for
// concurrent use.
type Incoming struct{}

// Conn is the link's connection.
func (l *Incoming) Conn() *Conn { panic("unfinished") }

// Session is the link's session.
func (l *Incoming) Session() *Session { panic("unfinished") }

// Detach ends the link with an error, or without one when err is nil. Deliver
// is not called for what comes later. It does nothing when the link has ended.
func (l *Incoming) Detach(err *wire.Error) { panic("unfinished") }
