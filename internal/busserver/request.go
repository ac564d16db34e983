package busserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/wire"
	"bellhop/internal/sas"
)

const (
	// requestCredit is how many requests a client may have open on a link; each
	// has a goroutine.
	requestCredit = 100
	// requestsAtOnce is how many requests of a connection are carried out at the
	// same time, and answers of it wait for the client to take them.
	requestsAtOnce = 32
	// requestTimeout bounds a request that sets no limit of its own, or a longer
	// one, and then again how long its answer waits to be taken.
	requestTimeout = time.Minute
)

// request is one call on $cbs or $management.
type request struct {
	*conn
	node       node
	operation  string
	properties wire.Map // the application-properties
	body       any      // of an amqp-value; nil for anything else
}

// reply is the answer to a request.
type reply struct {
	status int32
	// fault is why it failed, nil on success.
	fault *wire.Error
	body  any
}

// handlers answers requests. What they return as an error becomes the reply.
type requestHandler func(context.Context, *request) (reply, error)

// attachRequests attaches one half of a pair for requests: what the client
// sends them on, or what it is answered on.
func (c *conn) attachRequests(a *amqp.Attach, l *link) {
	if !l.fromClient {
		c.attachReplies(a, l)
		return
	}
	session := a.Session()
	in := a.AcceptIncoming(amqp.IncomingOptions{
		Credit: requestCredit, MaxMessageSize: uint64(c.opts.MaxMessageBytes), SettleFirst: true,
		Deliver:  func(d *amqp.Delivery) { c.work.Go(func() { c.answer(session, l.node, d) }) },
		Detached: func(error) { c.remove(l) },
	})
	l.accept(in.Detach)
}

// answer carries out one request and answers it.
func (c *conn) answer(session *amqp.Session, n node, d *amqp.Delivery) {
	select {
	case c.requests <- struct{}{}:
		defer func() { <-c.requests }()
	case <-c.amqp.Context().Done():
		d.Settle(&wire.Released{})
		return
	}
	to, m, err := c.route(session, n, d)
	if err != nil {
		fault, _ := c.failure(err, n)
		d.Settle(&wire.Rejected{Error: fault})
		return
	}
	r := &request{conn: c, node: n, properties: m.ApplicationProperties, body: m.Value.Value}
	handle := r.handler()
	rep, err := r.do(handle)
	if err != nil {
		rep.fault, rep.status = c.failure(err, n)
	}
	d.Settle(&wire.Accepted{})
	// Without an end, answers that nobody takes would stop the requests behind
	// them, whose bytes would stop the reading of what asks for the answers.
	wanted, cancel := context.WithTimeout(c.amqp.Context(), r.timeout())
	defer cancel()
	to.send(wanted, rep.message(n, m.Properties.MessageID))
}

// route reads a request and finds the link for its answer.
func (c *conn) route(session *amqp.Session, n node, d *amqp.Delivery) (*replyLink, *wire.Message, error) {
	m, err := wire.DecodeMessage(d.Message)
	if err != nil {
		return nil, nil, fmt.Errorf("read request: %w", err)
	}
	if m.Properties == nil || m.Properties.MessageID == nil {
		return nil, nil, &wire.Error{Condition: wire.ConditionInvalidField, Description: "A request must have a message-id."}
	}
	to := c.replyTo(session, n, m.Properties.ReplyTo.Value)
	if to == nil {
		return nil, nil, &wire.Error{
			Condition: wire.ConditionNotFound, Description: "No link of this session to " + n.path() + " has the address, or the name, that the reply-to says.",
		}
	}
	return to, m, nil
}

// do runs the operation in the time that the client gives it.
func (r *request) do(handle requestHandler) (reply, error) {
	if busy := r.opts.Faults.busy(); busy != nil {
		return reply{}, busy
	}
	ctx, cancel := context.WithTimeout(r.amqp.Context(), r.timeout())
	defer cancel()
	rep, err := handle(ctx, r)
	if errors.Is(err, context.Canceled) {
		err = context.DeadlineExceeded // nobody will hear it: the connection has ended
	}
	return rep, err
}

// timeout is the client's server-timeout in milliseconds, under either of its
// names. The SDKs say 0 when there is less than a second left: they end it
// themselves.
func (r *request) timeout() time.Duration {
	for _, name := range [...]string{"com.microsoft:server-timeout", "server-timeout"} {
		var ms uint64
		switch v, _ := r.properties.Get(name); v := v.(type) {
		case uint32:
			ms = uint64(v)
		case uint64:
			ms = v
		}
		if ms > 0 && ms < uint64(requestTimeout/time.Millisecond) {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return requestTimeout
}

// handler finds what carries out a request.
func (r *request) handler() requestHandler {
	v, _ := r.properties.Get("operation")
	r.operation, _ = v.(string)
	if r.node.kind == nodeCBS {
		return putToken
	}
	op, ok := operations[r.operation]
	if !ok {
		return unsupported
	}
	return func(ctx context.Context, r *request) (reply, error) {
		if !r.allows(r.node, op.needs) {
			return reply{}, unauthorized(&link{node: r.node, fromClient: op.needs == sas.Send})
		}
		return op.do(ctx, r)
	}
}

// message is the reply on the wire. Each node's clients look for its status
// under other names; $cbs says it under both.
func (rep reply) message(n node, correlation any) []byte {
	description := "OK"
	if rep.fault != nil {
		description = rep.fault.Description
	}
	m := wire.Message{Properties: &wire.Properties{CorrelationID: correlation}, Value: wire.Some(rep.body)}
	if n.kind == nodeCBS {
		m.ApplicationProperties.Set("status-code", rep.status)
		m.ApplicationProperties.Set("status-description", description)
	}
	m.ApplicationProperties.Set("statusCode", rep.status)
	m.ApplicationProperties.Set("statusDescription", description)
	if rep.fault != nil {
		m.ApplicationProperties.Set("errorCondition", rep.fault.Condition)
	}
	b, _ := m.Append(nil) // of types that this package has chosen
	return b
}

// replyLink is what a client is answered on.
type replyLink struct {
	session *amqp.Session
	node    node
	name    string
	address string // of its target
	settled bool   // answers are not confirmed

	out  *amqp.Outgoing
	turn chan struct{} // held by the one who sends
	done chan struct{} // closed when the link has ended
	sent uint64        // answers, for their tags; guarded by turn
}

func (c *conn) attachReplies(a *amqp.Attach, l *link) {
	f := a.Frame()
	r := &replyLink{
		session: a.Session(), node: l.node, name: f.Name,
		settled: f.SenderSettleMode != wire.Some(wire.SenderUnsettled),
		turn:    make(chan struct{}, 1), done: make(chan struct{}),
	}
	if f.Target != nil {
		r.address = f.Target.Address.Value
	}
	// The client may ask as soon as it reads that it is attached, which is before
	// AcceptOutgoing returns: it is known by then, and answered after that.
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	c.addReply(r)
	r.out = a.AcceptOutgoing(amqp.OutgoingOptions{
		Dispose: func(out *amqp.Outgoing, sent []amqp.Sent, _ wire.DeliveryState, settled bool) {
			for _, one := range sent {
				if !settled {
					out.Settle(one.ID, &wire.Accepted{})
				}
			}
		},
		Detached: func(error) {
			close(r.done)
			c.removeReply(r)
			c.remove(l)
		},
	})
	l.accept(r.out.Detach)
}

// send sends an answer when it is its turn and the client gives credit. It is
// dropped when the link, or ctx, has ended.
func (r *replyLink) send(ctx context.Context, message []byte) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-r.done:
		return
	case <-ctx.Done():
		return
	}
	r.sent++
	m := amqp.OutMessage{Tag: strconv.AppendUint(nil, r.sent, 10), Format: wire.MessageFormat0, Message: message, Settled: r.settled}
	for err := amqp.ErrWithdrawn; errors.Is(err, amqp.ErrWithdrawn); {
		if _, err = r.out.Wait(ctx); err == nil {
			err = r.out.Send(m)
		}
	}
}
