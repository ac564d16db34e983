package wire

// A fieldWriter writes a composite field by field. Absent fields are nulls,
// which are written only when another field follows: the last fields of a
// composite may be left out. A fieldWriter stays on its caller's stack.
type fieldWriter struct {
	buf   []byte
	start int
	count int
	nulls int // absent fields not yet written
	err   error
}

func writeFields(b []byte, descriptor byte) fieldWriter {
	b, start := openCompound(append(b, codeDescribed, codeSmallUlong, descriptor))
	return fieldWriter{buf: b, start: start}
}

// end returns b together with the composite.
func (w *fieldWriter) end() ([]byte, error) {
	if w.count == 0 {
		return append(w.buf[:w.start], codeList0), w.err
	}
	return closeCompound(w.buf, w.start, codeList8, w.count), w.err
}

// put is where a field begins that is there.
func (w *fieldWriter) put() {
	for ; w.nulls > 0; w.nulls-- {
		w.buf = append(w.buf, byte(TypeNull))
		w.count++
	}
	w.count++
}

// present is where any field begins.
func (w *fieldWriter) present(present bool) bool {
	if present {
		w.put()
	} else {
		w.nulls++
	}
	return present
}

// The functions that take a plain value write it always, those that take an
// Optional when it is present, and those named If when it is not zero.

func (w *fieldWriter) boolean(v bool) {
	w.put()
	w.buf = appendBool(w.buf, v)
}

func (w *fieldWriter) booleanIf(v bool) {
	if w.present(v) {
		w.buf = appendBool(w.buf, v)
	}
}

func (w *fieldWriter) optBoolean(o Optional[bool]) {
	if w.present(o.Present) {
		w.buf = appendBool(w.buf, o.Value)
	}
}

func (w *fieldWriter) ubyte(v uint8) {
	w.put()
	w.buf = append(w.buf, byte(TypeUbyte), v)
}

func (w *fieldWriter) optUbyte(o Optional[uint8]) {
	if w.present(o.Present) {
		w.buf = append(w.buf, byte(TypeUbyte), o.Value)
	}
}

func (w *fieldWriter) optUshort(o Optional[uint16]) {
	if w.present(o.Present) {
		w.buf = append(w.buf, byte(TypeUshort), byte(o.Value>>8), byte(o.Value))
	}
}

func (w *fieldWriter) uint(v uint32) {
	w.put()
	w.buf = appendUint(w.buf, v)
}

func (w *fieldWriter) uintIf(v uint32) {
	if w.present(v != 0) {
		w.buf = appendUint(w.buf, v)
	}
}

func (w *fieldWriter) optUint(o Optional[uint32]) {
	if w.present(o.Present) {
		w.buf = appendUint(w.buf, o.Value)
	}
}

func (w *fieldWriter) ulong(v uint64) {
	w.put()
	w.buf = appendUlong(w.buf, v)
}

func (w *fieldWriter) ulongIf(v uint64) {
	if w.present(v != 0) {
		w.buf = appendUlong(w.buf, v)
	}
}

func (w *fieldWriter) text(v string) {
	w.put()
	w.keep(appendString(w.buf, v))
}

func (w *fieldWriter) textIf(v string) {
	if w.present(v != "") {
		w.keep(appendString(w.buf, v))
	}
}

func (w *fieldWriter) optText(o Optional[string]) {
	if w.present(o.Present) {
		w.keep(appendString(w.buf, o.Value))
	}
}

func (w *fieldWriter) symbol(v Symbol) {
	w.put()
	w.keep(appendSymbol(w.buf, v))
}

func (w *fieldWriter) symbolIf(v Symbol) {
	if w.present(v != "") {
		w.keep(appendSymbol(w.buf, v))
	}
}

func (w *fieldWriter) binary(v []byte) {
	w.put()
	w.buf = appendBinary(w.buf, v)
}

// binaryIf tells nil, which is absent, from empty.
func (w *fieldWriter) binaryIf(v []byte) {
	if w.present(v != nil) {
		w.buf = appendBinary(w.buf, v)
	}
}

// mapIf tells nil, which is absent, from empty.
func (w *fieldWriter) mapIf(m Map) {
	if w.present(m != nil) {
		w.keep(appendMap(w.buf, m, 2))
	}
}

// symbols writes an array also for one symbol, as every peer does.
func (w *fieldWriter) symbols(v []Symbol) {
	w.put()
	w.keep(appendArray(w.buf, ArrayOf(v...), 2))
}

func (w *fieldWriter) symbolsIf(v []Symbol) {
	if len(v) == 0 {
		w.nulls++
		return
	}
	w.symbols(v)
}

func (w *fieldWriter) errorIf(e *Error) {
	if w.present(e != nil) {
		w.keep(e.appendTo(w.buf))
	}
}

func (w *fieldWriter) stateIf(s DeliveryState) {
	if w.present(s != nil) {
		w.keep(s.appendTo(w.buf))
	}
}

func (w *fieldWriter) keep(b []byte, err error) {
	w.buf = b
	if w.err == nil {
		w.err = err
	}
}

func (e *Error) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descError)
	w.symbol(e.Condition)
	w.textIf(e.Description)
	w.mapIf(e.Info)
	return w.end()
}
