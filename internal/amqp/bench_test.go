package amqp_test

import (
	"encoding/binary"
	"net"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// The benchmarks' client is cheap, so that the server's part shows: it sends
// what is encoded already, and decodes only what it must.

const (
	benchSize = 1024
	benchRun  = 100 // messages in one write
)

// BenchmarkIncoming is a message's way from its transfer to its confirmation,
// settled at once by the handler.
func BenchmarkIncoming(b *testing.B) {
	br := newBroker()
	br.hold = func(d *amqp.Delivery) { d.Settle(&wire.Accepted{}) }
	_, address := serve(b, amqp.Config{}, br)
	nc, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	p := amqptest.New(b, nc)
	p.Open("peer")
	p.Begin(0)
	p.Sender(0, 0, "out", "q")
	frame, _, err := wire.AppendTransfer(nil, 0, benchTransfer(0), make([]byte, benchSize), 65536)
	if err != nil {
		b.Fatal(err)
	}
	at := len(frame) - benchSize - benchIDFromEnd
	var run []byte
	for range benchRun {
		run = append(run, frame...)
	}
	b.ReportAllocs()
	b.SetBytes(benchSize)
	b.ResetTimer()
	confirmed := 0
	for sent := 0; sent < b.N; sent += benchRun {
		for i := range benchRun {
			binary.BigEndian.PutUint32(run[i*len(frame)+at:], uint32(sent+i)|1<<24)
		}
		p.Write(run)
		for confirmed < sent-4*benchRun || sent+benchRun >= b.N && confirmed < sent+benchRun {
			if d, ok := p.Next().(*wire.Disposition); ok {
				confirmed += int(d.Last.Or(d.First) - d.First + 1)
			}
		}
	}
}

// benchIDFromEnd is where a benchTransfer's delivery-id is, counted from the
// payload.
const benchIDFromEnd = 4 + 2 + 4 + 1 + 1

func benchTransfer(id uint32) *wire.Transfer {
	return &wire.Transfer{DeliveryID: wire.Some(id | 1<<24), DeliveryTag: []byte("abcd"), MessageFormat: wire.Some[uint32](0), Settled: wire.Some(false)}
}

// BenchmarkOutgoing is a message's way from Send to the client and its outcome
// back, which is confirmed.
func BenchmarkOutgoing(b *testing.B) {
	m := newManual()
	_, address := serve(b, amqp.Config{}, m)
	p := amqptest.Dial(b, address)
	p.Open("peer")
	p.Begin(0)
	p.Send(0, attachReceiver(0, "in"))
	l := (<-m.attaches).AcceptOutgoing(amqp.OutgoingOptions{
		Dispose: func(l *amqp.Outgoing, sent []amqp.Sent, _ wire.DeliveryState, _ bool) {
			for _, s := range sent {
				l.Settle(s.ID, &wire.Accepted{})
			}
		},
	})
	amqptest.Expect[*wire.Attach](p)
	b.ReportAllocs()
	b.SetBytes(benchSize)
	b.ResetTimer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		message, tag := make([]byte, benchSize), []byte("0123456789abcdef")
		for sent := 0; sent < b.N; {
			demand, err := l.Wait(b.Context())
			if err != nil {
				b.Error(err)
				return
			}
			for range min(demand.Credit, uint32(b.N-sent)) {
				if l.Send(amqp.OutMessage{Tag: tag, Message: message}) != nil {
					break
				}
				sent++
			}
		}
	}()
	p.Credit(0, 0, 0, 10*benchRun)
	settled, got := 0, uint32(0)
	for settled < b.N {
		switch next := p.Next().(type) {
		case *wire.Transfer:
			if got++; got%benchRun != 0 && got != uint32(b.N) {
				continue
			}
			first := (got - 1) / benchRun * benchRun
			p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: first, Last: wire.Some(got - 1), State: &wire.Accepted{}},
				&wire.Flow{NextIncomingID: wire.Some(got), IncomingWindow: wide, OutgoingWindow: wide, Handle: wire.Some[uint32](0), DeliveryCount: wire.Some(got), LinkCredit: wire.Some[uint32](10 * benchRun)})
		case *wire.Disposition:
			settled += int(next.Last.Or(next.First) - next.First + 1)
		}
	}
	<-done
}

// BenchmarkOneByOne is a client that awaits the outcome of each message.
func BenchmarkOneByOne(b *testing.B) {
	br := newBroker()
	br.hold = func(d *amqp.Delivery) { d.Settle(&wire.Accepted{}) }
	_, address := serve(b, amqp.Config{}, br)
	p := amqptest.Dial(b, address)
	p.Open("peer")
	p.Begin(0)
	p.Sender(0, 0, "out", "q")
	message := make([]byte, benchSize)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range uint32(b.N) {
		p.Message(0, 0, n, message)
		amqptest.Await[*wire.Disposition](p)
	}
}
