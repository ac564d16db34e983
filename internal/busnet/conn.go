package busnet

import (
	"crypto/tls"
	"io"
	"net"
)

// unread is what was read of a connection to tell its protocol, and not yet by
// who serves it.
type unread struct{ head []byte }

// take moves bytes to p and returns how many.
func (u *unread) take(p []byte) int {
	n := copy(p, u.head)
	u.head = u.head[n:]
	return n
}

// plainConn is a TCP connection from its first byte on. It holds the concrete
// type so that net.Buffers still writes to it in one call.
type plainConn struct {
	*net.TCPConn
	unread
}

// Read implements [net.Conn].
func (c *plainConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		return c.take(p), nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo implements [io.WriterTo]. Without it io.Copy would miss the head.
func (c *plainConn) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c.head)
	c.head = c.head[n:]
	if err != nil {
		return int64(n), err
	}
	rest, err := c.TCPConn.WriteTo(w)
	return int64(n) + rest, err
}

// secureConn is what is inside of TLS, from its first byte on.
type secureConn struct {
	*tls.Conn
	unread
}

// Read implements [net.Conn].
func (c *secureConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		return c.take(p), nil
	}
	return c.Conn.Read(p)
}
