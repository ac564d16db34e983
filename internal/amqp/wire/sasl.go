package wire

// SASL is one of the pointers to SASLMechanisms, SASLInit, SASLChallenge,
// SASLResponse and SASLOutcome (part 5, 5.3.3): the body of a SASL frame.
type SASL interface {
	appendTo(b []byte) ([]byte, error)
	sasl()
}

// SASLMechanisms is what the server offers, best first.
type SASLMechanisms struct {
	Mechanisms []Symbol // mandatory
}

// SASLInit is what the client chose.
type SASLInit struct {
	Mechanism       Symbol
	InitialResponse []byte // nil when absent; may hold a password
	Hostname        string
}

// SASLChallenge is the server's question.
type SASLChallenge struct {
	Challenge []byte // mandatory
}

// SASLResponse is the client's answer; it may hold a secret.
type SASLResponse struct {
	Response []byte // mandatory
}

// SASLOutcome ends the exchange.
type SASLOutcome struct {
	Code           SASLCode
	AdditionalData []byte // nil when absent
}

// SASLCode is how a SASL exchange ended.
type SASLCode uint8

// The codes of part 5, 5.3.3.6.
const (
	SASLOk            SASLCode = 0 // authenticated
	SASLAuthFailed    SASLCode = 1 // the credentials are wrong
	SASLSystemError   SASLCode = 2 // it failed for another reason
	SASLSystemPerm    SASLCode = 3 // and will fail again
	SASLSystemTempErr SASLCode = 4 // and may work later
)

func (*SASLMechanisms) sasl() {}
func (*SASLInit) sasl()       {}
func (*SASLChallenge) sasl()  {}
func (*SASLResponse) sasl()   {}
func (*SASLOutcome) sasl()    {}

// DecodeSASL reads the body of a SASL frame. The result shares no memory with
// body.
func DecodeSASL(body []byte) (SASL, error) {
	d := newDecoder(body)
	s := decodeSASL(&d)
	if len(d.buf) > 0 {
		d.fail("%d bytes are left after the body of a SASL frame", len(d.buf))
	}
	if d.err != nil {
		return nil, d.err
	}
	return s, nil
}

func decodeSASL(d *decoder) SASL {
	switch descriptor := d.described(); descriptor {
	case descSASLMechanisms:
		f, m := d.fields("sasl-mechanisms"), &SASLMechanisms{}
		m.Mechanisms = f.symbols("sasl-server-mechanisms")
		f.mandatory(m.Mechanisms != nil)
		f.end()
		return m
	case descSASLInit:
		f, i := d.fields("sasl-init"), &SASLInit{}
		mechanism := f.symbol("mechanism")
		f.mandatory(mechanism.Present)
		i.Mechanism = mechanism.Value
		i.InitialResponse = f.binary("initial-response")
		i.Hostname = f.text("hostname").Value
		f.end()
		return i
	case descSASLChallenge:
		f, c := d.fields("sasl-challenge"), &SASLChallenge{}
		c.Challenge = f.binary("challenge")
		f.mandatory(c.Challenge != nil)
		f.end()
		return c
	case descSASLResponse:
		f, r := d.fields("sasl-response"), &SASLResponse{}
		r.Response = f.binary("response")
		f.mandatory(r.Response != nil)
		f.end()
		return r
	case descSASLOutcome:
		f, o := d.fields("sasl-outcome"), &SASLOutcome{}
		code := f.ubyte("code")
		f.mandatory(code.Present)
		o.Code = SASLCode(code.Value)
		o.AdditionalData = f.binary("additional-data")
		f.end()
		return o
	default:
		d.fail("expected the body of a SASL frame, got the descriptor 0x%x", descriptor)
		return nil
	}
}

func (m *SASLMechanisms) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descSASLMechanisms)
	w.symbols(m.Mechanisms)
	return w.end()
}

func (i *SASLInit) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descSASLInit)
	w.symbol(i.Mechanism)
	w.binaryIf(i.InitialResponse)
	w.textIf(i.Hostname)
	return w.end()
}

func (c *SASLChallenge) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descSASLChallenge)
	w.binary(c.Challenge)
	return w.end()
}

func (r *SASLResponse) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descSASLResponse)
	w.binary(r.Response)
	return w.end()
}

func (o *SASLOutcome) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descSASLOutcome)
	w.ubyte(uint8(o.Code))
	w.binaryIf(o.AdditionalData)
	return w.end()
}
