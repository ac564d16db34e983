package wire

import "encoding/binary"

// The functions of this file write one section to the end of b. Those that
// return an error return b as it was with it.

// AppendHeader writes a header.
func AppendHeader(b []byte, h *Header) []byte {
	w := writeFields(b, descHeader)
	w.optBoolean(h.Durable)
	w.optUbyte(h.Priority)
	w.optUint(h.TTL)
	w.optBoolean(h.FirstAcquirer)
	w.optUint(h.DeliveryCount)
	out, _ := w.end() // none of these can fail
	return out
}

// AppendDeliveryAnnotations writes delivery-annotations, also empty ones.
func AppendDeliveryAnnotations(b []byte, m Map) ([]byte, error) {
	return appendMapSection(b, descDeliveryAnnotations, m)
}

// AppendMessageAnnotations writes message-annotations, also empty ones.
func AppendMessageAnnotations(b []byte, m Map) ([]byte, error) {
	return appendMapSection(b, descMessageAnnotations, m)
}

// AppendProperties writes properties.
func AppendProperties(b []byte, p *Properties) ([]byte, error) {
	w := writeFields(b, descProperties)
	w.messageID(p.MessageID)
	w.binaryIf(p.UserID)
	w.optText(p.To)
	w.optText(p.Subject)
	w.optText(p.ReplyTo)
	w.messageID(p.CorrelationID)
	w.optSymbol(p.ContentType)
	w.optSymbol(p.ContentEncoding)
	w.optTimestamp(p.AbsoluteExpiryTime)
	w.optTimestamp(p.CreationTime)
	w.optText(p.GroupID)
	w.optUint(p.GroupSequence)
	w.optText(p.ReplyToGroupID)
	out, err := w.end()
	if err != nil {
		return b, err
	}
	return out, nil
}

// AppendApplicationProperties writes application-properties, also empty ones.
func AppendApplicationProperties(b []byte, m Map) ([]byte, error) {
	return appendMapSection(b, descApplicationProperties, m)
}

// AppendData writes one data section of a body.
func AppendData(b, data []byte) []byte {
	return appendBinary(append(b, codeDescribed, codeSmallUlong, descData), data)
}

// AppendSequence writes one amqp-sequence section of a body.
func AppendSequence(b []byte, list List) ([]byte, error) {
	return appendSection(b, descSequence, list)
}

// AppendValue writes the amqp-value section that is a body.
func AppendValue(b []byte, v any) ([]byte, error) { return appendSection(b, descValue, v) }

// AppendFooter writes a footer, also an empty one.
func AppendFooter(b []byte, m Map) ([]byte, error) { return appendMapSection(b, descFooter, m) }

func appendMapSection(b []byte, descriptor byte, m Map) ([]byte, error) {
	for i := range m {
		if fault := faultOfEntry(uint64(descriptor), m[i]); fault != "" {
			return b, encodeErrorf("%s: entry %d: %s", sectionName(uint64(descriptor)), i+1, fault)
		}
	}
	return appendSection(b, descriptor, m)
}

func appendSection(b []byte, descriptor byte, v any) ([]byte, error) {
	out, err := appendValue(append(b, codeDescribed, codeSmallUlong, descriptor), v, 0)
	if err != nil {
		return b, err
	}
	return out, nil
}

func (w *fieldWriter) messageID(v any) {
	if !w.present(v != nil) {
		return
	}
	switch v.(type) {
	case uint64, UUID, []byte, string:
		w.keep(appendValue(w.buf, v, 1))
	default:
		w.keep(w.buf, encodeErrorf("a message-id or correlation-id is a %T: expected uint64, UUID, []byte or string", v))
	}
}

func (w *fieldWriter) optSymbol(o Optional[Symbol]) {
	if w.present(o.Present) {
		w.keep(appendSymbol(w.buf, o.Value))
	}
}

func (w *fieldWriter) optTimestamp(o Optional[Timestamp]) {
	if w.present(o.Present) {
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, byte(TypeTimestamp)), uint64(o.Value))
	}
}
