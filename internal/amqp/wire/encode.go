package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// Append writes a value to the end of b in its shortest encoding. It refuses
// Go types that the package comment does not list, strings that are not UTF-8,
// symbols that are not ASCII, arrays whose items are not of their type, maps
// that repeat a key, and values nested more than MaxDepth deep; b is then
// returned as it was.
func Append(b []byte, v any) ([]byte, error) {
	out, err := appendValue(b, v, 0)
	if err != nil {
		return b, err
	}
	return out, nil
}

func appendValue(b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, byte(TypeNull)), nil
	case bool:
		return appendBool(b, v), nil
	case uint32:
		return appendUint(b, v), nil
	case uint64:
		return appendUlong(b, v), nil
	case int32:
		if v == int32(int8(v)) {
			return append(b, codeSmallInt, byte(v)), nil
		}
	case int64:
		if v == int64(int8(v)) {
			return append(b, codeSmallLong, byte(v)), nil
		}
	case []byte:
		return appendBinary(b, v), nil
	case string:
		return appendString(b, v)
	case Symbol:
		return appendSymbol(b, v)
	case List:
		return appendList(b, v, depth+1)
	case Map:
		return appendMap(b, v, depth+1)
	case Array:
		return appendArray(b, v, depth+1)
	case Described:
		return appendDescribed(b, v, depth+1)
	}
	if err := checkText(v); err != nil {
		return b, err
	}
	t, ok := typeOfValue(v)
	if !ok {
		return b, encodeErrorf("%T is no AMQP value: say which type is meant, such as int64, wire.Timestamp or wire.Map", v)
	}
	return appendFixed(append(b, byte(t)), v), nil
}

// appendFixed writes the widest encoding of a value of fixed width, without
// its format code.
func appendFixed(b []byte, v any) []byte {
	be := binary.BigEndian
	switch v := v.(type) {
	case bool:
		if v {
			return append(b, 1)
		}
		return append(b, 0)
	case uint8:
		return append(b, v)
	case int8:
		return append(b, byte(v))
	case uint16:
		return be.AppendUint16(b, v)
	case int16:
		return be.AppendUint16(b, uint16(v))
	case uint32:
		return be.AppendUint32(b, v)
	case int32:
		return be.AppendUint32(b, uint32(v))
	case uint64:
		return be.AppendUint64(b, v)
	case int64:
		return be.AppendUint64(b, uint64(v))
	case float32:
		return be.AppendUint32(b, math.Float32bits(v))
	case float64:
		return be.AppendUint64(b, math.Float64bits(v))
	case Decimal32:
		return append(b, v[:]...)
	case Decimal64:
		return append(b, v[:]...)
	case Decimal128:
		return append(b, v[:]...)
	case Char:
		return be.AppendUint32(b, uint32(v))
	case Timestamp:
		return be.AppendUint64(b, uint64(v))
	case UUID:
		return append(b, v[:]...)
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, codeTrue)
	}
	return append(b, codeFalse)
}

func appendUint(b []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(b, codeUint0)
	case v <= math.MaxUint8:
		return append(b, codeSmallUint, byte(v))
	}
	return binary.BigEndian.AppendUint32(append(b, byte(TypeUint)), v)
}

func appendUlong(b []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(b, codeUlong0)
	case v <= math.MaxUint8:
		return append(b, codeSmallUlong, byte(v))
	}
	return binary.BigEndian.AppendUint64(append(b, byte(TypeUlong)), v)
}

// appendLength writes the format code and the length of a binary, string or
// symbol; code is the one with a length of one byte.
func appendLength(b []byte, code byte, n int) []byte {
	if n <= math.MaxUint8 {
		return append(b, code, byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, code+0x10), uint32(n))
}

func appendBinary(b, v []byte) []byte {
	return append(appendLength(b, codeBinary8, len(v)), v...)
}

func appendString(b []byte, v string) ([]byte, error) {
	if err := checkText(v); err != nil {
		return b, err
	}
	return append(appendLength(b, codeString8, len(v)), v...), nil
}

func appendSymbol(b []byte, v Symbol) ([]byte, error) {
	if err := checkText(v); err != nil {
		return b, err
	}
	return append(appendLength(b, codeSymbol8, len(v)), v...), nil
}

func checkText(v any) error {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return encodeErrorf("a string is not UTF-8")
		}
	case Symbol:
		for i := range len(v) {
			if v[i] >= utf8.RuneSelf {
				return encodeErrorf("a symbol is not ASCII")
			}
		}
	case Char:
		if !utf8.ValidRune(rune(v)) {
			return encodeErrorf("0x%x is no Unicode character", uint32(v))
		}
	}
	return nil
}

func checkDepth(depth int) error {
	if depth > MaxDepth {
		return encodeErrorf("values are nested more than %d deep", MaxDepth)
	}
	return nil
}

func appendDescribed(b []byte, v Described, depth int) ([]byte, error) {
	if err := checkDepth(depth); err != nil {
		return b, err
	}
	b, err := appendValue(append(b, codeDescribed), v.Descriptor, depth)
	if err != nil {
		return b, err
	}
	return appendValue(b, v.Value, depth)
}
