package amqptest

import (
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/amqp/wire"
)

// Patience is how long a Peer waits for a frame before its test fails.
const Patience = 30 * time.Second

// MaxFrameSize is what a Peer says in its open, unless it is told otherwise.
const MaxFrameSize = 65536

// Peer is a client. All methods fail the test when the server does something
// else than what is expected, and are for the test's goroutine only,
// but for TryWrite, Frame and Hang.
type Peer struct {
	t       testing.TB
	nc      net.Conn
	r       *wire.Reader
	payload []byte
	channel uint16
}

// Dial connects to a server.
func Dial(t testing.TB, address string) *Peer {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return New(t, nc)
}

// New is a client at the end of nc, which is closed with the test.
func New(t testing.TB, nc net.Conn) *Peer {
	t.Cleanup(func() { _ = nc.Close() })
	return &Peer{t: t, nc: nc, r: wire.NewReader(nc, 1<<20)}
}

// Write sends bytes as they are.
func (p *Peer) Write(b []byte) {
	p.t.Helper()
	_ = p.nc.SetWriteDeadline(time.Now().Add(Patience))
	defer func() { _ = p.nc.SetWriteDeadline(time.Time{}) }()
	if err := p.TryWrite(b); err != nil {
		p.t.Fatalf("write %d bytes: %v", len(b), err)
	}
}

// TryWrite is Write for who expects that it may fail. It may be called on any
// goroutine.
func (p *Peer) TryWrite(b []byte) error {
	_, err := p.nc.Write(b)
	return err
}

// Hang closes the connection without a word.
func (p *Peer) Hang() { _ = p.nc.Close() }

// Drain reads to the end of the connection, and forgets it. It may be called on
// any goroutine.
func (p *Peer) Drain() { _, _ = io.Copy(io.Discard, p.nc) }

// LocalAddr is the address of this end.
func (p *Peer) LocalAddr() net.Addr { return p.nc.LocalAddr() }

// Send sends performatives on a channel in one write.
func (p *Peer) Send(channel uint16, performatives ...wire.Performative) {
	p.t.Helper()
	p.Write(Frames(p.t, channel, performatives...))
}

// Frames encodes performatives.
func Frames(t testing.TB, channel uint16, performatives ...wire.Performative) (b []byte) {
	t.Helper()
	for _, performative := range performatives {
		var err error
		if b, err = wire.AppendFrame(b, channel, performative); err != nil {
			t.Fatalf("encode %T: %v", performative, err)
		}
	}
	return b
}

// Transfer sends a delivery in as many frames as it takes.
func (p *Peer) Transfer(channel uint16, transfer *wire.Transfer, payload []byte, maxFrameSize uint32) {
	p.t.Helper()
	var b []byte
	for {
		var err error
		if b, payload, err = wire.AppendTransfer(b, channel, transfer, payload, maxFrameSize); err != nil {
			p.t.Fatalf("encode transfer: %v", err)
		}
		if len(payload) == 0 {
			break
		}
	}
	p.Write(b)
}

// SASL exchanges protocol headers and authenticates as ANONYMOUS, up to the
// header of AMQP.
func (p *Peer) SASL() {
	p.t.Helper()
	init, err := wire.AppendSASL(wire.HeaderOf(wire.ProtocolSASL).Append(nil), &wire.SASLInit{Mechanism: "ANONYMOUS"})
	if err != nil {
		p.t.Fatal(err)
	}
	p.Write(init)
	p.ExpectHeader(wire.ProtocolSASL)
	if _, ok := p.NextSASL().(*wire.SASLMechanisms); !ok {
		p.t.Fatal("expected sasl-mechanisms")
	}
	if outcome, ok := p.NextSASL().(*wire.SASLOutcome); !ok || outcome.Code != wire.SASLOk {
		p.t.Fatalf("expected the outcome ok, got %+v", outcome)
	}
	p.Write(wire.HeaderOf(wire.ProtocolAMQP).Append(nil))
	p.ExpectHeader(wire.ProtocolAMQP)
}

// Open authenticates and opens the connection as a container.
func (p *Peer) Open(container string) *wire.Open {
	p.t.Helper()
	return p.OpenAs(&wire.Open{ContainerID: container, MaxFrameSize: wire.Some[uint32](MaxFrameSize)})
}

// OpenAs authenticates and opens the connection.
func (p *Peer) OpenAs(open *wire.Open) *wire.Open {
	p.t.Helper()
	p.SASL()
	p.Send(0, open)
	return Expect[*wire.Open](p)
}

// Begin begins a session that takes very many transfers.
func (p *Peer) Begin(channel uint16) *wire.Begin {
	p.t.Helper()
	return p.BeginAs(channel, &wire.Begin{IncomingWindow: 1 << 30, OutgoingWindow: 1 << 30})
}

// BeginAs begins a session.
func (p *Peer) BeginAs(channel uint16, begin *wire.Begin) *wire.Begin {
	p.t.Helper()
	p.Send(channel, begin)
	answer := Expect[*wire.Begin](p)
	if got := answer.RemoteChannel; got != wire.Some(channel) {
		p.t.Fatalf("remote-channel is %v, want %d", got, channel)
	}
	return answer
}

// Sender attaches a link on which the peer sends, and waits for credit.
func (p *Peer) Sender(channel uint16, handle uint32, name, queue string) (*wire.Attach, *wire.Flow) {
	p.t.Helper()
	p.Send(channel, &wire.Attach{Name: name, Handle: handle, Target: &wire.Target{Address: wire.Some(queue)}, InitialDeliveryCount: wire.Some[uint32](0)})
	return Expect[*wire.Attach](p), Expect[*wire.Flow](p)
}

// Receiver attaches a link on which the peer receives, and gives it credit.
func (p *Peer) Receiver(channel uint16, handle uint32, name, queue string, credit uint32) *wire.Attach {
	p.t.Helper()
	p.Send(channel, &wire.Attach{Name: name, Handle: handle, Role: wire.RoleReceiver, Source: &wire.Source{Address: wire.Some(queue)}, Target: &wire.Target{}})
	attach := Expect[*wire.Attach](p)
	if credit > 0 {
		p.Credit(channel, handle, 0, credit)
	}
	return attach
}

// Credit gives a link credit, and the session a large window.
func (p *Peer) Credit(channel uint16, handle, count, credit uint32) {
	p.t.Helper()
	p.Send(channel, &wire.Flow{
		NextIncomingID: wire.Some[uint32](0), IncomingWindow: 1 << 30, OutgoingWindow: 1 << 30,
		Handle: wire.Some(handle), DeliveryCount: wire.Some(count), LinkCredit: wire.Some(credit),
	})
}

// Message is the transfer of a message that fits into one frame.
func (p *Peer) Message(channel uint16, handle, id uint32, payload []byte) {
	p.t.Helper()
	p.Transfer(channel, First(handle, id), payload, 1<<30)
}

// First is the first transfer of a delivery.
func First(handle, id uint32) *wire.Transfer {
	return &wire.Transfer{Handle: handle, DeliveryID: wire.Some(id), DeliveryTag: []byte{1, byte(id), byte(id >> 8)}, MessageFormat: wire.Some[uint32](0)}
}

// Frame reads the next frame, nil for a sign of life.
func (p *Peer) Frame() (wire.Performative, error) {
	_ = p.nc.SetReadDeadline(time.Now().Add(Patience))
	frame, err := p.r.ReadFrame()
	if err != nil || frame.Empty() {
		return nil, err
	}
	performative, payload, err := wire.DecodePerformative(frame.Body)
	p.channel, p.payload = frame.Channel, slices.Clone(payload)
	return performative, err
}

// Next reads the next performative and skips signs of life.
func (p *Peer) Next() wire.Performative {
	p.t.Helper()
	for {
		performative, err := p.Frame()
		if err != nil {
			p.t.Fatalf("read frame: %v", err)
		}
		if performative != nil {
			return performative
		}
	}
}

// Channel is the channel of the performative read last.
func (p *Peer) Channel() uint16 { return p.channel }

// Payload is what followed the performative read last.
func (p *Peer) Payload() []byte { return p.payload }

// Expect reads the next performative, which must be a T. Flows are skipped, if
// none is expected.
func Expect[T wire.Performative](p *Peer) T {
	p.t.Helper()
	for {
		next := p.Next()
		if want, ok := next.(T); ok {
			return want
		}
		if _, ok := next.(*wire.Flow); !ok {
			var want T
			p.t.Fatalf("expected %T, got %#v", want, next)
		}
	}
}

// Await reads on to a T and skips what else was on its way.
func Await[T wire.Performative](p *Peer) T {
	p.t.Helper()
	for {
		if want, ok := p.Next().(T); ok {
			return want
		}
	}
}

// Delivery reads a whole delivery: its first transfer, and all payloads
// together.
func (p *Peer) Delivery() (*wire.Transfer, []byte) {
	p.t.Helper()
	first := Expect[*wire.Transfer](p)
	payload := p.payload
	for more := first.More; more; {
		next := Expect[*wire.Transfer](p)
		payload, more = append(payload, p.payload...), next.More
	}
	return first, payload
}

// NextSASL reads a SASL frame.
func (p *Peer) NextSASL() wire.SASL {
	p.t.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(Patience))
	frame, err := p.r.ReadFrame()
	if err != nil {
		p.t.Fatalf("read SASL frame: %v", err)
	}
	body, err := wire.DecodeSASL(frame.Body)
	if err != nil {
		p.t.Fatalf("decode SASL frame: %v", err)
	}
	return body
}

// ExpectHeader reads a protocol header.
func (p *Peer) ExpectHeader(id wire.ProtocolID) {
	p.t.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(Patience))
	if got, err := p.r.ReadProtocolHeader(); err != nil || got != wire.HeaderOf(id) {
		p.t.Fatalf("expected the header of protocol %d, got %v %v", id, got, err)
	}
}

// ExpectClose awaits a close with a condition ("" for none) and answers it.
func (p *Peer) ExpectClose(condition wire.Symbol) {
	p.t.Helper()
	p.condition("close", Await[*wire.Close](p).Error, condition)
	if b, err := wire.AppendFrame(nil, 0, &wire.Close{}); err == nil {
		_, _ = p.nc.Write(b)
	}
	_ = p.nc.Close()
}

// ExpectEnd awaits an end with a condition on a channel and answers it.
func (p *Peer) ExpectEnd(channel uint16, condition wire.Symbol) {
	p.t.Helper()
	p.condition("end", Await[*wire.End](p).Error, condition)
	if p.channel != channel {
		p.t.Fatalf("end on channel %d, want %d", p.channel, channel)
	}
	p.Send(channel, &wire.End{})
}

// ExpectDetach awaits a detach with a condition and answers it.
func (p *Peer) ExpectDetach(channel uint16, handle uint32, condition wire.Symbol) {
	p.t.Helper()
	detach := Await[*wire.Detach](p)
	p.condition("detach", detach.Error, condition)
	if detach.Handle != handle || !detach.Closed {
		p.t.Fatalf("got %+v, want handle %d closed", detach, handle)
	}
	p.Send(channel, &wire.Detach{Handle: handle, Closed: true})
}

func (p *Peer) condition(what string, err *wire.Error, want wire.Symbol) {
	p.t.Helper()
	switch {
	case err == nil && want != "":
		p.t.Fatalf("%s without an error, want %s", what, want)
	case err != nil && err.Condition != want:
		p.t.Fatalf("%s with %v, want %q", what, err, want)
	}
}

// ExpectEOF fails unless the server hangs up without another frame.
func (p *Peer) ExpectEOF() {
	p.t.Helper()
	if next, err := p.Frame(); err == nil || !ended(err) {
		p.t.Fatalf("expected the end of the connection, got %#v %v", next, err)
	}
}

// ended tells whether a connection is over: closed, or reset because the server
// had no interest in the rest.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
