package busserver

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

var (
	enqueued = time.UnixMilli(1700000000000).UTC()
	token    = bus.LockToken{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
)

// encoded is a message on the wire.
func encoded(t testing.TB, m *wire.Message) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// full has something in every section.
func full() *wire.Message {
	return &wire.Message{
		Header:              &wire.Header{Durable: wire.Some(true), Priority: wire.Some[uint8](7), DeliveryCount: wire.Some[uint32](9)},
		DeliveryAnnotations: wire.Map{{Key: wire.Symbol("x-opt-mine"), Value: "d"}, {Key: wire.Symbol(annLockToken), Value: nil}},
		MessageAnnotations: wire.Map{
			{Key: wire.Symbol("mine"), Value: wire.List{int8(1), "x"}}, {Key: wire.Symbol(annPartitionKey), Value: "p"},
			{Key: wire.Symbol(annSequenceNumber), Value: nil}, {Key: wire.Symbol(annEnqueuedTime), Value: nil}, {Key: wire.Symbol(annLockedUntil), Value: "no"},
			{Key: wire.Symbol(annScheduled), Value: wire.Timestamp(5)}, {Key: "text", Value: uint64(1)},
		},
		Properties: &wire.Properties{
			MessageID: "id", UserID: []byte("u"), To: wire.Some("to"), Subject: wire.Some("label"), ReplyTo: wire.Some("reply"), CorrelationID: wire.UUID{1},
			ContentType: wire.Some[wire.Symbol]("text/plain"), ContentEncoding: wire.Some[wire.Symbol]("gzip"),
			GroupID: wire.Some(""), GroupSequence: wire.Some[uint32](3), ReplyToGroupID: wire.Some("rs"),
		},
		ApplicationProperties: wire.Map{
			{Key: "z", Value: int8(-1)}, {Key: "a", Value: wire.UUID{2}}, {Key: "s", Value: wire.Symbol("sym")}, {Key: "t", Value: wire.Timestamp(9)},
			{Key: "c", Value: wire.Char('é')}, {Key: "d", Value: wire.Decimal64{1}}, {Key: "n", Value: nil}, {Key: "b", Value: []byte{1}},
			{Key: "described", Value: wire.Described{Descriptor: wire.Symbol("x:y"), Value: "v"}},
		},
		Data:   [][]byte{[]byte("hello")},
		Footer: wire.Map{{Key: wire.Symbol("f"), Value: true}},
	}
}

// delivered is what a receiver gets of m.
func delivered(t testing.TB, r *bus.Received) (*wire.Message, wire.Sections) {
	t.Helper()
	b := writeMessage(nil, r)
	m, err := wire.DecodeMessage(b)
	if err != nil {
		t.Fatalf("a receiver cannot read %x: %v", b, err)
	}
	s, err := wire.ParseMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

func TestMessageIsTypedForReceiversInTheProcess(t *testing.T) {
	m, err := readMessage(encoded(t, full()))
	if err != nil {
		t.Fatal(err)
	}
	m.Extra = nil
	session := ""
	want := bus.Message{
		MessageID: "id", CorrelationID: "01000000-0000-0000-0000-000000000000", Subject: "label", To: "to", ReplyTo: "reply", SessionID: &session,
		ReplyToSessionID: "rs", ContentType: "text/plain", PartitionKey: "p", ScheduledEnqueueTime: time.UnixMilli(5).UTC(),
		Properties: bus.Properties{"z": int8(-1), "a": bus.UUID{2}, "s": bus.Symbol("sym"), "t": bus.Timestamp(9), "c": bus.Char('é'), "d": bus.Decimal64{1}, "n": nil, "b": []byte{1}},
		Body:       bus.Body{Kind: bus.BodyData, Bytes: []byte("hello")},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestMessageIsForwardedByteForByte(t *testing.T) {
	for _, body := range []wire.Message{
		{Data: [][]byte{[]byte("hello")}}, {Data: [][]byte{{}}}, {Data: [][]byte{{1}, {}, {2}}}, {Data: [][]byte{make([]byte, 300)}},
		{Sequence: []wire.List{{"a", int64(1)}, {}}}, {Value: wire.Some[any](nil)}, {Value: wire.Some[any](wire.Described{Descriptor: uint64(5), Value: wire.Map{}})}, {},
	} {
		sent := full()
		sent.Data, sent.Sequence, sent.Value = body.Data, body.Sequence, body.Value
		raw := encoded(t, sent)
		m, err := readMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, s := delivered(t, &bus.Received{Message: m, SequenceNumber: 42, EnqueuedTime: enqueued, LockToken: token, LockedUntil: enqueued.Add(time.Minute), DeliveryCount: 3})
		was, _ := wire.ParseMessage(raw)
		if !bytes.Equal(s.Bare, was.Bare) || !bytes.Equal(s.Footer, was.Footer) {
			t.Errorf("bare %x\nwas  %x\nfooter %x\nwas    %x", s.Bare, was.Bare, s.Footer, was.Footer)
		}
		if want := (&wire.Header{Durable: wire.Some(true), Priority: wire.Some[uint8](7), DeliveryCount: wire.Some[uint32](3)}); !reflect.DeepEqual(got.Header, want) {
			t.Errorf("header %+v, want %+v", got.Header, want)
		}
		if want := (wire.Map{{Key: wire.Symbol("x-opt-mine"), Value: "d"}, {Key: wire.Symbol(annLockToken), Value: wire.UUID(token)}}); !reflect.DeepEqual(got.DeliveryAnnotations, want) {
			t.Errorf("delivery annotations %v, want %v", got.DeliveryAnnotations, want)
		}
		want := wire.Map{
			{Key: wire.Symbol("mine"), Value: wire.List{int8(1), "x"}}, {Key: wire.Symbol(annPartitionKey), Value: "p"},
			{Key: wire.Symbol(annScheduled), Value: wire.Timestamp(5)}, {Key: "text", Value: uint64(1)},
			{Key: wire.Symbol(annSequenceNumber), Value: int64(42)}, {Key: wire.Symbol(annEnqueuedTime), Value: wire.TimestampOf(enqueued)},
			{Key: wire.Symbol(annLockedUntil), Value: wire.TimestampOf(enqueued.Add(time.Minute))},
		}
		if !reflect.DeepEqual(got.MessageAnnotations, want) {
			t.Errorf("message annotations\n%v, want\n%v", got.MessageAnnotations, want)
		}
	}
}

// Encodings that this package would not choose must survive, too.
func TestUnusualEncodingsAreForwarded(t *testing.T) {
	long := func(section byte, rest ...byte) []byte {
		return append([]byte{0, 0x80, 0, 0, 0, 0, 0, 0, 0, section}, rest...)
	}
	for name, raw := range map[string][]byte{
		"a binary longer than it must be":  append([]byte{0, 0x53, 0x73, 0xc0, 4, 1, 0xa1, 1, 'i'}, 0, 0x53, 0x75, 0xb0, 0, 0, 0, 1, 'x'),
		"descriptors of eight bytes":       append(long(0x73, 0xc0, 4, 1, 0xa1, 1, 'i'), long(0x75, 0xa0, 1, 'x')...),
		"a value with a long descriptor":   append([]byte{0, 0x53, 0x73, 0xc0, 4, 1, 0xa1, 1, 'i'}, long(0x77, 0xa1, 1, 'x')...),
		"an id that is longer than needed": append([]byte{0, 0x53, 0x73, 0xd0, 0, 0, 0, 10, 0, 0, 0, 1, 0xb1, 0, 0, 0, 1, 'i'}, 0, 0x53, 0x77, 0x40),
		"a descriptor by name":             append([]byte{0, 0x53, 0x73, 0xc0, 4, 1, 0xa1, 1, 'i', 0, 0xa3, 16}, append([]byte("amqp:data:binary"), 0xa0, 1, 'x')...),
	} {
		m, err := readMessage(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, s := delivered(t, &bus.Received{Message: m}); !bytes.Equal(s.Bare, raw) {
			t.Errorf("%s: %x, want %x", name, s.Bare, raw)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	for _, c := range []struct {
		id   any
		text string
	}{
		{"order-1", "order-1"}, {uint64(7), "7"}, {wire.UUID{0xab}, "ab000000-0000-0000-0000-000000000000"}, {[]byte{1, 0xff}, "01ff"},
	} {
		m, err := readMessage(encoded(t, &wire.Message{Properties: &wire.Properties{MessageID: c.id}, Data: [][]byte{{}}}))
		if err != nil || m.MessageID != c.text {
			t.Errorf("the bus has %v as %q, %v; want %q", c.id, m.MessageID, err, c.text)
		}
		if got, _ := delivered(t, &bus.Received{Message: m}); !reflect.DeepEqual(got.Properties.MessageID, c.id) {
			t.Errorf("%v came out as %v", c.id, got.Properties.MessageID)
		}
		m.MessageID = "replayed"
		if got, _ := delivered(t, &bus.Received{Message: m}); got.Properties.MessageID != "replayed" {
			t.Errorf("under a new id %v came out as %v", c.id, got.Properties.MessageID)
		}
	}
	for _, p := range []*wire.Properties{nil, {Subject: wire.Some("s")}, {MessageID: ""}} {
		m, err := readMessage(encoded(t, &wire.Message{Properties: p, Data: [][]byte{{}}}))
		if err != nil || len(m.MessageID) != 32 {
			t.Errorf("without an id: %q, %v", m.MessageID, err)
		}
		got, _ := delivered(t, &bus.Received{Message: m})
		if got.Properties.MessageID != m.MessageID || p != nil && got.Properties.Subject != p.Subject {
			t.Errorf("without an id: %+v", got.Properties)
		}
	}
}

func TestTimesOfAMessageThatExpires(t *testing.T) {
	sent := full()
	sent.Properties.AbsoluteExpiryTime, sent.Properties.CreationTime = wire.Some[wire.Timestamp](1), wire.Some[wire.Timestamp](2)
	sent.Header.TTL = wire.Some[uint32](90_000)
	m, err := readMessage(encoded(t, sent))
	if err != nil || m.TTL != 90*time.Second {
		t.Fatalf("ttl %v, %v", m.TTL, err)
	}
	for _, c := range []struct {
		ttl  time.Duration
		want uint32
	}{{time.Minute, 60_000}, {time.Nanosecond, 1}, {100 * 24 * time.Hour, 1<<32 - 1}} {
		got, _ := delivered(t, &bus.Received{Message: withTTL(m, c.ttl), EnqueuedTime: enqueued, ExpiresAt: enqueued.Add(c.ttl)})
		p := *full().Properties
		p.CreationTime, p.AbsoluteExpiryTime = wire.Some(wire.TimestampOf(enqueued)), wire.Some(wire.TimestampOf(enqueued.Add(c.ttl)))
		if got.Header.TTL != wire.Some(c.want) || !reflect.DeepEqual(got.Properties, &p) {
			t.Errorf("for %v: %+v, %+v", c.ttl, got.Header, got.Properties)
		}
	}
	got, _ := delivered(t, &bus.Received{Message: withTTL(m, 0), EnqueuedTime: enqueued})
	if got.Header.TTL.Present || got.Properties.AbsoluteExpiryTime.Value != 1 || got.Properties.CreationTime.Value != 2 {
		t.Errorf("without a time to live: %+v, %+v", got.Header, got.Properties)
	}
}

func withTTL(m bus.Message, ttl time.Duration) bus.Message {
	m.TTL = ttl
	return m
}

func TestAmendedPropertiesAreSetAndNothingElseChanges(t *testing.T) {
	sent := full()
	m, err := readMessage(encoded(t, sent))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := delivered(t, &bus.Received{Message: m, Amended: bus.Properties{"z": bus.Symbol("new"), bus.DeadLetterReason: "why", "u": bus.UUID{1}}})
	want := append(wire.Map{}, sent.ApplicationProperties...)
	want[0].Value = wire.Symbol("new")
	want = append(want, wire.Pair{Key: bus.DeadLetterReason, Value: "why"}, wire.Pair{Key: "u", Value: wire.UUID{1}})
	if !reflect.DeepEqual(got.ApplicationProperties, want) {
		t.Errorf("got  %v\nwant %v", got.ApplicationProperties, want)
	}
	if !reflect.DeepEqual(got.Properties, sent.Properties) || !reflect.DeepEqual(got.Data, sent.Data) {
		t.Errorf("something else has changed: %+v", got)
	}
}

func TestMessageSentInTheProcess(t *testing.T) {
	session := "s"
	at := enqueued.Add(-time.Second)
	got, _ := delivered(t, &bus.Received{
		Message: bus.Message{
			MessageID: "id", CorrelationID: "c", Subject: "l", To: "t", ReplyTo: "r", SessionID: &session, ReplyToSessionID: "rs",
			ContentType: "application/json", PartitionKey: "p", ScheduledEnqueueTime: at,
			Properties: bus.Properties{"b": int64(1), "a": bus.Timestamp(2)}, Body: bus.Body{Kind: bus.BodyData, Bytes: []byte("{}")},
		},
		SequenceNumber: 1, EnqueuedTime: enqueued, EnqueuedSequenceNumber: 8, DeadLetterSource: "orders", State: bus.Deferred,
	})
	want := &wire.Message{
		Header: &wire.Header{DeliveryCount: wire.Some[uint32](0)},
		MessageAnnotations: wire.Map{
			{Key: wire.Symbol(annPartitionKey), Value: "p"}, {Key: wire.Symbol(annScheduled), Value: wire.TimestampOf(at)},
			{Key: wire.Symbol(annSequenceNumber), Value: int64(1)}, {Key: wire.Symbol(annEnqueuedTime), Value: wire.TimestampOf(enqueued)},
			{Key: wire.Symbol(annEnqueuedNumber), Value: int64(8)}, {Key: wire.Symbol(annSource), Value: "orders"}, {Key: wire.Symbol(annState), Value: int32(1)},
		},
		Properties: &wire.Properties{
			MessageID: "id", CorrelationID: "c", Subject: wire.Some("l"), To: wire.Some("t"), ReplyTo: wire.Some("r"),
			ContentType: wire.Some[wire.Symbol]("application/json"), GroupID: wire.Some("s"), ReplyToGroupID: wire.Some("rs"),
		},
		ApplicationProperties: wire.Map{{Key: "a", Value: wire.Timestamp(2)}, {Key: "b", Value: int64(1)}},
		Data:                  [][]byte{[]byte("{}")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	annotated := func(key string, v any) []byte {
		return encoded(t, &wire.Message{MessageAnnotations: wire.Map{{Key: wire.Symbol(key), Value: v}}, Data: [][]byte{{}}})
	}
	for name, raw := range map[string][]byte{
		"no message":                      {1, 2, 3},
		"a scheduled time that is null":   annotated(annScheduled, nil),
		"a scheduled time that is a long": annotated(annScheduled, int64(1)),
		"a partition key of another type": annotated(annPartitionKey, int64(1)),
		"a state that is null":            annotated(annState, nil),
		"an earlier number that is null":  annotated(annEnqueuedNumber, nil),
		"a value that cannot be decoded":  {0, 0x53, 0x77, 0xa1, 1, 0xff},
		"properties of wrong types":       {0, 0x53, 0x74, 0xc1, 3, 2, 0x41, 0x41},
		"annotations that repeat a key":   {0, 0x53, 0x72, 0xc1, 9, 4, 0xa3, 1, 'a', 0x41, 0xa3, 1, 'a', 0x41},
		"a footer that is damaged":        {0, 0x53, 0x75, 0xa0, 0, 0, 0x53, 0x78, 0xc1, 2, 2, 0x41},
	} {
		if m, err := readMessage(raw); err == nil {
			t.Errorf("%s was taken: %+v", name, m)
		}
	}
}

func TestBatch(t *testing.T) {
	one, two := encoded(t, full()), encoded(t, &wire.Message{Properties: &wire.Properties{MessageID: "2"}, Value: wire.Some[any]("v")})
	envelope := full() // says the same as the first message, and counts for nothing
	envelope.Data = [][]byte{one, two}
	got, err := readMessages(encoded(t, envelope), formatBatch)
	if err != nil || len(got) != 2 || got[0].MessageID != "id" || string(got[0].Body.Bytes) != "hello" || got[1].MessageID != "2" || got[1].Body.Kind != bus.BodyValue {
		t.Errorf("%+v, %v", got, err)
	}
	for name, raw := range map[string][]byte{
		"one of them is none": encoded(t, &wire.Message{Data: [][]byte{one, {7}}}),
		"it has no data":      encoded(t, &wire.Message{Value: wire.Some[any](one)}),
		"it is empty":         {},
	} {
		if got, err := readMessages(raw, formatBatch); err == nil {
			t.Errorf("a batch was taken although %s: %+v", name, got)
		}
	}
	if _, err := readMessages(one, 1); err == nil {
		t.Error("a message-format that nobody has defined was taken")
	}
}

func TestDeliveryTagIsAGuid(t *testing.T) {
	want := [16]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	if tag := deliveryTag(token); tag != want || tokenOfTag(tag[:]) != token {
		t.Errorf("%x, and back %x", tag, tokenOfTag(tag[:]))
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(encoded(f, full()))
	f.Add(encoded(f, &wire.Message{Value: wire.Some[any](wire.Map{})}))
	f.Add([]byte{0, 0x53, 0x73, 0xc0, 4, 1, 0xa1, 1, 'i', 0, 0x53, 0x75, 0xb0, 0, 0, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := readMessage(raw)
		if err != nil {
			return
		}
		ttl := m.TTL
		m.TTL = 0
		got, s := delivered(t, &bus.Received{Message: m, LockToken: token})
		was, err := wire.ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		p, err := was.DecodeProperties()
		if err != nil {
			t.Fatal(err)
		}
		if p != nil && idText(p.MessageID) != "" && !bytes.Equal(s.Bare, was.Bare) {
			t.Errorf("bare %x\nwas  %x", s.Bare, was.Bare)
		}
		if !bytes.Equal(s.Footer, was.Footer) || !bytes.Equal(s.Body, was.Body) || !bytes.Equal(s.ApplicationProperties, was.ApplicationProperties) {
			t.Errorf("%x\nwas %x", s, was)
		}
		again, err := readMessage(writeMessage(nil, &bus.Received{Message: withTTL(m, ttl)}))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		m.Extra, again.Extra, m.TTL = nil, nil, ttl
		if !sameMessage(m, again) {
			t.Errorf("%+v\nbecame %+v", m, again)
		}
		_ = got
	})
}

// sameMessage compares without stumbling over NaN.
func sameMessage(a, b bus.Message) bool {
	if len(a.Properties) != len(b.Properties) {
		return false
	}
	a.Properties, b.Properties = nil, nil
	return reflect.DeepEqual(a, b)
}

func FuzzBatch(f *testing.F) {
	one := encoded(f, full())
	f.Add(encoded(f, &wire.Message{Data: [][]byte{one, one}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := readBatch(raw)
		if err == nil && len(got) == 0 {
			t.Error("a batch of nothing was taken")
		}
		for i := range got {
			delivered(t, &bus.Received{Message: got[i]})
		}
	})
}

// FuzzExtra also proves that an extra from elsewhere does no harm.
func FuzzExtra(f *testing.F) {
	m, err := readMessage(encoded(f, full()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Extra)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if x, ok := decodeExtra(raw); ok {
			if y, ok := decodeExtra(x.encode()); !ok || !reflect.DeepEqual(x, y) {
				t.Errorf("%+v became %+v", x, y)
			}
		}
		writeMessage(nil, &bus.Received{Message: bus.Message{Extra: raw, MessageID: "m"}, Amended: bus.Properties{"a": "b"}})
	})
}

func BenchmarkReadMessage(b *testing.B) {
	raw := encoded(b, typical())
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readMessage(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteMessage(b *testing.B) {
	m, err := readMessage(encoded(b, typical()))
	if err != nil {
		b.Fatal(err)
	}
	r := &bus.Received{Message: m, SequenceNumber: 1, EnqueuedTime: enqueued, LockToken: token, LockedUntil: enqueued}
	b.SetBytes(int64(len(m.Body.Bytes)))
	b.ReportAllocs()
	for b.Loop() {
		writeMessage(make([]byte, 0, writtenSize(r)), r)
	}
}

// typical is what a service sends: an id, a type, two properties, 1 KiB.
func typical() *wire.Message {
	return &wire.Message{
		Properties:            &wire.Properties{MessageID: "0f8fad5b-d9cb-469f-a165-70867728950e", ContentType: wire.Some[wire.Symbol]("application/json"), Subject: wire.Some("order")},
		ApplicationProperties: wire.Map{{Key: "tenant", Value: "north"}, {Key: "attempt", Value: int64(1)}},
		Data:                  [][]byte{make([]byte, 1024)},
	}
}
