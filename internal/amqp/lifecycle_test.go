package amqp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

var errTheirs = &wire.Error{Condition: "their:reason"}

// TestEndOfConnection proves what Serve returns, what links hear, and that the
// handler hears of the connection's end after that and once.
func TestEndOfConnection(t *testing.T) {
	ours := &wire.Error{Condition: "our:reason"}
	for _, c := range []struct {
		name  string
		ends  func(*amqp.Conn, *amqptest.Peer)
		clean bool
		cause error // of which the error is one; nil: not looked at
	}{
		{"the peer closes", func(_ *amqp.Conn, p *amqptest.Peer) { p.Send(0, &wire.Close{}) }, true, nil},
		{"the peer closes with an error", func(_ *amqp.Conn, p *amqptest.Peer) { p.Send(0, &wire.Close{Error: errTheirs}) }, false, nil},
		{"the peer hangs up", func(_ *amqp.Conn, p *amqptest.Peer) { p.Hang() }, false, io.EOF},
		{"we close", func(c *amqp.Conn, _ *amqptest.Peer) { c.Close(nil) }, true, nil},
		{"we close with an error", func(c *amqp.Conn, _ *amqptest.Peer) { c.Close(ours); c.Close(nil) }, false, ours},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newManual()
			p, ended := connect(t, amqp.NewServer(amqp.Config{}, m), m)
			p.Open("peer")
			p.Begin(0)
			p.Send(0, attachReceiver(0, "in"))
			l := acceptOutgoing(<-m.attaches)
			amqptest.Expect[*wire.Attach](p)
			conn := l.Conn()
			c.ends(conn, p)
			if c.name != "the peer hangs up" {
				amqptest.Expect[*wire.Close](p)
				_ = p.TryWrite(amqptest.Frames(t, 0, &wire.Close{})) // in vain if the peer was first
				p.ExpectEOF()
			}
			err, heard := <-ended, <-l.detached
			if (err == nil) != c.clean || (heard == nil) != c.clean || c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("Serve returned %v, the link heard %v", err, heard)
			}
			if got := <-m.closed; got != conn || len(m.closed) > 0 || len(l.detached) > 0 {
				t.Error("the handler heard something else or twice")
			}
			if conn.Context().Err() == nil {
				t.Error("the connection's context has not ended")
			}
			if _, err := l.Wait(patient(t)); !errors.Is(err, amqp.ErrDetached) {
				t.Errorf("waited on an ended connection: %v", err)
			}
		})
	}
}

// TestConnTellsWhatItIs proves what a handler learns of a connection.
func TestConnTellsWhatItIs(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{})
	c := l.Conn()
	if c.Value() != nil {
		t.Errorf("the value is %v before there is one", c.Value())
	}
	c.SetValue("mine")
	if c.Value() != "mine" || c.Open().ContainerID != "peer" || !c.Transport().Loopback || c.RemoteAddr().String() != p.LocalAddr().String() {
		t.Errorf("got %v, %v, %v, %v", c.Value(), c.Open(), c.Transport(), c.RemoteAddr())
	}
}

// TestClosingConnection proves that a peer which does not answer our close is
// cut off after a second, whatever else it sends, of which nobody hears.
func TestClosingConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManual()
		p, ended := connect(t, amqp.NewServer(amqp.Config{}, m), m)
		p.Open("peer")
		p.Begin(0)
		p.Send(0, attachSender(0, "out"))
		l := acceptIncoming(<-m.attaches, amqp.IncomingOptions{})
		amqptest.Await[*wire.Flow](p)
		l.Conn().Close(nil)
		amqptest.Expect[*wire.Close](p)
		start := time.Now()
		p.Send(0, amqptest.First(0, 0), attachReceiver(1, "in"), &wire.Disposition{Role: wire.RoleReceiver}, &wire.Flow{}, &wire.End{})
		p.ExpectEOF()
		if err, took := <-ended, time.Since(start); err != nil || took != time.Second {
			t.Errorf("Serve returned %v after %v", err, took)
		}
		if len(l.delivered) > 0 || len(m.attaches) > 0 {
			t.Error("the handler heard of what came after the close")
		}
	})
}

// TestShutdown proves that all connections are told, in whichever state they
// are, and that Serve and Shutdown return.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		s := amqp.NewServer(amqp.Config{}, b)
		polite, politeEnd := connect(t, s, b)
		polite.Open("polite")
		rude, rudeEnd := connect(t, s, b)
		rude.Open("rude")
		_, freshEnd := connect(t, s, b) // is in its handshake
		synctest.Wait()
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- s.Shutdown(context.Background()) }()
		polite.ExpectClose(wire.ConditionConnectionForced)
		if err := <-politeEnd; err == nil {
			t.Error("Serve returned nil, want amqp:connection:forced")
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("a polite peer was kept for %v", took)
		}
		amqptest.Expect[*wire.Close](rude)
		for _, ended := range []<-chan error{rudeEnd, freshEnd} {
			if err := <-ended; err == nil {
				t.Error("Serve returned nil, want amqp:connection:forced")
			}
		}
		if err, took := <-done, time.Since(start); err != nil || took != time.Second {
			t.Errorf("Shutdown returned %v after %v", err, took)
		}
		ours, theirs := net.Pipe()
		if err := s.Serve(context.Background(), ours, amqp.Transport{}); !errors.Is(err, amqp.ErrShutdown) {
			t.Errorf("Serve returned %v after Shutdown", err)
		}
		if _, err := theirs.Read(make([]byte, 1)); err == nil {
			t.Error("the connection was not closed")
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("a second Shutdown returned %v", err)
		}
	})
}

// TestShutdownInHaste proves that Shutdown does not wait for peers when its time
// is up.
func TestShutdownInHaste(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		s := amqp.NewServer(amqp.Config{}, b)
		p, _ := connect(t, s, b)
		p.Open("rude")
		start := time.Now()
		if err := s.Shutdown(canceled()); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown returned %v", err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("Shutdown took %v", took)
		}
	})
}

// TestContextOfServe proves that the end of its context closes a connection.
func TestContextOfServe(t *testing.T) {
	m := newManual()
	s := amqp.NewServer(amqp.Config{}, m)
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, ours, amqp.Transport{}) }()
	p := amqptest.New(t, theirs)
	p.Open("peer")
	cancel()
	p.ExpectClose(wire.ConditionConnectionForced)
	if told, ok := errors.AsType[*wire.Error](<-ended); !ok || told.Condition != wire.ConditionConnectionForced {
		t.Errorf("Serve returned %v", told)
	}
}

// TestClosedAfterFailedHandshake proves that the handler hears of the end of
// each connection that it has been asked about, and of no other.
func TestClosedAfterFailedHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		writes []byte
		hears  int
	}{
		"before":  {wire.HeaderOf(wire.ProtocolSASL).Append(nil), 0},
		"after":   {append(wire.HeaderOf(wire.ProtocolSASL).Append(nil), sasl(t, &wire.SASLInit{Mechanism: "ANONYMOUS"})...), 1},
		"refused": {append(wire.HeaderOf(wire.ProtocolSASL).Append(nil), sasl(t, &wire.SASLInit{Mechanism: "NONE"})...), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManual()
				p, ended := connect(t, amqp.NewServer(amqp.Config{}, m), m)
				read := make(chan struct{})
				go func() {
					defer close(read)
					p.Drain()
				}()
				p.Write(c.writes)
				synctest.Wait()
				p.Hang()
				<-read
				if err := <-ended; err == nil || len(m.closed) != c.hears {
					t.Errorf("Serve returned %v, and the handler heard of %d ends", err, len(m.closed))
				}
			})
		})
	}
}
