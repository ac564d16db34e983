package busnet

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"
)

// protocol is what a connection speaks.
type protocol uint8

const (
	undecided protocol = iota
	speaksTLS
	speaksAMQP
	speaksHTTP
	speaksOther
)

// recordHandshake is the first byte of TLS: a record with a handshake message
// (RFC 8446, 5.1).
const recordHandshake = 0x16

// amqpHeader begins every AMQP protocol header (part 2, 2.2).
const amqpHeader = "AMQP"

// judge tells a protocol by a connection's first bytes, of which there is at
// least one. HTTP begins with a method, which is a word in capitals.
func judge(head []byte) protocol {
	switch {
	case head[0] == recordHandshake:
		return speaksTLS
	case string(head) == amqpHeader:
		return speaksAMQP
	case bytes.HasPrefix([]byte(amqpHeader), head):
		return undecided
	case 'A' <= head[0] && head[0] <= 'Z':
		return speaksHTTP
	}
	return speaksOther
}

// tell reads as many bytes as it takes to tell the protocol, and returns them.
func tell(r io.Reader) (protocol, []byte, error) {
	head := make([]byte, 0, len(amqpHeader))
	for {
		n, err := r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if n > 0 {
			if p := judge(head); p != undecided {
				return p, head, nil
			}
		}
		if err != nil {
			return undecided, head, err
		}
	}
}

// handle tells what a connection speaks and has it served. HTTP's connections
// are handed over and outlive it.
func (l *Listener) handle(ctx context.Context, tcp *net.TCPConn, r Routes) {
	_ = tcp.SetDeadline(time.Now().Add(l.timeout)) // an error means it is closed
	p, head, err := tell(tcp)
	switch {
	case err != nil:
		l.turnAway(tcp, err)
	case p == speaksTLS && l.tls == nil:
		l.notices.Log(l.log, slog.LevelWarn, "a client began TLS, and this listener has no certificate", "client", clientHost(tcp))
		tcp.Close()
	case p == speaksTLS:
		l.secure(ctx, tcp, head, r)
	default:
		l.route(ctx, tcp, &plainConn{TCPConn: tcp, unread: unread{head: head}}, p, r)
	}
}

// secure does the TLS handshake and tells what is spoken inside.
func (l *Listener) secure(ctx context.Context, tcp *net.TCPConn, head []byte, r Routes) {
	conn := tls.Server(&plainConn{TCPConn: tcp, unread: unread{head: head}}, l.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			l.notices.Log(l.log, slog.LevelWarn, "a TLS handshake failed", "client", clientHost(tcp), "error", err)
		}
		tcp.Close()
		return
	}
	p, head, err := tell(conn)
	if err != nil {
		l.turnAway(tcp, err)
		return
	}
	l.route(ctx, tcp, &secureConn{Conn: conn, unread: unread{head: head}}, p, r)
}

// route hands a connection to who serves it. TLS inside of TLS is nobody's.
func (l *Listener) route(ctx context.Context, tcp *net.TCPConn, conn net.Conn, p protocol, r Routes) {
	_ = tcp.SetDeadline(time.Time{}) // an error means it is closed
	_, secure := conn.(*secureConn)
	switch {
	case p == speaksAMQP && r.AMQP != nil && l.told(tcp):
		defer conn.Close()
		r.AMQP(ctx, conn, secure)
	case p == speaksHTTP && r.HTTP != nil && l.told(tcp):
		l.web.take(conn)
	default:
		l.log.Debug("a client speaks neither AMQP nor HTTP, or came too late", "client", clientHost(tcp))
		tcp.Close()
	}
}

// turnAway closes a connection that did not say what it speaks. One that was
// closed without a word is a probe and not worth any.
func (l *Listener) turnAway(tcp *net.TCPConn, err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		l.log.Debug("a client did not say what it speaks", "client", clientHost(tcp), "error", err)
	}
	tcp.Close()
}

// clientHost is who connected, without the port, which says nothing.
func clientHost(conn net.Conn) string {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return ""
}
