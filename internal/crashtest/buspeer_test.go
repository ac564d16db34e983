package crashtest

import (
	"crypto/rand"
	"fmt"
	"net"
	"testing"
	"time"

	"bellhop/internal/amqp/wire"
)

// peer is a client that says what a test wants, byte by byte.
type peer struct {
	t  *testing.T
	nc net.Conn
	r  *wire.Reader
}

func (b *busRig) peer() *peer {
	b.t.Helper()
	nc, err := net.Dial("tcp", b.listen)
	b.must(err)
	b.t.Cleanup(func() { nc.Close() })
	b.must(nc.SetDeadline(time.Now().Add(patience)))
	return &peer{t: b.t, nc: nc, r: wire.NewReader(nc, 1<<20)}
}

// speech is what a client says up to where it has a session, in pieces: the
// header of SASL, its password, the header of AMQP, its open, its begin.
func (b *busRig) speech() (pieces [][]byte) {
	b.t.Helper()
	name, key := b.root()
	init, err := wire.AppendSASL(nil, &wire.SASLInit{Mechanism: "PLAIN", InitialResponse: fmt.Appendf(nil, "\x00%s\x00%s", name, key)})
	b.must(err)
	return [][]byte{
		wire.HeaderOf(wire.ProtocolSASL).Append(nil), init, wire.HeaderOf(wire.ProtocolAMQP).Append(nil),
		// Links of one name from one container would take each other's place.
		b.frame(&wire.Open{ContainerID: rand.Text(), Hostname: "localhost"}),
		b.frame(&wire.Begin{IncomingWindow: 1 << 20, OutgoingWindow: 1 << 20}),
	}
}

// first joins the first n pieces of a speech.
func (b *busRig) first(n int) (all []byte) {
	b.t.Helper()
	for _, piece := range b.speech()[:n] {
		all = append(all, piece...)
	}
	return all
}

func (b *busRig) frame(p wire.Performative) []byte {
	b.t.Helper()
	frame, err := wire.AppendFrame(nil, 0, p)
	b.must(err)
	return frame
}

// attach is a link to a queue: to receive, or to send.
func attach(handle uint32, queue string, role wire.Role) *wire.Attach {
	a := &wire.Attach{Name: label("link", int64(handle)), Handle: handle, Role: role, Source: &wire.Source{}, Target: &wire.Target{}}
	if role == wire.RoleReceiver {
		a.Source.Address = wire.Some(queue)
		return a
	}
	a.Target.Address, a.InitialDeliveryCount = wire.Some(queue), wire.Some[uint32](0)
	return a
}

// credit lets the bus send on a link.
func credit(handle, n uint32) *wire.Flow {
	return &wire.Flow{
		NextIncomingID: wire.Some[uint32](0), IncomingWindow: 1 << 20, OutgoingWindow: 1 << 20,
		Handle: wire.Some(handle), DeliveryCount: wire.Some[uint32](0), LinkCredit: wire.Some(n),
	}
}

// write writes, whoever reads it.
func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// welcomed reads up to the end of the handshake.
func (p *peer) welcomed() error {
	for range 2 {
		if _, err := p.r.ReadProtocolHeader(); err != nil {
			return fmt.Errorf("read header: %w", err)
		}
		for {
			frame, err := p.r.ReadFrame()
			if err != nil {
				return fmt.Errorf("read frame: %w", err)
			}
			if frame.Type == wire.FrameAMQP {
				return nil // the open
			}
			if body, err := wire.DecodeSASL(frame.Body); err != nil {
				return err
			} else if _, ok := body.(*wire.SASLOutcome); ok {
				break
			}
		}
	}
	return fmt.Errorf("no open has come")
}

// attached reads until so many links are answered.
func (p *peer) attached(links int) error {
	for links > 0 {
		frame, err := p.r.ReadFrame()
		if err != nil {
			return fmt.Errorf("%d links are not answered: %w", links, err)
		}
		if frame.Empty() {
			continue
		}
		said, _, err := wire.DecodePerformative(frame.Body)
		if err != nil {
			return err
		}
		switch said := said.(type) {
		case *wire.Attach:
			links--
		case *wire.Detach:
			return fmt.Errorf("a link was refused: %v", said.Error)
		case *wire.Close:
			return fmt.Errorf("the connection was closed: %v", said.Error)
		}
	}
	return nil
}
