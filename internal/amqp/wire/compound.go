package wire

// narrow makes the next size bytes all that there is to read and tells how many
// follow them. They stay within the capacity of buf, where leave finds them: a
// number needs no place on the heap.
func (d *decoder) narrow(size int) (hidden int) {
	if size > len(d.buf) || size < 0 {
		d.take(size) // says so
		return 0
	}
	hidden = len(d.buf) - size
	d.buf = d.buf[:size]
	return hidden
}

// enter begins a list or a map, of which code has been read: its elements are
// all that there is to read until leave is given hidden.
func (d *decoder) enter(code byte) (count, hidden int) {
	if code == codeList0 {
		hidden = d.narrow(0)
		d.down()
		return 0, hidden
	}
	hidden = d.narrow(d.length(code))
	if !d.down() {
		return 0, 0
	}
	count = d.length(code)
	d.charge(count)
	if d.err != nil {
		return 0, 0
	}
	return count, hidden
}

// charge pays for elements that take a byte each, at least.
func (d *decoder) charge(count int) {
	if count > len(d.buf) || count > d.budget {
		d.fail("%d elements are claimed, but %d bytes are left", count, len(d.buf))
		return
	}
	d.budget -= count
}

func (d *decoder) leave(hidden int) {
	if len(d.buf) > 0 {
		d.fail("%d bytes are left after the last element", len(d.buf))
	}
	d.depth--
	if d.err == nil {
		d.buf = d.buf[:hidden]
	}
}

func (d *decoder) list(code byte) List {
	count, hidden := d.enter(code)
	list := make(List, 0, count)
	for range count {
		list = append(list, d.value())
		if d.err != nil {
			return nil
		}
	}
	d.leave(hidden)
	return list
}

// mapping also refuses a key that is there twice (part 1, 1.6.23).
func (d *decoder) mapping(code byte) Map {
	count, hidden := d.enter(code)
	if count%2 == 1 {
		d.fail("a map has %d elements: expected an even number", count)
		return nil
	}
	m := make(Map, 0, count/2)
	for range count / 2 {
		m = append(m, Pair{d.value(), d.value()})
		if d.err != nil {
			return nil
		}
	}
	d.leave(hidden)
	if i := repeated(m); i >= 0 {
		d.fail("the key of entry %d of a map is there before", i+1)
	}
	return m
}

// array reads size, count, the one constructor, and the elements.
func (d *decoder) array(code byte) Array {
	hidden := d.narrow(d.length(code))
	if !d.down() {
		return Array{}
	}
	count := d.length(code)
	var a Array
	elem := d.byte()
	for elem == codeDescribed && d.err == nil {
		if len(a.Descriptors) == MaxDepth-d.depth {
			d.fail("values are nested more than %d deep", MaxDepth)
			return Array{}
		}
		a.Descriptors = append(a.Descriptors, d.value())
		elem = d.byte()
	}
	a.Elem = typeOf(elem)
	d.chargeArray(a.Elem, elem, count)
	if d.err != nil {
		return Array{}
	}
	a.Items = make([]any, 0, count)
	for range count {
		a.Items = append(a.Items, d.primitive(elem))
		if d.err != nil {
			return Array{}
		}
	}
	d.leave(hidden)
	return a
}

func (d *decoder) chargeArray(t Type, code byte, count int) {
	switch {
	case typeNames[t] == "":
		d.fail("0x%02x is no format code", code)
	case code&0xf0 != 0x40:
		d.charge(count)
	case count > d.zeros:
		d.fail("arrays have more than %d elements without a byte", MaxZeroWidth)
	default:
		d.zeros -= count
	}
}

// repeated is the index of the first entry whose key an earlier one has, or -1.
// Keys that are compound or described, which nobody sends, are not compared.
// Few keys are compared one by one, which needs no memory.
func repeated(m Map) int {
	if len(m) > 8 {
		return repeatedOfMany(m)
	}
	for i := range m {
		for j := range i {
			if sameKey(m[i].Key, m[j].Key) {
				return i
			}
		}
	}
	return -1
}

func repeatedOfMany(m Map) int {
	seen := make(map[any]struct{}, len(m))
	for i := range m {
		key, ok := hashable(m[i].Key)
		if _, found := seen[key]; found && ok {
			return i
		}
		if ok {
			seen[key] = struct{}{}
		}
	}
	return -1
}

func sameKey(a, b any) bool {
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return ok && x == y
	case Symbol:
		y, ok := b.(Symbol)
		return ok && x == y
	}
	x, okX := hashable(a)
	y, okY := hashable(b)
	return okX && okY && x == y
}

// binaryKey stands for a binary, which Go does not compare.
type binaryKey string

func hashable(key any) (v any, ok bool) {
	switch key := key.(type) {
	case []byte:
		return binaryKey(key), true
	case List, Map, Array, Described:
		return nil, false
	}
	return key, true
}

// skip passes over one value by its size alone, without looking inside.
func (d *decoder) skip() {
	code := d.byte()
	if code != codeDescribed {
		d.skipBody(code)
		return
	}
	if d.down() {
		d.skip()
		d.skip()
		d.depth--
	}
}

// skipBody passes over what follows a format code, whose upper half says how
// long that is (part 1, 1.2).
func (d *decoder) skipBody(code byte) {
	if typeNames[typeOf(code)] == "" {
		d.fail("0x%02x is no format code", code)
	}
	switch code >> 4 {
	case 0x5:
		d.take(1)
	case 0x6:
		d.take(2)
	case 0x7:
		d.take(4)
	case 0x8:
		d.take(8)
	case 0x9:
		d.take(16)
	case 0xa, 0xb, 0xc, 0xd, 0xe, 0xf:
		d.take(d.length(code))
	}
}
