package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// Limits of a message's properties, as in Service Bus.
const (
	maxPropertyBytes   = 32 << 10
	maxPropertiesBytes = 64 << 10
)

// Properties are the application's values by name. A value is nil or of one of
// these types, which together cover the scalars of AMQP 1.0 (part 1, section
// 1.6): bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
// float32, float64, [Decimal32], [Decimal64], [Decimal128], [Char],
// [Timestamp], [UUID], []byte, string, [Symbol].
type Properties map[string]any

// The AMQP scalars that Go has no type of its own for.
type (
	Decimal32  [4]byte  // IEEE 754 decimal32, opaque
	Decimal64  [8]byte  // IEEE 754 decimal64, opaque
	Decimal128 [16]byte // IEEE 754 decimal128, opaque
	Char       rune     // one Unicode scalar value
	Timestamp  int64    // milliseconds since 1970, UTC
	UUID       [16]byte // RFC 9562 byte order
	Symbol     string   // ASCII
)

// Tags of encoded values. They are on disk: never renumber.
const (
	tagNull = iota
	tagFalse
	tagTrue
	tagUint8
	tagUint16
	tagUint32
	tagUint64
	tagInt8
	tagInt16
	tagInt32
	tagInt64
	tagFloat32
	tagFloat64
	tagDecimal32
	tagDecimal64
	tagDecimal128
	tagChar
	tagTimestamp
	tagUUID
	tagBinary
	tagString
	tagSymbol
)

// encode writes the number of properties, then name, tag and value of each in
// the order of their names, so that equal properties have equal bytes.
func (p Properties) encode() ([]byte, error) {
	if len(p) == 0 {
		return nil, nil
	}
	buf := binary.AppendUvarint(nil, uint64(len(p)))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if name == "" || !utf8.ValidString(name) {
			return nil, fmt.Errorf("%w: a property's name must be text and not empty", ErrInvalid)
		}
		before := len(buf)
		var err error
		buf, err = appendValue(appendText(buf, name), p[name])
		if err != nil {
			return nil, fmt.Errorf("property %q: %w", name, err)
		}
		if n := len(buf) - before; n > maxPropertyBytes {
			return nil, fmt.Errorf("property %q: %w: %d bytes, the limit is %d", name, ErrTooLarge, n, maxPropertyBytes)
		}
	}
	return buf, nil
}

// encodeWithin is encode for what comes from outside. The bus itself may go
// over the limit with the reason for a dead letter.
func (p Properties) encodeWithin(limit int) ([]byte, error) {
	buf, err := p.encode()
	if len(buf) > limit {
		return nil, fmt.Errorf("properties: %w: %d bytes, %d are left", ErrTooLarge, len(buf), max(limit, 0))
	}
	return buf, err
}

// merge sets properties over others, which it may change.
func merge(p, over Properties) Properties {
	if p == nil && len(over) > 0 {
		p = make(Properties, len(over))
	}
	maps.Copy(p, over)
	return p
}

// appendValue is one long switch: a codec.
func appendValue(buf []byte, value any) ([]byte, error) {
	be := binary.BigEndian
	switch v := value.(type) {
	case nil:
		return append(buf, tagNull), nil
	case bool:
		if v {
			return append(buf, tagTrue), nil
		}
		return append(buf, tagFalse), nil
	case uint8:
		return append(buf, tagUint8, v), nil
	case uint16:
		return be.AppendUint16(append(buf, tagUint16), v), nil
	case uint32:
		return be.AppendUint32(append(buf, tagUint32), v), nil
	case uint64:
		return be.AppendUint64(append(buf, tagUint64), v), nil
	case int8:
		return append(buf, tagInt8, byte(v)), nil
	case int16:
		return be.AppendUint16(append(buf, tagInt16), uint16(v)), nil
	case int32:
		return be.AppendUint32(append(buf, tagInt32), uint32(v)), nil
	case int64:
		return be.AppendUint64(append(buf, tagInt64), uint64(v)), nil
	case float32:
		return be.AppendUint32(append(buf, tagFloat32), math.Float32bits(v)), nil
	case float64:
		return be.AppendUint64(append(buf, tagFloat64), math.Float64bits(v)), nil
	case Decimal32:
		return append(append(buf, tagDecimal32), v[:]...), nil
	case Decimal64:
		return append(append(buf, tagDecimal64), v[:]...), nil
	case Decimal128:
		return append(append(buf, tagDecimal128), v[:]...), nil
	case Char:
		if !utf8.ValidRune(rune(v)) {
			return nil, fmt.Errorf("%w: %#x is no Unicode scalar value", ErrInvalid, int32(v))
		}
		return be.AppendUint32(append(buf, tagChar), uint32(v)), nil
	case Timestamp:
		return be.AppendUint64(append(buf, tagTimestamp), uint64(v)), nil
	case UUID:
		return append(append(buf, tagUUID), v[:]...), nil
	case []byte:
		return appendText(append(buf, tagBinary), v), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("%w: text that is not valid UTF-8", ErrInvalid)
		}
		return appendText(append(buf, tagString), v), nil
	case Symbol:
		if !isASCII(string(v)) {
			return nil, fmt.Errorf("%w: a symbol must be ASCII", ErrInvalid)
		}
		return appendText(append(buf, tagSymbol), v), nil
	default:
		return nil, fmt.Errorf("%w: a property cannot have the type %T", ErrInvalid, value)
	}
}

// decodeProperties reads what encode wrote, and refuses everything out of order.
func decodeProperties(buf []byte) (Properties, error) {
	if len(buf) == 0 {
		return nil, nil
	}
	d := decoder{buf: buf}
	n := d.uvarint()
	if n == 0 || n > uint64(len(buf))/2 { // a property takes two bytes at the least
		d.fail()
	}
	p := Properties{}
	last := ""
	for i := uint64(0); i < n && d.err == nil; i++ {
		name := d.text()
		if name <= last {
			d.fail()
		}
		p[name] = d.value()
		last = name
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return p, nil
}

// value is appendValue's other half.
func (d *decoder) value() any {
	be := binary.BigEndian
	switch tag := d.byte(); tag {
	case tagNull:
		return nil
	case tagFalse, tagTrue:
		return tag == tagTrue
	case tagUint8:
		return d.byte()
	case tagUint16:
		return be.Uint16(d.take(2))
	case tagUint32:
		return be.Uint32(d.take(4))
	case tagUint64:
		return be.Uint64(d.take(8))
	case tagInt8:
		return int8(d.byte())
	case tagInt16:
		return int16(be.Uint16(d.take(2)))
	case tagInt32:
		return int32(be.Uint32(d.take(4)))
	case tagInt64:
		return int64(be.Uint64(d.take(8)))
	case tagFloat32:
		return math.Float32frombits(be.Uint32(d.take(4)))
	case tagFloat64:
		return math.Float64frombits(be.Uint64(d.take(8)))
	case tagDecimal32:
		return Decimal32(d.take(4))
	case tagDecimal64:
		return Decimal64(d.take(8))
	case tagDecimal128:
		return Decimal128(d.take(16))
	case tagChar:
		char := Char(be.Uint32(d.take(4)))
		if !utf8.ValidRune(rune(char)) {
			d.fail()
		}
		return char
	case tagTimestamp:
		return Timestamp(be.Uint64(d.take(8)))
	case tagUUID:
		return UUID(d.take(16))
	case tagBinary:
		return slices.Clone(d.bytes())
	case tagString:
		return d.text()
	case tagSymbol:
		symbol := string(d.bytes())
		if !isASCII(symbol) {
			d.fail()
		}
		return Symbol(symbol)
	default:
		d.fail()
		return nil
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendText writes a length and that many bytes.
func appendText[T string | Symbol | []byte](buf []byte, s T) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(s))), s...)
}

var errEncoding = errors.New("damaged encoding")

// decoder reads from buf until the first fault, which sticks. After a fault it
// returns zeros of the size asked for; take is never asked for more than 16.
type decoder struct {
	buf []byte
	err error
}

func (d *decoder) fail() {
	d.err = errEncoding
	d.buf = nil
}

func (d *decoder) take(n int) []byte {
	if n > len(d.buf) {
		d.fail()
		return make([]byte, 16)[:n]
	}
	taken := d.buf[:n]
	d.buf = d.buf[n:]
	return taken
}

func (d *decoder) byte() byte { return d.take(1)[0] }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.buf)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.buf)) {
		d.fail()
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) text() string {
	s := string(d.bytes())
	if !utf8.ValidString(s) {
		d.fail()
	}
	return s
}

// end is the first fault, or the fault of bytes left over.
func (d *decoder) end() error {
	if len(d.buf) > 0 {
		d.fail()
	}
	return d.err
}
