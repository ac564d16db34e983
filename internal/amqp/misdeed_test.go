package amqp_test

import (
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// bystander is a client that is served before, during and after what others do.
type bystander struct {
	*amqptest.Peer
	sent uint32
}

func newBystander(t *testing.T, address string) *bystander {
	t.Helper()
	p := amqptest.Dial(t, address)
	p.Open("bystander")
	p.Begin(0)
	p.Sender(0, 0, "out", "bystander's")
	p.Receiver(0, 1, "in", "bystander's", 1000)
	b := &bystander{Peer: p}
	b.check(t)
	return b
}

// check sends a message and receives it.
func (b *bystander) check(t *testing.T) {
	t.Helper()
	b.Message(0, 0, b.sent, []byte("here I am"))
	var accepted, arrived bool
	for !accepted || !arrived {
		switch next := b.Next().(type) {
		case *wire.Disposition:
			accepted = next.First == b.sent
		case *wire.Transfer:
			arrived = string(b.Payload()) == "here I am"
		case *wire.Flow:
		default:
			t.Fatalf("a bystander got %#v", next)
		}
	}
	b.sent++
}

// harness is a server, and a peer with a session that has a link each way: it
// sends on handle 0 and receives on handle 1. A message may have 1000 bytes, and
// there is credit for four.
func harness(t *testing.T, cfg amqp.Config) (*broker, *amqptest.Peer, *bystander) {
	t.Helper()
	b := newBroker()
	b.incoming = amqp.IncomingOptions{Credit: 4, MaxMessageSize: 1000}
	_, address := serve(t, cfg, b)
	other := newBystander(t, address)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	p.Sender(0, 0, "out", "q")
	p.Receiver(0, 1, "in", "q", 10)
	return b, p, other
}

// raw is a frame of a type with a body.
func raw(frameType byte, channel uint16, body ...byte) []byte {
	n := len(body) + 8
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 2, frameType, byte(channel >> 8), byte(channel)}, body...)
}

// misdeed is something that no polite client does.
type misdeed struct {
	name      string
	channel   uint16
	does      []wire.Performative
	writes    []byte // instead
	condition wire.Symbol
}

func TestConnectionIsClosedFor(t *testing.T) {
	begin := &wire.Begin{IncomingWindow: 1, OutgoingWindow: 1}
	for _, m := range []misdeed{
		{name: "a second open", does: []wire.Performative{&wire.Open{ContainerID: "again"}}, condition: wire.ConditionIllegalState},
		{name: "a channel above channel-max", channel: 8, does: []wire.Performative{begin}, condition: wire.ConditionFramingError},
		{name: "a frame on a channel above channel-max", channel: 8, does: []wire.Performative{&wire.End{}}, condition: wire.ConditionFramingError},
		{name: "a second begin", does: []wire.Performative{begin}, condition: wire.ConditionIllegalState},
		{name: "an answer to no begin", channel: 1, does: []wire.Performative{&wire.Begin{RemoteChannel: wire.Some[uint16](0)}}, condition: wire.ConditionInvalidField},
		{name: "an attach without a session", channel: 1, does: []wire.Performative{&wire.Attach{Name: "x", Target: &wire.Target{}}}, condition: wire.ConditionIllegalState},
		{name: "a flow without a session", channel: 1, does: []wire.Performative{&wire.Flow{}}, condition: wire.ConditionIllegalState},
		{name: "a transfer without a session", channel: 1, does: []wire.Performative{amqptest.First(0, 0)}, condition: wire.ConditionIllegalState},
		{name: "a disposition without a session", channel: 1, does: []wire.Performative{&wire.Disposition{Role: wire.RoleReceiver}}, condition: wire.ConditionIllegalState},
		{name: "a detach without a session", channel: 1, does: []wire.Performative{&wire.Detach{}}, condition: wire.ConditionIllegalState},
		{name: "an end without a session", channel: 1, does: []wire.Performative{&wire.End{}}, condition: wire.ConditionIllegalState},
		{name: "a handle above handle-max", does: []wire.Performative{&wire.Attach{Name: "x", Handle: 10, Target: &wire.Target{}}}, condition: wire.ConditionFramingError},
		{name: "a SASL frame", writes: raw(1, 0, 0, 0x53, 0x44, 0x45), condition: wire.ConditionFramingError},
		{name: "a frame of an unknown type", writes: raw(2, 0, 0, 0x53, 0x17, 0x45), condition: wire.ConditionFramingError},
		{name: "a frame larger than allowed", writes: []byte{0, 1, 0, 1, 2, 0, 0, 0}, condition: wire.ConditionFramingError},
		{name: "a frame smaller than its header", writes: []byte{0, 0, 0, 7, 2, 0, 0, 0}, condition: wire.ConditionFramingError},
		{name: "a data offset outside of the frame", writes: []byte{0, 0, 0, 8, 3, 0, 0, 0}, condition: wire.ConditionFramingError},
		{name: "a protocol header in between", writes: wire.HeaderOf(wire.ProtocolAMQP).Append(nil), condition: wire.ConditionFramingError},
		{name: "a body that is no performative", writes: raw(0, 0, 0x43), condition: wire.ConditionDecodeError},
		{name: "an unknown performative", writes: raw(0, 0, 0, 0x53, 0x99, 0x45), condition: wire.ConditionDecodeError},
		{name: "a field of the wrong type", writes: raw(0, 0, 0, 0x53, 0x17, 0xc0, 3, 1, 0xa1, 0), condition: wire.ConditionDecodeError},
		{name: "more fields than there are", writes: raw(0, 0, 0, 0x53, 0x17, 0xc0, 3, 2, 0x40, 0x40), condition: wire.ConditionDecodeError},
		{name: "bytes behind a performative", writes: raw(0, 0, 0, 0x53, 0x17, 0x45, 1), condition: wire.ConditionDecodeError},
		{name: "a mandatory field that is missing", writes: raw(0, 0, 0, 0x53, 0x16, 0x45), condition: wire.ConditionInvalidField},
		{name: "a delivery-tag of 33 bytes", writes: raw(0, 0, append([]byte{0, 0x53, 0x14, 0xc0, 38, 3, 0x43, 0x43, 0xa0, 33}, make([]byte, 33)...)...), condition: wire.ConditionInvalidField},
		{name: "a settle mode that there is not", writes: raw(0, 0, 0, 0x53, 0x12, 0xc0, 9, 4, 0xa1, 1, 'x', 0x52, 5, 0x42, 0x50, 3), condition: wire.ConditionInvalidField},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			_, p, other := harness(t, amqp.Config{ChannelMax: 7, HandleMax: 9})
			if m.writes != nil {
				p.Write(m.writes)
			} else {
				p.Send(m.channel, m.does...)
			}
			p.ExpectClose(m.condition)
			other.check(t)
		})
	}
}

func TestSessionIsEndedFor(t *testing.T) {
	transfer := func(change func(*wire.Transfer)) []wire.Performative {
		first := amqptest.First(0, 7)
		change(first)
		return []wire.Performative{first}
	}
	begun := amqptest.First(0, 7)
	begun.More = true
	for _, m := range []misdeed{
		{name: "a handle that is in use", does: []wire.Performative{&wire.Attach{Name: "x", Target: &wire.Target{}}}, condition: wire.ConditionHandleInUse},
		{name: "a transfer on no link", does: []wire.Performative{amqptest.First(5, 7)}, condition: wire.ConditionUnattachedHandle},
		{name: "a flow of no link", does: []wire.Performative{&wire.Flow{NextIncomingID: wire.Some[uint32](0), Handle: wire.Some[uint32](5)}}, condition: wire.ConditionUnattachedHandle},
		{name: "a detach of no link", does: []wire.Performative{&wire.Detach{Handle: 5}}, condition: wire.ConditionUnattachedHandle},
		{name: "a transfer on a link that receives", does: []wire.Performative{amqptest.First(1, 7)}, condition: wire.ConditionNotAllowed},
		{name: "a delivery without an id", does: transfer(func(f *wire.Transfer) { f.DeliveryID = wire.Optional[uint32]{} }), condition: wire.ConditionInvalidField},
		{name: "a delivery without a tag", does: transfer(func(f *wire.Transfer) { f.DeliveryTag = nil }), condition: wire.ConditionInvalidField},
		{name: "an id that was before", does: []wire.Performative{amqptest.First(0, 7), amqptest.First(0, 7)}, condition: wire.ConditionInvalidField},
		{name: "an id that goes back", does: []wire.Performative{amqptest.First(0, 7), amqptest.First(0, 6)}, condition: wire.ConditionInvalidField},
		{name: "a second delivery within one", does: []wire.Performative{begun, amqptest.First(0, 8)}, condition: wire.ConditionInvalidField},
		{name: "a tag that changes", does: []wire.Performative{begun, &wire.Transfer{DeliveryTag: []byte("other")}}, condition: wire.ConditionInvalidField},
		{name: "a format that changes", does: []wire.Performative{begun, &wire.Transfer{MessageFormat: wire.Some[uint32](1)}}, condition: wire.ConditionInvalidField},
		{name: "a disposition that goes back", does: []wire.Performative{&wire.Disposition{Role: wire.RoleReceiver, First: 2, Last: wire.Some[uint32](1)}}, condition: wire.ConditionInvalidField},
		{name: "transfers acknowledged that were not sent", does: []wire.Performative{&wire.Flow{NextIncomingID: wire.Some[uint32](1)}}, condition: wire.ConditionInvalidField},
		{name: "an outcome within a transaction", does: []wire.Performative{&wire.Disposition{Role: wire.RoleReceiver, State: &wire.TransactionalState{TxnID: []byte{1}}}}, condition: wire.ConditionNotImplemented},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			_, p, other := harness(t, amqp.Config{})
			p.Send(m.channel, m.does...)
			p.ExpectEnd(0, m.condition)
			p.Begin(0) // the channel is free, and so is the connection
			p.Sender(0, 0, "out", "q")
			other.check(t)
		})
	}
}

func TestLinkIsDetachedFor(t *testing.T) {
	settled := amqptest.First(0, 7)
	settled.Settled = wire.Some(true)
	transactional := amqptest.First(0, 7)
	transactional.State = &wire.TransactionalState{TxnID: []byte{1}}
	skips := &wire.Flow{NextIncomingID: wire.Some[uint32](0), Handle: wire.Some[uint32](0), DeliveryCount: wire.Some[uint32](5)}
	for _, m := range []misdeed{
		{name: "a message that is settled and too large", writes: encode(t, settled, 1001), condition: wire.ConditionMessageSizeExceeded},
		{name: "a message within a transaction", does: []wire.Performative{transactional}, condition: wire.ConditionNotImplemented},
		{name: "a delivery-count beyond the credit", does: []wire.Performative{skips}, condition: wire.ConditionTransferLimitExceeded},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			_, p, other := harness(t, amqp.Config{})
			if m.writes != nil {
				p.Write(m.writes)
			} else {
				p.Send(m.channel, m.does...)
			}
			p.ExpectDetach(0, 0, m.condition)
			p.Sender(0, 0, "out", "q") // the handle is free, and so is the session
			other.check(t)
		})
	}
}

// encode is a transfer with a payload of so many bytes in one frame.
func encode(t *testing.T, transfer *wire.Transfer, size int) []byte {
	t.Helper()
	b, rest, err := wire.AppendTransfer(nil, 0, transfer, make([]byte, size), 1<<30)
	if err != nil || len(rest) > 0 {
		t.Fatalf("encode transfer: %v", err)
	}
	return b
}
