package amqp

import (
	"context"
	"net"

	"bellhop/internal/amqp/wire"
)

// Conn is a peer's connection. Its methods are safe for concurrent use.
type Conn struct{}

// SetValue keeps something of the handler's with the connection.
func (c *Conn) SetValue(v any) { panic("unfinished") }

// Value is what SetValue kept last, nil when nothing.
func (c *Conn) Value() any { panic("unfinished") }

// Context ends with the connection: when either side has closed it.
func (c *Conn) Context() context.Context { panic("unfinished") }

// Open is the peer's open, nil as long as it has not come. It must not be
// changed.
func (c *Conn) Open() *wire.Open { panic("unfinished") }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { panic("unfinished") }

// Transport is what the connection runs over.
func (c *Conn) Transport() Transport { panic("unfinished") }

// Close closes the connection with an error, or without one when err is nil. It
// does not wait. The first call counts.
func (c *Conn) Close(err *wire.Error) { panic("unfinished") }

// Session is the identity of a peer's session.
type Session struct{}
