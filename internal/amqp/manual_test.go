package amqp_test

import (
	"context"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// manual is a Handler that leaves attaches to the test.
type manual struct {
	attaches chan *amqp.Attach
	closed   chan *amqp.Conn
}

func newManual() *manual {
	return &manual{attaches: make(chan *amqp.Attach, 100), closed: make(chan *amqp.Conn, 100)}
}

func (m *manual) Mechanisms(amqp.Transport) []wire.Symbol { return []wire.Symbol{"ANONYMOUS"} }

func (m *manual) Authenticate(*amqp.Conn, wire.Symbol, []byte, string) error { return nil }

func (m *manual) Open(*amqp.Conn, *wire.Open) error { return nil }

func (m *manual) Attach(a *amqp.Attach) { m.attaches <- a }

func (m *manual) Closed(c *amqp.Conn) { m.closed <- c }

// outgoing is a link to a peer that is under the test's control, with what is
// heard from it.
type outgoing struct {
	*amqp.Outgoing
	disposed chan disposal
	detached chan error
}

type disposal struct {
	sent    []amqp.Sent
	state   wire.DeliveryState
	settled bool
}

func acceptOutgoing(a *amqp.Attach) outgoing {
	l := outgoing{disposed: make(chan disposal, 100), detached: make(chan error, 2)}
	l.Outgoing = a.AcceptOutgoing(amqp.OutgoingOptions{
		Dispose: func(_ *amqp.Outgoing, sent []amqp.Sent, state wire.DeliveryState, settled bool) {
			l.disposed <- disposal{sent, state, settled}
		},
		Detached: func(err error) { l.detached <- err },
	})
	return l
}

// incoming is the same for a link from a peer.
type incoming struct {
	*amqp.Incoming
	delivered chan *amqp.Delivery
	detached  chan error
}

func acceptIncoming(a *amqp.Attach, o amqp.IncomingOptions) incoming {
	l := incoming{delivered: make(chan *amqp.Delivery, 100), detached: make(chan error, 2)}
	o.Deliver = func(d *amqp.Delivery) { l.delivered <- d }
	o.Detached = func(err error) { l.detached <- err }
	l.Incoming = a.AcceptIncoming(o)
	return l
}

// wait waits for demand.
func (l outgoing) wait(t *testing.T) amqp.Demand {
	t.Helper()
	d, err := l.Wait(patient(t))
	if err != nil {
		t.Fatalf("wait for demand: %v", err)
	}
	return d
}

// send sends messages of a byte each, whose tags are their numbers.
func (l outgoing) send(t *testing.T, numbers ...byte) {
	t.Helper()
	for _, n := range numbers {
		if err := l.Send(amqp.OutMessage{Tag: []byte{n}, Message: []byte{n}}); err != nil {
			t.Fatalf("send %d: %v", n, err)
		}
	}
}

// hasNoDemand fails unless there is no demand, which it learns without waiting.
func (l outgoing) hasNoDemand(t *testing.T) {
	t.Helper()
	if d, err := l.Wait(canceled()); err == nil {
		t.Errorf("there is demand: %+v", d)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// receiving is a peer that has attached a link to receive on, without credit.
func receiving(t *testing.T, cfg amqp.Config, begin *wire.Begin) (*manual, *amqptest.Peer, outgoing) {
	t.Helper()
	m := newManual()
	_, address := serve(t, cfg, m)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.BeginAs(0, begin)
	p.Send(0, attachReceiver(0, "in"))
	l := acceptOutgoing(<-m.attaches)
	amqptest.Expect[*wire.Attach](p)
	return m, p, l
}

func attachReceiver(handle uint32, name string) *wire.Attach {
	return &wire.Attach{Name: name, Handle: handle, Role: wire.RoleReceiver, Source: &wire.Source{Address: wire.Some("q")}, Target: &wire.Target{}}
}

func attachSender(handle uint32, name string) *wire.Attach {
	return &wire.Attach{Name: name, Handle: handle, Source: &wire.Source{}, Target: &wire.Target{Address: wire.Some("q")}, InitialDeliveryCount: wire.Some[uint32](0)}
}
