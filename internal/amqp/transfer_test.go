package amqp_test

import (
	"bytes"
	"slices"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// TestReassembly proves that a message in many frames arrives whole, also when
// the frames of another link lie between them.
func TestReassembly(t *testing.T) {
	_, address := serve(t, amqp.Config{}, newBroker())
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	p.Sender(0, 0, "a", "q")
	p.Sender(0, 1, "b", "q")
	p.Receiver(0, 2, "in", "q", 10)
	first, other := amqptest.First(0, 0), amqptest.First(1, 1)
	first.More, other.More = true, true
	p.Write(encode(t, first, 100))
	p.Write(encode(t, other, 7))
	p.Write(encode(t, &wire.Transfer{Handle: 0, More: true}, 0))
	p.Write(encode(t, &wire.Transfer{Handle: 1, DeliveryID: other.DeliveryID, DeliveryTag: other.DeliveryTag, MessageFormat: other.MessageFormat}, 3))
	p.Write(encode(t, &wire.Transfer{Handle: 0, DeliveryID: first.DeliveryID}, 900))
	for confirmed, sizes := uint32(0), []int(nil); confirmed < 2 || len(sizes) < 2; {
		switch next := p.Next().(type) {
		case *wire.Disposition:
			if next.Role != wire.RoleReceiver || !next.Settled || !isAccepted(next.State) {
				t.Errorf("got %+v, want accepted", next)
			}
			confirmed += next.Last.Or(next.First) - next.First + 1
		case *wire.Transfer:
			if sizes = append(sizes, len(p.Payload())); len(sizes) == 2 && !slices.Equal(sizes, []int{10, 1000}) {
				t.Errorf("received messages of %v bytes, want 10 and 1000", sizes)
			}
		}
	}
}

func isAccepted(s wire.DeliveryState) bool {
	_, ok := s.(*wire.Accepted)
	return ok
}

// TestFragmentation proves how a large message is cut for a peer with small
// frames: no frame is too large, and only the first names the delivery.
func TestFragmentation(t *testing.T) {
	b := newBroker()
	_, address := serve(t, amqp.Config{}, b)
	p := amqptest.Dial(t, address)
	p.OpenAs(&wire.Open{ContainerID: "peer", MaxFrameSize: wire.Some[uint32](512)})
	p.Begin(0)
	body := bytes.Repeat([]byte("0123456789"), 1000)
	b.put("q", amqp.OutMessage{Tag: []byte("tag"), Format: 0x80013700, Message: body})
	p.Receiver(0, 0, "in", "q", 1)
	first := amqptest.Expect[*wire.Transfer](p)
	want := wire.Transfer{DeliveryID: wire.Some[uint32](0), DeliveryTag: []byte("tag"), MessageFormat: wire.Some[uint32](0x80013700), Settled: wire.Some(false), More: true}
	if !equalTransfers(first, &want) {
		t.Errorf("the first transfer is %+v, want %+v", first, want)
	}
	got := p.Payload()
	for more := true; more; {
		next := amqptest.Expect[*wire.Transfer](p)
		if len(p.Payload()) > 512-8 {
			t.Errorf("a frame has a payload of %d bytes", len(p.Payload()))
		}
		if next.DeliveryTag != nil || next.Handle != 0 {
			t.Errorf("a further transfer is %+v", next)
		}
		got, more = append(got, p.Payload()...), next.More
	}
	if !bytes.Equal(got, body) {
		t.Errorf("received %d other bytes", len(got))
	}
}

func equalTransfers(a, b *wire.Transfer) bool {
	return a.Handle == b.Handle && a.DeliveryID == b.DeliveryID && bytes.Equal(a.DeliveryTag, b.DeliveryTag) &&
		a.MessageFormat == b.MessageFormat && a.Settled == b.Settled && a.More == b.More
}

// TestAbortedAndResumed proves that deliveries which are aborted, or resumed
// although nothing is unsettled, are ignored: nobody gets them, nobody confirms
// them, and their credit comes back.
func TestAbortedAndResumed(t *testing.T) {
	abort := func(first *wire.Transfer, t *testing.T) []byte {
		first.More = true
		return append(encode(t, first, 500), encode(t, &wire.Transfer{Aborted: true}, 5)...)
	}
	abortedAtOnce := func(first *wire.Transfer, t *testing.T) []byte {
		first.Aborted = true
		return encode(t, first, 5)
	}
	abortedWithMore := func(first *wire.Transfer, t *testing.T) []byte {
		first.Aborted, first.More = true, true
		return encode(t, first, 5)
	}
	resumed := func(first *wire.Transfer, t *testing.T) []byte {
		first.Resume = true
		return encode(t, first, 5)
	}
	resumedInParts := func(first *wire.Transfer, t *testing.T) []byte {
		first.Resume, first.More = true, true
		return append(encode(t, first, 900), encode(t, &wire.Transfer{}, 900)...)
	}
	for name, frames := range map[string]func(*wire.Transfer, *testing.T) []byte{
		"aborted": abort, "aborted at once": abortedAtOnce, "aborted with more": abortedWithMore,
		"resumed": resumed, "resumed in parts": resumedInParts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p, other := harness(t, amqp.Config{})
			p.Send(0, &wire.Detach{Handle: 1, Closed: true})
			for id := range uint32(20) { // credit is 4
				p.Write(frames(amqptest.First(0, 2*id), t))
				p.Message(0, 0, 2*id+1, []byte("whole"))
				if d := amqptest.Await[*wire.Disposition](p); d.First != 2*id+1 || d.Last.Present {
					t.Fatalf("got %+v, want delivery %d confirmed", d, 2*id+1)
				}
			}
			if n := b.waiting("q"); n != 20 {
				t.Errorf("%d messages have come, want 20", n)
			}
			other.check(t)
		})
	}
}

// TestPresettled proves that what a sender has settled is taken without a word,
// whichever of its transfers says so, and that its credit comes back.
func TestPresettled(t *testing.T) {
	_, p, _ := harness(t, amqp.Config{})
	for id := range uint32(10) {
		first := amqptest.First(0, id)
		switch id % 3 {
		case 0:
			first.Settled = wire.Some(true)
			p.Write(encode(t, first, 1))
		case 1:
			first.More = true
			p.Write(append(encode(t, first, 1), encode(t, &wire.Transfer{Settled: wire.Some(true)}, 1)...))
		case 2:
			first.Settled, first.More = wire.Some(true), true
			p.Write(append(encode(t, first, 1), encode(t, &wire.Transfer{}, 1)...))
		}
		next := p.Next()
		for _, isFlow := next.(*wire.Flow); isFlow; _, isFlow = next.(*wire.Flow) {
			next = p.Next()
		}
		if _, ok := next.(*wire.Transfer); !ok {
			t.Fatalf("delivery %d: got %#v, want the message back", id, next)
		}
	}
}

// TestReceiverThatSettlesLast proves that a sender which asked for the receiver
// to settle second is told the outcome first, and settles.
func TestReceiverThatSettlesLast(t *testing.T) {
	_, address := serve(t, amqp.Config{}, newBroker())
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	second := wire.Some(wire.ReceiverSecond)
	p.Send(0, &wire.Attach{Name: "x", ReceiverSettleMode: second, SenderSettleMode: wire.Some(wire.SenderUnsettled), Target: &wire.Target{Address: wire.Some("q")}})
	if a := amqptest.Expect[*wire.Attach](p); a.ReceiverSettleMode != second || a.SenderSettleMode != wire.Some(wire.SenderUnsettled) {
		t.Fatalf("got %+v, want the modes that were asked for", a)
	}
	amqptest.Expect[*wire.Flow](p)
	p.Message(0, 0, 0, []byte("x"))
	if d := amqptest.Expect[*wire.Disposition](p); d.Settled || !isAccepted(d.State) {
		t.Errorf("got %+v, want accepted, not settled", d)
	}
	p.Send(0, &wire.Disposition{Role: wire.RoleSender, Settled: true, First: 0})
	p.Message(0, 0, 1, []byte("x"))
	if d := amqptest.Expect[*wire.Disposition](p); d.First != 1 {
		t.Errorf("got %+v, want delivery 1", d)
	}
}

// TestConfirmationsAreMerged proves that contiguous deliveries with equal states
// are confirmed as one range, in whichever order they are settled, and others
// apart.
func TestConfirmationsAreMerged(t *testing.T) {
	b := newBroker()
	settled := make(chan struct{})
	var deliveries []*amqp.Delivery
	b.hold = func(d *amqp.Delivery) {
		if deliveries = append(deliveries, d); len(deliveries) == 10 {
			settleInGroups(deliveries)
			close(settled)
		}
	}
	p := pipe(t, amqp.Config{}, b)
	p.Open("peer")
	p.Begin(0)
	p.Sender(0, 0, "out", "q")
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](0), Echo: true}) // the answer occupies the writer
	for id := range uint32(10) {
		transfer := amqptest.First(0, id)
		if id == 3 { // its sender settles it last
			transfer.ReceiverSettleMode = wire.Some(wire.ReceiverSecond)
		}
		p.Write(encode(t, transfer, 1))
	}
	<-settled
	var got [][2]uint32
	for len(got) < 6 {
		d := amqptest.Expect[*wire.Disposition](p)
		got = append(got, [2]uint32{d.First, d.Last.Or(d.First)})
		if d.Settled == (d.First == 3) {
			t.Errorf("got %+v", d)
		}
	}
	if want := [][2]uint32{{0, 2}, {3, 3}, {4, 6}, {7, 7}, {8, 8}, {9, 9}}; !slices.Equal(got, want) {
		t.Errorf("confirmed %v, want %v", got, want)
	}
}

func settleInGroups(deliveries []*amqp.Delivery) {
	settle := func(state wire.DeliveryState, ids ...int) {
		for _, id := range ids {
			deliveries[id].Settle(state)
			deliveries[id].Settle(&wire.Rejected{}) // counts for nothing
		}
	}
	settle(&wire.Accepted{}, 0, 1, 2)
	settle(&wire.Accepted{}, 3)
	settle(&wire.Released{}, 6, 5, 4)
	settle(&wire.Rejected{}, 7)
	settle(&wire.Rejected{}, 8)
	settle(&wire.Accepted{}, 9)
}

// TestTooLarge proves that a message which is too large is rejected when it is
// whole, in however many frames it comes, and that its credit comes back.
func TestTooLarge(t *testing.T) {
	b, p, other := harness(t, amqp.Config{}) // 1000 bytes, and a credit of 4
	p.Send(0, &wire.Detach{Handle: 1, Closed: true})
	for id := range uint32(20) {
		first := amqptest.First(0, id)
		if id%2 == 0 {
			p.Write(encode(t, first, 1001))
		} else {
			first.More = true
			p.Write(encode(t, first, 900))
			p.Write(encode(t, &wire.Transfer{More: true}, 900))
			p.Write(encode(t, &wire.Transfer{More: true}, 900))
			p.Write(encode(t, &wire.Transfer{}, 900))
		}
		d := amqptest.Await[*wire.Disposition](p)
		state, rejected := d.State.(*wire.Rejected)
		if d.First != id || d.Last.Present || !d.Settled || !rejected || state.Error.Condition != wire.ConditionMessageSizeExceeded {
			t.Fatalf("delivery %d: got %+v, want it rejected and settled", id, d)
		}
	}
	if n := b.waiting("q"); n != 0 {
		t.Errorf("%d messages have come, want none", n)
	}
	other.check(t)
}

// TestSettleFirst proves that deliveries are settled when their state is told,
// although the sender asked to be told before.
func TestSettleFirst(t *testing.T) {
	b := newBroker()
	b.incoming.SettleFirst = true
	_, address := serve(t, amqp.Config{}, b)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	second := wire.Some(wire.ReceiverSecond)
	p.Send(0, &wire.Attach{Name: "x", ReceiverSettleMode: second, Target: &wire.Target{Address: wire.Some("q")}})
	if a := amqptest.Expect[*wire.Attach](p); a.ReceiverSettleMode != second {
		t.Fatalf("got %+v, want the mode that was asked for", a)
	}
	amqptest.Expect[*wire.Flow](p)
	p.Message(0, 0, 0, []byte("x"))
	if d := amqptest.Expect[*wire.Disposition](p); !d.Settled || !isAccepted(d.State) {
		t.Errorf("got %+v, want accepted and settled", d)
	}
}

// answering is a broker that answers each delivery as soon as it has settled it.
type answering struct {
	*broker
	answers *amqp.Outgoing
}

func (a *answering) Attach(at *amqp.Attach) {
	if at.FromClient() {
		a.broker.Attach(at)
		return
	}
	a.answers = at.AcceptOutgoing(amqp.OutgoingOptions{Dispose: a.dispose})
}

func (a *answering) answer(d *amqp.Delivery) {
	d.Settle(&wire.Accepted{})
	_ = a.answers.Send(amqp.OutMessage{Tag: d.Tag, Message: d.Message, Settled: true})
}

// TestOutcomesLeaveBeforeAnswers proves that what is settled before something is
// sent in its session is told before that.
func TestOutcomesLeaveBeforeAnswers(t *testing.T) {
	b := &answering{broker: newBroker()}
	b.hold = b.answer
	_, address := serve(t, amqp.Config{}, b)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	const n = 100
	p.Receiver(0, 1, "in", "q", n)
	p.Sender(0, 0, "out", "q")
	var requests []wire.Performative
	for id := range uint32(n) {
		requests = append(requests, amqptest.First(0, id))
	}
	p.Send(0, requests...)
	for settled, answers := uint32(0), uint32(0); answers < n; {
		switch next := p.Next().(type) {
		case *wire.Disposition:
			settled += next.Last.Or(next.First) - next.First + 1
		case *wire.Transfer:
			if answers++; answers > settled {
				t.Fatalf("answer %d has come after %d outcomes", answers, settled)
			}
		}
	}
}
