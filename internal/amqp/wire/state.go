package wire

// DeliveryState is one of the pointers to Received, Accepted, Rejected,
// Released, Modified (part 3, 3.4), Declared and TransactionalState (part 4,
// 4.5). A nil DeliveryState is an absent one.
type DeliveryState interface {
	appendTo(b []byte) ([]byte, error)
	deliveryState()
}

// Received says how much of a delivery has arrived, when a link resumes.
type Received struct {
	SectionNumber uint32
	SectionOffset uint64
}

// Accepted is the outcome of a message that was taken.
type Accepted struct{}

// Rejected is the outcome of a message that is invalid.
type Rejected struct {
	Error *Error // nil when absent
}

// Released is the outcome of a message that was not and will not be worked on.
type Released struct{}

// Modified is Released with changes.
type Modified struct {
	DeliveryFailed     bool
	UndeliverableHere  bool
	MessageAnnotations Map // nil when absent
}

// Declared is the outcome of a message that began a transaction.
type Declared struct {
	TxnID []byte
}

// TransactionalState is an outcome, or none yet, within a transaction.
type TransactionalState struct {
	TxnID   []byte
	Outcome DeliveryState // nil when absent
}

func (*Received) deliveryState()           {}
func (*Accepted) deliveryState()           {}
func (*Rejected) deliveryState()           {}
func (*Released) deliveryState()           {}
func (*Modified) deliveryState()           {}
func (*Declared) deliveryState()           {}
func (*TransactionalState) deliveryState() {}

// state reads a delivery state, nil when absent.
func (f *fieldReader) state(name string) DeliveryState {
	descriptor, ok := f.described(name)
	if !ok {
		return nil
	}
	return decodeState(f.d, descriptor)
}

func decodeState(d *decoder, descriptor uint64) (s DeliveryState) {
	switch descriptor {
	case descReceived:
		f, r := d.fields("received"), &Received{}
		r.SectionNumber = f.mustUint("section-number")
		offset := f.ulong("section-offset")
		f.mandatory(offset.Present)
		r.SectionOffset = offset.Value
		f.end()
		return r
	case descAccepted:
		f := d.fields("accepted")
		f.end()
		return &Accepted{}
	case descRejected:
		f, r := d.fields("rejected"), &Rejected{}
		r.Error = f.failure("error")
		f.end()
		return r
	case descReleased:
		f := d.fields("released")
		f.end()
		return &Released{}
	case descModified:
		f, m := d.fields("modified"), &Modified{}
		m.DeliveryFailed = f.flag("delivery-failed")
		m.UndeliverableHere = f.flag("undeliverable-here")
		m.MessageAnnotations = f.mapping("message-annotations")
		f.end()
		return m
	case descDeclared, descTransactionalState:
		return decodeTransactional(d, descriptor)
	}
	d.fail("expected a delivery state, got the descriptor 0x%x", descriptor)
	return nil
}

func decodeTransactional(d *decoder, descriptor uint64) DeliveryState {
	if descriptor == descDeclared {
		f, s := d.fields("declared"), &Declared{}
		s.TxnID = f.binary("txn-id")
		f.mandatory(s.TxnID != nil)
		f.end()
		return s
	}
	f, s := d.fields("transactional-state"), &TransactionalState{}
	s.TxnID = f.binary("txn-id")
	f.mandatory(s.TxnID != nil)
	s.Outcome = f.state("outcome")
	f.end()
	return s
}

func (r *Received) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descReceived)
	w.uint(r.SectionNumber)
	w.ulong(r.SectionOffset)
	return w.end()
}

func (*Accepted) appendTo(b []byte) ([]byte, error) {
	return append(b, codeDescribed, codeSmallUlong, descAccepted, codeList0), nil
}

func (r *Rejected) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descRejected)
	w.errorIf(r.Error)
	return w.end()
}

func (*Released) appendTo(b []byte) ([]byte, error) {
	return append(b, codeDescribed, codeSmallUlong, descReleased, codeList0), nil
}

func (m *Modified) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descModified)
	w.booleanIf(m.DeliveryFailed)
	w.booleanIf(m.UndeliverableHere)
	w.mapIf(m.MessageAnnotations)
	return w.end()
}

func (s *Declared) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descDeclared)
	w.binary(s.TxnID)
	return w.end()
}

func (s *TransactionalState) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descTransactionalState)
	w.binary(s.TxnID)
	w.stateIf(s.Outcome)
	return w.end()
}
