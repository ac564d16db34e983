package amqp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

func sasl(t *testing.T, body wire.SASL) []byte {
	t.Helper()
	b, err := wire.AppendSASL(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestProtocolHeaders proves that who speaks something else is told the header
// of what it should speak, and let go.
func TestProtocolHeaders(t *testing.T) {
	for name, header := range map[string][]byte{
		"TLS":              wire.HeaderOf(wire.ProtocolTLS).Append(nil),
		"another version":  {'A', 'M', 'Q', 'P', 3, 0, 9, 1},
		"another protocol": []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			_, address := serve(t, amqp.Config{}, newBroker())
			other := newBystander(t, address)
			p := amqptest.Dial(t, address)
			p.Write(header)
			p.ExpectHeader(wire.ProtocolSASL)
			p.ExpectEOF()
			other.check(t)
		})
	}
	t.Run("SASL twice", func(t *testing.T) {
		_, address := serve(t, amqp.Config{}, newBroker())
		p := amqptest.Dial(t, address)
		p.Write(wire.HeaderOf(wire.ProtocolSASL).Append(nil))
		p.Write(sasl(t, &wire.SASLInit{Mechanism: "MSSBCBS"}))
		p.Write(wire.HeaderOf(wire.ProtocolSASL).Append(nil))
		p.ExpectHeader(wire.ProtocolSASL)
		p.NextSASL()
		p.NextSASL()
		p.ExpectHeader(wire.ProtocolAMQP)
		p.ExpectEOF()
	})
}

// TestWithoutSASL proves that a peer without SASL is anonymous.
func TestWithoutSASL(t *testing.T) {
	_, address := serve(t, amqp.Config{}, newBroker())
	p := amqptest.Dial(t, address)
	p.Write(wire.HeaderOf(wire.ProtocolAMQP).Append(nil))
	p.ExpectHeader(wire.ProtocolAMQP)
	p.Send(0, &wire.Open{ContainerID: "bare"})
	amqptest.Expect[*wire.Open](p)
	p.Begin(0)
	p.Sender(0, 0, "s", "q")
}

func TestSASL(t *testing.T) {
	for _, c := range []struct {
		name string
		init []byte
		want []wire.SASL // after the mechanisms
	}{
		{"ANONYMOUS", sasl(t, &wire.SASLInit{Mechanism: "ANONYMOUS"}), []wire.SASL{&wire.SASLOutcome{Code: wire.SASLOk}}},
		{"MSSBCBS", sasl(t, &wire.SASLInit{Mechanism: "MSSBCBS", Hostname: "x"}), []wire.SASL{&wire.SASLOutcome{Code: wire.SASLOk}}},
		{"PLAIN", sasl(t, &wire.SASLInit{Mechanism: "PLAIN", InitialResponse: []byte("\x00user\x00secret")}), []wire.SASL{&wire.SASLOutcome{Code: wire.SASLOk}}},
		{"PLAIN with another password", sasl(t, &wire.SASLInit{Mechanism: "PLAIN", InitialResponse: []byte("\x00user\x00guess")}), []wire.SASL{&wire.SASLOutcome{Code: wire.SASLAuthFailed}}},
		{"what was not offered", sasl(t, &wire.SASLInit{Mechanism: "EXTERNAL"}), []wire.SASL{&wire.SASLOutcome{Code: wire.SASLAuthFailed}}},
		{"a response to no challenge", sasl(t, &wire.SASLResponse{Response: []byte{}}), nil},
		{"an AMQP frame", raw(0, 0, 0, 0x53, 0x41, 0x45), nil},
		{"nonsense", raw(1, 0, 0x43), nil},
		{"a frame of more than 512 bytes", []byte{0, 0, 2, 1, 2, 1, 0, 0}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, address := serve(t, amqp.Config{}, newBroker())
			p := amqptest.Dial(t, address)
			p.Write(append(wire.HeaderOf(wire.ProtocolSASL).Append(nil), c.init...))
			p.ExpectHeader(wire.ProtocolSASL)
			if m, ok := p.NextSASL().(*wire.SASLMechanisms); !ok || !slices.Equal(m.Mechanisms, []wire.Symbol{"MSSBCBS", "ANONYMOUS", "PLAIN"}) {
				t.Fatalf("got %v", m)
			}
			for _, want := range c.want {
				if got := p.NextSASL().(*wire.SASLOutcome); got.Code != want.(*wire.SASLOutcome).Code {
					t.Fatalf("got outcome %d", got.Code)
				}
			}
			if len(c.want) == 0 || c.want[0].(*wire.SASLOutcome).Code != wire.SASLOk {
				p.ExpectEOF()
			}
		})
	}
}

// TestOpenIsRefused proves that a close comes behind an open, which the
// specification demands.
func TestOpenIsRefused(t *testing.T) {
	for _, c := range []struct {
		name      string
		first     wire.Performative
		bytes     []byte // instead
		handler   error
		condition wire.Symbol
	}{
		{name: "not an open", first: &wire.Begin{}, condition: wire.ConditionIllegalState},
		{name: "frames that are too small", first: &wire.Open{MaxFrameSize: wire.Some[uint32](511)}, condition: wire.ConditionInvalidField},
		{name: "an idle-time-out that cannot be kept", first: &wire.Open{IdleTimeOut: 99}, condition: wire.ConditionNotAllowed},
		{name: "nonsense", bytes: raw(0, 0, 0x43), condition: wire.ConditionDecodeError},
		{name: "an open without a container", bytes: raw(0, 0, 0, 0x53, 0x10, 0x45), condition: wire.ConditionInvalidField},
		{name: "a SASL frame", bytes: raw(1, 0, 0, 0x53, 0x41, 0x45), condition: wire.ConditionFramingError},
		{name: "by the handler", first: &wire.Open{}, handler: &wire.Error{Condition: wire.ConditionNotFound}, condition: wire.ConditionNotFound},
		{name: "for another reason", first: &wire.Open{}, handler: errors.New("the disk is full"), condition: wire.ConditionInternalError},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBroker()
			b.openErr = c.handler
			_, address := serve(t, amqp.Config{}, b)
			p := amqptest.Dial(t, address)
			p.SASL()
			if c.first != nil {
				p.Send(0, c.first)
			} else {
				p.Write(c.bytes)
			}
			amqptest.Expect[*wire.Open](p)
			if got := amqptest.Expect[*wire.Close](p).Error; got.Condition != c.condition || strings.Contains(got.Description, "disk") {
				t.Errorf("closed with %v, want %s", got, c.condition)
			}
			p.ExpectEOF()
		})
	}
}

// TestHandshakeTimeout proves that a client that stops at any point, or sends
// byte by byte, is let go after Config.HandshakeTimeout and not before.
func TestHandshakeTimeout(t *testing.T) {
	header := wire.HeaderOf(wire.ProtocolSASL).Append(nil)
	init := append(slices.Clone(header), sasl(t, &wire.SASLInit{Mechanism: "ANONYMOUS"})...)
	for name, script := range map[string][]byte{
		"nothing":          nil,
		"a header":         header,
		"half a header":    header[:4],
		"half a sasl-init": init[:len(init)-1],
		"no second header": init,
		"no open":          wire.HeaderOf(wire.ProtocolAMQP).Append(slices.Clone(init)),
		"half an open":     append(wire.HeaderOf(wire.ProtocolAMQP).Append(slices.Clone(init)), 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if took := timeToEnd(t, func(nc net.Conn) { _, _ = nc.Write(script) }); took != 5*time.Second {
					t.Errorf("it was let go after %v", took)
				}
			})
		})
	}
	t.Run("byte by byte", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			took := timeToEnd(t, func(nc net.Conn) {
				for _, one := range init {
					<-time.After(time.Second)
					if _, err := nc.Write([]byte{one}); err != nil {
						return
					}
				}
			})
			if took != 5*time.Second {
				t.Errorf("it was let go after %v", took)
			}
		})
	})
}

// timeToEnd is how long a connection lasts to which client writes.
func timeToEnd(t *testing.T, client func(net.Conn)) time.Duration {
	s := amqp.NewServer(amqp.Config{}, newBroker())
	ours, theirs := net.Pipe()
	written, read := make(chan struct{}), make(chan struct{})
	go func() { client(theirs); close(written) }()
	go func() { _ = discard(theirs); close(read) }()
	start := time.Now()
	if err := s.Serve(context.Background(), ours, amqp.Transport{}); err == nil {
		t.Error("Serve said nothing of a handshake that did not come about")
	}
	took := time.Since(start)
	<-written
	<-read
	return took
}

// TestGarbage sends streams of garbage, instead of a header and instead of
// frames.
func TestGarbage(t *testing.T) {
	_, address := serve(t, amqp.Config{}, newBroker())
	other := newBystander(t, address)
	opened, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	amqptest.New(t, opened).Open("garbage")
	fresh, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var floods sync.WaitGroup
	for _, nc := range []net.Conn{opened, fresh} {
		floods.Go(func() {
			defer nc.Close()
			if n := flood(nc); n > 64<<20 {
				t.Errorf("the server took %d bytes of garbage", n)
			}
		})
	}
	other.check(t)
	floods.Wait()
	other.check(t)
}

// flood writes garbage, 1 GiB at most, and tells how much was taken.
func flood(nc net.Conn) (taken int) {
	garbage := make([]byte, 64<<10)
	for i := range garbage {
		garbage[i] = byte(i * 7919 >> 3)
	}
	for taken < 1<<30 {
		n, err := nc.Write(garbage)
		taken += n
		if err != nil {
			break
		}
	}
	return taken
}

func discard(nc net.Conn) error {
	_, err := io.Copy(io.Discard, nc)
	return err
}
