package bus

import (
	"encoding/binary"
	"time"
)

// headVersion is the first byte of an encoded head.
const headVersion = 1

// The bits of a head's presence mask. Strings come first, in this order.
const (
	headSession = 1 << 7
	headTTL     = 1 << 8
	headSched   = 1 << 9
	headAll     = 1<<10 - 1
)

func headStrings(m *Message) [7]*string {
	return [...]*string{&m.CorrelationID, &m.Subject, &m.To, &m.ReplyTo, &m.ReplyToSessionID, &m.ContentType, &m.PartitionKey}
}

// encodeHead writes the system fields apart from the message id: a version, a
// mask of the fields present, then those fields.
func encodeHead(m *Message) []byte {
	fields := headStrings(m)
	mask := uint64(0)
	for i, s := range fields {
		if *s != "" {
			mask |= 1 << i
		}
	}
	if m.SessionID != nil {
		mask |= headSession
	}
	if m.TTL > 0 {
		mask |= headTTL
	}
	if !m.ScheduledEnqueueTime.IsZero() {
		mask |= headSched
	}
	buf := binary.AppendUvarint([]byte{headVersion}, mask)
	for _, s := range fields {
		if *s != "" {
			buf = appendText(buf, *s)
		}
	}
	if m.SessionID != nil {
		buf = appendText(buf, *m.SessionID)
	}
	if m.TTL > 0 {
		buf = binary.AppendVarint(buf, millis(m.TTL))
	}
	if !m.ScheduledEnqueueTime.IsZero() {
		buf = binary.AppendVarint(buf, m.ScheduledEnqueueTime.UnixMilli())
	}
	return buf
}

// decodeHead sets the fields of m that encodeHead wrote.
func decodeHead(buf []byte, m *Message) error {
	d := decoder{buf: buf}
	if d.byte() != headVersion {
		d.fail()
	}
	mask := d.uvarint()
	if mask&^headAll != 0 {
		d.fail()
	}
	for i, s := range headStrings(m) {
		if mask&(1<<i) != 0 {
			*s = d.text()
		}
	}
	if mask&headSession != 0 {
		session := d.text()
		m.SessionID = &session
	}
	if mask&headTTL != 0 {
		m.TTL = duration(d.varint())
	}
	if mask&headSched != 0 {
		m.ScheduledEnqueueTime = time.UnixMilli(d.varint()).UTC()
	}
	return d.end()
}

// millis rounds up, so that a short time to live is not none at all.
func millis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return ms
}

// duration is the length of ms milliseconds, at most the longest Go can say.
func duration(ms int64) time.Duration {
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(max(ms, 0), longest)) * time.Millisecond
}
