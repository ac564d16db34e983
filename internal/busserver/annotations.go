package busserver

import (
	"encoding/binary"
	"time"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// The annotations of Service Bus.
const (
	annSequenceNumber = "x-opt-sequence-number"
	annEnqueuedTime   = "x-opt-enqueued-time"
	annLockedUntil    = "x-opt-locked-until"
	annEnqueuedNumber = "x-opt-enqueue-sequence-number"
	annSource         = "x-opt-deadletter-source"
	annState          = "x-opt-message-state"
	annScheduled      = "x-opt-scheduled-enqueue-time"
	annPartitionKey   = "x-opt-partition-key"
	annViaPartition   = "x-opt-via-partition-key"
	annLockToken      = "x-opt-lock-token" // among the delivery annotations
)

// AMQP's encodings (part 1, 1.6) that annotations are written in.
const (
	codeDescribed  = 0x00
	codeSmallUlong = 0x53 // descriptors are such
	codeMap8       = 0xc1
	codeMap32      = 0xd1
	codeSymbol8    = 0xa3
	codeSmallInt   = 0x54
	codeBinary8    = 0xa0

	sectionDeliveryAnnotations = 0x71
	sectionMessageAnnotations  = 0x72
	sectionData                = 0x75
	sectionValue               = 0x77
)

// annotationFault refuses an annotation whose type clients do not survive.
func annotationFault(key, want string) error {
	return &wire.Error{Condition: wire.ConditionNotAllowed, Description: "the message annotation " + key + " must be " + want}
}

// takeMessageAnnotations keeps the sender's own annotations in x and sets what
// the bus must know in m. Those that only a broker can know are left out,
// whatever they say.
func takeMessageAnnotations(s *wire.Sections, m *bus.Message, x *extra) error {
	annotations, err := s.DecodeMessageAnnotations()
	if err != nil || len(annotations) == 0 {
		return err
	}
	for _, a := range annotations {
		switch name := text(a.Key); name {
		case annScheduled:
			at, ok := a.Value.(wire.Timestamp)
			if !ok {
				return annotationFault(name, "a timestamp")
			}
			m.ScheduledEnqueueTime = at.Time()
		case annPartitionKey, annViaPartition:
			value, ok := a.Value.(string)
			if !ok && a.Value != nil {
				return annotationFault(name, "a string")
			}
			if name == annPartitionKey {
				m.PartitionKey = value
			}
		case annState, annEnqueuedNumber:
			if a.Value == nil {
				return annotationFault(name, "left out or have a value")
			}
		}
	}
	x.messageAnnotations, err = keepEntries(s.MessageAnnotations, func(name string) bool {
		switch name {
		case annSequenceNumber, annEnqueuedTime, annLockedUntil, annEnqueuedNumber, annSource, annState:
			return false
		}
		return true
	})
	return err
}

// takeDeliveryAnnotations keeps the sender's delivery annotations in x.
func takeDeliveryAnnotations(s *wire.Sections, x *extra) error {
	annotations, err := s.DecodeDeliveryAnnotations()
	if err != nil || len(annotations) == 0 {
		return err
	}
	x.deliveryAnnotations, err = keepEntries(s.DeliveryAnnotations, func(name string) bool { return name != annLockToken })
	return err
}

// keepEntries copies the entries of a map section whose keys keep allows, byte
// for byte. The section must be one that could be decoded.
func keepEntries(section []byte, keep func(name string) bool) (kept entries, err error) {
	_, rest, err := wire.Decode(section[1:]) // the descriptor
	if err != nil {
		return entries{}, err
	}
	var n uint32 // keys and values together
	switch rest[0] {
	case codeMap8:
		n, rest = uint32(rest[2]), rest[3:]
	case codeMap32:
		n, rest = binary.BigEndian.Uint32(rest[5:]), rest[9:]
	}
	for range n / 2 {
		key, after, err := wire.Decode(rest)
		if err != nil {
			return entries{}, err
		}
		_, next, err := wire.Decode(after)
		if err != nil {
			return entries{}, err
		}
		if keep(text(key)) {
			kept.raw = append(kept.raw, rest[:len(rest)-len(next)]...)
			kept.pairs++
		}
		rest = next
	}
	return kept, nil
}

// text is a symbol or a string, and empty for anything else.
func text(v any) string {
	switch v := v.(type) {
	case wire.Symbol:
		return string(v)
	case string:
		return v
	}
	return ""
}

// annotationWriter writes a section of annotations to the end of buf, without
// going through a wire.Map: it is on the way of every delivery. Its map is a
// map32, whose size and count are put in at the end.
type annotationWriter struct {
	buf   []byte
	start int
	pairs int
}

func writeAnnotations(b []byte, section byte) annotationWriter {
	b = append(b, codeDescribed, codeSmallUlong, section, codeMap32, 0, 0, 0, 0, 0, 0, 0, 0)
	return annotationWriter{buf: b, start: len(b)}
}

func (w *annotationWriter) entries(e entries) {
	w.buf = append(w.buf, e.raw...)
	w.pairs += e.pairs
}

func (w *annotationWriter) key(name string) {
	w.buf = append(append(w.buf, codeSymbol8, byte(len(name))), name...)
	w.pairs++
}

func (w *annotationWriter) long(name string, v int64) {
	w.key(name)
	w.buf = binary.BigEndian.AppendUint64(append(w.buf, byte(wire.TypeLong)), uint64(v))
}

func (w *annotationWriter) timestamp(name string, at time.Time) {
	w.key(name)
	w.buf = binary.BigEndian.AppendUint64(append(w.buf, byte(wire.TypeTimestamp)), uint64(at.UnixMilli()))
}

func (w *annotationWriter) smallInt(name string, v int8) {
	w.key(name)
	w.buf = append(w.buf, codeSmallInt, byte(v))
}

func (w *annotationWriter) uuid(name string, v [16]byte) {
	w.key(name)
	w.buf = append(append(w.buf, byte(wire.TypeUUID)), v[:]...)
}

func (w *annotationWriter) text(name, v string) {
	w.key(name)
	w.buf = binary.BigEndian.AppendUint32(append(w.buf, byte(wire.TypeString)), uint32(len(v)))
	w.buf = append(w.buf, v...)
}

func (w *annotationWriter) end() []byte {
	binary.BigEndian.PutUint32(w.buf[w.start-8:], uint32(len(w.buf)-w.start+4))
	binary.BigEndian.PutUint32(w.buf[w.start-4:], uint32(2*w.pairs))
	return w.buf
}
