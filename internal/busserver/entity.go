package busserver

import (
	"context"
	"errors"
	"fmt"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

// sendCredit is how many messages a sender may have on their way to the disk.
const sendCredit = 1000

// filterSession asks for one session of a queue that has sessions.
const filterSession = "com.microsoft:session-filter"

// attachEntity answers an attach to a queue, its dead-letter queue, or the
// management of either.
func (c *conn) attachEntity(a *amqp.Attach, n node) {
	l := &link{node: n, fromClient: a.FromClient()}
	c.enter(l)
	if err := c.mayAttach(a, l); err != nil {
		c.remove(l)
		fault, _ := c.failure(err, n)
		a.Refuse(fault)
		return
	}
	switch {
	case n.kind == nodeManagement:
		c.attachRequests(a, l)
	case l.fromClient:
		in := a.AcceptIncoming(amqp.IncomingOptions{
			Credit: sendCredit, MaxMessageSize: uint64(c.opts.MaxMessageBytes), SettleFirst: true,
			Deliver:  func(d *amqp.Delivery) { c.take(l, d) },
			Detached: func(error) { c.remove(l) },
		})
		l.accept(in.Detach)
	default:
		l.restraint.ended = make(chan struct{})
		out := a.AcceptOutgoing(amqp.OutgoingOptions{
			Source: withoutFilters(a.Frame().Source),
			Dispose: func(out *amqp.Outgoing, sent []amqp.Sent, state wire.DeliveryState, settled bool) {
				c.dispose(l, out, sent, state, settled)
			},
			Detached: func(error) {
				close(l.restraint.ended)
				c.remove(l)
			},
		})
		l.accept(out.Detach)
		p := pump{conn: c, link: l, out: out, remove: a.Frame().SenderSettleMode == wire.Some(wire.SenderSettled)}
		c.work.Go(p.run)
	}
}

// withoutFilters is what a source is without the filters that nobody applies.
func withoutFilters(s *wire.Source) *wire.Source {
	bare := *s
	bare.Filter = nil
	return &bare
}

// mayAttach checks rights before anything else, so that who has none learns
// nothing.
func (c *conn) mayAttach(a *amqp.Attach, l *link) error {
	n := l.node
	if !c.allows(n, l.needs()) {
		return unauthorized(l)
	}
	q, err := c.opts.Bus.Queue(c.amqp.Context(), n.queue)
	if err != nil {
		return fmt.Errorf("find queue: %w", err)
	}
	switch {
	case n.kind == nodeManagement:
		return nil
	case l.fromClient && n.isDeadLetter():
		return &wire.Error{Condition: wire.ConditionNotAllowed, Description: "Nobody can send to a dead-letter queue."}
	case forbids(q.Settings.Status, l.fromClient):
		return disabled(n)
	case l.fromClient:
		return nil
	}
	source := a.Frame().Source
	if _, asked := source.Filter.Get(filterSession); asked {
		return notImplemented("Sessions are not supported: receive without a session.")
	}
	if source.DistributionMode == "copy" {
		return notImplemented("Browsing by link is not supported: use the operation com.microsoft:peek-message.")
	}
	return nil
}

// unauthorized has the words by which tests of the SDKs know it.
func unauthorized(l *link) *wire.Error {
	claim := "'Listen'"
	switch {
	case l.node.kind == nodeManagement:
		claim = "'Send' or 'Listen'"
	case l.needs() == sas.Send:
		claim = "'Send'"
	}
	return &wire.Error{
		Condition:   wire.ConditionUnauthorizedAccess,
		Description: "Unauthorized access. " + claim + " claim(s) are required to perform this operation. Resource: " + l.node.path() + ".",
	}
}

// failure is [Server.failure] with the words for what is missing.
func (c *conn) failure(err error, n node) (*wire.Error, int32) {
	if errors.Is(err, bus.ErrQueueNotFound) {
		err = &wire.Error{Condition: wire.ConditionNotFound, Description: notFoundText(c.host + "/" + n.entity)}
	}
	return c.Server.failure(err)
}

// take puts what a client has sent into its queue. The client hears of it after
// the commit.
func (c *conn) take(l *link, d *amqp.Delivery) {
	if busy := c.opts.Faults.busy(); busy != nil {
		c.reject(l, d, busy)
		return
	}
	messages, err := readMessages(d.Message, d.Format)
	if err != nil {
		c.reject(l, d, err)
		return
	}
	c.opts.Bus.StartSend(l.node.entity, messages, func(_ []int64, err error) {
		if err != nil {
			c.reject(l, d, err)
			return
		}
		d.Settle(&wire.Accepted{})
	})
}

func (c *conn) reject(l *link, d *amqp.Delivery, err error) {
	fault, _ := c.failure(err, l.node)
	d.Settle(&wire.Rejected{Error: fault})
}

// dispose settles messages as a client has said, and confirms if it waits for
// that. A success is confirmed as accepted whatever it was, because the SDKs
// take any other state for a failure.
func (c *conn) dispose(l *link, out *amqp.Outgoing, sent []amqp.Sent, state wire.DeliveryState, settled bool) {
	order, err := settlementOf(state)
	if busy := c.opts.Faults.busy(); busy != nil {
		err = busy
	}
	if err != nil {
		if !settled {
			fault, _ := c.failure(err, l.node)
			for _, one := range sent {
				out.Settle(one.ID, &wire.Rejected{Error: fault})
			}
		}
		return
	}
	orders := make([]bus.Settlement, len(sent))
	for i, one := range sent {
		orders[i] = order
		orders[i].Queue, orders[i].Token = l.node.entity, tokenOfTag(one.Tag)
	}
	c.opts.Bus.StartSettle(orders, func(errs []error) {
		for i := range orders {
			if errs[i] == nil {
				l.restraint.note(orders[i].Kind, l.node.isDeadLetter())
			}
		}
		if settled {
			return
		}
		confirm := confirmation{conn: c, node: l.node}
		for i, one := range sent {
			out.Settle(one.ID, confirm.of(errs[i]))
		}
	})
}

// confirmation gives equal errors equal states, so that they can be confirmed
// as one range.
type confirmation struct {
	conn *conn
	node node
	err  error
	last *wire.Rejected
}

func (f *confirmation) of(err error) wire.DeliveryState {
	if err == nil {
		return &wire.Accepted{}
	}
	if f.last == nil || f.err.Error() != err.Error() {
		fault, _ := f.conn.failure(err, f.node)
		f.err, f.last = err, &wire.Rejected{Error: fault}
	}
	return f.last
}

// settlementOf is what a state asks for. A delivery that a client has forgotten
// without an outcome goes back.
func settlementOf(state wire.DeliveryState) (order bus.Settlement, err error) {
	switch state := state.(type) {
	case *wire.Accepted:
		order.Kind = bus.Complete
	case *wire.Modified:
		order.Kind = bus.Abandon
		if state.UndeliverableHere {
			order.Kind = bus.Defer
		}
		order.Modify, err = modifications(state.MessageAnnotations)
	case *wire.Rejected:
		order, err = rejection(state.Error)
	default:
		order.Kind = bus.Release
	}
	return order, err
}

// rejection dead-letters. The reason is in the error's info, if the client
// speaks Service Bus, or is the error itself.
func rejection(e *wire.Error) (order bus.Settlement, err error) {
	order.Kind = bus.DeadLetter
	switch {
	case e == nil:
	case e.Condition == conditionDeadLetter:
		order.Modify, err = modifications(e.Info)
	default:
		order.Reason, order.Description = string(e.Condition), e.Description
	}
	return order, err
}

// modifications are properties that a settlement sets. A null reason for a dead
// letter, which the JavaScript SDK sends, is none.
func modifications(m wire.Map) (bus.Properties, error) {
	var set bus.Properties
	for _, p := range m {
		name := text(p.Key)
		v, ok := toBus(p.Value)
		if name == bus.DeadLetterReason || name == bus.DeadLetterErrorDescription {
			if p.Value == nil {
				continue
			}
			_, ok = p.Value.(string) // the Go SDK does not survive anything else
		}
		if name == "" || !ok {
			return nil, &wire.Error{
				Condition: wire.ConditionNotAllowed, Description: "a property to modify must have a name and a scalar value, and a dead letter's reason must be a string",
			}
		}
		if set == nil {
			set = make(bus.Properties, len(m))
		}
		set[name] = v
	}
	return set, nil
}

// maxFetch is how many messages a link takes out of the bus at once.
const maxFetch = 256

// pump moves messages from a queue to one receiving link, as the client's credit
// asks for them.
type pump struct {
	*conn
	link   *link
	out    *amqp.Outgoing
	remove bool // receive and delete

	// held are messages that are deleted from the bus but could not be sent
	// when it was their turn: the client had taken its credit back.
	held []bus.Received
}

// run ends with the link.
func (p *pump) run() {
	for {
		p.link.restraint.wait(p.amqp.Context())
		demand, err := p.out.Wait(p.amqp.Context())
		if err != nil {
			return
		}
		err = p.serve(demand)
		if err != nil && !errors.Is(err, context.Canceled) {
			fault, _ := p.failure(err, p.link.node)
			p.link.detach(fault)
			return
		}
	}
}

// serve sends what there is for one demand.
func (p *pump) serve(d amqp.Demand) error {
	limit := int(min(d.Credit, maxFetch))
	if len(p.held) > 0 {
		n := min(limit, len(p.held))
		p.held = append(p.send(p.held[:n]), p.held[n:]...)
		return nil
	}
	got, err := p.opts.Bus.Receive(withdrawable{p.amqp.Context(), d.Withdrawn}, p.link.node.entity,
		bus.ReceiveOptions{Limit: limit, Delete: p.remove, NoWait: d.Drain})
	if err != nil {
		return err
	}
	if len(got) == 0 {
		p.out.Drained()
		return nil
	}
	unsent := p.send(got)
	if p.remove {
		p.held = unsent
	} else {
		p.giveBack(unsent)
	}
	return nil
}

// send returns the messages that it could not send.
func (p *pump) send(got []bus.Received) (unsent []bus.Received) {
	tags := make([]byte, 0, len(bus.LockToken{})*len(got))
	for i := range got {
		tag := deliveryTag(got[i].LockToken)
		if p.remove {
			tag[0] = 1 // must not be empty, and names nothing
		}
		tags = append(tags, tag[:]...)
		err := p.out.Send(amqp.OutMessage{
			Tag: tags[i*len(tag):], Format: wire.MessageFormat0, Settled: p.remove,
			Message: writeMessage(make([]byte, 0, writtenSize(&got[i])), &got[i]),
		})
		if err != nil {
			return got[i:]
		}
	}
	return nil
}

// giveBack returns messages that nobody has seen to their places.
func (p *pump) giveBack(unsent []bus.Received) {
	if len(unsent) == 0 {
		return
	}
	orders := make([]bus.Settlement, len(unsent))
	for i := range unsent {
		orders[i] = bus.Settlement{Kind: bus.Release, Token: unsent[i].LockToken}
	}
	p.opts.Bus.StartSettle(orders, func([]error) {}) // what fails comes back when its lock ends
}

// withdrawable is a context that ends with a demand.
type withdrawable struct {
	context.Context
	withdrawn <-chan struct{}
}

// Done is closed with the demand, which the end of the connection withdraws too.
func (w withdrawable) Done() <-chan struct{} { return w.withdrawn }

// Err is set when Done is closed.
func (w withdrawable) Err() error {
	select {
	case <-w.withdrawn:
		return context.Canceled
	default:
		return nil
	}
}
