package busserver

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

// What the SDKs never send, frame by frame.

// peer is a client with a token for everything, and channel 1 to work on.
type peer struct {
	*rig
	*amqptest.Peer
	ids uint32 // the next delivery-id on channel 1
}

func (r *rig) peer() *peer {
	r.Helper()
	p := &peer{rig: r, Peer: amqptest.Dial(r.TB, r.addr)}
	p.OpenAs(&wire.Open{ContainerID: "raw", Hostname: "127.0.0.1", MaxFrameSize: wire.Some[uint32](amqptest.MaxFrameSize)})
	p.Begin(0)
	p.Begin(1)
	p.Peer.Sender(0, 0, "to", "$cbs")
	p.Receiver(0, 1, "from", "$cbs", 10)
	token, err := sas.Sign("sb://127.0.0.1", sas.RootRule, r.keys.Root().Key, r.clock.now().Add(time.Hour))
	r.must(err)
	if _, answer := p.ask(0, 0, encoded(r.TB, putTokenMessage("from", token.String()))); !reflect.DeepEqual(answer.ApplicationProperties, wire.Map{
		{Key: "status-code", Value: int32(202)}, {Key: "status-description", Value: "OK"}, {Key: "statusCode", Value: int32(202)}, {Key: "statusDescription", Value: "OK"},
	}) {
		r.Fatalf("put-token: %v", answer.ApplicationProperties)
	}
	return p
}

func putTokenMessage(replyTo, token string) *wire.Message {
	return &wire.Message{
		Properties: &wire.Properties{MessageID: "1", ReplyTo: wire.Some(replyTo)},
		ApplicationProperties: wire.Map{
			{Key: "operation", Value: "put-token"}, {Key: "type", Value: tokenSAS}, {Key: "name", Value: "sb://127.0.0.1"},
		},
		Value: wire.Some[any](token),
	}
}

// ask sends a request on handle 0 of a channel, and returns what comes back: the
// handle and the answer. The request is accepted before or after that.
func (p *peer) ask(channel uint16, id uint32, request []byte) (handle uint32, answer *wire.Message) {
	p.Helper()
	p.Message(channel, 0, id, request)
	for accepted := false; answer == nil || !accepted; {
		switch f := p.Next().(type) {
		case *wire.Transfer:
			m, err := wire.DecodeMessage(p.Payload())
			if p.must(err); !f.Settled.Value {
				p.Errorf("an answer is not settled: %+v", f)
			}
			handle, answer = f.Handle, m
		case *wire.Disposition:
			if _, accepted = f.State.(*wire.Accepted); !accepted || !f.Settled {
				p.Fatalf("the request became %+v", f)
			}
		}
	}
	return handle, answer
}

// outcome sends bytes as a message on handle 0 of channel 1 and returns what
// becomes of them.
func (p *peer) outcome(format uint32, payload []byte) wire.DeliveryState {
	p.Helper()
	t := amqptest.First(0, p.ids)
	t.MessageFormat = wire.Some(format)
	p.Transfer(1, t, payload, amqptest.MaxFrameSize)
	d := amqptest.Expect[*wire.Disposition](p.Peer)
	if d.First != p.ids || !d.Settled || d.Role != wire.RoleReceiver {
		p.Errorf("disposition %+v, want %d settled", d, p.ids)
	}
	p.ids++
	return d.State
}

// refused checks that a state is a rejection with a condition.
func (p *peer) refused(what string, state wire.DeliveryState, condition wire.Symbol) {
	p.Helper()
	rejected, ok := state.(*wire.Rejected)
	if !ok || rejected.Error == nil || rejected.Error.Condition != condition || rejected.Error.Description == "" {
		p.Errorf("%s: %#v, want %s", what, state, condition)
	}
}

func TestRawAttachAnswers(t *testing.T) {
	t.Parallel()
	p := newRig(t).peer()
	attach, flow := p.Peer.Sender(1, 0, "s", "Orders")
	if attach.MaxMessageSize != DefaultMaxMessageBytes || attach.Target.Address.Value != "Orders" || flow.LinkCredit != wire.Some[uint32](sendCredit) {
		t.Errorf("%+v, %+v", attach, flow)
	}
	p.Send(1, &wire.Attach{
		Name: "r", Handle: 1, Role: wire.RoleReceiver, SenderSettleMode: wire.Some(wire.SenderUnsettled), ReceiverSettleMode: wire.Some(wire.ReceiverSecond),
		Source: &wire.Source{Address: wire.Some("amqp://127.0.0.1/orders"), Filter: wire.Map{{Key: wire.Symbol("x:y"), Value: "f"}}}, Target: &wire.Target{Address: wire.Some("me")},
	})
	attach = amqptest.Expect[*wire.Attach](p.Peer)
	if attach.SenderSettleMode != wire.Some(wire.SenderUnsettled) || attach.ReceiverSettleMode != wire.Some(wire.ReceiverSecond) ||
		attach.Source.Address.Value != "amqp://127.0.0.1/orders" || attach.Source.Filter != nil || attach.Target.Address.Value != "me" ||
		attach.InitialDeliveryCount != wire.Some[uint32](0) || attach.MaxMessageSize != 0 {
		t.Errorf("%+v", attach)
	}
}

func TestRawAttachesThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newRig(t).peer()
	sends := func(address string) *wire.Attach {
		return &wire.Attach{Target: &wire.Target{Address: wire.Some(address)}, InitialDeliveryCount: wire.Some[uint32](0)}
	}
	receives := func(address string) *wire.Attach {
		return &wire.Attach{Role: wire.RoleReceiver, Source: &wire.Source{Address: wire.Some(address)}, Target: &wire.Target{}}
	}
	filtered := func(v any) *wire.Attach {
		a := receives("orders")
		a.Source.Filter = wire.Map{{Key: wire.Symbol(filterSession), Value: v}}
		return a
	}
	copying := receives("orders")
	copying.Source.DistributionMode = "copy"
	for name, c := range map[string]struct {
		attach    *wire.Attach
		condition wire.Symbol
	}{
		"an unknown queue":                {sends("missing"), "amqp:not-found"},
		"an unknown queue's dead letters": {receives("missing/$DeadLetterQueue"), "amqp:not-found"},
		"an unknown queue's management":   {receives("missing/$management"), "amqp:not-found"},
		"an empty address":                {sends(""), "amqp:not-found"},
		"sending to dead letters":         {sends("orders/$deadletterqueue"), "amqp:not-allowed"},
		"a subscription":                  {receives("topic/Subscriptions/sub"), "amqp:not-implemented"},
		"a subscription's dead letters":   {receives("topic/subscriptions/sub/$DeadLetterQueue"), "amqp:not-implemented"},
		"a subscription's management":     {sends("topic/Subscriptions/sub/$management"), "amqp:not-implemented"},
		"transferred dead letters":        {receives("orders/$Transfer/$DeadLetterQueue"), "amqp:not-implemented"},
		"a session as Go asks":            {filtered(wire.Described{Descriptor: uint64(0x137000000C), Value: "s"}), "amqp:not-implemented"},
		"the next session":                {filtered(nil), "amqp:not-implemented"},
		"browsing":                        {copying, "amqp:not-implemented"},
		"transactions":                    {&wire.Attach{Coordinator: &wire.Coordinator{}, InitialDeliveryCount: wire.Some[uint32](0)}, "amqp:not-implemented"},
	} {
		c.attach.Name = name
		p.Send(1, c.attach)
		if answer := amqptest.Expect[*wire.Attach](p.Peer); answer.Source != nil || answer.Target != nil {
			t.Errorf("%s: answered with %+v", name, answer)
		}
		p.ExpectDetach(1, 0, c.condition)
	}
}

// The first delivery as it is on the wire: what the SDKs look at, and the bare
// message with its bytes.
func TestRawDelivery(t *testing.T) {
	t.Parallel()
	p := newRig(t).peer()
	p.Peer.Sender(1, 0, "s", "orders")
	raw := []byte{0, 0x53, 0x73, 0xc0, 4, 1, 0xa1, 1, 'i'}
	raw = append(raw, 0, 0x53, 0x74, 0xd1, 0, 0, 0, 10, 0, 0, 0, 2, 0xa1, 1, 'k', 0x61, 0xff, 0xfe)
	raw = append(raw, 0, 0x53, 0x75, 0xb0, 0, 0, 0, 1, 'x')
	if _, err := wire.DecodeMessage(raw); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.outcome(0, raw).(*wire.Accepted); !ok {
		t.Fatal("it was not taken")
	}
	p.Receiver(1, 1, "r", "orders", 5)
	transfer, payload := p.Delivery()
	s, err := wire.ParseMessage(payload)
	p.must(err)
	if !bytes.Equal(s.Bare, raw) {
		t.Errorf("bare message %x, want %x", s.Bare, raw)
	}
	header, err := s.DecodeHeader()
	p.must(err)
	delivery, err := s.DecodeDeliveryAnnotations()
	p.must(err)
	lock, _ := delivery.Get(annLockToken)
	tag := deliveryTag(bus.LockToken(lock.(wire.UUID)))
	if header.DeliveryCount != wire.Some[uint32](0) || header.TTL.Present || !bytes.Equal(transfer.DeliveryTag, tag[:]) ||
		transfer.MessageFormat != wire.Some[uint32](0) || !transfer.DeliveryID.Present || transfer.Settled.Value {
		t.Errorf("%+v, %+v", transfer, header)
	}
	annotations, err := s.DecodeMessageAnnotations()
	p.must(err)
	for i, want := range []struct {
		key  wire.Symbol
		kind any
	}{{annSequenceNumber, int64(0)}, {annEnqueuedTime, wire.Timestamp(0)}, {annLockedUntil, wire.Timestamp(0)}} {
		if got := annotations[i]; got.Key != want.key || reflect.TypeOf(got.Value) != reflect.TypeOf(want.kind) {
			t.Errorf("annotation %d: %#v", i, got)
		}
	}
}

func TestRawMessagesThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.peer()
	p.Peer.Sender(1, 0, "s", "orders")
	annotated := func(key string, v any) []byte {
		return encoded(t, &wire.Message{MessageAnnotations: wire.Map{{Key: wire.Symbol(key), Value: v}}, Data: [][]byte{{}}})
	}
	good := encoded(t, &wire.Message{Data: [][]byte{{1}}})
	long := make([]byte, 129)
	for name, c := range map[string]struct {
		format    uint32
		payload   []byte
		condition wire.Symbol
	}{
		"no message":                       {0, []byte{1, 2}, "amqp:decode-error"},
		"a schedule that is a long":        {0, annotated(annScheduled, int64(1)), "amqp:not-allowed"},
		"a schedule that is null":          {0, annotated(annScheduled, nil), "amqp:not-allowed"},
		"a state that is null":             {0, annotated(annState, nil), "amqp:not-allowed"},
		"a partition key that is a symbol": {0, annotated(annPartitionKey, wire.Symbol("x")), "amqp:not-allowed"},
		"an id that is too long":           {0, encoded(t, &wire.Message{Properties: &wire.Properties{MessageID: string(long)}}), "amqp:not-allowed"},
		"an unknown format":                {7, good, "amqp:not-implemented"},
		"a batch with one that is none":    {formatBatch, encoded(t, &wire.Message{Data: [][]byte{good, {9}}}), "amqp:decode-error"},
		"a batch of nothing":               {formatBatch, encoded(t, &wire.Message{Value: wire.Some[any]("x")}), "amqp:decode-error"},
		"properties that are too large": {0, encoded(t, &wire.Message{ApplicationProperties: wire.Map{{Key: "k", Value: make([]byte, 40<<10)}}}),
			"amqp:link:message-size-exceeded"},
	} {
		p.refused(name, p.outcome(c.format, c.payload), c.condition)
	}
	r.counts("orders", bus.Counts{})
	if _, ok := p.outcome(formatBatch, encoded(t, &wire.Message{Data: [][]byte{good, good}})).(*wire.Accepted); !ok {
		t.Error("a batch was not taken")
	}
	r.counts("orders", bus.Counts{Active: 2})
}

func TestRawPresettledSend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.peer()
	p.Peer.Sender(1, 0, "s", "orders")
	for i := range uint32(3) {
		transfer := amqptest.First(0, i)
		transfer.Settled = wire.Some(true)
		p.Transfer(1, transfer, encoded(t, &wire.Message{Data: [][]byte{{byte(i)}}}), amqptest.MaxFrameSize)
	}
	r.await(func() bool { return r.has("orders") == 3 })
	p.ids = 3
	if _, ok := p.outcome(0, encoded(t, &wire.Message{})).(*wire.Accepted); !ok { // the first to be confirmed
		t.Error("it was not taken")
	}
}

// Each outcome, by a receiver that waits for the server to settle.
func TestRawOutcomes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dead := func(reason, description string) bus.Properties {
		return bus.Properties{bus.DeadLetterReason: reason, bus.DeadLetterErrorDescription: description}
	}
	for i, c := range []struct {
		state  wire.DeliveryState
		counts bus.Counts
		count  int // of deliveries, when it is seen again
		set    bus.Properties
	}{
		{&wire.Accepted{}, bus.Counts{}, 0, nil},
		{&wire.Released{}, bus.Counts{Active: 1}, 0, nil},
		{&wire.Modified{}, bus.Counts{Active: 1}, 1, nil},
		{&wire.Modified{DeliveryFailed: true, MessageAnnotations: wire.Map{{Key: wire.Symbol("k"), Value: wire.Symbol("v")}, {Key: "l", Value: int8(1)}}}, bus.Counts{Active: 1}, 1,
			bus.Properties{"k": bus.Symbol("v"), "l": int8(1)}},
		{&wire.Modified{UndeliverableHere: true}, bus.Counts{Deferred: 1}, 1, nil},
		{&wire.Rejected{}, bus.Counts{DeadLetter: 1}, 0, nil},
		{&wire.Rejected{Error: &wire.Error{Condition: "app:bad", Description: "no good"}}, bus.Counts{DeadLetter: 1}, 0, dead("app:bad", "no good")},
		{&wire.Rejected{Error: &wire.Error{Condition: conditionDeadLetter, Info: wire.Map{{Key: wire.Symbol("DeadLetterReason"), Value: nil}, {Key: "x", Value: "y"}}}},
			bus.Counts{DeadLetter: 1}, 0, bus.Properties{"x": "y"}},
		{&wire.Rejected{Error: &wire.Error{Condition: conditionDeadLetter, Info: wire.Map{{Key: wire.Symbol("DeadLetterReason"), Value: "r"}, {Key: wire.Symbol("DeadLetterErrorDescription"), Value: ""}}}},
			bus.Counts{DeadLetter: 1}, 0, dead("r", "")},
	} {
		for _, settled := range []bool{false, true} {
			queue := map[bool]string{false: "waiting", true: "settled"}[settled] + string(rune('a'+i))
			r.queue(queue, bus.Settings{})
			seqs, err := r.bus.Send(r.ctx, queue, bus.Message{})
			r.must(err)
			p := r.peer()
			p.Receiver(1, 1, "r", queue, 1)
			transfer, _ := p.Delivery()
			p.Send(1, &wire.Disposition{Role: wire.RoleReceiver, First: transfer.DeliveryID.Value, Settled: settled, State: c.state})
			if settled {
				r.await(func() bool {
					q, err := r.bus.Queue(r.ctx, queue)
					r.must(err)
					return q.Counts == c.counts
				})
			} else {
				d := amqptest.Expect[*wire.Disposition](p.Peer)
				if _, ok := d.State.(*wire.Accepted); !ok || !d.Settled || d.Role != wire.RoleSender || d.First != transfer.DeliveryID.Value {
					t.Errorf("%#v was confirmed with %+v", c.state, d)
				}
			}
			r.counts(queue, c.counts)
			if c.counts.Active == 1 {
				r.await(func() bool { // settled, it may come after the look at the counts
					got, err := r.bus.Receive(r.ctx, queue, bus.ReceiveOptions{})
					r.must(err)
					return r.same(queue, got[0], c.count, c.set)
				})
			}
			if c.counts.Deferred == 1 {
				got, err := r.bus.ReceiveDeferred(r.ctx, queue, bus.ReceiveOptions{}, seqs...)
				r.must(err)
				r.same(queue, got[0], c.count, c.set)
			}
			if c.counts.DeadLetter == 1 {
				got, err := r.bus.Receive(r.ctx, queue+bus.DeadLetterSuffix, bus.ReceiveOptions{})
				r.must(err)
				r.same(queue, got[0], c.count, c.set)
			}
			p.Hang()
		}
	}
}

func (r *rig) same(queue string, got bus.Received, count int, set bus.Properties) bool {
	r.Helper()
	if got.DeliveryCount != count || !reflect.DeepEqual(got.Properties, set) {
		r.Errorf("%s: delivered with the count %d and %v, want %d and %v", queue, got.DeliveryCount, got.Properties, count, set)
	}
	return true
}

// Outcomes that are refused leave the lock, and deliveries nobody knows are
// answered, too.
func TestRawSettlementsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.bus.Send(r.ctx, "orders", bus.Message{})
	r.must(err)
	p := r.peer()
	p.Receiver(1, 1, "r", "orders", 1)
	transfer, _ := p.Delivery()
	id := transfer.DeliveryID.Value
	settle := func(id uint32, state wire.DeliveryState) wire.DeliveryState {
		t.Helper()
		p.Send(1, &wire.Disposition{Role: wire.RoleReceiver, First: id, State: state})
		return amqptest.Expect[*wire.Disposition](p.Peer).State
	}
	p.refused("an unknown delivery", settle(id+7, &wire.Accepted{}), conditionLockLost)
	r.counts("orders", bus.Counts{Active: 1})
	n, err := r.faults.LoseLocks(r.ctx, "orders")
	if r.must(err); n != 1 {
		t.Fatalf("%d locks", n)
	}
	p.refused("a lock that is lost", settle(id, &wire.Accepted{}), conditionLockLost)
	p.refused("a delivery that is settled", settle(id, &wire.Accepted{}), conditionLockLost)

	for name, c := range map[string]struct {
		state     wire.DeliveryState
		condition wire.Symbol
	}{
		"a property that is a list": {&wire.Modified{MessageAnnotations: wire.Map{{Key: wire.Symbol("k"), Value: wire.List{}}}}, "amqp:not-allowed"},
		"a property without a name": {&wire.Modified{MessageAnnotations: wire.Map{{Key: uint64(1), Value: "x"}}}, "amqp:not-allowed"},
		"a reason that is a number": {&wire.Rejected{Error: &wire.Error{Condition: conditionDeadLetter, Info: wire.Map{{Key: wire.Symbol("DeadLetterReason"), Value: int32(1)}}}}, "amqp:not-allowed"},
	} {
		p := r.peer()
		p.Receiver(1, 1, "r", "orders", 1)
		transfer, _ := p.Delivery()
		p.Send(1, &wire.Disposition{Role: wire.RoleReceiver, First: transfer.DeliveryID.Value, State: c.state})
		p.refused(name, amqptest.Expect[*wire.Disposition](p.Peer).State, c.condition)
		n, err := r.faults.LoseLocks(r.ctx, "orders")
		if r.must(err); n != 1 {
			t.Errorf("%s: %d locks were left", name, n)
		}
		p.Hang()
	}
}

// A range of deliveries is confirmed as one.
func TestRawRangeIsConfirmedAsARange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 10
	_, err := r.bus.Send(r.ctx, "orders", make([]bus.Message, n)...)
	r.must(err)
	p := r.peer()
	p.Receiver(1, 1, "r", "orders", n)
	first, _ := p.Delivery()
	for range n - 1 {
		p.Delivery()
	}
	from := first.DeliveryID.Value
	p.Send(1, &wire.Disposition{Role: wire.RoleReceiver, First: from, Last: wire.Some(from + n - 1), State: &wire.Accepted{}})
	d := amqptest.Expect[*wire.Disposition](p.Peer)
	if d.First != from || d.Last.Or(d.First) != from+n-1 || !d.Settled {
		t.Errorf("confirmed as %+v", d)
	}
	r.counts("orders", bus.Counts{})
}

// A drain delivers what is there and uses up the rest of the credit.
func TestRawDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, mode := range []wire.SenderSettleMode{wire.SenderUnsettled, wire.SenderSettled} {
		p := r.peer()
		p.Send(1, &wire.Attach{Name: "r", Handle: 1, Role: wire.RoleReceiver, SenderSettleMode: wire.Some(mode), Source: &wire.Source{Address: wire.Some("orders")}, Target: &wire.Target{}})
		amqptest.Expect[*wire.Attach](p.Peer)
		p.Credit(1, 1, 0, 100) // waits for messages
		drain := &wire.Flow{
			NextIncomingID: wire.Some[uint32](0), IncomingWindow: 1 << 20, OutgoingWindow: 1 << 20,
			Handle: wire.Some[uint32](1), DeliveryCount: wire.Some[uint32](0), LinkCredit: wire.Some[uint32](100), Drain: true,
		}
		p.Send(1, drain)
		flow := amqptest.Await[*wire.Flow](p.Peer)
		for !flow.Drain {
			flow = amqptest.Await[*wire.Flow](p.Peer)
		}
		if flow.LinkCredit != wire.Some[uint32](0) || flow.DeliveryCount != wire.Some[uint32](100) {
			t.Errorf("an empty queue was drained with %+v", flow)
		}
		_, err := r.bus.Send(r.ctx, "orders", make([]bus.Message, 3)...)
		r.must(err)
		drain.DeliveryCount, drain.LinkCredit = wire.Some[uint32](100), wire.Some[uint32](10)
		p.Send(1, drain)
		for range 3 {
			if transfer := amqptest.Expect[*wire.Transfer](p.Peer); transfer.Settled.Value != (mode == wire.SenderSettled) {
				t.Errorf("%+v", transfer)
			}
		}
		flow = amqptest.Await[*wire.Flow](p.Peer)
		if !flow.Drain || flow.LinkCredit != wire.Some[uint32](0) || flow.DeliveryCount != wire.Some[uint32](110) {
			t.Errorf("after three: drained with %+v", flow)
		}
		p.Hang()
		r.await(func() bool { // what the first had locked is lost with nobody to settle it
			_, err := r.faults.LoseLocks(r.ctx, "orders")
			r.must(err)
			got, err := r.bus.Receive(r.ctx, "orders", bus.ReceiveOptions{Limit: 100, Delete: true, NoWait: true})
			r.must(err)
			return len(got) == 0
		})
	}
}

// Credit that is taken back is not used: what comes later is for others.
func TestRawCreditTakenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.peer()
	p.Receiver(1, 1, "r", "orders", 5)
	p.Credit(1, 1, 0, 0)
	p.Send(1, &wire.Flow{
		NextIncomingID: wire.Some[uint32](0), IncomingWindow: 1, OutgoingWindow: 1, Echo: true,
	})
	amqptest.Await[*wire.Flow](p.Peer) // so the server has read it
	_, err := r.bus.Send(r.ctx, "orders", bus.Message{})
	r.must(err)
	got, err := r.bus.Receive(r.ctx, "orders", bus.ReceiveOptions{})
	if r.must(err); got[0].DeliveryCount != 0 {
		t.Errorf("it was delivered %d times before", got[0].DeliveryCount)
	}
}

// Answers find their link by its target, its name, or because there is no other.
func TestRawReplyTo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.peer()
	p.Peer.Sender(1, 0, "requests", "orders/$management")
	receiver := func(handle uint32, name, target string) {
		a := &wire.Attach{Name: name, Handle: handle, Role: wire.RoleReceiver, Source: &wire.Source{Address: wire.Some("orders/$management")}}
		if target != "" {
			a.Target = &wire.Target{Address: wire.Some(target)}
		}
		p.Send(1, a)
		amqptest.Expect[*wire.Attach](p.Peer)
		p.Credit(1, handle, 0, 10)
	}
	request := func(replyTo string, id any) []byte {
		return encoded(t, &wire.Message{
			Properties:            &wire.Properties{MessageID: id, ReplyTo: wire.Optional[string]{Value: replyTo, Present: replyTo != ""}},
			ApplicationProperties: wire.Map{{Key: "operation", Value: "com.microsoft:peek-message"}},
			Value:                 wire.Some[any](wire.Map{{Key: "from-sequence-number", Value: int64(1)}, {Key: "message-count", Value: int32(1)}}),
		})
	}
	ask := func(replyTo string, id any) (handle uint32) {
		t.Helper()
		handle, answer := p.ask(1, p.ids, request(replyTo, id))
		p.ids++
		if !reflect.DeepEqual(answer.Properties.CorrelationID, id) {
			t.Errorf("%v was answered for %v", id, answer.Properties.CorrelationID)
		}
		return handle
	}

	p.refused("nobody to answer to", p.outcome(0, request("me", "1")), "amqp:not-found")
	receiver(1, "first", "")
	for _, to := range []string{"", "first", "anything"} {
		ask(to, "only")
	}
	receiver(2, "second", "target")
	handles := map[string]uint32{}
	for _, to := range []string{"first", "second", "target"} {
		handles[to] = ask(to, uint64(7))
	}
	if handles["second"] != handles["target"] || handles["first"] == handles["second"] {
		t.Errorf("answers went to %v", handles)
	}
	p.refused("none of two", p.outcome(0, request("anything", "1")), "amqp:not-found")
	p.refused("none of two, without an address", p.outcome(0, request("", "1")), "amqp:not-found")
	p.refused("no message-id", p.outcome(0, request("first", nil)), "amqp:invalid-field")
	p.refused("no message", p.outcome(0, []byte{1}), "amqp:decode-error")
}

// Answers wait for credit, and are confirmed where the client asked for that.
func TestRawAnswersWaitForCredit(t *testing.T) {
	t.Parallel()
	p := newRig(t).peer()
	p.Peer.Sender(1, 0, "requests", "orders/$management")
	p.Send(1, &wire.Attach{
		Name: "answers", Handle: 1, Role: wire.RoleReceiver, SenderSettleMode: wire.Some(wire.SenderUnsettled), ReceiverSettleMode: wire.Some(wire.ReceiverSecond),
		Source: &wire.Source{Address: wire.Some("orders/$management")},
	})
	amqptest.Expect[*wire.Attach](p.Peer)
	const n = 2 * requestsAtOnce // more than are carried out at once
	request := encoded(t, &wire.Message{Properties: &wire.Properties{MessageID: "m", ReplyTo: wire.Some("answers")}, Value: wire.Some[any](nil)})
	for i := range uint32(n) {
		p.Message(1, 0, i, request)
	}
	p.Credit(1, 1, 0, n)
	answers, accepted := 0, uint32(0)
	for answers < n || accepted < n {
		switch f := p.Next().(type) {
		case *wire.Transfer:
			if f.Settled.Value {
				t.Fatalf("answer %d is settled", answers)
			}
			answers++
			p.Send(1, &wire.Disposition{Role: wire.RoleReceiver, First: f.DeliveryID.Value, State: &wire.Accepted{}})
		case *wire.Disposition:
			if f.Role == wire.RoleReceiver {
				accepted += f.Last.Or(f.First) - f.First + 1
			}
		}
	}
}

// Requests with tokens that are none of them get an answer, or at least an end.
func TestRawMalformedTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.peer()
	p.Peer.Sender(1, 0, "to2", "$CBS")
	p.Receiver(1, 1, "from2", "$cbs", 100)
	token, err := sas.Sign("sb://127.0.0.1/orders", sas.RootRule, r.keys.Root().Key, r.clock.now().Add(time.Hour))
	r.must(err)
	set := func(key string, v any) func(*wire.Message) {
		return func(m *wire.Message) { m.ApplicationProperties.Set(key, v) }
	}
	for name, c := range map[string]struct {
		change func(*wire.Message)
		status int32
	}{
		"no properties":                        {func(m *wire.Message) { m.ApplicationProperties = nil }, 404},
		"another operation":                    {set("operation", "delete-token"), 404},
		"an operation's type":                  {set("operation", wire.Symbol("put-token")), 404},
		"an audience's type":                   {set("name", wire.Symbol("sb://127.0.0.1/orders")), 401},
		"no audience":                          {set("name", nil), 401},
		"an audience's host":                   {set("name", "sb://elsewhere/orders"), 401},
		"a wider audience":                     {set("name", "sb://127.0.0.1/"), 401},
		"another kind":                         {set("type", "x"), 401},
		"no kind":                              {set("type", nil), 401},
		"a token's type":                       {func(m *wire.Message) { m.Value = wire.Some[any](int64(1)) }, 401},
		"a token that is binary":               {func(m *wire.Message) { m.Value, m.Data = wire.Optional[any]{}, [][]byte{[]byte(token.String())} }, 401},
		"an empty token":                       {func(m *wire.Message) { m.Value = wire.Some[any]("") }, 401},
		"half a token":                         {func(m *wire.Message) { m.Value = wire.Some[any](token.String()[:40]) }, 401},
		"a missing queue":                      {set("name", "sb://127.0.0.1/orders/missing"), 404},
		"the queue's management":               {set("name", "amqp://127.0.0.1:5672/ORDERS/$management"), 202},
		"the queue's dead letters' management": {set("name", "sb://127.0.0.1/orders/$DeadLetterQueue/$management"), 202},
	} {
		m := putTokenMessage("from2", token.String())
		m.ApplicationProperties.Set("name", "sb://127.0.0.1/orders")
		c.change(m)
		_, answer := p.ask(1, p.ids, encoded(t, m))
		p.ids++
		if status, _ := answer.ApplicationProperties.Get("status-code"); status != c.status {
			t.Errorf("%s: %v, want %d", name, answer.ApplicationProperties, c.status)
		}
		if description, _ := answer.ApplicationProperties.Get("status-description"); description == "" {
			t.Errorf("%s: no description", name)
		}
	}
}
