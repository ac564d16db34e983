package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// acceptor wraps every connection before go-smtp's server sees it.
type acceptor struct {
	net.Listener
	server *Server
}

func (a acceptor) Accept() (net.Conn, error) {
	socket, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	plain := socket
	if a.server.options.Implicit {
		plain = tls.Server(socket, a.server.options.TLS)
	}
	c := &conn{Conn: plain, socket: socket, in: bufio.NewReader(plain), server: a.server, gone: make(chan struct{})}
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.server.dialed++
	c.number = a.server.dialed
	a.server.conns[c] = struct{}{}
	if a.server.closed {
		_ = socket.Close()
	}
	return c, nil
}

// mode is what the bytes from the client are at the moment.
type mode uint8

const (
	commands mode = iota
	content       // between 354 and the final dot
	opaque        // TLS above us
)

// conn is a connection on which faults are played. All fields belong to the
// server's goroutine for the connection, but for those of closing.
type conn struct {
	net.Conn // what is spoken on: the socket, or TLS over it
	socket   net.Conn
	in       *bufio.Reader
	server   *Server
	number   int

	mode     mode
	pending  []byte // read but not yet given to go-smtp
	greeted  bool
	started  bool // content has begun
	from, to string
	override *Fault // stands in for the next Write

	closing sync.Once
	gone    chan struct{} // closed by Close
}

// Read gives go-smtp what the client sent, less the commands that a fault
// answers.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		if c.mode == opaque {
			return c.in.Read(p)
		}
		line, err := c.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return 0, err
		}
		pass, err := c.take(line)
		if err != nil {
			return 0, err
		}
		if pass {
			c.pending = line
		}
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// take looks at a line and tells whether go-smtp shall see it.
func (c *conn) take(line []byte) (bool, error) {
	if c.mode == content {
		first := !c.started
		c.started = true
		if bytes.Equal(line, []byte(".\r\n")) {
			c.mode = commands
		}
		if !first {
			return true, nil
		}
		return c.pass(Body)
	}
	step := c.step(strings.TrimSpace(string(line)))
	if step == "" {
		return true, nil
	}
	pass, err := c.pass(step)
	if pass && step == StartTLS && c.server.options.TLS != nil {
		c.mode = opaque
	}
	return pass, err
}

// step names the step a command begins, and keeps the envelope.
func (c *conn) step(command string) Step {
	verb, rest, _ := strings.Cut(command, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		return Hello
	case "STARTTLS":
		return StartTLS
	case "AUTH":
		return Auth
	case "MAIL":
		c.from, c.to = path(rest), ""
		return MailFrom
	case "RCPT":
		c.to = path(rest)
		return RcptTo
	case "DATA":
		return Data
	case "RSET":
		return Reset
	case "NOOP":
		return Noop
	case "QUIT":
		return Quit
	}
	return ""
}

func path(argument string) string {
	_, after, _ := strings.Cut(argument, "<")
	path, _, _ := strings.Cut(after, ">")
	return path
}

// fault asks the script about a step of this connection.
func (c *conn) fault(step Step) *Fault {
	return c.server.decide(Event{Step: step, Conn: c.number, From: c.from, To: c.to})
}

// pass plays the fault at a step, if there is one, and tells whether the
// normal answer shall follow.
func (c *conn) pass(step Step) (bool, error) {
	fault := c.fault(step)
	if fault == nil {
		return true, nil
	}
	return c.play(fault)
}

// play does what a fault says. An error ends the connection.
func (c *conn) play(f *Fault) (normal bool, err error) {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.gone:
		}
	}
	if f.Reply != "" {
		if _, err := io.WriteString(c.Conn, f.Reply+"\r\n"); err != nil {
			return false, err
		}
	}
	switch f.Then {
	case Stay:
		return !f.answers(), nil
	case RST:
		if tcp, ok := c.socket.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	case EOF:
		// Closing with bytes unread would send a reset.
		if tcp, ok := c.socket.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, c.in)
	case Stall:
		_, _ = io.Copy(io.Discard, c.in)
	}
	_ = c.Close()
	return false, io.EOF
}

// answerWith makes a fault stand in for the next thing go-smtp writes.
func (c *conn) answerWith(f *Fault) { c.override = f }

// Write sends what go-smtp answers, or plays the fault that stands in for it.
func (c *conn) Write(p []byte) (int, error) {
	fault := c.override
	c.override = nil
	if !c.greeted {
		c.greeted = true
		fault = c.fault(Connect)
	}
	if fault != nil {
		if normal, err := c.play(fault); !normal {
			return len(p), err
		}
	}
	if c.mode == commands && bytes.HasPrefix(p, []byte("354")) {
		c.mode, c.started = content, false
	}
	return c.Conn.Write(p)
}

// Close ends the connection. It may be called by anyone, more than once.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		close(c.gone)
		err = c.socket.Close()
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		delete(c.server.conns, c)
		c.server.changed()
	})
	return err
}

// unwrap finds our connection below go-smtp's.
func unwrap(c net.Conn) *conn {
	if upper, ok := c.(*tls.Conn); ok {
		c = upper.NetConn()
	}
	return c.(*conn)
}

func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, gosmtp.ErrServerClosed)
}
