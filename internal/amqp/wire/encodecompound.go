package wire

import (
	"encoding/binary"
	"math"
)

// A list or map begins with its format code, size and count, which are known
// only at its end: openCompound leaves room for the short form, closeCompound
// fills it in, and makes more room when the long form is needed.
const shortHead, longHead = 3, 9

func openCompound(b []byte) (out []byte, start int) {
	return append(b, 0, 0, 0), len(b)
}

// closeCompound is told the format code of the short form.
func closeCompound(b []byte, start int, code byte, count int) []byte {
	size := len(b) - start - shortHead
	if size+1 <= math.MaxUint8 && count <= math.MaxUint8 {
		b[start], b[start+1], b[start+2] = code, byte(size+1), byte(count)
		return b
	}
	b = append(b, make([]byte, longHead-shortHead)...)
	copy(b[start+longHead:], b[start+shortHead:start+shortHead+size])
	b[start] = code + 0x10
	binary.BigEndian.PutUint32(b[start+1:], uint32(size+4))
	binary.BigEndian.PutUint32(b[start+5:], uint32(count))
	return b
}

func appendList(b []byte, list List, depth int) ([]byte, error) {
	if err := checkDepth(depth); err != nil || len(list) == 0 {
		return append(b, codeList0), err
	}
	b, start := openCompound(b)
	for _, v := range list {
		var err error
		if b, err = appendValue(b, v, depth); err != nil {
			return b, err
		}
	}
	return closeCompound(b, start, codeList8, len(list)), nil
}

func appendMap(b []byte, m Map, depth int) ([]byte, error) {
	if err := checkDepth(depth); err != nil {
		return b, err
	}
	b, start := openCompound(b)
	for _, pair := range m {
		var err error
		if b, err = appendValue(b, pair.Key, depth); err != nil {
			return b, err
		}
		if b, err = appendValue(b, pair.Value, depth); err != nil {
			return b, err
		}
	}
	if i := repeated(m); i >= 0 {
		return b, encodeErrorf("the key of entry %d of a map is there before", i+1)
	}
	return closeCompound(b, start, codeMap8, 2*len(m)), nil
}

// appendArray writes size, count, one constructor and the bare elements. An
// array of variable widths uses the short form when every element fits it.
func appendArray(b []byte, a Array, depth int) ([]byte, error) {
	if err := checkArray(a, depth); err != nil {
		return b, err
	}
	b, start := openCompound(b)
	for _, descriptor := range a.Descriptors {
		var err error
		if b, err = appendValue(append(b, codeDescribed), descriptor, depth); err != nil {
			return b, err
		}
	}
	code := elementCode(a)
	b = append(b, code)
	for i, item := range a.Items {
		if t, ok := typeOfValue(item); !ok || t != a.Elem {
			return b, encodeErrorf("item %d of an array of %v is a %T", i, a.Elem, item)
		}
		var err error
		if b, err = appendElement(b, item, code, depth); err != nil {
			return b, err
		}
	}
	return closeCompound(b, start, codeArray8, len(a.Items)), nil
}

func checkArray(a Array, depth int) error {
	switch {
	case typeNames[a.Elem] == "":
		return encodeErrorf("an array has an %v", a.Elem)
	case a.Elem == TypeNull && len(a.Items) > MaxZeroWidth:
		return encodeErrorf("an array has %d nulls, more than %d", len(a.Items), MaxZeroWidth)
	}
	return checkDepth(depth + len(a.Descriptors))
}

func elementCode(a Array) byte {
	code := byte(a.Elem)
	if code>>4 != 0xb {
		return code
	}
	for _, item := range a.Items {
		if textLength(item) > math.MaxUint8 {
			return code
		}
	}
	return code - 0x10
}

func textLength(v any) int {
	switch v := v.(type) {
	case []byte:
		return len(v)
	case string:
		return len(v)
	case Symbol:
		return len(v)
	}
	return 0
}

// appendElement writes an item without its format code.
func appendElement(b []byte, item any, code byte, depth int) ([]byte, error) {
	if err := checkText(item); err != nil {
		return b, err
	}
	switch code >> 4 {
	case 0xa:
		return appendText(append(b, byte(textLength(item))), item), nil
	case 0xb:
		return appendText(binary.BigEndian.AppendUint32(b, uint32(textLength(item))), item), nil
	case 0xd, 0xf:
		return appendCompoundElement(b, item, depth+1)
	}
	return appendFixed(b, item), nil
}

func appendText(b []byte, v any) []byte {
	switch v := v.(type) {
	case []byte:
		return append(b, v...)
	case string:
		return append(b, v...)
	case Symbol:
		return append(b, v...)
	}
	return b
}

// appendCompoundElement writes a list, map or array in its long form, which is
// the one elementCode announced, without the format code.
func appendCompoundElement(b []byte, item any, depth int) ([]byte, error) {
	start := len(b)
	b, err := appendValue(b, item, depth-1)
	if err != nil {
		return b, err
	}
	var count, size, head int
	switch code := b[start]; {
	case code == codeList0:
		head = 1
	case code>>4 == 0xc || code>>4 == 0xe:
		size, count, head = int(b[start+1])-1, int(b[start+2]), shortHead
	default:
		copy(b[start:], b[start+1:])
		return b[:len(b)-1], nil
	}
	b = append(b, make([]byte, 8-head)...)
	copy(b[start+8:], b[start+head:start+head+size])
	binary.BigEndian.PutUint32(b[start:], uint32(size+4))
	binary.BigEndian.PutUint32(b[start+4:], uint32(count))
	return b, nil
}
