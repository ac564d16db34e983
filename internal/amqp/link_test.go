package amqp_test

import (
	"errors"
	"fmt"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// TestRefusedAttach proves that a refusal is an attach with a null terminus and
// a detach, in one write, for whom the peer's handle is free again afterwards.
func TestRefusedAttach(t *testing.T) {
	dynamic := wire.Source{Dynamic: true}
	for _, c := range []struct {
		name      string
		attach    *wire.Attach
		condition wire.Symbol
	}{
		{"by the handler, of a sender", &wire.Attach{Target: &wire.Target{Address: wire.Some("missing")}}, wire.ConditionNotFound},
		{"by the handler, of a receiver", &wire.Attach{Role: wire.RoleReceiver, Source: &wire.Source{Address: wire.Some("missing")}}, wire.ConditionNotFound},
		{"a coordinator", &wire.Attach{Coordinator: &wire.Coordinator{}}, wire.ConditionNotImplemented},
		{"a dynamic source", &wire.Attach{Role: wire.RoleReceiver, Source: &dynamic}, wire.ConditionNotImplemented},
		{"a dynamic target", &wire.Attach{Target: &wire.Target{Dynamic: true}}, wire.ConditionNotImplemented},
		{"no source", &wire.Attach{Role: wire.RoleReceiver, Target: &wire.Target{}}, wire.ConditionInvalidField},
		{"no target", &wire.Attach{Source: &wire.Source{}}, wire.ConditionInvalidField},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, address := serve(t, amqp.Config{}, newBroker())
			other := newBystander(t, address)
			p := amqptest.Dial(t, address)
			p.Open("peer")
			p.Begin(0)
			for range 2 {
				c.attach.Name, c.attach.Handle = "refused", 3
				p.Send(0, c.attach)
				a := amqptest.Expect[*wire.Attach](p)
				if a.Name != "refused" || a.Role == c.attach.Role || a.Source != nil || a.Target != nil || a.Coordinator != nil {
					t.Errorf("got %+v, want an attach with null termini", a)
				}
				if a.Role == wire.RoleSender && !a.InitialDeliveryCount.Present {
					t.Errorf("got %+v, without the initial-delivery-count that a sender must say", a)
				}
				p.ExpectDetach(0, a.Handle, c.condition)
			}
			other.check(t)
		})
	}
}

// TestAnswer proves that the answer to an attach repeats what clients compare.
func TestAnswer(t *testing.T) {
	m := newManual()
	_, address := serve(t, amqp.Config{}, m)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	asked := attachSender(7, "x")
	asked.SenderSettleMode, asked.ReceiverSettleMode = wire.Some(wire.SenderMixed), wire.Some(wire.ReceiverFirst)
	p.Send(0, asked)
	a := <-m.attaches
	if !a.FromClient() || a.Frame().Name != "x" || a.Conn().Open().ContainerID != "peer" {
		t.Errorf("the handler was shown %+v", a.Frame())
	}
	acceptIncoming(a, amqp.IncomingOptions{MaxMessageSize: 5, Credit: 9, Properties: wire.Map{{Key: wire.Symbol("k"), Value: "v"}}})
	got := amqptest.Expect[*wire.Attach](p)
	if got.Handle != 7 || got.SenderSettleMode != asked.SenderSettleMode || got.ReceiverSettleMode != asked.ReceiverSettleMode ||
		got.Target.Address.Value != "q" || got.MaxMessageSize != 5 || len(got.Properties) != 1 || got.Unsettled != nil || got.InitialDeliveryCount.Present {
		t.Errorf("answered %+v", got)
	}
	if f := amqptest.Expect[*wire.Flow](p); f.LinkCredit.Value != 9 || f.Handle.Value != 7 {
		t.Errorf("got %+v, want credit for 9", f)
	}
	p.Send(0, attachReceiver(8, "x")) // the same name in the other direction is another link
	out := (<-m.attaches).AcceptOutgoing(amqp.OutgoingOptions{Source: &wire.Source{Address: wire.Some("ours")}, Target: &wire.Target{Address: wire.Some("theirs")}})
	got = amqptest.Expect[*wire.Attach](p)
	if got.SenderSettleMode.Present || got.Source.Address.Value != "ours" || got.Target.Address.Value != "theirs" || got.InitialDeliveryCount != wire.Some[uint32](0) {
		t.Errorf("answered %+v", got)
	}
	if out.Session() != a.Session() || out.Conn() != a.Conn() {
		t.Error("two links of a session have not got the same session")
	}
}

// TestResume proves that a link which a peer wants to resume is answered with
// nothing unsettled.
func TestResume(t *testing.T) {
	_, address := serve(t, amqp.Config{}, newBroker())
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	for handle, a := range []*wire.Attach{attachSender(0, "a"), attachReceiver(1, "b")} {
		a.Unsettled = wire.Map{{Key: []byte("tag"), Value: nil}}
		p.Send(0, a)
		if got := amqptest.Expect[*wire.Attach](p); got.Unsettled == nil || len(got.Unsettled) > 0 || got.Handle != uint32(handle) {
			t.Errorf("answered %+v, want an empty unsettled map", got)
		}
	}
}

// TestDetach proves that a detach is answered in kind, that its handle and its
// name are free then, and what the handler hears.
func TestDetach(t *testing.T) {
	m := newManual()
	_, address := serve(t, amqp.Config{}, m)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	for i, closed := range []bool{true, false, true} {
		p.Send(0, attachReceiver(5, "x"))
		l := acceptOutgoing(<-m.attaches)
		amqptest.Expect[*wire.Attach](p)
		detach := &wire.Detach{Handle: 5, Closed: closed}
		if i == 2 {
			detach.Error = &wire.Error{Condition: "their:reason"}
		}
		p.Send(0, detach)
		if got := amqptest.Expect[*wire.Detach](p); got.Handle != 5 || got.Closed != closed || got.Error != nil {
			t.Errorf("detach closed=%v was answered with %+v", closed, got)
		}
		err := <-l.detached
		if told, ok := errors.AsType[*wire.Error](err); i < 2 && err != nil || i == 2 && (!ok || told.Condition != "their:reason") {
			t.Errorf("the handler heard %v", err)
		}
		if _, err := l.Wait(t.Context()); !errors.Is(err, amqp.ErrDetached) {
			t.Errorf("waited on a detached link: %v", err)
		}
		if err := l.Send(amqp.OutMessage{Tag: []byte("x")}); !errors.Is(err, amqp.ErrDetached) {
			t.Errorf("sent on a detached link: %v", err)
		}
		l.Detach(nil)
		l.Drained()
		l.Settle(0, &wire.Accepted{})
	}
}

// TestForcedDetach proves that our detach is closed with its error, that what
// the peer sends before it knows is ignored, and that its answer frees the
// handle.
func TestForcedDetach(t *testing.T) {
	m := newManual()
	_, address := serve(t, amqp.Config{}, m)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	for id := range uint32(2) {
		p.Send(0, attachSender(5, "x"))
		l := acceptIncoming(<-m.attaches, amqp.IncomingOptions{})
		amqptest.Await[*wire.Flow](p)
		l.Detach(&wire.Error{Condition: wire.ConditionDetachForced, Description: "the queue has been changed"})
		l.Detach(nil) // too late
		if told, ok := errors.AsType[*wire.Error](<-l.detached); !ok || told.Condition != wire.ConditionDetachForced {
			t.Errorf("the handler heard %v", told)
		}
		p.Message(0, 5, id, []byte("on its way"))
		p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](0), Handle: wire.Some[uint32](5), Echo: true})
		p.ExpectDetach(0, 5, wire.ConditionDetachForced)
		if len(l.delivered) > 0 {
			t.Error("a delivery came after the end of its link")
		}
	}
}

// TestLateAnswer proves that an attach can be answered at any time, also when
// the peer has gone in the meantime.
func TestLateAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		does    wire.Performative
		refuses bool
	}{
		"detached": {&wire.Detach{Handle: 5}, false}, "detached, refused": {&wire.Detach{Handle: 5, Closed: true}, true},
		"ended": {&wire.End{}, false}, "ended, refused": {&wire.End{}, true},
		"closed": {&wire.Close{}, false}, "closed, refused": {&wire.Close{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManual()
			_, address := serve(t, amqp.Config{}, m)
			p := amqptest.Dial(t, address)
			p.Open("peer")
			p.Begin(0)
			p.Send(0, attachReceiver(5, "x"), c.does)
			a := <-m.attaches
			_, detaches := c.does.(*wire.Detach)
			switch {
			case detaches:
				p.Send(0, echo())
				amqptest.Expect[*wire.Flow](p) // so it has come
			case name[0] == 'e':
				amqptest.Expect[*wire.End](p)
			default:
				amqptest.Expect[*wire.Close](p)
				<-m.closed
			}
			if c.refuses {
				a.Refuse(&wire.Error{Condition: wire.ConditionNotFound})
			} else if err := <-acceptOutgoing(a).detached; err != nil {
				t.Errorf("the handler heard %v of a peer that went in peace", err)
			}
			if detaches {
				amqptest.Expect[*wire.Attach](p)
				if got := amqptest.Expect[*wire.Detach](p); got.Closed != c.refuses || (got.Error != nil) != c.refuses {
					t.Errorf("got %+v", got)
				}
				p.Send(0, attachReceiver(5, "x")) // its handle is free
				<-m.attaches
			}
		})
	}
}

// TestAttachIsAnsweredOnce proves that a handler which answers twice is told so.
func TestAttachIsAnsweredOnce(t *testing.T) {
	m, _, _ := receiving(t, amqp.Config{}, &wire.Begin{})
	_ = m
	defer func() {
		if recover() == nil {
			t.Error("a second answer was taken")
		}
	}()
	_, address := serve(t, amqp.Config{}, m)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	p.Send(0, attachReceiver(5, "x"))
	a := <-m.attaches
	a.Refuse(&wire.Error{Condition: wire.ConditionNotFound})
	a.Refuse(&wire.Error{Condition: wire.ConditionNotFound})
}

// TestStolenLink proves that who attaches a link of the same container, name and
// direction takes it over, on whichever connection it was.
func TestStolenLink(t *testing.T) {
	for _, c := range []struct {
		name             string
		container, other string
		sameConn         bool
		stolen           bool
	}{
		{"on the same connection", "a", "a", true, true},
		{"on another connection", "a", "a", false, true},
		{"of another container", "a", "b", false, false},
		{"of nameless containers", "", "", false, false},
		{"of a nameless container", "", "", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newManual()
			_, address := serve(t, amqp.Config{}, m)
			first := amqptest.Dial(t, address)
			first.Open(c.container)
			first.Begin(0)
			second := first
			if !c.sameConn {
				second = amqptest.Dial(t, address)
				second.Open(c.other)
			}
			second.Begin(1)
			first.Send(0, attachReceiver(1, "x"))
			victim := acceptOutgoing(<-m.attaches)
			amqptest.Expect[*wire.Attach](first)
			first.Send(0, attachSender(2, "x")) // another direction is another link
			acceptIncoming(<-m.attaches, amqp.IncomingOptions{})
			amqptest.Await[*wire.Flow](first)

			second.Send(1, attachReceiver(1, "x"))
			a := <-m.attaches
			if len(victim.detached) > 0 {
				t.Error("the link was stolen before the thief was accepted")
			}
			thief := acceptOutgoing(a)
			amqptest.Expect[*wire.Attach](second)
			if c.stolen {
				first.ExpectDetach(0, 1, wire.ConditionStolen)
				if told, ok := errors.AsType[*wire.Error](<-victim.detached); !ok || told.Condition != wire.ConditionStolen {
					t.Errorf("the handler heard %v", told)
				}
			}
			first.Send(0, echo())
			amqptest.Expect[*wire.Flow](first) // and no other detach
			if len(thief.detached) > 0 || !c.stolen && len(victim.detached) > 0 {
				t.Error("a link was detached that nobody stole")
			}
		})
	}
}

// TestStolenFromThief proves that a link which was stolen can be stolen again:
// the first thief's name did not go with its victim.
func TestStolenFromThief(t *testing.T) {
	m, p, victim := receiving(t, amqp.Config{}, &wire.Begin{})
	for handle := range uint32(3) {
		p.Send(0, attachReceiver(handle+1, "in"))
		thief := acceptOutgoing(<-m.attaches)
		amqptest.Expect[*wire.Attach](p)
		p.ExpectDetach(0, handle, wire.ConditionStolen)
		<-victim.detached
		victim = thief
	}
}

// TestRefusedThief proves that an attach which is refused steals nothing.
func TestRefusedThief(t *testing.T) {
	m, p, victim := receiving(t, amqp.Config{}, &wire.Begin{})
	p.Send(0, attachReceiver(1, "in"))
	(<-m.attaches).Refuse(&wire.Error{Condition: wire.ConditionUnauthorizedAccess})
	amqptest.Expect[*wire.Attach](p)
	p.ExpectDetach(0, 1, wire.ConditionUnauthorizedAccess)
	if len(victim.detached) > 0 {
		t.Error("the link was stolen by one that was refused")
	}
}

// TestMaxLinks proves that a connection may have so many links and no more, and
// that one which does not even detach those that were refused is closed.
func TestMaxLinks(t *testing.T) {
	const limit = 10
	_, address := serve(t, amqp.Config{MaxLinks: limit}, newBroker())
	other := newBystander(t, address)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	p.Begin(1)
	for n := range uint32(limit) {
		p.Send(uint16(n%2), attachSender(n, fmt.Sprint(n)))
		amqptest.Await[*wire.Flow](p)
	}
	p.Send(0, attachSender(99, "one more"))
	p.ExpectDetach(0, 99, wire.ConditionResourceLimitExceeded)
	p.Send(0, &wire.Detach{Handle: 0, Closed: true})
	amqptest.Await[*wire.Detach](p)
	p.Send(1, attachSender(98, "instead"))
	amqptest.Await[*wire.Flow](p)
	for n := range uint32(limit + 2) {
		p.Send(0, attachSender(100+n, fmt.Sprint("refused", n)))
	}
	p.ExpectClose(wire.ConditionResourceLimitExceeded)
	other.check(t)
}

// TestLinksOfEndedSessions proves that the links of a session which has ended
// count no more, whoever ended it.
func TestLinksOfEndedSessions(t *testing.T) {
	_, address := serve(t, amqp.Config{MaxLinks: 2}, newBroker())
	p := amqptest.Dial(t, address)
	p.Open("peer")
	for n := range 10 {
		p.Begin(0)
		for handle := range uint32(2) {
			p.Send(0, attachSender(handle, fmt.Sprint(handle)))
			amqptest.Expect[*wire.Attach](p)
			amqptest.Expect[*wire.Flow](p)
		}
		if n%2 == 0 {
			p.Send(0, &wire.End{})
			amqptest.Await[*wire.End](p)
		} else {
			p.Send(0, &wire.Detach{Handle: 99})
			p.ExpectEnd(0, wire.ConditionUnattachedHandle)
		}
	}
}

// TestSmallPeer proves that handles and channels are picked within what the peer
// takes, and that it is told when there are none left.
func TestSmallPeer(t *testing.T) {
	m := newManual()
	_, address := serve(t, amqp.Config{}, m)
	p := amqptest.Dial(t, address)
	p.OpenAs(&wire.Open{ContainerID: "peer", ChannelMax: wire.Some[uint16](1)})
	begin := &wire.Begin{HandleMax: wire.Some[uint32](1)}
	for _, want := range []uint16{0, 1} {
		p.BeginAs(50-want, begin)
		if p.Channel() != want {
			t.Errorf("the session is answered on channel %d, want %d", p.Channel(), want)
		}
	}
	for _, want := range []uint32{0, 1} {
		p.Send(50, attachReceiver(20-want, fmt.Sprint(want)))
		acceptOutgoing(<-m.attaches)
		if got := amqptest.Expect[*wire.Attach](p); got.Handle != want || p.Channel() != 0 {
			t.Errorf("the link is answered with handle %d on channel %d, want %d", got.Handle, p.Channel(), want)
		}
	}
	p.Send(50, &wire.Detach{Handle: 20, Closed: true})
	if got := amqptest.Expect[*wire.Detach](p); got.Handle != 0 {
		t.Errorf("got %+v", got)
	}
	p.Send(50, attachReceiver(1, "1 is taken"))
	acceptOutgoing(<-m.attaches)
	if got := amqptest.Expect[*wire.Attach](p); got.Handle != 0 {
		t.Errorf("the link is answered with handle %d, want 0, which is free again", got.Handle)
	}
	p.Send(50, attachReceiver(2, "one too many"))
	if err := amqptest.Await[*wire.End](p).Error; p.Channel() != 0 || err.Condition != wire.ConditionNotAllowed {
		t.Errorf("ended with %v", err)
	}
	p.Send(50, &wire.End{})
	p.BeginAs(7, begin)
	p.Send(8, begin)
	p.ExpectClose(wire.ConditionNotAllowed)
}
