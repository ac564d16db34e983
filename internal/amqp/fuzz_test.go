package amqp_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// script makes frames from bytes that a fuzzer chose: right and wrong ones, in
// any order, on few channels and handles so that they meet.
type script struct {
	t   *testing.T
	in  []byte
	out []byte
}

// next is the next byte, and 0 when there are no more.
func (s *script) next() byte {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return b
}

func (s *script) number() uint32 {
	n := uint32(s.next())
	switch {
	case n < 240:
		return n % 16
	case n < 248:
		return n << 8
	}
	return -n // next to where numbers wrap
}

func (s *script) optional() wire.Optional[uint32] {
	n := s.number()
	return wire.Optional[uint32]{Value: n, Present: n%7 != 6}
}

func (s *script) state() wire.DeliveryState {
	states := []wire.DeliveryState{nil, &wire.Accepted{}, &wire.Rejected{}, &wire.Released{}, &wire.Modified{}, &wire.Received{}, &wire.TransactionalState{TxnID: []byte{1}}}
	return states[int(s.next())%len(states)]
}

func (s *script) attach() *wire.Attach {
	b := s.next()
	a := &wire.Attach{Name: string(rune('a' + b%3)), Handle: uint32(b % 9), Role: b&16 != 0, InitialDeliveryCount: s.optional()}
	if b&32 == 0 {
		a.Source = &wire.Source{Address: wire.Some(string(rune('p' + b%2))), Dynamic: b&128 != 0}
	}
	if b&64 == 0 {
		a.Target = &wire.Target{Address: wire.Some(string(rune('p' + b%2))), Dynamic: b&128 != 0}
	}
	return a
}

func (s *script) flow() *wire.Flow {
	b := s.next()
	return &wire.Flow{
		NextIncomingID: s.optional(), IncomingWindow: s.number(), Handle: wire.Optional[uint32]{Value: uint32(b % 9), Present: b&16 != 0},
		DeliveryCount: s.optional(), LinkCredit: s.optional(), Drain: b&32 != 0, Echo: b&64 != 0,
	}
}

func (s *script) transfer() (*wire.Transfer, []byte) {
	b := s.next()
	t := &wire.Transfer{Handle: uint32(b % 9), DeliveryID: s.optional(), More: b&16 != 0, Aborted: b&32 != 0, Resume: b&64 != 0}
	if b&128 == 0 {
		t.DeliveryTag = []byte{s.next()}
	}
	t.Settled = wire.Some(s.next()&1 != 0)
	return t, make([]byte, s.number()%4000)
}

// frame appends what the next bytes say.
func (s *script) frame() {
	op := s.next()
	channel := uint16(op >> 4 % 9)
	var p wire.Performative
	switch op % 16 {
	case 0, 1:
		p = &wire.Begin{NextOutgoingID: s.number(), IncomingWindow: s.number(), HandleMax: s.optional()}
	case 2, 3, 4:
		p = s.attach()
	case 5, 6:
		p = s.flow()
	case 7, 8, 9:
		t, payload := s.transfer()
		b, _, err := wire.AppendTransfer(nil, channel, t, payload, 1<<20)
		if err != nil {
			s.t.Fatal(err)
		}
		s.out = append(s.out, b...)
		return
	case 10, 11:
		p = &wire.Disposition{Role: op&16 != 0, First: s.number(), Last: s.optional(), Settled: op&32 != 0, State: s.state()}
	case 12:
		p = &wire.Detach{Handle: s.number(), Closed: op&16 != 0}
	case 13:
		p = &wire.End{}
	case 14:
		s.out = wire.AppendEmptyFrame(s.out)
		return
	default:
		n := min(int(s.next()), len(s.in))
		s.out = append(s.out, s.in[:n]...)
		s.in = s.in[n:]
		return
	}
	s.out = append(s.out, amqptest.Frames(s.t, channel, p)...)
}

// FuzzServer has a server with tight limits serve what a fuzzer made up: bytes
// as they are if the first is 0, bytes behind a handshake if it is 1, and else a
// script of frames. It must come to its end, hold no more than it may, and hold
// nothing afterwards.
func FuzzServer(f *testing.F) {
	f.Add([]byte("\x00AMQP\x03\x01\x00\x00"))
	f.Add([]byte("\x01\x00\x00\x00\x10\x02\x00\x00\x00\x00\x53\x11\xc0\x03\x01\x40\x40"))
	f.Add([]byte{2, 0, 1, 2, 3, 2, 0, 5, 7, 0, 0, 1, 0, 100, 2, 0x10, 5, 0x5, 0x50, 0, 20, 0, 10, 10, 0, 1, 1, 12, 0, 13})
	f.Add([]byte{2, 0, 0, 200, 20, 2, 0x11, 0, 2, 0x00, 0, 7, 0, 0, 1, 0, 250, 5, 0x31, 0, 9, 0, 9, 7, 0x10, 1, 2, 0, 9, 7, 0x20, 1, 2, 0, 9, 0x3a, 0, 3, 1, 2, 0x11, 0, 12, 1})
	f.Add([]byte{2, 0, 0, 255, 20, 2, 0x11, 0, 2, 0x00, 0, 7, 0, 255, 1, 0, 250, 7, 0, 254, 1, 0, 250, 15, 4, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 || len(in) > 4000 {
			return
		}
		handshake := wire.HeaderOf(wire.ProtocolSASL).Append(nil)
		handshake = append(handshake, sasl(t, &wire.SASLInit{Mechanism: "ANONYMOUS"})...)
		handshake = wire.HeaderOf(wire.ProtocolAMQP).Append(handshake)
		handshake = append(handshake, amqptest.Frames(t, 0, &wire.Open{ContainerID: "fuzz", MaxFrameSize: wire.Some[uint32](512)})...)
		switch in[0] {
		case 0:
			fuzzServer(t, in[1:])
		case 1:
			fuzzServer(t, append(handshake, in[1:]...))
		default:
			s := &script{t: t, in: in[1:], out: handshake}
			for len(s.in) > 0 {
				s.frame()
			}
			fuzzServer(t, s.out)
		}
	})
}

func fuzzServer(t *testing.T, in []byte) {
	b := newBroker()
	cfg := amqp.Config{ChannelMax: 7, HandleMax: 7, MaxLinks: 8, ConnBytes: 8 << 10, ServerBytes: 16 << 10, MaxUnsettled: 4, MaxFrameSize: 4096, Unknown: &wire.Released{}}
	b.incoming = amqp.IncomingOptions{Credit: 5, MaxMessageSize: 6 << 10}
	s := amqp.NewServer(cfg, b)
	b.check = func(*amqp.Delivery) {
		if held := s.Held(); held > cfg.ConnBytes+int64(cfg.MaxFrameSize) {
			t.Errorf("%d bytes are held, more than may be", held)
		}
	}
	s.CountFrom(1<<32 - 3)
	ours, theirs := net.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = theirs.SetWriteDeadline(time.Now().Add(patience))
		_, _ = theirs.Write(in)
		_, _ = theirs.Write(amqptest.Frames(t, 0, &wire.Close{}))
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, theirs)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(context.Background(), ours, amqp.Transport{})
	}()
	<-written
	_ = theirs.Close()
	<-ended
	<-read
	b.links.Wait()
	if held, names := s.Held(), s.Names(); held != 0 || names != 0 {
		t.Errorf("%d bytes and %d links are held after the end", held, names)
	}
}
