package amqp_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"

	"pgregory.net/rapid"
)

// exchange is a peer that sends messages on some links and receives them on
// others, with numbers, sizes, credit and windows by chance, and watches that
// the server keeps to them.
type exchange struct {
	t    *rapid.T
	p    *amqptest.Peer
	base uint32 // from which the server counts

	links    int
	messages [][]byte

	// As sender.
	credit []uint32 // of each link
	nextID uint32

	// As receiver; the session is another one.
	window   uint32   // transfers the server may send
	next     uint32   // transfer-id
	delivery uint32   // delivery-id
	granted  []uint32 // credit of each link
	count    []uint32 // delivery-count of each link
	partial  [][]byte // of each link
	received [][]byte
	open     map[uint32]bool // deliveries that are not settled
}

const small = 1<<32 - 5 // next to where numbers wrap

func near(t *rapid.T, label string) uint32 {
	return small + rapid.Uint32Range(0, 10).Draw(t, label)
}

// TestDeliveries proves that whatever the sizes of messages, frames, credit and
// windows are, nothing is lost, doubled, or out of order.
func TestDeliveries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBroker()
		b.incoming.Credit = rapid.Uint32Range(1, 10).Draw(rt, "credit")
		s := amqp.NewServer(amqp.Config{MaxFrameSize: rapid.Uint32Range(512, 2000).Draw(rt, "server's frames"), ConnBytes: 64 << 10}, b)
		base := near(rt, "server's first number")
		s.CountFrom(base)
		ours, theirs := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = s.Serve(context.Background(), ours, amqp.Transport{})
		}()
		defer func() {
			_ = theirs.Close()
			<-served
			b.links.Wait()
		}()
		x := &exchange{t: rt, p: amqptest.New(t, theirs), base: base, links: rapid.IntRange(1, 3).Draw(rt, "links")}
		x.send()
		x.receive()
		x.compare()
	})
}

func queueName(link int) string { return fmt.Sprint("q", link) }

// send sends messages on all links, their frames mixed.
func (x *exchange) send() {
	open := x.p.OpenAs(&wire.Open{ContainerID: "peer", MaxFrameSize: wire.Some(rapid.Uint32Range(512, 2000).Draw(x.t, "frames"))})
	x.nextID = near(x.t, "first delivery-id")
	x.p.BeginAs(0, &wire.Begin{NextOutgoingID: near(x.t, "next-outgoing-id"), IncomingWindow: wide})
	for link := range x.links {
		count := near(x.t, "initial-delivery-count")
		a := attachSender(uint32(link), queueName(link))
		a.Target.Address = wire.Some(queueName(link))
		a.InitialDeliveryCount = wire.Some(count)
		x.p.Send(0, a)
		amqptest.Expect[*wire.Attach](x.p)
		f := amqptest.Expect[*wire.Flow](x.p)
		x.credit = append(x.credit, f.DeliveryCount.Value+f.LinkCredit.Value-count)
		x.count = append(x.count, count)
	}
	var sent []*outgoingMessage
	for n := range rapid.IntRange(1, 40).Draw(x.t, "messages") {
		m := &outgoingMessage{link: n % x.links, rest: bytes.Repeat([]byte{byte(n + 1)}, rapid.SampledFrom([]int{0, 1, 100, 480, 600, 5000}).Draw(x.t, "size"))}
		x.messages = append(x.messages, m.rest)
		sent = append(sent, m)
	}
	x.sendAll(sent, open.MaxFrameSize.Value)
}

type outgoingMessage struct {
	link  int
	rest  []byte
	begun bool
	done  bool
}

// sendAll sends a fragment of some link's first message until none is left.
func (x *exchange) sendAll(sent []*outgoingMessage, maxFrame uint32) {
	left, confirmed := len(sent), uint32(0)
	for left > 0 {
		link := rapid.IntRange(0, x.links-1).Draw(x.t, "link")
		var m *outgoingMessage
		for _, one := range sent {
			if one.link == link && !one.done {
				m = one
				break
			}
		}
		if m == nil {
			continue
		}
		for !m.begun && x.credit[link] == 0 {
			x.hear(&confirmed)
		}
		x.fragment(m, maxFrame)
		if m.done {
			left--
		}
	}
	for confirmed < uint32(len(sent)) {
		x.hear(&confirmed)
	}
}

// fragment sends some of a message.
func (x *exchange) fragment(m *outgoingMessage, maxFrame uint32) {
	t := &wire.Transfer{Handle: uint32(m.link)}
	if !m.begun {
		t.DeliveryID, t.DeliveryTag = wire.Some(x.nextID), []byte{byte(x.nextID)}
		x.nextID++
		x.credit[m.link]--
		x.count[m.link]++
		m.begun = true
	}
	n := min(len(m.rest), rapid.IntRange(0, int(maxFrame)-100).Draw(x.t, "fragment"))
	t.More = n < len(m.rest)
	x.p.Transfer(0, t, m.rest[:n], maxFrame)
	m.rest, m.done = m.rest[n:], !t.More
}

// hear takes a frame from the server while it is sent messages.
func (x *exchange) hear(confirmed *uint32) {
	switch next := x.p.Next().(type) {
	case *wire.Flow:
		if next.Handle.Present {
			link := next.Handle.Value
			x.credit[link] = next.DeliveryCount.Value + next.LinkCredit.Value - x.count[link]
		}
	case *wire.Disposition:
		*confirmed += next.Last.Or(next.First) - next.First + 1
	default:
		x.t.Fatalf("got %#v while sending", next)
	}
}

// receive receives them on another session.
func (x *exchange) receive() {
	x.window = rapid.Uint32Range(0, 5).Draw(x.t, "first window")
	x.next, x.delivery = x.base, x.base
	x.p.Send(1, &wire.Begin{IncomingWindow: x.window})
	if b := amqptest.Await[*wire.Begin](x.p); b.NextOutgoingID != x.base {
		x.t.Fatalf("the server counts transfers from %d, want %d", b.NextOutgoingID, x.base)
	}
	x.granted, x.count = make([]uint32, x.links), make([]uint32, x.links)
	x.partial, x.received = make([][]byte, x.links), make([][]byte, x.links)
	x.open = map[uint32]bool{}
	second := rapid.Bool().Draw(x.t, "settled last")
	for link := range x.links {
		a := attachReceiver(uint32(link), queueName(link))
		a.Source.Address = wire.Some(queueName(link))
		if second {
			a.ReceiverSettleMode = wire.Some(wire.ReceiverSecond)
		}
		x.p.Send(1, a)
		x.count[link] = amqptest.Expect[*wire.Attach](x.p).InitialDeliveryCount.Value
	}
	total := 0
	for total < len(x.messages) {
		x.grant()
		if x.take() {
			total++
			x.settle(second, total == len(x.messages))
		}
	}
}

// grant gives credit and opens the window where the server could not go on.
func (x *exchange) grant() {
	if x.window == 0 {
		x.window = rapid.Uint32Range(1, 5).Draw(x.t, "window")
		x.p.Send(1, &wire.Flow{NextIncomingID: wire.Some(x.next), IncomingWindow: x.window})
	}
	for link, left := range x.granted {
		if left > 0 {
			continue
		}
		x.granted[link] = rapid.Uint32Range(1, 5).Draw(x.t, "credit")
		x.p.Send(1, &wire.Flow{
			NextIncomingID: wire.Some(x.next), IncomingWindow: x.window,
			Handle: wire.Some(uint32(link)), DeliveryCount: wire.Some(x.count[link]), LinkCredit: wire.Some(x.granted[link]),
		})
	}
}

// take takes a transfer, and tells whether it was a delivery's last.
func (x *exchange) take() bool {
	t := x.transfer()
	if x.window == 0 {
		x.t.Fatalf("a transfer came although the window is closed")
	}
	x.window--
	x.next++
	link := t.Handle
	if t.DeliveryID.Present {
		if t.DeliveryID.Value != x.delivery || x.granted[link] == 0 {
			x.t.Fatalf("delivery %d came, want %d, with a credit of %d", t.DeliveryID.Value, x.delivery, x.granted[link])
		}
		x.open[x.delivery] = true
		x.delivery++
		x.granted[link]--
		x.count[link]++
	}
	if x.partial[link] = append(x.partial[link], x.p.Payload()...); t.More {
		return false
	}
	x.received[link] = append(x.received[link], x.partial[link]...)
	x.received[link] = append(x.received[link], '|')
	x.partial[link] = nil
	return true
}

// transfer is the next transfer; dispositions before it confirm ours.
func (x *exchange) transfer() *wire.Transfer {
	for {
		switch next := x.p.Next().(type) {
		case *wire.Transfer:
			return next
		case *wire.Disposition:
			x.confirmed(next)
		case *wire.Flow:
		default:
			x.t.Fatalf("got %#v while receiving", next)
		}
	}
}

func (x *exchange) confirmed(d *wire.Disposition) {
	for id := d.First; id != d.Last.Or(d.First)+1; id++ {
		if !x.open[id] {
			x.t.Fatalf("delivery %d was settled twice", id)
		}
		delete(x.open, id)
	}
}

// settle tells the outcome of deliveries up to the newest, now and then or when
// all have come, and waits until they are settled then.
func (x *exchange) settle(second, all bool) {
	if !all && rapid.Bool().Draw(x.t, "later") {
		return
	}
	d := &wire.Disposition{Role: wire.RoleReceiver, First: x.delivery - 1, Last: wire.Some(x.delivery - 1), State: &wire.Accepted{}, Settled: !second}
	for x.open[d.First-1] {
		d.First--
	}
	x.p.Send(1, d)
	if !second {
		for id := d.First; id != d.Last.Value+1; id++ {
			delete(x.open, id)
		}
	}
	for all && second && x.open[d.Last.Value] {
		x.confirmed(amqptest.Await[*wire.Disposition](x.p))
	}
}

// compare compares what came with what was sent, link by link.
func (x *exchange) compare() {
	want := make([][]byte, x.links)
	for n, m := range x.messages {
		want[n%x.links] = append(append(want[n%x.links], m...), '|')
	}
	for link := range want {
		if !bytes.Equal(want[link], x.received[link]) {
			x.t.Errorf("link %d: received %d other bytes, want %d", link, len(x.received[link]), len(want[link]))
		}
	}
}
