package wire

import (
	"iter"
	"slices"
)

// Sections is a message cut into its sections (part 3, 3.2), each whole, with
// its descriptor, and each part of the message it was cut from. What is absent
// is nil.
//
// Between two peers a broker may change Header and the annotations. Bare, which
// is everything from Properties to the end of Body, and Footer pass unchanged:
// append them as they are.
type Sections struct {
	Header              []byte
	DeliveryAnnotations []byte
	MessageAnnotations  []byte

	Bare                  []byte
	Properties            []byte
	ApplicationProperties []byte
	Body                  []byte // one section, or several of data or amqp-sequence
	BodyKind              BodyKind

	Footer []byte
}

// BodyKind is what the body of a message is made of.
type BodyKind uint8

// The kinds of part 3, 3.2.6 to 3.2.8. A message without any body is against
// the specification, yet clients send it.
const (
	BodyNone     BodyKind = 0
	BodyData     BodyKind = descData
	BodySequence BodyKind = descSequence
	BodyValue    BodyKind = descValue
)

var sectionNames = [...]string{"header", "delivery-annotations", "message-annotations", "properties",
	"application-properties", "data", "amqp-sequence", "amqp-value", "footer"}

func sectionName(descriptor uint64) string { return sectionNames[descriptor-descHeader] }

// sectionTypes are what each section is made of; an amqp-value may be anything.
var sectionTypes = [...]Type{TypeList, TypeMap, TypeMap, TypeList, TypeMap, TypeBinary, TypeList, TypeNull, TypeMap}

// ParseMessage cuts a message, which is the payloads of its transfers together.
// It checks the order and number of the sections and where they end, but looks
// into none: what is wrong inside shows when a section is decoded. It allocates
// nothing, unless the footer stands before the body: that is against the
// specification, but rhea writes it so, the engine of Azure's JavaScript client.
func ParseMessage(b []byte) (Sections, error) {
	var s Sections
	d := newDecoder(b)
	bareStart, bareEnd, bodyStart, footerStart := len(b), 0, len(b), len(b)
	for last := uint64(0); len(d.buf) > 0 && d.err == nil; {
		start := len(b) - len(d.buf)
		descriptor := d.section(last, &s)
		if d.err != nil {
			break
		}
		end := len(b) - len(d.buf)
		s.put(descriptor, b[start:end:end])
		if descriptor >= descProperties && descriptor <= descValue {
			bareStart, bareEnd = min(bareStart, start), end
		}
		if descriptor >= descData && descriptor <= descValue {
			bodyStart = min(bodyStart, start)
			s.Body = b[bodyStart:end:end]
		}
		if descriptor == descFooter {
			footerStart = start
		}
		last = descriptor
	}
	if d.err != nil {
		return Sections{}, d.err
	}
	switch {
	case bareStart < footerStart && footerStart < bareEnd:
		s.Bare = slices.Concat(b[bareStart:footerStart], s.Body)
	case bareEnd > 0:
		s.Bare = b[bareStart:bareEnd:bareEnd]
	}
	return s, nil
}

// section passes over one section, which comes after the section last; s has
// those that came before.
func (d *decoder) section(last uint64, s *Sections) (descriptor uint64) {
	descriptor = d.described()
	if d.err != nil {
		return 0
	}
	if descriptor < descHeader || descriptor > descFooter {
		d.fail("expected a section of a message, got the descriptor 0x%x", descriptor)
		return 0
	}
	several := descriptor == descData || descriptor == descSequence
	bodies := last >= descData && last <= descValue && descriptor <= descValue
	late := last == descFooter && descriptor >= descData && s.BodyKind == BodyNone
	footers := descriptor == descFooter && s.Footer != nil
	if (descriptor < last && !late) || (descriptor == last && !several) || (bodies && descriptor != last) || footers {
		d.fail("a message has the section %s after %s", sectionName(descriptor), sectionName(last))
		return 0
	}
	want := sectionTypes[descriptor-descHeader]
	if descriptor != descValue && len(d.buf) > 0 && typeOf(d.buf[0]) != want {
		d.fail("%s: expected %v, got %v", sectionName(descriptor), want, typeOf(d.buf[0]))
		return 0
	}
	d.skip()
	return descriptor
}

// put keeps a section; the parts of a body are kept by ParseMessage.
func (s *Sections) put(descriptor uint64, raw []byte) {
	switch descriptor {
	case descHeader:
		s.Header = raw
	case descDeliveryAnnotations:
		s.DeliveryAnnotations = raw
	case descMessageAnnotations:
		s.MessageAnnotations = raw
	case descProperties:
		s.Properties = raw
	case descApplicationProperties:
		s.ApplicationProperties = raw
	case descFooter:
		s.Footer = raw
	default:
		s.BodyKind = BodyKind(descriptor)
	}
}

// Data are the binaries of a body of BodyData, one at least, as parts of the
// message. There are none in a body of another kind.
func (s *Sections) Data() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if s.BodyKind != BodyData {
			return
		}
		for d := newDecoder(s.Body); len(d.buf) > 0 && d.err == nil; {
			d.described()
			raw, _ := d.asBinary(d.byte())
			if d.err != nil || !yield(raw) {
				return
			}
		}
	}
}

// Value is the value of a body of BodyValue, and nil for another kind.
func (s *Sections) Value() (any, error) {
	if s.BodyKind != BodyValue {
		return nil, nil
	}
	d := newDecoder(s.Body)
	d.described()
	v := d.value()
	return v, d.sectionError("amqp-value")
}

// Sequences are the lists of a body of BodySequence, one at least. There are
// none in a body of another kind.
func (s *Sections) Sequences() (lists []List, err error) {
	if s.BodyKind != BodySequence {
		return nil, nil
	}
	for d := newDecoder(s.Body); len(d.buf) > 0; {
		d.described()
		lists = append(lists, d.list(d.byte()))
		if d.err != nil {
			return nil, d.sectionError("amqp-sequence")
		}
	}
	return lists, nil
}

// sectionError is the decoder's error with the name of the section, and nil
// when there is none.
func (d *decoder) sectionError(name string) error {
	if d.err == nil {
		return nil
	}
	d.err.Description = name + ": " + d.err.Description
	return d.err
}

// DecodeDeliveryAnnotations is nil when the section is absent.
func (s *Sections) DecodeDeliveryAnnotations() (Map, error) {
	return decodeMapSection(s.DeliveryAnnotations, descDeliveryAnnotations)
}

// DecodeMessageAnnotations is nil when the section is absent.
func (s *Sections) DecodeMessageAnnotations() (Map, error) {
	return decodeMapSection(s.MessageAnnotations, descMessageAnnotations)
}

// DecodeApplicationProperties is nil when the section is absent. Its keys are
// strings; its values are not lists, maps or arrays.
func (s *Sections) DecodeApplicationProperties() (Map, error) {
	return decodeMapSection(s.ApplicationProperties, descApplicationProperties)
}

// DecodeFooter is nil when the section is absent.
func (s *Sections) DecodeFooter() (Map, error) { return decodeMapSection(s.Footer, descFooter) }

func decodeMapSection(raw []byte, descriptor uint64) (Map, error) {
	if raw == nil {
		return nil, nil
	}
	d := newDecoder(raw)
	d.described()
	m := d.mapping(d.byte())
	for i := range m {
		if fault := faultOfEntry(descriptor, m[i]); fault != "" {
			d.fail("entry %d: %s", i+1, fault)
		}
	}
	if err := d.sectionError(sectionName(descriptor)); err != nil {
		return nil, err
	}
	return m, nil
}

// faultOfEntry says what part 3, 3.2.5 and 3.2.10, does not allow. Annotations
// may have string keys, against the specification, because clients read them.
func faultOfEntry(descriptor uint64, entry Pair) string {
	_, isString := entry.Key.(string)
	if descriptor != descApplicationProperties {
		switch entry.Key.(type) {
		case string, Symbol, uint64:
			return ""
		}
		return "the key is none of symbol, ulong and string"
	}
	switch entry.Value.(type) {
	case List, Map, Array:
		return "the value is a list, map or array, which application-properties cannot hold"
	}
	if !isString {
		return "the key is no string"
	}
	return ""
}
