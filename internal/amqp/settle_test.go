package amqp_test

import (
	"slices"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// ids are the delivery-ids of sent, and whether each tag is its own.
func (d disposal) ids(t *testing.T) (ids []uint32) {
	t.Helper()
	for _, s := range d.sent {
		ids = append(ids, s.ID)
		if len(s.Tag) != 1 || uint32(s.Tag[0]) != s.ID {
			t.Errorf("delivery %d is told with the tag %v", s.ID, s.Tag)
		}
	}
	return ids
}

func last(n uint32) wire.Optional[uint32] { return wire.Some(n) }

// TestDispositions proves what a handler hears of a receiver's dispositions, and
// that each delivery is heard of once when it is settled.
func TestDispositions(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, credit(0, 20))
	l.wait(t)
	l.send(t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	accepted := &wire.Accepted{}
	for _, c := range []struct {
		name string
		sent wire.Disposition
		want []uint32 // nil: nothing is heard
	}{
		{"one, not settled", wire.Disposition{First: 3, State: accepted}, []uint32{3}},
		{"and again", wire.Disposition{First: 3, State: accepted}, []uint32{3}},
		{"a wide range from the middle", wire.Disposition{First: 8, Last: last(500), State: accepted}, []uint32{8, 9}},
		{"a range that is settled", wire.Disposition{First: 2, Last: last(4), State: accepted, Settled: true}, []uint32{2, 3, 4}},
		{"a range with holes", wire.Disposition{First: 1, Last: last(6), State: accepted}, []uint32{1, 5, 6}},
		{"only what is settled already", wire.Disposition{First: 2, Last: last(3), State: accepted, Settled: true}, nil},
		{"what was never sent", wire.Disposition{First: 100, State: accepted}, nil},
		{"no state yet", wire.Disposition{First: 0, Last: last(9)}, nil},
		{"received is no outcome", wire.Disposition{First: 0, State: &wire.Received{}}, nil},
		{"settled without an outcome", wire.Disposition{First: 0, Last: last(1), Settled: true}, []uint32{0, 1}},
		{"a huge range", wire.Disposition{First: 1<<32 - 1000, Last: last(1 << 30), State: accepted, Settled: true}, []uint32{5, 6, 7, 8, 9}},
	} {
		c.sent.Role = wire.RoleReceiver
		p.Send(0, &c.sent, echo())
		amqptest.Await[*wire.Flow](p)
		if len(l.disposed) == 0 {
			if c.want != nil {
				t.Errorf("%s: nothing was heard, want %v", c.name, c.want)
			}
			continue
		}
		got := <-l.disposed
		if ids := got.ids(t); !slices.Equal(ids, c.want) || got.settled != c.sent.Settled || len(l.disposed) > 0 {
			t.Errorf("%s: heard %v, want %v", c.name, ids, c.want)
		}
	}
}

// TestConfirmingDispositions proves that what a receiver leaves to us to settle
// is settled with our state, contiguous ones together, and once.
func TestConfirmingDispositions(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, credit(0, 20))
	l.wait(t)
	l.send(t, 0, 1, 2)
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 0, Last: last(2), State: &wire.Released{}})
	lost := &wire.Rejected{Error: &wire.Error{Condition: "com.microsoft:message-lock-lost"}}
	for _, s := range (<-l.disposed).sent {
		if s.ID == 1 {
			l.Settle(1, lost)
		} else {
			l.Settle(s.ID, &wire.Accepted{})
		}
		l.Settle(s.ID, lost) // is settled already
	}
	for id := range uint32(3) {
		d := amqptest.Await[*wire.Disposition](p)
		rejected, isRejected := d.State.(*wire.Rejected)
		if d.Role != wire.RoleSender || d.First != id || !d.Settled || isRejected != (id == 1) || isRejected && rejected.Error.Condition != lost.Error.Condition {
			t.Errorf("got %+v of delivery %d", d, id)
		}
	}
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 0, Last: last(2), State: &wire.Accepted{}}, echo())
	amqptest.Expect[*wire.Flow](p)
}

// TestUnknownDeliveries proves that a receiver which waits for deliveries that
// are not there gets its answer, if Config says which, and those that are there
// get their own.
func TestUnknownDeliveries(t *testing.T) {
	unknown := &wire.Rejected{Error: &wire.Error{Condition: "who:knows"}}
	_, p, l := receiving(t, amqp.Config{Unknown: unknown}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, credit(0, 20))
	l.wait(t)
	l.send(t, 0, 1, 2)
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 1, State: &wire.Accepted{}, Settled: true})
	<-l.disposed
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 0, Last: last(1000), State: &wire.Accepted{}})
	if got := <-l.disposed; !slices.Equal(got.ids(t), []uint32{0, 2}) {
		t.Errorf("heard %v, want 0 and 2", got)
	}
	for _, want := range [][2]uint32{{1, 1}, {3, 1000}} {
		d := amqptest.Await[*wire.Disposition](p)
		if state, ok := d.State.(*wire.Rejected); d.First != want[0] || d.Last.Or(d.First) != want[1] || !d.Settled || !ok || state.Error.Condition != "who:knows" {
			t.Errorf("got %+v, want %v", d, want)
		}
	}
	// A receiver that settles itself waits for nothing.
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 3, Last: last(9), State: &wire.Accepted{}, Settled: true}, echo())
	amqptest.Expect[*wire.Flow](p)
}

// TestDispositionOverLinks proves that a range over several links of a session
// reaches each of them.
func TestDispositionOverLinks(t *testing.T) {
	m, p, first := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, attachReceiver(1, "other"))
	second := acceptOutgoing(<-m.attaches)
	to := credit(0, 10)
	to.Handle = wire.Some[uint32](1)
	p.Send(0, credit(0, 10), to)
	first.wait(t)
	second.wait(t)
	first.send(t, 0, 1)
	second.send(t, 2)
	first.send(t, 3)
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 0, Last: last(3), State: &wire.Accepted{}, Settled: true})
	for _, want := range []struct {
		l   outgoing
		ids []uint32
	}{{first, []uint32{0, 1}}, {second, []uint32{2}}, {first, []uint32{3}}} {
		if got := (<-want.l.disposed).ids(t); !slices.Equal(got, want.ids) {
			t.Errorf("heard %v, want %v", got, want.ids)
		}
	}
}

// TestForgottenWithLink proves that what a link had unsettled is forgotten with
// it, and what it had waiting is not sent.
func TestForgottenWithLink(t *testing.T) {
	m, p, first := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: 4})
	p.Send(0, attachReceiver(1, "other"))
	second := acceptOutgoing(<-m.attaches)
	give := func(handle uint32) *wire.Flow {
		f := credit(0, 10)
		f.IncomingWindow, f.Handle = 4, wire.Some(handle)
		return f
	}
	p.Send(0, give(0), give(1))
	first.wait(t)
	second.wait(t)
	first.send(t, 0, 1)
	second.send(t, 2)
	first.send(t, 3, 9, 9) // the window is closed after 3
	second.send(t, 4)
	first.Detach(nil)
	p.ExpectDetach(0, 0, "")
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](4), IncomingWindow: wide},
		&wire.Disposition{Role: wire.RoleReceiver, First: 0, Last: last(4), State: &wire.Accepted{}, Settled: true})
	d := amqptest.Await[*wire.Transfer](p)
	if d.Handle != 1 || d.DeliveryID != wire.Some[uint32](4) {
		t.Errorf("got %+v, want delivery 4 of the other link: ids have no gaps", d)
	}
	if got := (<-second.disposed).ids(t); !slices.Equal(got, []uint32{2, 4}) {
		t.Errorf("heard %v, want 2 and 4", got)
	}
	if len(first.disposed) > 0 {
		t.Error("a link that has ended heard of a disposition")
	}
}

// TestSettledBySender proves that what a handler sends settled is not waited
// for.
func TestSettledBySender(t *testing.T) {
	_, p, l := receiving(t, amqp.Config{MaxUnsettled: 1}, &wire.Begin{IncomingWindow: wide})
	p.Send(0, credit(0, 20))
	for n := range byte(5) {
		l.wait(t)
		if err := l.Send(amqp.OutMessage{Tag: []byte{n}, Settled: true}); err != nil {
			t.Fatal(err)
		}
		if got := amqptest.Expect[*wire.Transfer](p); !got.Settled.Value || got.DeliveryID.Value != uint32(n) {
			t.Errorf("got %+v", got)
		}
	}
	p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: 0, Last: last(5), State: &wire.Accepted{}, Settled: true}, echo())
	amqptest.Expect[*wire.Flow](p)
	if len(l.disposed) > 0 {
		t.Error("a disposition of what was settled was heard of")
	}
}
