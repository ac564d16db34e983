package wire

// A fieldReader reads the fields of a composite one after another. A field that
// is null, and one after the last that was sent, is absent. The first error
// ends the reading, and end puts the name of the field before it.
type fieldReader struct {
	d         *decoder
	composite string
	name      string // of the field read last
	left      int
	hidden    int // bytes that follow the composite
}

// fields begins a composite whose descriptor has been read.
func (d *decoder) fields(composite string) fieldReader {
	f := fieldReader{d: d, composite: composite}
	code := d.byte()
	if typeOf(code) != TypeList && d.err == nil {
		d.fail("expected a list of fields, got %v", typeOf(code))
	}
	if d.err == nil {
		f.left, f.hidden = d.enter(code)
	}
	return f
}

func (f *fieldReader) end() {
	if f.left > 0 && f.d.err == nil {
		f.name = ""
		f.d.fail("%d fields more than there are in the specification", f.left)
	}
	f.d.leave(f.hidden)
	if f.d.err != nil {
		at := f.composite
		if f.name != "" {
			at += "." + f.name
		}
		f.d.err.Description = at + ": " + f.d.err.Description
	}
}

// next is the format code of the next field, unless the field is absent.
func (f *fieldReader) next(name string) (code byte, present bool) {
	if f.d.err != nil {
		return 0, false
	}
	f.name = name
	if f.left == 0 {
		return 0, false
	}
	f.left--
	code = f.d.byte()
	return code, code != byte(TypeNull) && f.d.err == nil
}

// mandatory says that the field read last must be there.
func (f *fieldReader) mandatory(present bool) {
	if !present && f.d.err == nil {
		f.d.failAs(ConditionInvalidField, "this field is mandatory, but absent")
	}
}

func (f *fieldReader) want(want Type, code byte) {
	got := typeOf(code).String()
	if code == codeDescribed {
		got = "a described value"
	}
	f.d.fail("expected %v, got %s", want, got)
}

func (f *fieldReader) boolean(name string) (o Optional[bool]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asBool(code); !o.Present {
			f.want(TypeBoolean, code)
		}
	}
	return o
}

// flag is a boolean whose default is false.
func (f *fieldReader) flag(name string) bool { return f.boolean(name).Value }

func (f *fieldReader) ubyte(name string) (o Optional[uint8]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asUbyte(code); !o.Present {
			f.want(TypeUbyte, code)
		}
	}
	return o
}

func (f *fieldReader) ushort(name string) (o Optional[uint16]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asUshort(code); !o.Present {
			f.want(TypeUshort, code)
		}
	}
	return o
}

func (f *fieldReader) uint(name string) (o Optional[uint32]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asUint(code); !o.Present {
			f.want(TypeUint, code)
		}
	}
	return o
}

func (f *fieldReader) mustUint(name string) uint32 {
	o := f.uint(name)
	f.mandatory(o.Present)
	return o.Value
}

func (f *fieldReader) ulong(name string) (o Optional[uint64]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asUlong(code); !o.Present {
			f.want(TypeUlong, code)
		}
	}
	return o
}

func (f *fieldReader) text(name string) (o Optional[string]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asString(code); !o.Present {
			f.want(TypeString, code)
		}
	}
	return o
}

func (f *fieldReader) symbol(name string) (o Optional[Symbol]) {
	if code, ok := f.next(name); ok {
		if o.Value, o.Present = f.d.asSymbol(code); !o.Present {
			f.want(TypeSymbol, code)
		}
	}
	return o
}

// binary is a copy: nil when absent, and not nil when empty.
func (f *fieldReader) binary(name string) []byte {
	code, ok := f.next(name)
	if !ok {
		return nil
	}
	raw, ok := f.d.asBinary(code)
	if !ok {
		f.want(TypeBinary, code)
		return nil
	}
	return append([]byte{}, raw...)
}

// mapping is nil when absent, and not nil when empty.
func (f *fieldReader) mapping(name string) Map {
	code, ok := f.next(name)
	if !ok {
		return nil
	}
	if typeOf(code) != TypeMap {
		f.want(TypeMap, code)
		return nil
	}
	return f.d.mapping(code)
}

// symbols reads a field that may have several: an array, or one symbol alone
// (part 1, 1.4). An empty array is the same as none.
func (f *fieldReader) symbols(name string) []Symbol {
	code, ok := f.next(name)
	if !ok {
		return nil
	}
	if one, ok := f.d.asSymbol(code); ok {
		return []Symbol{one}
	}
	if typeOf(code) != TypeArray {
		f.d.fail("expected an array of symbol or one symbol, got %v", typeOf(code))
		return nil
	}
	array := f.d.array(code)
	if array.Elem != TypeSymbol || array.Descriptors != nil {
		f.d.fail("expected an array of symbol, got one of %v", array.Elem)
		return nil
	}
	var symbols []Symbol
	for _, item := range array.Items {
		symbols = append(symbols, item.(Symbol))
	}
	return symbols
}

// described begins a field that is a composite itself.
func (f *fieldReader) described(name string) (descriptor uint64, present bool) {
	code, ok := f.next(name)
	if !ok {
		return 0, false
	}
	if code != codeDescribed {
		f.d.fail("expected a described list, got %v", typeOf(code))
		return 0, false
	}
	descriptor = f.d.descriptor()
	return descriptor, f.d.err == nil
}

// failure reads an error, nil when absent.
func (f *fieldReader) failure(name string) *Error {
	descriptor, ok := f.described(name)
	if !ok {
		return nil
	}
	if descriptor != descError {
		f.d.fail("expected an error, got the descriptor 0x%x", descriptor)
		return nil
	}
	return decodeError(f.d)
}

func decodeError(d *decoder) *Error {
	f, e := d.fields("error"), &Error{}
	condition := f.symbol("condition")
	f.mandatory(condition.Present)
	e.Condition = condition.Value
	e.Description = f.text("description").Value
	e.Info = f.mapping("info")
	f.end()
	return e
}
func (d *decoder) asUbyte(code byte) (v uint8, ok bool) {
	if code == byte(TypeUbyte) {
		return d.byte(), true
	}
	return 0, false
}

func (d *decoder) asUshort(code byte) (v uint16, ok bool) {
	if code == byte(TypeUshort) {
		return d.uint16(), true
	}
	return 0, false
}

func (d *decoder) asTimestamp(code byte) (v Timestamp, ok bool) {
	if code == byte(TypeTimestamp) {
		return Timestamp(d.uint64()), true
	}
	return 0, false
}
