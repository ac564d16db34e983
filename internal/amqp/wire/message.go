package wire

// MessageFormat0 is the message-format of part 3, 3.2.16, in a transfer.
const MessageFormat0 uint32 = 0

// Header is about the delivery of a message (part 3, 3.2.1). All its fields
// have defaults; one that is present is written even when it is the default,
// because some clients read absence as undefined.
type Header struct {
	Durable       Optional[bool]   // absent: false
	Priority      Optional[uint8]  // absent: 4
	TTL           Optional[uint32] // milliseconds; absent: for ever
	FirstAcquirer Optional[bool]   // absent: false
	DeliveryCount Optional[uint32] // deliveries that failed before; absent: 0
}

// Properties is what a message says of itself (part 3, 3.2.4).
type Properties struct {
	MessageID          any // uint64, UUID, []byte or string; nil when absent
	UserID             []byte
	To                 Optional[string]
	Subject            Optional[string]
	ReplyTo            Optional[string]
	CorrelationID      any // uint64, UUID, []byte or string; nil when absent
	ContentType        Optional[Symbol]
	ContentEncoding    Optional[Symbol]
	AbsoluteExpiryTime Optional[Timestamp]
	CreationTime       Optional[Timestamp]
	GroupID            Optional[string]
	GroupSequence      Optional[uint32]
	ReplyToGroupID     Optional[string]
}

// Message is a message with everything decoded. Sections that are absent are
// nil. Of Data, Sequence and Value one at most is there: the body.
type Message struct {
	Header                *Header
	DeliveryAnnotations   Map
	MessageAnnotations    Map
	Properties            *Properties
	ApplicationProperties Map
	Data                  [][]byte
	Sequence              []List
	Value                 Optional[any]
	Footer                Map
}

// DecodeHeader is nil when the section is absent.
func (s *Sections) DecodeHeader() (*Header, error) {
	if s.Header == nil {
		return nil, nil
	}
	d := newDecoder(s.Header)
	d.described()
	f, h := d.fields("header"), &Header{}
	h.Durable = f.boolean("durable")
	h.Priority = f.ubyte("priority")
	h.TTL = f.uint("ttl")
	h.FirstAcquirer = f.boolean("first-acquirer")
	h.DeliveryCount = f.uint("delivery-count")
	f.end()
	if d.err != nil {
		return nil, d.err
	}
	return h, nil
}

// DecodeProperties is nil when the section is absent.
func (s *Sections) DecodeProperties() (*Properties, error) {
	if s.Properties == nil {
		return nil, nil
	}
	d := newDecoder(s.Properties)
	d.described()
	f, p := d.fields("properties"), &Properties{}
	p.MessageID = f.messageID("message-id")
	p.UserID = f.binary("user-id")
	p.To = f.text("to")
	p.Subject = f.text("subject")
	p.ReplyTo = f.text("reply-to")
	p.CorrelationID = f.messageID("correlation-id")
	p.ContentType = f.symbol("content-type")
	p.ContentEncoding = f.symbol("content-encoding")
	p.AbsoluteExpiryTime = f.timestamp("absolute-expiry-time")
	p.CreationTime = f.timestamp("creation-time")
	p.GroupID = f.text("group-id")
	p.GroupSequence = f.uint("group-sequence")
	p.ReplyToGroupID = f.text("reply-to-group-id")
	f.end()
	if d.err != nil {
		return nil, d.err
	}
	return p, nil
}

func (f *fieldReader) timestamp(name string) (o Optional[Timestamp]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asTimestamp(code); !o.Present {
			f.want(TypeTimestamp, code)
		}
	}
	return o
}

// messageID reads one of the types that provide a message-id (part 3, 3.2.11
// to 3.2.14).
func (f *fieldReader) messageID(name string) any {
	code, ok := f.next(name)
	if !ok {
		return nil
	}
	switch t := typeOf(code); t {
	case TypeUlong, TypeUUID, TypeBinary, TypeString:
		return f.d.primitive(code)
	default:
		f.d.fail("expected ulong, uuid, binary or string, got %v", t)
		return nil
	}
}

// DecodeMessage reads all sections of a message. The result shares no memory
// with b.
func DecodeMessage(b []byte) (*Message, error) {
	s, err := ParseMessage(b)
	if err != nil {
		return nil, err
	}
	m := &Message{}
	if m.Header, err = s.DecodeHeader(); err != nil {
		return nil, err
	}
	if m.DeliveryAnnotations, err = s.DecodeDeliveryAnnotations(); err != nil {
		return nil, err
	}
	if m.MessageAnnotations, err = s.DecodeMessageAnnotations(); err != nil {
		return nil, err
	}
	if m.Properties, err = s.DecodeProperties(); err != nil {
		return nil, err
	}
	if m.ApplicationProperties, err = s.DecodeApplicationProperties(); err != nil {
		return nil, err
	}
	if m.Footer, err = s.DecodeFooter(); err != nil {
		return nil, err
	}
	if err = m.decodeBody(&s); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Message) decodeBody(s *Sections) (err error) {
	for data := range s.Data() {
		m.Data = append(m.Data, append([]byte{}, data...))
	}
	if m.Sequence, err = s.Sequences(); err != nil {
		return err
	}
	if s.BodyKind == BodyValue {
		m.Value.Present = true
		m.Value.Value, err = s.Value()
	}
	return err
}

// Append writes the message to the end of b, which comes back as it was when
// the message cannot be written.
func (m *Message) Append(b []byte) ([]byte, error) {
	kinds := 0
	for _, there := range []bool{len(m.Data) > 0, len(m.Sequence) > 0, m.Value.Present} {
		if there {
			kinds++
		}
	}
	if kinds > 1 {
		return b, encodeErrorf("the body of a message is of more than one kind")
	}
	w := messageWriter{buf: b}
	if m.Header != nil {
		w.buf = AppendHeader(w.buf, m.Header)
	}
	w.mapping(m.DeliveryAnnotations, AppendDeliveryAnnotations)
	w.mapping(m.MessageAnnotations, AppendMessageAnnotations)
	if m.Properties != nil {
		w.keep(AppendProperties(w.buf, m.Properties))
	}
	w.mapping(m.ApplicationProperties, AppendApplicationProperties)
	for _, data := range m.Data {
		w.buf = AppendData(w.buf, data)
	}
	for _, list := range m.Sequence {
		w.keep(AppendSequence(w.buf, list))
	}
	if m.Value.Present {
		w.keep(AppendValue(w.buf, m.Value.Value))
	}
	w.mapping(m.Footer, AppendFooter)
	if w.err != nil {
		return b, w.err
	}
	return w.buf, nil
}

// A messageWriter keeps the first error.
type messageWriter struct {
	buf []byte
	err error
}

func (w *messageWriter) keep(b []byte, err error) {
	w.buf = b
	if w.err == nil {
		w.err = err
	}
}

func (w *messageWriter) mapping(m Map, write func([]byte, Map) ([]byte, error)) {
	if m != nil {
		w.keep(write(w.buf, m))
	}
}
