package wire

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
)

// proton reads what another implementation wrote: testdata/generate.py says
// how. It gives the lines of one kind by name.
func proton(t testing.TB, kind string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/proton.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); words[0] == kind {
			lines[words[1]] = unhex(t, words[2])
		}
	}
	if len(lines) == 0 {
		t.Fatalf("testdata/proton.txt has no %s", kind)
	}
	return lines
}

func TestProtonValues(t *testing.T) {
	x300 := strings.Repeat("x", 300)
	want := map[string]any{
		"null": nil, "true": true, "false": false,
		"ubyte": uint8(200), "ushort": uint16(60000),
		"uint0": uint32(0), "smalluint": uint32(255), "uint": uint32(256),
		"ulong0": uint64(0), "smallulong": uint64(255), "ulong": uint64(0x137000000c),
		"byte": int8(-5), "short": int16(-300), "smallint": int32(-128), "int": int32(-129),
		"smalllong": int64(-128), "long": int64(1 << 40),
		"float": float32(-1.5), "double": 3.14,
		"decimal32": Decimal32{1, 2, 3, 4}, "decimal64": Decimal64{1, 2, 3, 4, 5, 6, 7, 8},
		"decimal128": Decimal128{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		"char":       Char('€'), "timestamp": Timestamp(1700000000123),
		"uuid":   UUID{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
		"binary": []byte{0, 255}, "string": "grün", "longstring": x300, "symbol": Symbol("amqp:list"),
		"list0": List{}, "list": List{nil, int64(1), "a", List{true}}, "longlist": List{x300},
		"map":        Map{{Symbol("a"), int64(1)}},
		"array-long": ArrayOf[int64](1, -1, 1<<40), "array-symbol": ArrayOf[Symbol]("PLAIN", "ANONYMOUS"),
		"array-uuid": ArrayOf(UUID{15: 1}), "array-timestamp": ArrayOf[Timestamp](1),
		"array-described": Array{TypeInt, []any{Symbol("d")}, []any{int32(1), int32(2)}},
		"described-ulong": Described{uint64(0x137000000c), "s"}, "described-symbol": Described{Symbol("a:b"), List{int64(1)}},
	}
	got := proton(t, "value")
	if len(got) != len(want) {
		t.Errorf("%d values are expected, %d are there", len(want), len(got))
	}
	for name, b := range got {
		v, rest, err := Decode(b)
		if err != nil || len(rest) > 0 || !reflect.DeepEqual(v, want[name]) {
			t.Errorf("%s: %#v, %x left, %v; want %#v", name, v, rest, err, want[name])
		}
		ours, err := Append(nil, want[name])
		if err != nil {
			t.Fatal(err)
		}
		// Proton writes compound values and their parts in the long form.
		_, isMap := v.(Map)
		_, isArray := v.(Array)
		compound := isMap || isArray || name == "list" || name == "longlist" || name == "described-symbol"
		if same := bytes.Equal(ours, b); !same && (!compound || len(ours) >= len(b)) {
			t.Errorf("%s: %x, proton writes %x", name, ours, b)
		}
	}
}

// TestProtonStreams reads both directions of a whole connection.
func TestProtonStreams(t *testing.T) {
	want := map[string]string{
		"client": "SASL Init AMQP Open Begin Attach Attach " +
			"Transfer Disposition Transfer+ Transfer Disposition Transfer Disposition Transfer+ Transfer Disposition Flow Flow Detach Detach End Close",
		"server": "SASL Mechanisms Outcome AMQP Open Begin Attach Attach Flow " +
			"Disposition Disposition Disposition Disposition Detach End Close",
	}
	for name, stream := range proton(t, "stream") {
		var said []string
		r := NewReader(bytes.NewReader(stream), 4096)
		for {
			word, err := protonStep(t, r, len(said) == 0 || said[len(said)-1] == "Outcome" || said[len(said)-1] == "Init")
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s after %v: %v", name, said, err)
			}
			said = append(said, word)
		}
		if got := strings.Join(said, " "); got != want[name] {
			t.Errorf("%s:\n%s, want\n%s", name, got, want[name])
		}
	}
}

// protonStep reads a protocol header or a frame and says which; it wants the
// frame to be written as short as Proton does, or shorter, and to mean the same.
func protonStep(t *testing.T, r *Reader, header bool) (string, error) {
	if header {
		h, err := r.ReadProtocolHeader()
		return map[ProtocolHeader]string{HeaderOf(ProtocolSASL): "SASL", HeaderOf(ProtocolAMQP): "AMQP"}[h], err
	}
	f, err := r.ReadFrame()
	if err != nil {
		return "", err
	}
	if f.Type == FrameSASL {
		s, err := DecodeSASL(f.Body)
		return strings.TrimPrefix(fmt.Sprintf("%T", s), "*wire.SASL"), err
	}
	p, payload, err := DecodePerformative(f.Body)
	if err != nil {
		return "", err
	}
	ours, err := p.appendTo(nil)
	if err != nil {
		return "", err
	}
	again, _, err := DecodePerformative(ours)
	if err != nil || !reflect.DeepEqual(again, p) || len(ours)+len(payload) > len(f.Body) {
		t.Errorf("%+v became %+v, %v, from %x to %x", p, again, err, f.Body, ours)
	}
	word := strings.TrimPrefix(fmt.Sprintf("%T", p), "*wire.")
	if tr, _ := p.(*Transfer); tr != nil && tr.More {
		word += "+"
	}
	return word, nil
}

// TestProtonFields: fields hold what the script put there.
func TestProtonFields(t *testing.T) {
	var all []Performative
	for _, name := range []string{"client", "server"} {
		stream := proton(t, "stream")[name]
		r := NewReader(bytes.NewReader(stream[bytes.LastIndex(stream, []byte("AMQP\x00\x01\x00\x00"))+8:]), 4096)
		for f, err := r.ReadFrame(); err == nil; f, err = r.ReadFrame() {
			p, _, err := DecodePerformative(f.Body)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
	}
	for name, found := range map[string]func(p Performative) bool{
		"open": func(p Performative) bool {
			o, ok := p.(*Open)
			return ok && o.ContainerID == "the-client" && o.Hostname == "localhost:5672" && o.MaxFrameSize == Some[uint32](512) &&
				o.ChannelMax == Some[uint16](100) && o.IdleTimeOut > 0 && reflect.DeepEqual(o.DesiredCapabilities, []Symbol{"one", "two"}) &&
				reflect.DeepEqual(o.Properties, Map{{Symbol("product"), "proton"}})
		},
		"attach": func(p Performative) bool {
			a, ok := p.(*Attach)
			return ok && a.Name == "from-orders" && a.Role == RoleReceiver && a.ReceiverSettleMode == Some(ReceiverSecond) && a.Source.Address == Some("orders") &&
				reflect.DeepEqual(a.Source.Filter, Map{{Symbol("f"), Described{uint64(0x137000000c), "s"}}}) &&
				a.Target.Dynamic && a.Target.Timeout == 7 && a.Target.Durable == DurabilityUnsettledState
		},
		"transfer": func(p Performative) bool {
			tr, ok := p.(*Transfer)
			return ok && tr.DeliveryID == Some[uint32](3) && string(tr.DeliveryTag) == "tag-3" && tr.MessageFormat == Some[uint32](0)
		},
		"rejected": func(p Performative) bool {
			d, ok := p.(*Disposition)
			return ok && d.Role == RoleReceiver && reflect.DeepEqual(d.State, &Rejected{&Error{"com.microsoft:dead-letter", "a reason", Map{{Symbol("DeadLetterReason"), "r"}}}})
		},
		"modified": func(p Performative) bool {
			d, ok := p.(*Disposition)
			return ok && reflect.DeepEqual(d.State, &Modified{true, true, Map{{Symbol("x"), int64(1)}}})
		},
		"drain": func(p Performative) bool {
			f, ok := p.(*Flow)
			return ok && f.Drain && f.LinkCredit == Some[uint32](5) && f.Handle.Present
		},
		"detach": func(p Performative) bool {
			d, ok := p.(*Detach)
			return ok && d.Closed && d.Error != nil && reflect.DeepEqual(d.Error, &Error{"amqp:link:detach-forced", "the entity was updated", nil})
		},
		"close": func(p Performative) bool {
			c, ok := p.(*Close)
			return ok && c.Error != nil && c.Error.Condition == ConditionConnectionForced
		},
	} {
		n := 0
		for _, p := range all {
			if found(p) {
				n++
			}
		}
		if n == 0 {
			t.Errorf("no %s as the script made it", name)
		}
	}
}
