package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// MaxDepth is how deep compound and described values may nest, in input and in
// output. No known client comes near.
const MaxDepth = 32

// MaxZeroWidth is how many array elements that take no bytes (null, or one of
// the encodings for true, false, 0 and the empty list) one call may decode.
const MaxZeroWidth = 256

// Decode reads one value from the front of b and returns what follows it. The
// value shares no memory with b.
func Decode(b []byte) (value any, rest []byte, err error) {
	d := newDecoder(b)
	value = d.value()
	if d.err != nil {
		return nil, nil, d.err
	}
	return value, d.rest(), nil
}

// A decoder reads from the front of buf. After the first error it reads only
// zeros and keeps that error, so that callers check once at the end; loops over
// counts from the wire must check as they go.
//
// budget is how many more elements the lists, maps and arrays may claim. An
// element takes a byte at least, so the input's length is enough for any honest
// input, and because a count is charged before its elements are read, nothing
// is allocated on the strength of a claim alone. Elements of zero width are
// charged to zeros instead.
type decoder struct {
	buf    []byte
	err    *Error
	budget int
	zeros  int
	depth  int
}

func newDecoder(b []byte) decoder {
	return decoder{buf: b, budget: len(b), zeros: MaxZeroWidth}
}

// rest is what has not been read, clipped so that appending to it copies.
func (d *decoder) rest() []byte { return d.buf[:len(d.buf):len(d.buf)] }

func (d *decoder) fail(format string, args ...any) {
	d.failAs(ConditionDecodeError, format, args...)
}

func (d *decoder) failAs(condition Symbol, format string, args ...any) {
	if d.err == nil {
		d.err = errorf(condition, format, args...)
		d.buf = nil
	}
}

// take is the next n bytes, still part of the input, or nil when there are
// fewer.
func (d *decoder) take(n int) []byte {
	if n > len(d.buf) || n < 0 {
		d.fail("expected %d bytes more, but %d are left", uint(n), len(d.buf))
		return nil
	}
	b := d.buf[:n:n]
	d.buf = d.buf[n:]
	return b
}

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail("the input ends where a byte was expected")
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// length reads a size or a count of one byte for codes such as a0, c0 and e0,
// of four for b0, d0 and f0.
func (d *decoder) length(code byte) int {
	if code&0x10 == 0 {
		return int(d.byte())
	}
	return int(d.uint32())
}

// down goes one level deeper; the caller goes up again.
func (d *decoder) down() bool {
	d.depth++
	if d.depth > MaxDepth {
		d.fail("values are nested more than %d deep", MaxDepth)
	}
	return d.err == nil
}

// value reads a constructor and its value.
func (d *decoder) value() any {
	code := d.byte()
	if d.err != nil {
		return nil
	}
	if code != codeDescribed {
		return d.primitive(code)
	}
	if !d.down() {
		return nil
	}
	v := Described{Descriptor: d.value(), Value: d.value()}
	d.depth--
	return v
}

// primitive reads what follows a format code.
func (d *decoder) primitive(code byte) any {
	switch typeOf(code) {
	case TypeNull:
		return nil
	case TypeBoolean:
		return first(d.asBool(code))
	case TypeUbyte:
		return d.byte()
	case TypeUshort:
		return d.uint16()
	case TypeUint:
		return first(d.asUint(code))
	case TypeUlong:
		return first(d.asUlong(code))
	case TypeByte:
		return int8(d.byte())
	case TypeShort:
		return int16(d.uint16())
	case TypeInt:
		return d.int32(code)
	case TypeLong:
		return d.int64(code)
	case TypeFloat:
		return math.Float32frombits(d.uint32())
	case TypeDouble:
		return math.Float64frombits(d.uint64())
	case TypeDecimal32:
		return Decimal32(d.padded(4))
	case TypeDecimal64:
		return Decimal64(d.padded(8))
	case TypeDecimal128:
		return Decimal128(d.padded(16))
	case TypeChar:
		return d.char()
	case TypeTimestamp:
		return Timestamp(d.uint64())
	case TypeUUID:
		return UUID(d.padded(16))
	case TypeBinary:
		raw, _ := d.asBinary(code)
		return append([]byte{}, raw...)
	case TypeString:
		return first(d.asString(code))
	case TypeSymbol:
		return first(d.asSymbol(code))
	case TypeList:
		return d.list(code)
	case TypeMap:
		return d.mapping(code)
	case TypeArray:
		return d.array(code)
	}
	d.fail("0x%02x is no format code", code)
	return nil
}

func first[T any](v T, _ bool) T { return v }

// padded is the next n bytes, or zeros when there are fewer.
func (d *decoder) padded(n int) []byte {
	if b := d.take(n); b != nil {
		return b
	}
	return make([]byte, n)
}

// The as functions read a value of one type when code is one of its encodings,
// and nothing when it is not.

func (d *decoder) asBool(code byte) (v, ok bool) {
	switch code {
	case codeTrue:
		return true, true
	case codeFalse:
		return false, true
	case byte(TypeBoolean):
		b := d.byte()
		if b > 1 {
			d.fail("0x%02x is no boolean: expected 00 or 01", b)
		}
		return b == 1, true
	}
	return false, false
}

func (d *decoder) asUint(code byte) (v uint32, ok bool) {
	switch code {
	case codeUint0:
		return 0, true
	case codeSmallUint:
		return uint32(d.byte()), true
	case byte(TypeUint):
		return d.uint32(), true
	}
	return 0, false
}

func (d *decoder) asUlong(code byte) (v uint64, ok bool) {
	switch code {
	case codeUlong0:
		return 0, true
	case codeSmallUlong:
		return uint64(d.byte()), true
	case byte(TypeUlong):
		return d.uint64(), true
	}
	return 0, false
}

func (d *decoder) int32(code byte) int32 {
	if code == codeSmallInt {
		return int32(int8(d.byte()))
	}
	return int32(d.uint32())
}

func (d *decoder) int64(code byte) int64 {
	if code == codeSmallLong {
		return int64(int8(d.byte()))
	}
	return int64(d.uint64())
}

// asBinary is still part of the input.
func (d *decoder) asBinary(code byte) (v []byte, ok bool) {
	if typeOf(code) != TypeBinary {
		return nil, false
	}
	return d.take(d.length(code)), true
}

func (d *decoder) asString(code byte) (v string, ok bool) {
	if typeOf(code) != TypeString {
		return "", false
	}
	raw := d.take(d.length(code))
	if !utf8.Valid(raw) {
		d.fail("a string is not UTF-8")
	}
	return string(raw), true
}

func (d *decoder) asSymbol(code byte) (v Symbol, ok bool) {
	if typeOf(code) != TypeSymbol {
		return "", false
	}
	raw := d.take(d.length(code))
	for _, c := range raw {
		if c >= utf8.RuneSelf {
			d.fail("a symbol is not ASCII")
			break
		}
	}
	return Symbol(raw), true
}

func (d *decoder) char() Char {
	c := d.uint32()
	if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
		d.fail("0x%x is no Unicode character", c)
		return 0
	}
	return Char(c)
}
