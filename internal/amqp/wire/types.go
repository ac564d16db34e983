package wire

import (
	"encoding/hex"
	"fmt"
	"time"
)

// Type is one of AMQP's primitive types (part 1, 1.6). Its number is the
// format code of the type's widest encoding.
type Type uint8

// The primitive types.
const (
	TypeNull       Type = 0x40
	TypeBoolean    Type = 0x56
	TypeUbyte      Type = 0x50
	TypeUshort     Type = 0x60
	TypeUint       Type = 0x70
	TypeUlong      Type = 0x80
	TypeByte       Type = 0x51
	TypeShort      Type = 0x61
	TypeInt        Type = 0x71
	TypeLong       Type = 0x81
	TypeFloat      Type = 0x72
	TypeDouble     Type = 0x82
	TypeDecimal32  Type = 0x74
	TypeDecimal64  Type = 0x84
	TypeDecimal128 Type = 0x94
	TypeChar       Type = 0x73
	TypeTimestamp  Type = 0x83
	TypeUUID       Type = 0x98
	TypeBinary     Type = 0xb0
	TypeString     Type = 0xb1
	TypeSymbol     Type = 0xb3
	TypeList       Type = 0xd0
	TypeMap        Type = 0xd1
	TypeArray      Type = 0xf0
)

var typeNames = map[Type]string{
	TypeNull: "null", TypeBoolean: "boolean",
	TypeUbyte: "ubyte", TypeUshort: "ushort", TypeUint: "uint", TypeUlong: "ulong",
	TypeByte: "byte", TypeShort: "short", TypeInt: "int", TypeLong: "long",
	TypeFloat: "float", TypeDouble: "double",
	TypeDecimal32: "decimal32", TypeDecimal64: "decimal64", TypeDecimal128: "decimal128",
	TypeChar: "char", TypeTimestamp: "timestamp", TypeUUID: "uuid",
	TypeBinary: "binary", TypeString: "string", TypeSymbol: "symbol",
	TypeList: "list", TypeMap: "map", TypeArray: "array",
}

// String is the specification's name of the type.
func (t Type) String() string {
	if name := typeNames[t]; name != "" {
		return name
	}
	return fmt.Sprintf("unknown type 0x%02x", uint8(t))
}

// Format codes (part 1, 1.6) that are not a Type's number.
const (
	codeDescribed  = 0x00
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBinary8    = 0xa0
	codeString8    = 0xa1
	codeSymbol8    = 0xa3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeArray8     = 0xe0
)

// typeOf is the type a format code encodes; its name is "unknown type" when
// there is no such code.
func typeOf(code byte) Type {
	switch code {
	case codeTrue, codeFalse:
		return TypeBoolean
	case codeUint0, codeSmallUint:
		return TypeUint
	case codeUlong0, codeSmallUlong:
		return TypeUlong
	case codeSmallInt:
		return TypeInt
	case codeSmallLong:
		return TypeLong
	case codeList0, codeList8:
		return TypeList
	case codeBinary8, codeString8, codeSymbol8, codeMap8, codeArray8:
		return Type(code + 0x10)
	}
	return Type(code)
}

// Symbol is an ASCII string from a fixed vocabulary: a different type from
// string on the wire.
type Symbol string

// Char is one Unicode character.
type Char rune

// Timestamp is milliseconds since 1970 in UTC, negative before.
type Timestamp int64

// TimestampOf cuts a time to the millisecond.
func TimestampOf(t time.Time) Timestamp { return Timestamp(t.UnixMilli()) }

// Time is the timestamp in UTC.
func (t Timestamp) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// UUID is 16 bytes in the order of RFC 4122, as the text form reads.
type UUID [16]byte

// String is the text form, such as 33221100-5544-7766-8899-aabbccddeeff.
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// Decimal32, Decimal64 and Decimal128 are IEEE 754-2008 decimals, carried as
// they came and never calculated with.
type (
	Decimal32  [4]byte
	Decimal64  [8]byte
	Decimal128 [16]byte
)

// List is an AMQP list: values of any types.
type List []any

// Map is an AMQP map in the order of the wire. A key is there once: Decode and
// Append refuse a map that repeats one, unless it is compound or described,
// which is not looked at.
type Map []Pair

// Pair is one entry of a Map.
type Pair struct {
	Key, Value any
}

// Get finds the value of a string or symbol key. The value of a key that is
// there may be nil.
func (m Map) Get(key string) (value any, found bool) {
	for i := range m {
		switch k := m[i].Key.(type) {
		case Symbol:
			if string(k) == key {
				return m[i].Value, true
			}
		case string:
			if k == key {
				return m[i].Value, true
			}
		}
	}
	return nil, false
}

// Set replaces the value of a string or symbol key where it stands, or adds
// key, which is a string or a Symbol, at the end.
func (m *Map) Set(key, value any) {
	for i := range *m {
		if sameKey((*m)[i].Key, key) {
			(*m)[i].Value = value
			return
		}
	}
	*m = append(*m, Pair{key, value})
}

// Array is an AMQP array: every item has the type Elem, and its Go type. It
// differs from a List on the wire and for clients. The elements of an array of
// described values are bare: Descriptors are said once for all, the outermost
// first.
type Array struct {
	Elem        Type
	Descriptors []any // nil when the elements are not described
	Items       []any
}

// ArrayOf makes an array from items of one of the Go types in the package
// comment, such as ArrayOf[int64](1, 2). For another type the Elem is TypeNull,
// which Append refuses.
func ArrayOf[T any](items ...T) Array {
	var zero T
	t, _ := typeOfValue(zero)
	a := Array{Elem: t, Items: make([]any, len(items))}
	for i, item := range items {
		a.Items[i] = item
	}
	return a
}

// Described is a value with a descriptor, which is mostly a Symbol or a uint64.
type Described struct {
	Descriptor any
	Value      any
}

// typeOfValue is the primitive type of a Go value; false for Described and for
// what is not a value at all.
func typeOfValue(v any) (Type, bool) {
	switch v.(type) {
	case nil:
		return TypeNull, true
	case bool:
		return TypeBoolean, true
	case uint8:
		return TypeUbyte, true
	case uint16:
		return TypeUshort, true
	case uint32:
		return TypeUint, true
	case uint64:
		return TypeUlong, true
	case int8:
		return TypeByte, true
	case int16:
		return TypeShort, true
	case int32:
		return TypeInt, true
	case int64:
		return TypeLong, true
	case float32:
		return TypeFloat, true
	case float64:
		return TypeDouble, true
	case Decimal32:
		return TypeDecimal32, true
	case Decimal64:
		return TypeDecimal64, true
	case Decimal128:
		return TypeDecimal128, true
	case Char:
		return TypeChar, true
	case Timestamp:
		return TypeTimestamp, true
	case UUID:
		return TypeUUID, true
	case []byte:
		return TypeBinary, true
	case string:
		return TypeString, true
	case Symbol:
		return TypeSymbol, true
	case List:
		return TypeList, true
	case Map:
		return TypeMap, true
	case Array:
		return TypeArray, true
	}
	return TypeNull, false
}
