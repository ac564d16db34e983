package amqp

import "bellhop/internal/amqp/wire"

// Attach is a peer's wish to attach a link. The package itself refuses what no
// handler could accept: a null, dynamic or transactional terminus, and more
// than Config.MaxLinks.
type Attach struct{}

// Conn is the connection it came on.
func (a *Attach) Conn() *Conn { panic("unfinished") }

// Session is the session it came on. Links with the same Session can answer
// one another.
func (a *Attach) Session() *Session { panic("unfinished") }

// Frame is the peer's attach. It must not be changed. If FromClient its Target
// is not nil, otherwise its Source is not nil.
func (a *Attach) Frame() *wire.Attach { panic("unfinished") }

// FromClient tells whether the peer is the sender.
func (a *Attach) FromClient() bool { panic("unfinished") }

// Refuse answers with an attach whose terminus is null and a detach with the
// error, in one write.
func (a *Attach) Refuse(err *wire.Error) { panic("unfinished") }

// AcceptIncoming answers the attach of a sender and gives it credit. A link of
// the same name and direction that the peer's container had on any connection
// is detached with amqp:link:stolen. When the peer has gone in the meantime,
// the link that is returned is detached already and Detached has been called.
func (a *Attach) AcceptIncoming(o IncomingOptions) *Incoming { panic("unfinished") }

// AcceptOutgoing answers the attach of a receiver, otherwise as AcceptIncoming.
func (a *Attach) AcceptOutgoing(o OutgoingOptions) *Outgoing { panic("unfinished") }
