package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// unhex reads hexadecimal digits with spaces between them.
func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// values has every encoding of part 1, 1.6. The shortest encoding of a value is
// the one that Append writes.
var values = []struct {
	name, hex string
	value     any
	longer    bool // there is a shorter encoding
}{
	{"null", "40", nil, false},
	{"true", "41", true, false},
	{"false", "42", false, false},
	{"boolean true", "56 01", true, true},
	{"boolean false", "56 00", false, true},
	{"ubyte", "50 ff", uint8(255), false},
	{"ushort", "60 ffff", uint16(65535), false},
	{"uint", "70 80000000", uint32(1 << 31), false},
	{"smalluint", "52 ff", uint32(255), false},
	{"uint of a small value", "70 00000001", uint32(1), true},
	{"uint0", "43", uint32(0), false},
	{"ulong", "80 000000137000000c", uint64(0x137000000c), false},
	{"smallulong", "53 75", uint64(0x75), false},
	{"ulong0", "44", uint64(0), false},
	{"byte", "51 80", int8(-128), false},
	{"short", "61 8000", int16(-32768), false},
	{"int", "71 80000000", int32(math.MinInt32), false},
	{"int just too large", "71 00000080", int32(128), false},
	{"smallint", "54 80", int32(-128), false},
	{"int of a small value", "71 ffffffff", int32(-1), true},
	{"long", "81 8000000000000000", int64(math.MinInt64), false},
	{"long just too small", "81 ffffffffffffff7f", int64(-129), false},
	{"smalllong", "55 ff", int64(-1), false},
	{"float", "72 c0490fdb", float32(-math.Pi), false},
	{"double", "82 400921fb54442d18", math.Pi, false},
	{"decimal32", "74 01020304", Decimal32{1, 2, 3, 4}, false},
	{"decimal64", "84 0102030405060708", Decimal64{1, 2, 3, 4, 5, 6, 7, 8}, false},
	{"decimal128", "94 0102030405060708090a0b0c0d0e0f10", Decimal128{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, false},
	{"char", "73 0001f514", Char('🔔'), false},
	{"timestamp", "83 00000132d1a1e800", Timestamp(0x132d1a1e800), false},
	{"timestamp before 1970", "83 ffffffffffffffff", Timestamp(-1), false},
	{"uuid", "98 33221100554477668899aabbccddeeff", UUID{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}, false},
	{"vbin8", "a0 02 00ff", []byte{0, 255}, false},
	{"vbin8 empty", "a0 00", []byte{}, false},
	{"vbin32", "b0 00000002 00ff", []byte{0, 255}, true},
	{"str8-utf8", "a1 05 6772c3bc6e", "grün", false},
	{"str32-utf8", "b1 00000001 61", "a", true},
	{"sym8", "a3 01 61", Symbol("a"), false},
	{"sym32", "b3 00000001 61", Symbol("a"), true},
	{"list0", "45", List{}, false},
	{"list8", "c0 04 02 40 5207", List{nil, uint32(7)}, false},
	{"list32", "d0 00000007 00000002 40 5207", List{nil, uint32(7)}, true},
	{"list8 empty", "c0 01 00", List{}, true},
	{"list in a list", "c0 06 02 45 c0 02 01 41", List{List{}, List{true}}, false},
	{"map8", "c1 09 04 a1 01 62 41 a3 01 62 42", Map{{"b", true}, {Symbol("b"), false}}, false},
	{"map8 empty", "c1 01 00", Map{}, false},
	{"map32", "d1 00000008 00000002 a1 01 62 41", Map{{"b", true}}, true},
	{"map in the order of the wire", "c1 06 04 5202 40 43 40", Map{{uint32(2), nil}, {uint32(0), nil}}, false},
	{"array8 of long", "e0 12 02 81 0000000000000001 ffffffffffffffff", ArrayOf[int64](1, -1), false},
	{"array32 of long", "f0 0000000d 00000001 81 0000000000000001", ArrayOf[int64](1), true},
	{"array8 of smalllong", "e0 04 02 55 01 ff", ArrayOf[int64](1, -1), true},
	{"array8 of sym8", "e0 07 02 a3 01 61 02 6263", ArrayOf[Symbol]("a", "bc"), false},
	{"array8 of sym32", "e0 07 01 b3 00000001 61", ArrayOf[Symbol]("a"), true},
	{"array8 of str8", "e0 04 01 a1 01 61", ArrayOf("a"), false},
	{"array8 of vbin8", "e0 03 01 a0 00", ArrayOf([]byte{}), false},
	{"array8 of ubyte", "e0 04 02 50 01 02", ArrayOf[uint8](1, 2), false},
	{"array8 of ushort", "e0 04 01 60 0001", ArrayOf[uint16](1), false},
	{"array8 of uint", "e0 06 01 70 00000001", ArrayOf[uint32](1), false},
	{"array8 of smalluint", "e0 03 01 52 01", ArrayOf[uint32](1), true},
	{"array8 of uint0", "e0 02 03 43", ArrayOf[uint32](0, 0, 0), true},
	{"array8 of ulong", "e0 0a 01 80 0000000000000001", ArrayOf[uint64](1), false},
	{"array8 of byte", "e0 03 01 51 ff", ArrayOf[int8](-1), false},
	{"array8 of short", "e0 04 01 61 ffff", ArrayOf[int16](-1), false},
	{"array8 of int", "e0 06 01 71 ffffffff", ArrayOf[int32](-1), false},
	{"array8 of boolean", "e0 04 02 56 01 00", ArrayOf(true, false), false},
	{"array8 of true", "e0 02 02 41", ArrayOf(true, true), true},
	{"array8 of null", "e0 02 05 40", Array{Elem: TypeNull, Items: []any{nil, nil, nil, nil, nil}}, false},
	{"array8 of float", "e0 06 01 72 3f800000", ArrayOf[float32](1), false},
	{"array8 of double", "e0 0a 01 82 3ff0000000000000", ArrayOf[float64](1), false},
	{"array8 of char", "e0 06 01 73 00000061", ArrayOf[Char]('a'), false},
	{"array8 of decimal32", "e0 06 01 74 01020304", ArrayOf(Decimal32{1, 2, 3, 4}), false},
	{"array8 of timestamp", "e0 0a 01 83 0000000000000001", ArrayOf[Timestamp](1), false},
	{"array8 of uuid", "e0 12 01 98 0102030405060708090a0b0c0d0e0f10", ArrayOf(UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}), false},
	{"array8 of list0", "e0 02 02 45", ArrayOf(List{}, List{}), true},
	{"array8 of list32", "e0 1d 03 d0 00000006 00000001 5201 00000004 00000000 00000005 00000001 40", ArrayOf(List{uint32(1)}, List{}, List{nil}), false},
	{"array8 of list8", "e0 05 01 c0 02 01 40", ArrayOf(List{nil}), true},
	{"array8 of map32", "e0 0d 01 d1 00000007 00000002 5201 40", ArrayOf(Map{{uint32(1), nil}}), false},
	{"array8 of array32", "e0 0f 01 f0 00000009 00000001 71 00000100", ArrayOf(ArrayOf[int32](256)), false},
	{"array8 of array8", "e0 07 01 e0 04 02 51 01 02", ArrayOf(ArrayOf[int8](1, 2)), true},
	{"array8 empty of ulong", "e0 02 00 80", Array{Elem: TypeUlong, Items: []any{}}, false},
	{"array8 of described", "e0 05 01 00 53 24 45", Array{TypeList, []any{uint64(0x24)}, []any{List{}}}, true},
	{"array8 of twice described", "e0 09 02 00 5301 00 41 50 0708", Array{TypeUbyte, []any{uint64(1), true}, []any{uint8(7), uint8(8)}}, false},
	{"described by ulong", "00 53 24 45", Described{uint64(0x24), List{}}, false},
	{"described by symbol", "00 a3 01 61 a1 01 62", Described{Symbol("a"), "b"}, false},
	{"described twice", "00 5301 00 5302 40", Described{uint64(1), Described{uint64(2), nil}}, false},
	{"session filter", "00 80 000000137000000c a1 01 73", Described{uint64(0x137000000c), "s"}, false},
}

func TestValues(t *testing.T) {
	for _, c := range values {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			v, rest, err := Decode(append(b, 0xde, 0xad))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(v, c.value) || !bytes.Equal(rest, []byte{0xde, 0xad}) {
				t.Errorf("Decode: %#v, then %x; want %#v, then dead", v, rest, c.value)
			}
			got, err := Append([]byte{1}, c.value)
			if err != nil {
				t.Fatal(err)
			}
			if same := bytes.Equal(got[1:], b); same == c.longer {
				t.Errorf("Append: %x, of %x", got[1:], b)
			}
			if again, _, err := Decode(got[1:]); err != nil || !reflect.DeepEqual(again, c.value) {
				t.Errorf("Decode(Append): %#v, %v", again, err)
			}
			d := newDecoder(append(b, 0xde))
			if d.skip(); d.err != nil || len(d.buf) != 1 {
				t.Errorf("skip leaves %x, %v", d.buf, d.err)
			}
		})
	}
}

// TestTruncatedValues: whatever is cut short is an error, in whichever place.
func TestTruncatedValues(t *testing.T) {
	for _, c := range values {
		b := unhex(t, c.hex)
		for n := range len(b) {
			if v, _, err := Decode(b[:n]); !isDecodeError(err) {
				t.Errorf("%s: the first %d bytes: %v, %v", c.name, n, v, err)
			}
		}
	}
}

func isDecodeError(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Condition == ConditionDecodeError && e.Description != ""
}

func TestBadValues(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{"nothing", "", "ends where a byte was expected"},
		{"no format code", "3f", "0x3f is no format code"},
		{"no format code in an array", "e0 02 00 3f", "0x3f is no format code"},
		{"a boolean of 2", "56 02", "0x02 is no boolean"},
		{"a surrogate", "73 0000d800", "0xd800 is no Unicode character"},
		{"a character beyond Unicode", "73 ffffffff", "0xffffffff is no Unicode character"},
		{"a string that is not UTF-8", "a1 01 ff", "not UTF-8"},
		{"a symbol that is not ASCII", "a3 02 c3bc", "not ASCII"},
		{"a string longer than the input", "b1 ffffffff 61", "expected 4294967295 bytes more, but 1 are left"},
		{"a list of 2^31 elements in no bytes", "d0 00000004 80000000", "2147483648 elements are claimed, but 0 bytes are left"},
		{"a list larger than its list", "c0 04 01 c0 09 01 40", "expected 9 bytes more"},
		{"a list with bytes to spare", "c0 03 01 40 40", "1 bytes are left after the last element"},
		{"a list of no size", "c0 00", "ends where a byte was expected"},
		{"a map with an odd number", "c1 02 01 40", "expected an even number"},
		{"a map that repeats a string", "c1 09 04 a1 01 62 41 a1 01 62 42", "the key of entry 2 of a map is there before"},
		{"a map that repeats a number in another encoding", "c1 09 04 43 41 70 00000000 42", "the key of entry 2"},
		{"a map that repeats a binary", "c1 09 04 a0 01 62 41 a0 01 62 42", "the key of entry 2"},
		{"2^32-1 nulls", "f0 00000005 ffffffff 40", "more than 256 elements without a byte"},
		{"2^32-1 times true", "f0 00000005 ffffffff 41", "more than 256 elements without a byte"},
		{"2^32-1 empty lists", "f0 00000005 ffffffff 45", "more than 256 elements without a byte"},
		{"257 zeros in two arrays", "c0 0f 02 f0 00000005 00000080 43 e0 02 81 44", "more than 256 elements without a byte"},
		{"an array of 2^31 longs", "f0 0000000d 80000000 81 0000000000000001", "2147483648 elements are claimed"},
		{"an array with bytes to spare", "e0 04 01 50 01 02", "1 bytes are left"},
		{"descriptors nested too deep", strings.Repeat("00", 100000), "nested more than 32 deep"},
		{"descriptors of an array too deep", "e0 f0 01" + strings.Repeat("00 41", 100) + "40" + strings.Repeat("40", 38), "nested more than 32 deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Decode(unhex(t, c.hex))
			if !isDecodeError(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a decode-error that says %q", err, c.want)
			}
		})
	}
}

func TestRepeatedKeyOfMany(t *testing.T) {
	var m Map
	for i := range 20 {
		m = append(m, Pair{uint32(i), nil}, Pair{List{}, nil})
	}
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := Decode(b); err != nil || !reflect.DeepEqual(v, m) {
		t.Errorf("%v, %v", v, err)
	}
	m[38].Key = uint32(7)
	if _, err := Append(nil, m); err == nil || !strings.Contains(err.Error(), "entry 39") {
		t.Errorf("a repeated key: %v", err)
	}
	b = bytes.ReplaceAll(b, []byte{codeSmallUint, 19}, []byte{codeSmallUint, 7})
	if _, _, err := Decode(b); !isDecodeError(err) || !strings.Contains(err.Error(), "entry 39") {
		t.Errorf("a repeated key: %v", err)
	}
}

// nested is a list in a list and so on, so many deep.
func nested(depth int) any {
	var v any
	for range depth {
		v = List{v}
	}
	return v
}

func TestDepth(t *testing.T) {
	b, err := Append(nil, nested(MaxDepth))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Decode(b); err != nil {
		t.Errorf("%d deep: %v", MaxDepth, err)
	}
	if _, _, err := Decode(append([]byte{codeList8, byte(len(b) + 1), 1}, b...)); !isDecodeError(err) {
		t.Errorf("%d deep: %v", MaxDepth+1, err)
	}
	loop := List{nil}
	loop[0] = loop
	for _, v := range []any{nested(MaxDepth + 1), loop, Described{true, nested(MaxDepth)}, ArrayOf(nested(MaxDepth).(List)), Map{{nested(MaxDepth), nil}}} {
		if out, err := Append([]byte{7}, v); err == nil || !bytes.Equal(out, []byte{7}) {
			t.Errorf("Append of something too deep: %x, %v", out, err)
		}
	}
}

func TestLongForms(t *testing.T) {
	long, many := strings.Repeat("x", 256), make(List, 256)
	for i := range many {
		many[i] = true
	}
	for name, v := range map[string]any{
		"string":  long,
		"symbol":  Symbol(long),
		"binary":  []byte(long),
		"list":    many,
		"size":    List{long},
		"map":     Map{{long, long}},
		"array":   ArrayOf(long, "short"),
		"lists":   ArrayOf(List{long}, many, List{}),
		"arrays":  ArrayOf(ArrayOf(long), ArrayOf("short")),
		"nearly":  List{strings.Repeat("x", 251)},
		"exactly": List{strings.Repeat("x", 252)},
	} {
		b, err := Append(nil, v)
		if err != nil {
			t.Fatal(name, err)
		}
		if got, rest, err := Decode(b); err != nil || len(rest) > 0 || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: %v, %x left, %v", name, got, rest, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for want, v := range map[string]any{
		"int is no AMQP value":                  1,
		"time.Time is no AMQP value":            time.Time{},
		"map[string]interface {} is no AMQP":    Map{{"a", map[string]any{}}},
		"a string is not UTF-8":                 "\xff",
		"a symbol is not ASCII":                 Symbol("ü"),
		"0xd800 is no Unicode character":        Char(0xd800),
		"item 1 of an array of long is a int32": Array{Elem: TypeLong, Items: []any{int64(1), int32(1)}},
		"item 0 of an array of null is a int":   ArrayOf(1),
		"an array has an unknown type 0x00":     Array{},
		"an array has 257 nulls":                Array{Elem: TypeNull, Items: make([]any, 257)},
		"the key of entry 2 of a map":           Map{{"a", 1.0}, {"a", 2.0}},
		"string is not UTF-8":                   ArrayOf("\xff"),
	} {
		_, err := Append(nil, v)
		var e *Error
		if !errors.As(err, &e) || e.Condition != ConditionInternalError || !strings.Contains(e.Description, want) {
			t.Errorf("%T: %v, want an internal-error that says %q", v, err, want)
		}
	}
}

// TestDecodedValuesAreCopies: a frame's buffer is used again.
func TestDecodedValuesAreCopies(t *testing.T) {
	b := unhex(t, "c0 0a 03 a0 01 61 a1 01 62 a3 01 63")
	v, _, err := Decode(b)
	clear(b)
	if want := (List{[]byte("a"), "b", Symbol("c")}); err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%v, %v", v, err)
	}
}

func TestMap(t *testing.T) {
	m := Map{{Symbol("a"), 1}, {"b", nil}, {[]byte("a"), 2}}
	if v, found := m.Get("a"); v != 1 || !found {
		t.Errorf("a: %v, %v", v, found)
	}
	if v, found := m.Get("b"); v != nil || !found {
		t.Errorf("b: %v, %v", v, found)
	}
	if _, found := m.Get("c"); found {
		t.Error("c is found")
	}
	m.Set(Symbol("a"), 3)
	m.Set("a", 4)
	if want := (Map{{Symbol("a"), 3}, {"b", nil}, {[]byte("a"), 2}, {"a", 4}}); !reflect.DeepEqual(m, want) {
		t.Errorf("%v", m)
	}
}

func TestTexts(t *testing.T) {
	u := UUID{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	if got := u.String(); got != "33221100-5544-7766-8899-aabbccddeeff" {
		t.Error(got)
	}
	at := time.Date(2026, 11, 22, 1, 2, 3, 4_999_999, time.FixedZone("", 3600))
	if got := TimestampOf(at).Time(); !got.Equal(at.Truncate(time.Millisecond)) || got.Location() != time.UTC {
		t.Error(got)
	}
	if got := Type(0x3f).String() + ", " + TypeUint.String(); got != "unknown type 0x3f, uint" {
		t.Error(got)
	}
	if Some(0).Or(1) != 0 || (Optional[int]{}).Or(1) != 1 {
		t.Error("Or")
	}
	if got := RoleSender.String() + ", " + RoleReceiver.String(); got != "sender, receiver" {
		t.Error(got)
	}
	if got := (&Error{Condition: ConditionStolen}).Error(); got != "amqp:link:stolen" {
		t.Error(got)
	}
}

func TestSerials(t *testing.T) {
	for _, c := range []struct {
		a, b     uint32
		distance int32
	}{
		{0, 0, 0}, {1, 0, 1}, {0, 1, -1},
		{0, math.MaxUint32, 1}, {math.MaxUint32, 0, -1},
		{1<<31 - 1, 0, math.MaxInt32}, {5, math.MaxUint32 - 4, 10}, {1<<31 + 5, 10, math.MaxInt32 - 4},
	} {
		if got := SerialDistance(c.a, c.b); got != c.distance {
			t.Errorf("SerialDistance(%d, %d) is %d, want %d", c.a, c.b, got, c.distance)
		}
		if got := SerialBefore(c.a, c.b); got != (c.distance < 0) {
			t.Errorf("SerialBefore(%d, %d) is %v", c.a, c.b, got)
		}
	}
	if !SerialBefore(0, 1<<31) || !SerialBefore(1<<31, 0) {
		t.Error("numbers 2³¹ apart: the documented answer changed")
	}
}
