package bus

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// everyType has one property of each type a property can have.
var everyType = Properties{
	"null": nil, "true": true, "false": false,
	"u8": uint8(1), "u16": uint16(2), "u32": uint32(3), "u64": uint64(math.MaxUint64),
	"i8": int8(-1), "i16": int16(-2), "i32": int32(-3), "i64": int64(math.MinInt64),
	"f32": float32(1.5), "f64": math.Inf(-1),
	"d32": Decimal32{1, 2, 3, 4}, "d64": Decimal64{7: 8}, "d128": Decimal128{15: 9},
	"char": Char('ß'), "time": Timestamp(-62135596800000), "uuid": UUID{15: 1},
	"binary": []byte{0, 1, 255}, "empty": []byte{}, "string": "grüß", "nothing": "", "symbol": Symbol("x-opt"),
}

func TestPropertiesKeepTheirTypes(t *testing.T) {
	buf, err := everyType.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeProperties(buf)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, everyType) {
		t.Errorf("got %#v", got)
	}
}

func TestPropertiesRefused(t *testing.T) {
	for name, p := range map[string]Properties{
		"int": {"k": 1}, "time.Time": {"k": time.Now()}, "list": {"k": []string{"a"}}, "no name": {"": "v"},
		"name that is no text": {"\xff": "v"}, "string that is no text": {"k": "\xff"}, "surrogate": {"k": Char(0xd800)},
		"symbol beyond ASCII": {"k": Symbol("ß")}, "one too large": {"k": strings.Repeat("x", 32<<10)},
		"all too large": {"a": strings.Repeat("x", 30<<10), "b": strings.Repeat("x", 30<<10), "c": strings.Repeat("x", 30<<10)},
	} {
		if _, err := p.encodeWithin(maxPropertiesBytes); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func FuzzProperties(f *testing.F) {
	whole, err := everyType.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{1, 1, 'k', tagNull})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 'k', tagBinary, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, buf []byte) {
		p, err := decodeProperties(buf)
		if err != nil {
			return
		}
		again, err := p.encode()
		if err != nil && len(buf) < maxPropertyBytes {
			t.Fatalf("decoded %#v, which cannot be encoded: %v", p, err)
		}
		if len(again) > len(buf) {
			t.Errorf("encoding grew from %d to %d bytes", len(buf), len(again))
		}
		if err == nil {
			second, err := decodeProperties(again)
			if err != nil {
				t.Fatal(err)
			}
			third, err := second.encode()
			if err != nil || !bytes.Equal(again, third) {
				t.Errorf("% x became % x (%v)", again, third, err)
			}
		}
	})
}

func TestHeadRoundTrip(t *testing.T) {
	session := ""
	want := Message{
		CorrelationID: "c", Subject: "s", To: "t", ReplyTo: "r", SessionID: &session, ReplyToSessionID: "rs", ContentType: "text/plain",
		PartitionKey: "p", TTL: 1500 * time.Millisecond, ScheduledEnqueueTime: time.UnixMilli(-5).UTC(),
	}
	for _, m := range []Message{{}, want} {
		var got Message
		if err := decodeHead(encodeHead(&m), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, want %+v", got, m)
		}
	}
}

func FuzzHead(f *testing.F) {
	session := "session"
	f.Add(encodeHead(&Message{Subject: "s", SessionID: &session, TTL: time.Second, ScheduledEnqueueTime: time.UnixMilli(1)}))
	f.Add([]byte{headVersion, 0xff, 0x07})
	f.Fuzz(func(t *testing.T, buf []byte) {
		var m, again Message
		if decodeHead(buf, &m) != nil {
			return
		}
		if err := decodeHead(encodeHead(&m), &again); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m, again) {
			t.Errorf("%+v became %+v", m, again)
		}
	})
}

func TestMessageRefused(t *testing.T) {
	long := strings.Repeat("x", maxIDBytes+1)
	for name, m := range map[string]Message{
		"message id": {MessageID: long}, "session id": {SessionID: &long}, "partition key": {PartitionKey: long},
		"text": {Subject: "\xff"}, "ttl": {TTL: -1}, "kind": {Body: Body{Kind: bodyKinds}}, "bytes without a body": {Body: Body{Bytes: []byte("x")}},
	} {
		if _, err := newRecord(&m, 1<<20); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
	if _, err := newRecord(&Message{Body: Body{Kind: BodyData, Bytes: make([]byte, 100)}}, 100); err == nil {
		t.Error("a message over the limit was accepted")
	}
}

// A text cut to fit stays text.
func TestClip(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", 5000), strings.Repeat("ß", 3000), "x" + strings.Repeat("ß", 3000), "\xff\xfe"} {
		got := clip(s)
		if len(got) > maxReasonBytes {
			t.Errorf("%d bytes", len(got))
		}
		if _, err := (Properties{"k": got}).encode(); err != nil {
			t.Error(err)
		}
	}
}
