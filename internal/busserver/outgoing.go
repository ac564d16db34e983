package busserver

import (
	"maps"
	"math"
	"slices"
	"time"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// writtenOverhead is about what a delivery has besides what was sent.
const writtenOverhead = 256

// writtenSize is about how many bytes writeMessage writes.
func writtenSize(r *bus.Received) int {
	n := writtenOverhead + len(r.Extra) + len(r.Body.Bytes)
	if len(r.Extra) == 0 || len(r.Amended) > 0 {
		n += 64 * (len(r.Properties) + len(r.Amended))
	}
	return n
}

// writeMessage writes a message as clients receive it to the end of b: with
// what they sent byte for byte, and what the broker knows of it. A message with
// a lock token is written as locked.
func writeMessage(b []byte, r *bus.Received) []byte {
	x, onWire := decodeExtra(r.Extra)
	b = writeHeader(b, r, &x)
	b = writeDeliveryAnnotations(b, r, &x)
	b = writeMessageAnnotations(b, r, &x, onWire)
	b = writeProperties(b, r, &x)
	b = writeApplicationProperties(b, r, &x, onWire)
	return append(writeBody(b, r, &x), x.footer...)
}

// writeHeader says the delivery count also when it is 0, because the SDKs read
// its absence as undefined.
func writeHeader(b []byte, r *bus.Received, x *extra) []byte {
	h := wire.Header{DeliveryCount: wire.Some(uint32(r.DeliveryCount))}
	if x.mask&hasDurable != 0 {
		h.Durable = wire.Some(x.mask&isDurable != 0)
	}
	if x.mask&hasPriority != 0 {
		h.Priority = wire.Some(x.priority)
	}
	if ms := (r.TTL + time.Millisecond - 1) / time.Millisecond; ms > 0 {
		h.TTL = wire.Some(uint32(min(ms, math.MaxUint32)))
	}
	return wire.AppendHeader(b, &h)
}

func writeDeliveryAnnotations(b []byte, r *bus.Received, x *extra) []byte {
	locked := r.LockToken != bus.LockToken{}
	if !locked && x.deliveryAnnotations.pairs == 0 {
		return b
	}
	w := writeAnnotations(b, sectionDeliveryAnnotations)
	w.entries(x.deliveryAnnotations)
	if locked {
		w.uuid(annLockToken, r.LockToken)
	}
	return w.end()
}

func writeMessageAnnotations(b []byte, r *bus.Received, x *extra, onWire bool) []byte {
	w := writeAnnotations(b, sectionMessageAnnotations)
	w.entries(x.messageAnnotations)
	if !onWire {
		if r.PartitionKey != "" {
			w.text(annPartitionKey, r.PartitionKey)
		}
		if !r.ScheduledEnqueueTime.IsZero() {
			w.timestamp(annScheduled, r.ScheduledEnqueueTime)
		}
	}
	w.long(annSequenceNumber, r.SequenceNumber)
	w.timestamp(annEnqueuedTime, r.EnqueuedTime)
	if (r.LockToken != bus.LockToken{}) {
		w.timestamp(annLockedUntil, r.LockedUntil)
	}
	if r.EnqueuedSequenceNumber != 0 {
		w.long(annEnqueuedNumber, r.EnqueuedSequenceNumber)
	}
	if r.DeadLetterSource != "" {
		w.text(annSource, r.DeadLetterSource)
	}
	if r.State != bus.Active {
		w.smallInt(annState, int8(r.State))
	}
	return w.end()
}

// writeProperties forwards the properties as they came, unless the broker has
// something to say in them: the times of a message that expires, and the new id
// of one that was sent again out of the dead-letter queue.
func writeProperties(b []byte, r *bus.Received, x *extra) []byte {
	if r.TTL == 0 && hasID(x.properties, r.MessageID) {
		return append(b, x.properties...)
	}
	s := wire.Sections{Properties: x.properties}
	p, err := s.DecodeProperties()
	switch {
	case err != nil || p == nil: // it was sent within the process
		p = propertiesOf(r)
	case idText(p.MessageID) != r.MessageID:
		p.MessageID = r.MessageID
	case r.TTL == 0:
		return append(b, x.properties...)
	}
	if r.TTL > 0 {
		p.CreationTime = wire.Some(wire.TimestampOf(r.EnqueuedTime))
		p.AbsoluteExpiryTime = wire.Some(wire.TimestampOf(r.EnqueuedTime.Add(r.TTL)))
	}
	b, _ = wire.AppendProperties(b, p) // everything in p was decoded, or checked by the bus
	return b
}

// hasID tells whether encoded properties begin with this message-id as a
// string. It knows only the encodings that are usual.
func hasID(properties []byte, id string) bool {
	if len(properties) < 4 {
		return false
	}
	field := properties[3:] // a descriptor, then the list
	switch {
	case field[0] == 0xc0 && len(field) > 3: // list8: size and count of a byte each
		field = field[3:]
	case field[0] == 0xd0 && len(field) > 9: // list32
		field = field[9:]
	default:
		return false
	}
	if properties[1] != codeSmallUlong || field[0] != 0xa1 || len(field) < 2 { // str8
		return false
	}
	n := int(field[1])
	return len(field) >= 2+n && string(field[2:2+n]) == id
}

// propertiesOf is the properties of a message that was sent within the process.
func propertiesOf(r *bus.Received) *wire.Properties {
	p := &wire.Properties{
		MessageID: r.MessageID,
		To:        some(r.To), Subject: some(r.Subject), ReplyTo: some(r.ReplyTo),
		ReplyToGroupID: some(r.ReplyToSessionID),
	}
	if r.CorrelationID != "" {
		p.CorrelationID = r.CorrelationID
	}
	if r.ContentType != "" && isASCII(r.ContentType) {
		p.ContentType = wire.Some(wire.Symbol(r.ContentType))
	}
	if r.SessionID != nil {
		p.GroupID = wire.Some(*r.SessionID)
	}
	return p
}

func some(s string) wire.Optional[string] { return wire.Optional[string]{Value: s, Present: s != ""} }

func isASCII(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return c >= 0x80 })
}

// writeApplicationProperties forwards them as they came, with what was set
// since.
func writeApplicationProperties(b []byte, r *bus.Received, x *extra, onWire bool) []byte {
	if onWire && len(r.Amended) == 0 {
		return append(b, x.applicationProperties...)
	}
	s := wire.Sections{ApplicationProperties: x.applicationProperties}
	all, err := s.DecodeApplicationProperties()
	set := r.Amended
	if err != nil || !onWire {
		all, set = nil, r.Properties
	}
	if len(all)+len(set) == 0 {
		return b
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		all.Set(name, toWire(set[name]))
	}
	b, _ = wire.AppendApplicationProperties(b, all) // the bus has checked what is in set
	return b
}

func writeBody(b []byte, r *bus.Received, x *extra) []byte {
	switch {
	case x.bodyPrefix != nil:
		b = append(b, x.bodyPrefix...)
	case r.Body.Kind == bus.BodyData:
		b = appendDataPrefix(b, len(r.Body.Bytes))
	case r.Body.Kind == bus.BodyValue:
		b = append(b, codeDescribed, codeSmallUlong, sectionValue)
	}
	return append(b, r.Body.Bytes...)
}

// deliveryTag is a lock token in the byte order of .NET's Guid, in which the
// service writes delivery-tags.
func deliveryTag(t bus.LockToken) [16]byte {
	t[0], t[1], t[2], t[3] = t[3], t[2], t[1], t[0]
	t[4], t[5] = t[5], t[4]
	t[6], t[7] = t[7], t[6]
	return t
}

// tokenOfTag is the lock token that deliveryTag made a tag of.
func tokenOfTag(tag []byte) bus.LockToken {
	var t bus.LockToken
	copy(t[:], tag)
	return deliveryTag(t)
}
