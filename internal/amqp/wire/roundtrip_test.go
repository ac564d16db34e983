package wire

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

func TestValuesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyValue(4).Draw(t, "value")
		b, err := Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := Decode(b)
		if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, v) {
			t.Fatalf("%#v, %x left, %v, of %x", got, rest, err, b)
		}
		d := newDecoder(b)
		if d.skip(); d.err != nil || len(d.buf) > 0 {
			t.Fatalf("skip: %x left, %v", d.buf, d.err)
		}
	})
}

// bounded fails when fn allocates more than a small factor of the input. The
// worst honest case is an array of arrays: an Array of 56 bytes, boxed, for
// three bytes.
func bounded(t *testing.T, input int, fn func()) {
	t.Helper()
	const factor, slack = 64, 64 << 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	if grew := after.TotalAlloc - before.TotalAlloc; grew > uint64(factor*input+slack) {
		t.Errorf("%d bytes were allocated for an input of %d", grew, input)
	}
}

// TestMemoryIsBounded claims much and sends little, in the shapes that cost
// most.
func TestMemoryIsBounded(t *testing.T) {
	const n = 1 << 20
	lists := []byte{}
	for range MaxDepth {
		lists = append(lists, 0xd0, 0, 0x0f, 0xff, 0xff, 0, 0x0f, 0, 0)
	}
	for name, b := range map[string][]byte{
		"nulls":             append([]byte{0xd0, 0, 0x10, 0, 4, 0, 0x10, 0, 0}, bytes.Repeat([]byte{0x40}, n)...),
		"empty lists":       append([]byte{0xd0, 0, 0x10, 0, 4, 0, 0x10, 0, 0}, bytes.Repeat([]byte{0x45}, n)...),
		"ubytes":            append([]byte{0xf0, 0, 0x10, 0, 5, 0, 0x10, 0, 0, 0x50}, bytes.Repeat([]byte{200}, n)...),
		"empty strings":     append([]byte{0xf0, 0, 0x10, 0, 5, 0, 0x10, 0, 0, 0xa1}, bytes.Repeat([]byte{0}, n)...),
		"empty maps":        append([]byte{0xf0, 0, 0x20, 0, 5, 0, 0x10, 0, 0, 0xc1}, bytes.Repeat([]byte{1, 0}, n)...),
		"empty arrays":      append([]byte{0xf0, 0, 0x30, 0, 5, 0, 0x10, 0, 0, 0xe0}, bytes.Repeat([]byte{2, 0, 0x40}, n)...),
		"claims of nesting": append(lists, make([]byte, n)...),
	} {
		bounded(t, len(b), func() {
			if _, _, err := Decode(b); err != nil && name != "claims of nesting" {
				t.Error(name, err)
			}
		})
	}
}

func FuzzValue(f *testing.F) {
	for _, c := range values {
		f.Add(unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDecoder(b)
		d.skip()
		var v any
		var rest []byte
		var err error
		bounded(t, len(b), func() { v, rest, err = Decode(b) })
		if err != nil {
			return
		}
		if d.err != nil || len(d.buf) != len(rest) {
			t.Errorf("skip leaves %x, %v; Decode leaves %x", d.buf, d.err, rest)
		}
		again(t, v)
	})
}

// again encodes what was decoded, decodes that and encodes it once more:
// comparing bytes finds every difference, and a NaN is itself.
func again(t *testing.T, v any) {
	t.Helper()
	b, err := Append(nil, v)
	if err != nil {
		t.Fatalf("%#v was decoded, but: %v", v, err)
	}
	v2, rest, err := Decode(b)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%#v: %v, %x left, of %x", v, err, rest, b)
	}
	if b2, err := Append(nil, v2); err != nil || !bytes.Equal(b, b2) {
		t.Fatalf("%x became %x, %v", b, b2, err)
	}
}
