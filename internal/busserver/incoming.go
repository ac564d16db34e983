package busserver

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// formatBatch is the message-format of a batch: its data sections are messages.
const formatBatch uint32 = 0x80013700

// readMessages reads what one delivery carries: a message, or those of a batch.
// They share raw's memory.
func readMessages(raw []byte, format uint32) ([]bus.Message, error) {
	switch format {
	case wire.MessageFormat0:
		m, err := readMessage(raw)
		if err != nil {
			return nil, err
		}
		return []bus.Message{m}, nil
	case formatBatch:
		return readBatch(raw)
	}
	return nil, &wire.Error{Condition: wire.ConditionNotImplemented, Description: "expected the message-format 0, or 0x80013700 for a batch"}
}

// readBatch reads a batch, whose other sections repeat the first message's and
// say nothing.
func readBatch(raw []byte) ([]bus.Message, error) {
	envelope, err := wire.ParseMessage(raw)
	if err != nil {
		return nil, err
	}
	var all []bus.Message
	for data := range envelope.Data() {
		m, err := readMessage(data)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, &wire.Error{Condition: wire.ConditionDecodeError, Description: "a batch has one data section at least"}
	}
	return all, nil
}

// readMessage makes a bus message of what a client sent: typed, so that anybody
// can read it, with what the types cannot say in Extra. It shares raw's memory.
func readMessage(raw []byte) (m bus.Message, err error) {
	s, err := wire.ParseMessage(raw)
	if err != nil {
		return bus.Message{}, err
	}
	x := extra{applicationProperties: s.ApplicationProperties, footer: s.Footer}
	for _, take := range [...]func(*wire.Sections, *bus.Message, *extra) error{
		takeHeader, takeMessageAnnotations, takeProperties, takeApplicationProperties, takeBody,
	} {
		if err := take(&s, &m, &x); err != nil {
			return bus.Message{}, err
		}
	}
	if err := takeDeliveryAnnotations(&s, &x); err != nil {
		return bus.Message{}, err
	}
	if _, err := s.DecodeFooter(); err != nil {
		return bus.Message{}, err
	}
	m.Extra = x.encode()
	return m, nil
}

func takeHeader(s *wire.Sections, m *bus.Message, x *extra) error {
	h, err := s.DecodeHeader()
	if err != nil || h == nil {
		return err
	}
	m.TTL = time.Duration(h.TTL.Value) * time.Millisecond
	if h.Durable.Present {
		x.mask |= hasDurable
	}
	if h.Durable.Value {
		x.mask |= isDurable
	}
	if h.Priority.Present {
		x.mask |= hasPriority
		x.priority = h.Priority.Value
	}
	return nil
}

// takeProperties also gives a message without an id one, because clients and
// the window for duplicates want it.
func takeProperties(s *wire.Sections, m *bus.Message, x *extra) error {
	p, err := s.DecodeProperties()
	if err != nil {
		return err
	}
	x.properties = s.Properties
	if p == nil || idText(p.MessageID) == "" {
		if p == nil {
			p = &wire.Properties{}
		}
		p.MessageID = bus.NewMessageID()
		if x.properties, err = wire.AppendProperties(nil, p); err != nil {
			return err
		}
	}
	m.MessageID = idText(p.MessageID)
	m.CorrelationID = idText(p.CorrelationID)
	m.Subject, m.To, m.ReplyTo = p.Subject.Value, p.To.Value, p.ReplyTo.Value
	m.ReplyToSessionID, m.ContentType = p.ReplyToGroupID.Value, string(p.ContentType.Value)
	if p.GroupID.Present {
		m.SessionID = &p.GroupID.Value
	}
	return nil
}

// idText is a message-id or correlation-id as the bus has it, "" for none.
func idText(id any) string {
	switch id := id.(type) {
	case string:
		return id
	case uint64:
		return strconv.FormatUint(id, 10)
	case wire.UUID:
		return id.String()
	case []byte:
		return hex.EncodeToString(id)
	}
	return ""
}

func takeApplicationProperties(s *wire.Sections, m *bus.Message, _ *extra) error {
	properties, err := s.DecodeApplicationProperties()
	if err != nil || len(properties) == 0 {
		return err
	}
	m.Properties = make(bus.Properties, len(properties))
	for _, p := range properties {
		if v, ok := toBus(p.Value); ok { // what is described is forwarded, but has no type in the bus
			m.Properties[p.Key.(string)] = v
		}
	}
	return nil
}

// toBus is a scalar of AMQP as the bus has it; false for what is no scalar.
func toBus(v any) (any, bool) {
	switch v := v.(type) {
	case wire.Decimal32:
		return bus.Decimal32(v), true
	case wire.Decimal64:
		return bus.Decimal64(v), true
	case wire.Decimal128:
		return bus.Decimal128(v), true
	case wire.Char:
		return bus.Char(v), true
	case wire.Timestamp:
		return bus.Timestamp(v), true
	case wire.UUID:
		return bus.UUID(v), true
	case wire.Symbol:
		return bus.Symbol(v), true
	case wire.Described, wire.List, wire.Map, wire.Array:
		return nil, false
	}
	return v, true
}

// toWire is toBus's other half.
func toWire(v any) any {
	switch v := v.(type) {
	case bus.Decimal32:
		return wire.Decimal32(v)
	case bus.Decimal64:
		return wire.Decimal64(v)
	case bus.Decimal128:
		return wire.Decimal128(v)
	case bus.Char:
		return wire.Char(v)
	case bus.Timestamp:
		return wire.Timestamp(v)
	case bus.UUID:
		return wire.UUID(v)
	case bus.Symbol:
		return wire.Symbol(v)
	}
	return v
}

// takeBody looks into a body only if it is a value or a sequence, so that
// nothing is passed on that would end the receiver's connection.
func takeBody(s *wire.Sections, m *bus.Message, x *extra) (err error) {
	switch s.BodyKind {
	case wire.BodyData:
		m.Body = dataBody(s, x)
	case wire.BodySequence:
		m.Body = bus.Body{Kind: bus.BodySequence, Bytes: s.Body}
		_, err = s.Sequences()
	case wire.BodyValue:
		if _, err = s.Value(); err != nil {
			return err
		}
		value, err := afterDescriptor(s.Body)
		if err != nil {
			return err
		}
		m.Body = bus.Body{Kind: bus.BodyValue, Bytes: value}
		keepPrefix(x, s.Body[:len(s.Body)-len(value)], valuePrefix())
	}
	return err
}

func dataBody(s *wire.Sections, x *extra) bus.Body {
	n, first := 0, []byte(nil)
	for data := range s.Data() {
		if n++; n > 1 {
			return bus.Body{Kind: bus.BodyDataSections, Bytes: s.Body}
		}
		first = data
	}
	keepPrefix(x, s.Body[:len(s.Body)-len(first)], appendDataPrefix(nil, len(first)))
	return bus.Body{Kind: bus.BodyData, Bytes: first}
}

// keepPrefix notes what stands before a body's content, unless it is usual.
func keepPrefix(x *extra, prefix, usual []byte) {
	if !bytes.Equal(prefix, usual) {
		x.bodyPrefix = prefix
	}
}

// afterDescriptor is the value of a described one, as it is encoded.
func afterDescriptor(section []byte) ([]byte, error) {
	_, value, err := wire.Decode(section[1:])
	return value, err
}

func valuePrefix() []byte { return []byte{codeDescribed, codeSmallUlong, sectionValue} }

// appendDataPrefix writes what stands before n bytes of data.
func appendDataPrefix(b []byte, n int) []byte {
	b = append(b, codeDescribed, codeSmallUlong, sectionData)
	if n < 256 {
		return append(b, codeBinary8, byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, byte(wire.TypeBinary)), uint32(n))
}
