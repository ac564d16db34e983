package busserver

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	goamqp "github.com/Azure/go-amqp"

	"bellhop/internal/bus"
)

func ptr[T any](v T) *T { return &v }

// Ids generated.
func TestSDKSendGivesAnIDToMessagesWithoutOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s := r.sender(c, "orders")
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: []byte("none")}, nil))
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: []byte("own"), MessageID: ptr("mine")}, nil))
	got := r.receive(r.receiver(c, "orders", nil), 2)
	if len(got[0].MessageID) != 32 || got[1].MessageID != "mine" {
		t.Errorf("ids %q and %q", got[0].MessageID, got[1].MessageID)
	}
}

// Batch of 2.
func TestSDKSendBatchOfTwo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s := r.sender(c, "orders")
	batch, err := s.NewMessageBatch(r.ctx, nil)
	r.must(err)
	for _, body := range []string{"one", "two"} {
		r.must(batch.AddMessage(&azservicebus.Message{Body: []byte(body), ApplicationProperties: map[string]any{"body": body}}, nil))
	}
	r.must(s.SendMessageBatch(r.ctx, batch, nil))
	got := r.receive(r.receiver(c, "orders", nil), 2)
	if !slices.Equal(bodies(got), []string{"one", "two"}) || got[0].ApplicationProperties["body"] != "one" || got[1].ApplicationProperties["body"] != "two" {
		t.Errorf("got %q, %v, %v", bodies(got), got[0].ApplicationProperties, got[1].ApplicationProperties)
	}
}

// A batch is taken as a whole or not at all.
func TestSDKSendBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("small", bus.Settings{MaxSizeBytes: 3000})
	s := r.sender(r.client(), "small")
	batch, err := s.NewMessageBatch(r.ctx, nil)
	r.must(err)
	for range 3 {
		r.must(batch.AddMessage(&azservicebus.Message{Body: make([]byte, 1000)}, nil))
	}
	err = s.SendMessageBatch(r.ctx, batch, nil)
	r.says(err, "amqp:resource-limit-exceeded")
	r.counts("small", bus.Counts{})
}

// Properties.
func TestSDKMessagePropertiesRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	sent := &azservicebus.Message{
		Body: []byte("body"), MessageID: ptr("id"), CorrelationID: ptr("correlation"), ContentType: ptr("text/plain"), Subject: ptr("subject"),
		To: ptr("to"), ReplyTo: ptr("reply"), ReplyToSessionID: ptr("reply session"), SessionID: ptr("session"), PartitionKey: ptr("session"),
		TimeToLive: ptr(time.Hour), ApplicationProperties: map[string]any{"a": "b"},
	}
	r.must(r.sender(c, "orders").SendMessage(r.ctx, sent, nil))
	got := r.receiveOne(r.receiver(c, "orders", nil))
	want := &azservicebus.ReceivedMessage{
		Body: sent.Body, MessageID: "id", CorrelationID: sent.CorrelationID, ContentType: sent.ContentType, Subject: sent.Subject,
		To: sent.To, ReplyTo: sent.ReplyTo, ReplyToSessionID: sent.ReplyToSessionID, SessionID: sent.SessionID, PartitionKey: sent.PartitionKey,
		TimeToLive: sent.TimeToLive, ApplicationProperties: sent.ApplicationProperties,
		DeliveryCount: 1, SequenceNumber: ptr[int64](1),
		EnqueuedTime: got.EnqueuedTime, LockedUntil: got.LockedUntil, ExpiresAt: ptr(got.EnqueuedTime.Add(time.Hour)),
	}
	now := r.clock.now()
	if got.LockToken == [16]byte{} || now.Sub(*got.EnqueuedTime) > patience || got.LockedUntil.Sub(now) > time.Minute {
		t.Errorf("lock %x until %v, enqueued %v", got.LockToken, got.LockedUntil, got.EnqueuedTime)
	}
	got.LockToken, got.RawAMQPMessage = [16]byte{}, nil
	visible := *got
	clearHidden(&visible)
	if !reflect.DeepEqual(&visible, want) {
		t.Errorf("got  %+v\nwant %+v", &visible, want)
	}
}

// clearHidden empties the SDK's unexported fields by copying the exported ones.
func clearHidden(m *azservicebus.ReceivedMessage) {
	var bare azservicebus.ReceivedMessage
	from, to := reflect.ValueOf(m).Elem(), reflect.ValueOf(&bare).Elem()
	for i := range from.NumField() {
		if from.Type().Field(i).IsExported() {
			to.Field(i).Set(from.Field(i))
		}
	}
	*m = bare
}

// All AMQP scalar types.
func TestSDKScalarTypesRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	sent := map[string]any{
		"bool": true, "byte": int8(-1), "ubyte": uint8(1), "short": int16(-2), "ushort": uint16(2), "int": int32(-3), "uint": uint32(3),
		"long": int64(-4), "ulong": uint64(4), "float": float32(1.5), "double": 2.5, "string": "text", "binary": []byte{1, 2},
		"timestamp": time.UnixMilli(1700000000123), "uuid": goamqp.UUID{1, 2, 3}, "null": nil, "symbol": goamqp.Symbol("sym"),
	}
	r.must(r.sender(c, "orders").SendAMQPAnnotatedMessage(r.ctx, &azservicebus.AMQPAnnotatedMessage{
		ApplicationProperties: sent, Body: azservicebus.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte("x")}},
	}, nil))
	rec := r.receiver(c, "orders", nil)
	m := r.receiveOne(rec)
	want := without(sent)
	want["symbol"] = "sym" // the SDK makes a string of it
	if !reflect.DeepEqual(m.ApplicationProperties, want) {
		t.Errorf("got  %#v\nwant %#v", m.ApplicationProperties, want)
	}

	// What is set later has its type, too.
	r.must(rec.AbandonMessage(r.ctx, m, &azservicebus.AbandonMessageOptions{PropertiesToModify: without(sent, "null", "symbol", "binary")}))
	m = r.receiveOne(rec)
	if !reflect.DeepEqual(m.ApplicationProperties, want) {
		t.Errorf("after it was abandoned: got  %#v\nwant %#v", m.ApplicationProperties, want)
	}
}

func without(m map[string]any, names ...string) map[string]any {
	all := map[string]any{}
	for k, v := range m {
		if !slices.Contains(names, k) {
			all[k] = v
		}
	}
	return all
}

// Value and sequence bodies, several data sections, annotations, footer.
func TestSDKBodiesAndAnnotationsRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s, rec := r.sender(c, "orders"), r.receiver(c, "orders", nil)
	for _, body := range []azservicebus.AMQPAnnotatedMessageBody{
		{Value: "text"}, {Value: int64(7)}, {Value: map[string]any{"a": []any{int64(1)}}},
		{Sequence: [][]any{{"a", int64(1)}, {true}}}, {Data: [][]byte{[]byte("one"), {}, []byte("three")}},
	} {
		sent := &azservicebus.AMQPAnnotatedMessage{
			Body:                body,
			DeliveryAnnotations: map[any]any{"mine-too": "d"},
			MessageAnnotations:  map[any]any{"mine": "m", "x-opt-partition-key": nil, "x-opt-sequence-number": nil, "x-opt-enqueued-time": nil, "x-opt-locked-until": nil},
			Footer:              map[any]any{"f": "foot"},
			Header:              &azservicebus.AMQPAnnotatedMessageHeader{Durable: true, Priority: 6},
			Properties:          &azservicebus.AMQPAnnotatedMessageProperties{MessageID: uint64(9), GroupSequence: ptr[uint32](4), UserID: []byte("user")},
		}
		r.must(s.SendAMQPAnnotatedMessage(r.ctx, sent, nil))
		m := r.receiveOne(rec)
		raw := m.RawAMQPMessage
		if !reflect.DeepEqual(raw.Body, body) {
			t.Errorf("body %#v, want %#v", raw.Body, body)
		}
		annotations := map[any]any{
			"mine": "m", "x-opt-partition-key": nil,
			"x-opt-sequence-number": *m.SequenceNumber, "x-opt-enqueued-time": *m.EnqueuedTime, "x-opt-locked-until": *m.LockedUntil,
		}
		if !reflect.DeepEqual(raw.MessageAnnotations, annotations) {
			t.Errorf("annotations %#v, want %#v", raw.MessageAnnotations, annotations)
		}
		if want := (map[any]any{"mine-too": "d", "x-opt-lock-token": goamqp.UUID(m.LockToken)}); !reflect.DeepEqual(raw.DeliveryAnnotations, want) {
			t.Errorf("delivery annotations %#v, want %#v", raw.DeliveryAnnotations, want)
		}
		if want := (azservicebus.AMQPAnnotatedMessageHeader{Durable: true, Priority: 6}); *raw.Header != want {
			t.Errorf("header %+v, want %+v", raw.Header, want)
		}
		if !reflect.DeepEqual(raw.Footer, sent.Footer) || !reflect.DeepEqual(raw.Properties, sent.Properties) {
			t.Errorf("footer %#v, properties %#v", raw.Footer, raw.Properties)
		}
		r.must(rec.CompleteMessage(r.ctx, m, nil))
	}
}

// Nothing about expiry is added when nobody has set any.
func TestSDKMessageWithoutTimeToLive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("expiring", bus.Settings{DefaultTTL: time.Hour})
	c := r.client()
	for queue, want := range map[string]time.Duration{"orders": 0, "expiring": time.Hour} {
		r.must(r.sender(c, queue).SendMessage(r.ctx, &azservicebus.Message{MessageID: ptr("m")}, nil))
		m := r.receiveOne(r.receiver(c, queue, nil))
		p := m.RawAMQPMessage.Properties
		if *m.TimeToLive != want || (p.CreationTime != nil) != (want > 0) || (p.AbsoluteExpiryTime != nil) != (want > 0) {
			t.Errorf("%s: ttl %v, %+v", queue, *m.TimeToLive, p)
		}
		if want > 0 && (!p.CreationTime.Equal(*m.EnqueuedTime) || !p.AbsoluteExpiryTime.Equal(m.EnqueuedTime.Add(want))) {
			t.Errorf("%s: created %v, expires %v, enqueued %v", queue, p.CreationTime, p.AbsoluteExpiryTime, m.EnqueuedTime)
		}
	}
}

// Too big is refused in the client, and the largest that it sends is taken.
func TestSDKMessageTooBig(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s := r.sender(c, "orders")
	err := s.SendMessage(r.ctx, &azservicebus.Message{Body: make([]byte, DefaultMaxMessageBytes)}, nil)
	if !errors.Is(err, azservicebus.ErrMessageTooLarge) {
		t.Errorf("got %v, want ErrMessageTooLarge", err)
	}
	big := make([]byte, DefaultMaxMessageBytes-100)
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: big, MessageID: ptr("big")}, nil))
	if m := r.receiveOne(r.receiver(c, "orders", nil)); len(m.Body) != len(big) {
		t.Errorf("got %d bytes, want %d", len(m.Body), len(big))
	}
}

// Duplicates within the window are taken and dropped.
func TestSDKDuplicateIsTakenAndDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("once", bus.Settings{DuplicateWindow: time.Minute})
	s := r.sender(r.client(), "once")
	for range 2 {
		r.must(s.SendMessage(r.ctx, &azservicebus.Message{MessageID: ptr("same")}, nil))
	}
	r.counts("once", bus.Counts{Active: 1})
}

// What is sent on the wire is typed for receivers in the process, and the
// reverse.
func TestSDKAndTheProcessSeeTheSameMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	r.must(r.sender(c, "orders").SendMessage(r.ctx, &azservicebus.Message{
		Body: []byte("wire"), MessageID: ptr("w"), Subject: ptr("s"), ApplicationProperties: map[string]any{"n": int64(1)},
	}, nil))
	got, err := r.bus.Receive(r.ctx, "orders", bus.ReceiveOptions{})
	r.must(err)
	m := got[0]
	if m.MessageID != "w" || m.Subject != "s" || string(m.Body.Bytes) != "wire" || m.Body.Kind != bus.BodyData || !reflect.DeepEqual(m.Properties, bus.Properties{"n": int64(1)}) {
		t.Errorf("in the process: %+v", m)
	}
	r.must(r.bus.Complete(r.ctx, m.LockToken))

	_, err = r.bus.Send(r.ctx, "orders", bus.Message{
		MessageID: "p", Subject: "s", Properties: bus.Properties{"n": int64(2)}, Body: bus.Body{Kind: bus.BodyData, Bytes: []byte("process")},
	})
	r.must(err)
	w := r.receiveOne(r.receiver(c, "orders", nil))
	if w.MessageID != "p" || *w.Subject != "s" || string(w.Body) != "process" || !reflect.DeepEqual(w.ApplicationProperties, map[string]any{"n": int64(2)}) {
		t.Errorf("on the wire: %+v", w)
	}
}
