package wire

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// messages have every section, with the bytes written by hand.
var messages = []struct {
	name, hex string
	m         *Message
}{
	{"nothing", "", &Message{}},
	{"empty value", "00 53 77 40", &Message{Value: Some[any](nil)}},
	{"value", "00 53 77 00 5301 a1 01 61", &Message{Value: Some[any](Described{uint64(1), "a"})}},
	{"data", "00 53 75 a0 01 61 00 53 75 a0 00", &Message{Data: [][]byte{[]byte("a"), {}}}},
	{"sequence", "00 53 76 45 00 53 76 c0 02 01 41", &Message{Sequence: []List{{}, {true}}}},
	{"headers", "00 53 70 45 00 53 73 45", &Message{Header: &Header{}, Properties: &Properties{}}},
	{"zeros in a header", "00 53 70 c0 07 05 42 50 00 43 42 43",
		&Message{Header: &Header{Some(false), Some[uint8](0), Some[uint32](0), Some(false), Some[uint32](0)}}},
	{"empty maps", "00 53 71 c1 01 00 00 53 72 c1 01 00 00 53 74 c1 01 00 00 53 78 c1 01 00",
		&Message{DeliveryAnnotations: Map{}, MessageAnnotations: Map{}, ApplicationProperties: Map{}, Footer: Map{}}},
	{"everything", "00 53 70 c0 04 02 41 50 09" +
		"00 53 71 c1 06 02 a3 01 64 52 01" + "00 53 72 c1 06 02 a3 01 6d 52 02" +
		"00 53 73 c0 3f 0d a1 01 69 a0 01 75 a1 01 74 a1 01 73 a1 01 72 98 0102030405060708090a0b0c0d0e0f10 a3 01 63 a3 01 65" +
		"83 0000000000000001 83 0000000000000002 a1 00 43 a1 01 67" +
		"00 53 74 c1 06 02 a1 01 61 52 03" + "00 53 75 a0 01 62" + "00 53 78 c1 06 02 a3 01 66 52 04",
		&Message{
			Header: &Header{Durable: Some(true), Priority: Some[uint8](9)}, DeliveryAnnotations: Map{{Symbol("d"), uint32(1)}}, MessageAnnotations: Map{{Symbol("m"), uint32(2)}},
			Properties: &Properties{"i", []byte("u"), Some("t"), Some("s"), Some("r"), UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, Some[Symbol]("c"), Some[Symbol]("e"),
				Some[Timestamp](1), Some[Timestamp](2), Some(""), Some[uint32](0), Some("g")},
			ApplicationProperties: Map{{"a", uint32(3)}}, Data: [][]byte{[]byte("b")}, Footer: Map{{Symbol("f"), uint32(4)}},
		}},
}

func TestMessages(t *testing.T) {
	for _, c := range messages {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			m, err := DecodeMessage(b)
			if err != nil || !reflect.DeepEqual(m, c.m) {
				t.Errorf("decoded: %+v, %v", m, err)
			}
			got, err := c.m.Append([]byte{7})
			if err != nil || !bytes.Equal(got[1:], b) {
				t.Errorf("encoded: %x, %v\nwant:    %x", got, err, b)
			}
			for n := 1; n < len(b); n++ {
				if _, err := DecodeMessage(b[:n]); err != nil && !isDecodeError(err) {
					t.Errorf("of %d bytes: %v", n, err)
				}
			}
		})
	}
}

// TestForwarding is what a broker does: new header and annotations before the
// bytes that were sent.
func TestForwarding(t *testing.T) {
	sent := unhex(t, messages[len(messages)-1].hex)
	s, err := ParseMessage(sent)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(slices.Concat(s.Header, s.DeliveryAnnotations, s.MessageAnnotations, s.Bare, s.Footer), sent) {
		t.Error("the sections are not the message")
	}
	if !bytes.Equal(slices.Concat(s.Properties, s.ApplicationProperties, s.Body), s.Bare) || s.BodyKind != BodyData {
		t.Errorf("%x, %x, %x are not the bare message %x; %x", s.Properties, s.ApplicationProperties, s.Body, s.Bare, s.BodyKind)
	}
	out := AppendHeader(nil, &Header{DeliveryCount: Some[uint32](0)})
	annotations, err := s.DecodeMessageAnnotations()
	if err != nil {
		t.Fatal(err)
	}
	annotations.Set(Symbol("x-opt-sequence-number"), int64(5))
	if out, err = AppendMessageAnnotations(out, annotations); err != nil {
		t.Fatal(err)
	}
	m, err := DecodeMessage(slices.Concat(out, s.Bare, s.Footer))
	if err != nil {
		t.Fatal(err)
	}
	want := *messages[len(messages)-1].m
	want.Header, want.DeliveryAnnotations = &Header{DeliveryCount: Some[uint32](0)}, nil
	want.MessageAnnotations = Map{{Symbol("m"), uint32(2)}, {Symbol("x-opt-sequence-number"), int64(5)}}
	if !reflect.DeepEqual(m, &want) {
		t.Errorf("%+v", m)
	}
}

// TestFooterBeforeBody: rhea writes messages so.
func TestFooterBeforeBody(t *testing.T) {
	const properties, footer, body = "00 53 73 c0 04 01 a1 01 69", "00 53 78 c1 06 02 a3 01 66 52 04", "00 53 75 a0 01 61 00 53 75 a0 01 62"
	for _, before := range []string{"", properties} {
		s, err := ParseMessage(unhex(t, "00 53 70 45"+before+footer+body))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Body, unhex(t, body)) || !bytes.Equal(s.Footer, unhex(t, footer)) || !bytes.Equal(s.Bare, unhex(t, before+body)) {
			t.Errorf("body %x, footer %x, bare message %x", s.Body, s.Footer, s.Bare)
		}
		m, err := DecodeMessage(slices.Concat(s.Bare, s.Footer))
		if err != nil || len(m.Data) != 2 || len(m.Footer) != 1 || (m.Properties != nil) != (before != "") {
			t.Errorf("forwarded: %+v, %v", m, err)
		}
	}
}

// TestBodies: what is not there is empty, and the sections belong together.
func TestBodies(t *testing.T) {
	for _, c := range messages {
		s, err := ParseMessage(unhex(t, c.hex))
		if err != nil {
			t.Fatal(c.name, err)
		}
		data := slices.Collect(s.Data())
		lists, err := s.Sequences()
		value, err2 := s.Value()
		if err != nil || err2 != nil || len(data) != len(c.m.Data) || !reflect.DeepEqual(lists, c.m.Sequence) || !reflect.DeepEqual(value, c.m.Value.Value) {
			t.Errorf("%s: %x, %v, %v, %v, %v", c.name, data, lists, value, err, err2)
		}
	}
	s, _ := ParseMessage(unhex(t, messages[3].hex))
	for data := range s.Data() {
		if string(data) != "a" {
			t.Error("the loop went on after its end")
		}
		break
	}
}

func TestBadMessages(t *testing.T) {
	for _, c := range []struct{ hex, want string }{
		{"40", "expected a described list, got null"},
		{"00 53 79 40", "expected a section of a message, got the descriptor 0x79"},
		{"00 53 6f 40", "expected a section of a message, got the descriptor 0x6f"},
		{"00 a3 01 61 40", "expected a section of a message, got the descriptor 0x0"},
		{"00 53 73 45 00 53 70 45", "a message has the section header after properties"},
		{"00 53 70 45 00 53 70 45", "a message has the section header after header"},
		{"00 53 77 40 00 53 77 40", "amqp-value after amqp-value"},
		{"00 53 75 a0 00 00 53 76 45", "amqp-sequence after data"},
		{"00 53 75 a0 00 00 53 77 40", "amqp-value after data"},
		{"00 53 76 45 00 53 75 a0 00", "data after amqp-sequence"},
		{"00 53 78 c1 01 00 00 53 74 c1 01 00", "application-properties after footer"},
		{"00 53 78 c1 01 00 00 53 78 c1 01 00", "footer after footer"},
		{"00 53 78 c1 01 00 00 53 75 a0 00 00 53 78 c1 01 00", "footer after data"},
		{"00 53 75 a0 00 00 53 78 c1 01 00 00 53 75 a0 00", "data after footer"},
		{"00 53 78 c1 01 00 00 53 75 a0 00 00 53 77 40", "amqp-value after data"},
		{"00 53 75 40", "data: expected binary, got null"},
		{"00 53 76 40", "amqp-sequence: expected list, got null"},
		{"00 53 70 c1 01 00", "header: expected list, got map"},
		{"00 53 72 45", "message-annotations: expected map, got list"},
		{"00 53 75", "the input ends"},
		{"00 53 75 a0 02 61", "expected 2 bytes more"},
		{"00 53 77 " + strings.Repeat("00", 99999), "nested more than 32 deep"},
		{"00 53 70 c0 02 01 43", "header.durable: expected boolean, got uint"},
		{"00 53 70 c0 03 02 40 43", "header.priority: expected ubyte, got uint"},
		{"00 53 70 c0 07 06 40 40 40 40 40 40", "header: 1 fields more"},
		{"00 53 73 c0 03 01 52 01", "properties.message-id: expected ulong, uuid, binary or string, got uint"},
		{"00 53 73 c0 0c 06 40 40 40 40 40 a3 04 61626364", "properties.correlation-id: expected ulong"},
		{"00 53 73 c0 0a 09 40 40 40 40 40 40 40 40 44", "properties.absolute-expiry-time: expected timestamp, got ulong"},
		{"00 53 72 c1 03 02 43 40", "message-annotations: entry 1: the key is none of symbol, ulong and string"},
		{"00 53 72 c1 03 01 43 40", "message-annotations: a map has 1 elements"},
		{"00 53 71 c1 03 02 41 40", "delivery-annotations: entry 1: the key is none of"},
		{"00 53 78 c1 03 02 41 40", "footer: entry 1: the key is none of"},
		{"00 53 74 c1 05 02 a3 01 61 40", "application-properties: entry 1: the key is no string"},
		{"00 53 74 c1 05 02 a1 01 61 45", "application-properties: entry 1: the value is a list, map or array"},
		{"00 53 76 c0 02 01 3f", "amqp-sequence: 0x3f is no format code"},
		{"00 53 77 c0 02 01 3f", "amqp-value: 0x3f is no format code"},
	} {
		if m, err := DecodeMessage(unhex(t, c.hex)); !isDecodeError(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: %+v, %v, want a decode-error that says %q", c.hex, m, err, c.want)
		}
	}
}

func TestMessagesThatCannotBeWritten(t *testing.T) {
	for want, m := range map[string]*Message{
		"more than one kind":                     {Data: [][]byte{nil}, Value: Some[any](nil)},
		"a message-id or correlation-id is a in": {Properties: &Properties{MessageID: 1}},
		"application-properties: entry 1: the k": {ApplicationProperties: Map{{Symbol("a"), nil}}},
		"application-properties: entry 1: the v": {ApplicationProperties: Map{{"a", Map{}}}},
		"footer: entry 1: the key is none of":    {Footer: Map{{nil, nil}}},
		"int is no AMQP value":                   {Value: Some[any](1)},
		"a string is not UTF-8":                  {Properties: &Properties{To: Some("\xff")}},
	} {
		if b, err := m.Append([]byte{7}); err == nil || !strings.Contains(err.Error(), want) || len(b) != 1 {
			t.Errorf("%x, %v, want %q", b, err, want)
		}
	}
}

func TestProtonMessages(t *testing.T) {
	want := map[string]*Message{
		"value":    {Header: &Header{}, Properties: &Properties{}, Value: Some[any](Map{{"k", int64(1)}})},
		"data":     {Header: &Header{}, Properties: &Properties{}, Data: [][]byte{[]byte("hello")}},
		"sequence": {Header: &Header{}, Properties: &Properties{}, Sequence: []List{{int64(1), "two"}}},
		"full": {
			Header:              &Header{Some(true), Some[uint8](7), Some[uint32](2500), Some(true), Some[uint32](3)},
			DeliveryAnnotations: Map{{Symbol("x-opt-lock-token"), UUID{15: 7}}}, MessageAnnotations: Map{{Symbol("x-opt-sequence-number"), int64(42)}},
			Properties: &Properties{"m-1", []byte("me"), Some("orders"), Some("s"), Some("back"), uint64(9), Some[Symbol]("text/plain"), Some[Symbol]("gzip"),
				Some[Timestamp](1700000000000), Some[Timestamp](1690000000000), Some("g"), Some[uint32](5), Some("rg")},
			ApplicationProperties: Map{{"a", int64(1)}, {"b", "c"}, {"d", nil}}, Data: [][]byte{[]byte("hello")},
		},
	}
	for name, b := range proton(t, "message") {
		m, err := DecodeMessage(b)
		if err != nil || !reflect.DeepEqual(m, want[name]) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestMessagesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &Message{Value: Some(anyValue(3).Draw(t, "value"))}
		if rapid.Bool().Draw(t, "data") {
			m = &Message{Data: rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 1, 4).Draw(t, "sections")}
		}
		for i := range rapid.IntRange(0, 12).Draw(t, "annotations") {
			m.MessageAnnotations.Set(Symbol("a"+string(rune('a'+i))), anyValue(2).Draw(t, "annotation"))
		}
		b, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeMessage(b); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v, %v, of %x", got, err, b)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, c := range messages {
		f.Add(unhex(f, c.hex))
	}
	for _, b := range proton(f, "message") {
		f.Add(b)
	}
	f.Add(unhex(f, "00 53 73 45 00 53 78 c1 01 00 00 53 75 a0 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseMessage(b)
		if annotations := slices.Concat(s.Header, s.DeliveryAnnotations, s.MessageAnnotations); err == nil &&
			!bytes.Equal(slices.Concat(annotations, s.Bare, s.Footer), b) &&
			!bytes.Equal(slices.Concat(annotations, s.Properties, s.ApplicationProperties, s.Footer, s.Body), b) {
			t.Errorf("the sections %+v are not %x", s, b)
		}
		var m *Message
		bounded(t, len(b), func() { m, err = DecodeMessage(b) })
		if err != nil {
			return
		}
		reencode(t, m.Append, func(b []byte) (any, error) { return DecodeMessage(b) }, func(m any) ([]byte, error) { return m.(*Message).Append(nil) })
	})
}

func BenchmarkParseMessage(b *testing.B) {
	raw, _ := messages[len(messages)-1].m.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMessage(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	raw, _ := messages[len(messages)-1].m.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeMessage(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	m, buf := messages[len(messages)-1].m, make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = m.Append(buf[:0])
	}
}

// BenchmarkDeliver is what a delivery costs a broker: a header and three
// annotations before bytes that it has.
func BenchmarkDeliver(b *testing.B) {
	raw, _ := messages[len(messages)-1].m.Append(nil)
	s, _ := ParseMessage(raw)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendHeader(buf[:0], &Header{DeliveryCount: Some[uint32](0)})
		buf, _ = AppendMessageAnnotations(buf, Map{
			{Symbol("x-opt-sequence-number"), int64(1 << 20)},
			{Symbol("x-opt-enqueued-time"), Timestamp(1700000000000)},
			{Symbol("x-opt-locked-until"), Timestamp(1700000060000)},
		})
		buf = append(append(buf, s.Bare...), s.Footer...)
	}
}
