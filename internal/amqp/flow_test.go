package amqp_test

import (
	"bytes"
	"errors"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

const wide = 1 << 30

// credit is a receiver's flow.
func credit(count, credit uint32) *wire.Flow {
	return &wire.Flow{
		NextIncomingID: wire.Some[uint32](0), IncomingWindow: wide, OutgoingWindow: wide,
		Handle: wire.Some[uint32](0), DeliveryCount: wire.Some(count), LinkCredit: wire.Some(credit),
	}
}

func drain(f *wire.Flow) *wire.Flow {
	f.Drain = true
	return f
}

// expectFlow reads a flow with a delivery-count and credit.
func expectFlow(t *testing.T, p *amqptest.Peer, count, credit uint32, drained bool) {
	t.Helper()
	f := amqptest.Expect[*wire.Flow](p)
	if f.Handle != wire.Some[uint32](0) || f.DeliveryCount != wire.Some(count) || f.LinkCredit != wire.Some(credit) || f.Drain != drained {
		t.Errorf("got %+v, want delivery-count %d, credit %d, drain %v", f, count, credit, drained)
	}
	if !f.NextIncomingID.Present || f.IncomingWindow == 0 || f.OutgoingWindow == 0 {
		t.Errorf("got %+v, which does not say how the session stands", f)
	}
}

// TestLinkCredit proves that no more is sent than there is credit for, and that
// credit counts from the delivery-count that it was given with.
func TestLinkCredit(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide})
	l.hasNoDemand(t)
	p.Send(0, credit(0, 3))
	if d := l.wait(t); d.Credit != 3 || d.Drain {
		t.Errorf("demand is %+v, want 3", d)
	}
	l.send(t, 1, 2)
	p.Send(0, credit(0, 3), echo()) // was on its way when they were sent
	for range 2 {
		amqptest.Expect[*wire.Transfer](p)
	}
	amqptest.Expect[*wire.Flow](p)
	if d := l.wait(t); d.Credit != 1 {
		t.Errorf("demand is %+v, want 1", d)
	}
	l.send(t, 3)
	if err := l.Send(amqp.OutMessage{Tag: []byte{4}}); !errors.Is(err, amqp.ErrWithdrawn) {
		t.Errorf("sent without credit: %v", err)
	}
	l.hasNoDemand(t)
	p.Send(0, credit(3, 1<<32-1)) // all there is
	if d := l.wait(t); d.Credit < 10 {
		t.Errorf("demand is %+v, want much", d)
	}
}

func echo() *wire.Flow {
	return &wire.Flow{NextIncomingID: wire.Some[uint32](0), IncomingWindow: wide, Echo: true}
}

// TestTags proves that a tag is judged before anything is sent.
func TestTags(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, credit(0, 3))
	l.wait(t)
	for _, tag := range [][]byte{nil, make([]byte, 33)} {
		if err := l.Send(amqp.OutMessage{Tag: tag}); err == nil {
			t.Errorf("sent with a tag of %d bytes", len(tag))
		}
	}
	l.send(t, 1)
	if first, _ := p.Delivery(); string(first.DeliveryTag) != "\x01" || first.DeliveryID.Value != 0 {
		t.Errorf("got %+v", first)
	}
}

// TestDemandIsWithdrawn proves that who waits for messages hears when the peer
// does not want them any more.
func TestDemandIsWithdrawn(t *testing.T) {
	for name, does := range map[string]wire.Performative{
		"less credit": credit(0, 1),
		"no credit":   credit(0, 0),
		"drain":       drain(credit(0, 7)),
		"detach":      &wire.Detach{Closed: true},
		"end":         &wire.End{},
		"close":       &wire.Close{},
	} {
		t.Run(name, func(t *testing.T) {
			_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide})
			p.Send(0, credit(0, 5))
			d := l.wait(t)
			p.Send(0, credit(0, 7), echo()) // more is no reason
			amqptest.Expect[*wire.Flow](p)
			select {
			case <-d.Withdrawn:
				t.Error("the demand was withdrawn when it grew")
			default:
			}
			p.Send(0, does)
			<-d.Withdrawn
		})
	}
}

// TestEcho proves that a peer which asks is told how the session, or the link,
// stands.
func TestEcho(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide, NextOutgoingID: 77})
	p.Send(0, echo())
	if f := amqptest.Expect[*wire.Flow](p); f.Handle.Present || f.NextIncomingID != wire.Some[uint32](77) || f.IncomingWindow == 0 || f.NextOutgoingID != 0 {
		t.Errorf("got %+v of the session", f)
	}
	p.Send(0, credit(0, 3))
	l.wait(t)
	l.send(t, 1)
	amqptest.Expect[*wire.Transfer](p)
	ask := credit(1, 5)
	ask.Echo = true
	p.Send(0, ask)
	expectFlow(t, p, 1, 5, false)
}

// TestEchoOfIncoming is the same for a link that the peer sends on.
func TestEchoOfIncoming(t *testing.T) {
	_, p, _ := harness(t, amqp.Config{})
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](0), Handle: wire.Some[uint32](0), Echo: true})
	expectFlow(t, p, 0, 4, false)
	// A sender may let credit go by.
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](0), Handle: wire.Some[uint32](0), DeliveryCount: wire.Some[uint32](3)})
	expectFlow(t, p, 3, 4, false)
}

// TestDrain proves that a peer which drains is told when there is no more: its
// credit is used up, behind the messages.
func TestDrain(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, drain(credit(0, 5)))
	if d := l.wait(t); d.Credit != 5 || !d.Drain {
		t.Errorf("demand is %+v, want to drain 5", d)
	}
	l.send(t, 1, 2)
	l.Drained()
	l.Drained() // says nothing more
	for range 2 {
		amqptest.Expect[*wire.Transfer](p)
	}
	expectFlow(t, p, 5, 0, true)
	l.hasNoDemand(t)

	p.Send(0, drain(credit(5, 0))) // nothing to drain is said at once
	expectFlow(t, p, 5, 0, true)

	p.Send(0, drain(credit(5, 2)))
	l.wait(t)
	l.send(t, 3, 4) // uses it up, which needs no Drained
	for range 2 {
		amqptest.Expect[*wire.Transfer](p)
	}
	expectFlow(t, p, 7, 0, true)

	p.Send(0, drain(credit(7, 2)), credit(7, 2)) // thinks better of it
	for d := l.wait(t); d.Drain; d = l.wait(t) {
		<-d.Withdrawn
	}
	l.Drained()
	if d := l.wait(t); d.Credit != 2 {
		t.Errorf("demand is %+v, want 2 that were not drained", d)
	}
}

// TestDrainWithoutRoom proves that a drain ends when nothing more may be sent
// because too much is unsettled.
func TestDrainWithoutRoom(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{MaxUnsettled: 2}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, credit(0, 5))
	if d := l.wait(t); d.Credit != 2 {
		t.Errorf("demand is %+v, want 2", d)
	}
	l.send(t, 1, 2)
	if err := l.Send(amqp.OutMessage{Tag: []byte{3}}); !errors.Is(err, amqp.ErrWithdrawn) {
		t.Errorf("sent more than may be unsettled: %v", err)
	}
	l.hasNoDemand(t)
	for range 2 {
		amqptest.Expect[*wire.Transfer](p)
	}
	p.Send(0, drain(credit(2, 3)), echo())
	amqptest.Expect[*wire.Flow](p)
	l.hasNoDemand(t)
	expectFlow(t, p, 5, 0, true)
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 0, Settled: true}, credit(5, 5))
	if d := l.wait(t); d.Credit != 1 {
		t.Errorf("demand is %+v, want 1 after one has been settled", d)
	}
}

// TestDrainFlood proves that nothing piles up when a peer drains again and again
// behind a closed window, without credit or with credit for which there is no
// room: in the end it is told once, behind the message that waits.
func TestDrainFlood(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{MaxUnsettled: 1}, &wire.Begin{IncomingWindow: 1})
	flow := func(count, credit uint32) *wire.Flow {
		return &wire.Flow{
			NextIncomingID: wire.Some[uint32](0), IncomingWindow: 1,
			Handle: wire.Some[uint32](0), DeliveryCount: wire.Some(count), LinkCredit: wire.Some(credit),
		}
	}
	p.Send(0, flow(0, 1))
	l.wait(t)
	if err := l.Send(amqp.OutMessage{Tag: []byte{1}, Message: make([]byte, 2*amqptest.MaxFrameSize)}); err != nil {
		t.Fatal(err)
	}
	amqptest.Expect[*wire.Transfer](p)
	const rounds, each = 50, 2000
	before := memory()
	for n := range uint32(rounds) {
		p.Write(bytes.Repeat(amqptest.Frames(t, 0, drain(flow(1+n, 0))), each))
		more := drain(flow(1+n, 1))
		more.Echo = true
		p.Send(0, more)
		expectFlow(t, p, 1, n+1, false)
		l.hasNoDemand(t)
	}
	if grown := int64(memory() - before); grown > 2<<20 {
		t.Errorf("%d drains take %d bytes", rounds*each, grown)
	}
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](1), IncomingWindow: wide})
	for amqptest.Expect[*wire.Transfer](p).More {
	}
	expectFlow(t, p, 1+rounds, 0, true)
	p.Send(0, echo())
	if f := amqptest.Expect[*wire.Flow](p); f.Handle.Present {
		t.Errorf("told again: %+v", f)
	}
}

// TestDrainBetweenMessages proves that of several drains that wait for the window
// each is told in its place among the messages.
func TestDrainBetweenMessages(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: 1})
	flow := func(count uint32) *wire.Flow {
		f := drain(credit(count, 3))
		f.IncomingWindow = 1
		return f
	}
	p.Send(0, flow(0))
	l.wait(t)
	l.send(t, 1, 2)
	l.Drained()
	more := flow(3)
	more.Echo = true
	p.Send(0, more)
	if first := amqptest.Expect[*wire.Transfer](p); first.DeliveryID.Value != 0 {
		t.Errorf("got %+v", first)
	}
	expectFlow(t, p, 1, 5, false)
	l.send(t, 3)
	l.Drained()
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](1), IncomingWindow: wide})
	amqptest.Expect[*wire.Transfer](p)
	if f := amqptest.Expect[*wire.Flow](p); f.DeliveryCount != wire.Some[uint32](3) {
		t.Errorf("after the second message: %+v", f)
	}
	amqptest.Expect[*wire.Transfer](p)
	expectFlow(t, p, 6, 0, true)
}

// TestSessionWindow proves that no more transfer frames are sent than the peer's
// session takes, that an ended drain waits behind them, and that what waits goes
// on when the window opens.
func TestSessionWindow(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: 2})
	closed := &wire.Flow{NextIncomingID: wire.Some[uint32](0), IncomingWindow: 2, Handle: wire.Some[uint32](0), LinkCredit: wire.Some[uint32](5), Drain: true}
	p.Send(0, closed)
	if d := l.wait(t); d.Credit != 2 {
		t.Errorf("demand is %+v, want no more than the window", d)
	}
	l.send(t, 1, 2, 3)
	l.Drained()
	l.hasNoDemand(t)
	for id := range uint32(2) {
		if f := amqptest.Expect[*wire.Transfer](p); f.DeliveryID != wire.Some(id) {
			t.Errorf("got %+v, want delivery %d", f, id)
		}
	}
	ask := *closed
	ask.Echo = true
	p.Send(0, &ask)
	expectFlow(t, p, 2, 3, false) // the third has not been sent, and nothing drained
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](2), IncomingWindow: 1})
	if f := amqptest.Expect[*wire.Transfer](p); f.DeliveryID != wire.Some[uint32](2) {
		t.Errorf("got %+v, want delivery 2", f)
	}
	expectFlow(t, p, 5, 0, true)
}

// TestWindowOfLargeMessage proves that the window is counted in frames, and that
// a message can wait half sent.
func TestWindowOfLargeMessage(t *testing.T) {
	b := newBroker()
	_, address := serve(t, amqp.Config{}, b)
	p := amqptest.Dial(t, address)
	p.OpenAs(&wire.Open{ContainerID: "peer", MaxFrameSize: wire.Some[uint32](512)})
	p.BeginAs(0, &wire.Begin{IncomingWindow: 1})
	b.put("q", amqp.OutMessage{Tag: []byte("a"), Message: make([]byte, 2000)}, amqp.OutMessage{Tag: []byte("b")})
	p.Send(0, attachReceiver(0, "in"))
	amqptest.Expect[*wire.Attach](p)
	var size, last int
	for next := uint32(0); last < 2; next++ {
		p.Send(0, &wire.Flow{NextIncomingID: wire.Some(next), IncomingWindow: 1, Handle: wire.Some[uint32](0), LinkCredit: wire.Some[uint32](2)})
		f := amqptest.Expect[*wire.Transfer](p)
		if size += len(p.Payload()); !f.More {
			last++
		}
	}
	if size != 2000 {
		t.Errorf("received %d bytes", size)
	}
}

// TestIncomingWindow proves that a peer is told of a new window before it has
// used up the old one.
func TestIncomingWindow(t *testing.T) {
	_, address := serve(t, amqp.Config{}, newBroker())
	p := amqptest.Dial(t, address)
	p.Open("peer")
	begin := p.Begin(0)
	p.Sender(0, 0, "out", "q")
	heard, sent := begin.IncomingWindow, uint32(0)
	for ; sent < 4*begin.IncomingWindow && heard > 0; heard-- {
		first := amqptest.First(0, sent)
		first.Settled = wire.Some(true)
		p.Write(encode(t, first, 1))
		if sent++; sent%1000 == 0 { // now and then a peer hears what it is told
			p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](0), IncomingWindow: wide, Echo: true})
			f := amqptest.Expect[*wire.Flow](p)
			for f.Handle.Present || f.NextIncomingID.Value < sent {
				f = amqptest.Expect[*wire.Flow](p)
			}
			if f.NextIncomingID.Value != sent {
				t.Fatalf("next-incoming-id is %d after %d transfers", f.NextIncomingID.Value, sent)
			}
			heard = f.IncomingWindow
		}
	}
	if heard == 0 {
		t.Errorf("the window was closed after %d transfers", sent)
	}
}

// TestWindowBeforeBegin proves that a window counts from our first transfer when
// the peer has not seen our begin yet.
func TestWindowBeforeBegin(t *testing.T) {
	m := newManual()
	s := amqp.NewServer(amqp.Config{}, m)
	s.CountFrom(1000)
	p, _ := connect(t, s, m)
	p.Open("peer")
	give := credit(0, 5)
	give.NextIncomingID, give.DeliveryCount, give.IncomingWindow = wire.Optional[uint32]{}, wire.Optional[uint32]{}, 3
	p.Send(0, &wire.Begin{}, attachReceiver(0, "in"), give)
	amqptest.Expect[*wire.Begin](p)
	l := acceptOutgoing(<-m.attaches)
	amqptest.Expect[*wire.Attach](p)
	if d := l.wait(t); d.Credit != 3 {
		t.Errorf("demand is %+v, want 3", d)
	}
}

// TestFlowBeforeAnswer proves that credit counts which comes before the attach
// has been answered.
func TestFlowBeforeAnswer(t *testing.T) {
	m := newManual()
	_, address := serve(t, amqp.Config{}, m)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	ask := drain(credit(0, 2))
	ask.Echo = true
	p.Send(0, attachReceiver(0, "in"), ask, echo())
	amqptest.Expect[*wire.Flow](p) // of the session; the link has no handle yet
	l := acceptOutgoing(<-m.attaches)
	if d := l.wait(t); d.Credit != 2 || !d.Drain {
		t.Errorf("demand is %+v, want to drain 2", d)
	}
	amqptest.Expect[*wire.Attach](p)
}
