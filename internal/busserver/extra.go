package busserver

import (
	"encoding/binary"
)

// extraVersion is the first byte of an encoded extra. Extras are on disk: an
// older version must always be readable.
const extraVersion = 1

// The bits of an extra's presence mask, in the order of what follows it.
const (
	hasDurable = 1 << iota
	isDurable
	hasPriority
	hasDeliveryAnnotations
	hasMessageAnnotations
	hasProperties
	hasApplicationProperties
	hasBodyPrefix
	hasFooter
	allOfExtra = 1<<iota - 1
)

// extra is what a message had on the wire and bus.Message has no field for. It
// is kept in bus.Message.Extra, so that the message can be forwarded as it came.
type extra struct {
	mask     uint64
	priority uint8

	deliveryAnnotations entries
	messageAnnotations  entries

	// Whole sections.
	properties            []byte
	applicationProperties []byte
	footer                []byte

	// bodyPrefix is what stands before a body's content, if that is not what
	// this package would write.
	bodyPrefix []byte
}

// entries are keys and values of a map as they were encoded.
type entries struct {
	pairs int
	raw   []byte
}

func (x *extra) texts() [4]*[]byte {
	return [...]*[]byte{&x.properties, &x.applicationProperties, &x.bodyPrefix, &x.footer}
}

// encode writes the version, the mask, and what the mask says is there.
func (x *extra) encode() []byte {
	size := 16 + len(x.deliveryAnnotations.raw) + len(x.messageAnnotations.raw)
	for i, text := range x.texts() {
		size += len(*text) + binary.MaxVarintLen32
		if len(*text) > 0 {
			x.mask |= hasProperties << i
		}
	}
	for i, e := range [...]*entries{&x.deliveryAnnotations, &x.messageAnnotations} {
		if e.pairs > 0 {
			x.mask |= hasDeliveryAnnotations << i
		}
	}
	b := binary.AppendUvarint(append(make([]byte, 0, size), extraVersion), x.mask)
	if x.mask&hasPriority != 0 {
		b = append(b, x.priority)
	}
	for _, e := range [...]*entries{&x.deliveryAnnotations, &x.messageAnnotations} {
		if e.pairs > 0 {
			b = binary.AppendUvarint(b, uint64(e.pairs))
			b = appendBytes(b, e.raw)
		}
	}
	for _, text := range x.texts() {
		if len(*text) > 0 {
			b = appendBytes(b, *text)
		}
	}
	return b
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeExtra reads what encode wrote; what it returns is part of b. It is
// false for a message that did not come over the wire.
func decodeExtra(b []byte) (x extra, ok bool) {
	if len(b) == 0 || b[0] != extraVersion {
		return extra{}, false
	}
	r := extraReader{buf: b[1:]}
	x.mask = r.uvarint()
	if x.mask&^allOfExtra != 0 {
		return extra{}, false
	}
	if x.mask&hasPriority != 0 {
		x.priority = r.byte()
	}
	for i, e := range [...]*entries{&x.deliveryAnnotations, &x.messageAnnotations} {
		if x.mask&(hasDeliveryAnnotations<<i) != 0 {
			pairs := r.uvarint()
			e.raw = r.bytes()
			if pairs == 0 || pairs > uint64(len(e.raw))/2 { // a pair takes two bytes at the least
				r.fail()
			}
			e.pairs = int(pairs)
		}
	}
	for i, text := range x.texts() {
		if x.mask&(hasProperties<<i) != 0 {
			if *text = r.bytes(); len(*text) == 0 {
				r.fail()
			}
		}
	}
	if r.failed || len(r.buf) > 0 {
		return extra{}, false
	}
	return x, true
}

// extraReader reads until the first fault, which sticks.
type extraReader struct {
	buf    []byte
	failed bool
}

func (r *extraReader) fail() { r.buf, r.failed = nil, true }

func (r *extraReader) byte() byte {
	if len(r.buf) == 0 {
		r.fail()
		return 0
	}
	b := r.buf[0]
	r.buf = r.buf[1:]
	return b
}

func (r *extraReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *extraReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.buf)) {
		r.fail()
		return nil
	}
	s := r.buf[:n:n]
	r.buf = r.buf[n:]
	return s
}
