package wire

// Source is where a link's messages come from (part 3, 3.5.3). A null source
// in an attach, which announces a refusal, is a nil *Source.
type Source struct {
	Address               Optional[string]
	Durable               TerminusDurability
	ExpiryPolicy          Symbol // "" is session-end
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	DistributionMode      Symbol // "move", "copy", or ""
	Filter                Map    // values described or bare, as they came
	DefaultOutcome        DeliveryState
	Outcomes              []Symbol
	Capabilities          []Symbol
}

// Target is where a link's messages go (part 3, 3.5.4). A null target is a nil
// *Target.
type Target struct {
	Address               Optional[string]
	Durable               TerminusDurability
	ExpiryPolicy          Symbol // "" is session-end
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	Capabilities          []Symbol
}

// Coordinator is the target of a link that controls transactions (part 4,
// 4.5.1).
type Coordinator struct {
	Capabilities []Symbol
}

// TerminusDurability says what of a terminus is to be kept.
type TerminusDurability uint32

// The durabilities of part 3, 3.5.5.
const (
	DurabilityNone           TerminusDurability = 0
	DurabilityConfiguration  TerminusDurability = 1
	DurabilityUnsettledState TerminusDurability = 2
)

// Expiry policies (part 3, 3.5.6): when the timeout of a terminus begins.
const (
	ExpiryLinkDetach      Symbol = "link-detach"
	ExpirySessionEnd      Symbol = "session-end"
	ExpiryConnectionClose Symbol = "connection-close"
	ExpiryNever           Symbol = "never"
)

// LifetimePolicy says when a dynamic node goes (part 3, 3.5.10 to 3.5.13). It
// is the value of the key lifetime-policy in DynamicNodeProperties.
type LifetimePolicy uint64

// The lifetime policies.
const (
	DeleteOnClose             LifetimePolicy = 0x2b
	DeleteOnNoLinks           LifetimePolicy = 0x2c
	DeleteOnNoMessages        LifetimePolicy = 0x2d
	DeleteOnNoLinksOrMessages LifetimePolicy = 0x2e
)

// Described is the policy as a value of DynamicNodeProperties.
func (p LifetimePolicy) Described() Described { return Described{uint64(p), List{}} }

// LifetimePolicyOf finds the policy in DynamicNodeProperties; false when there
// is none that the specification knows.
func LifetimePolicyOf(properties Map) (LifetimePolicy, bool) {
	v, _ := properties.Get("lifetime-policy")
	d, _ := v.(Described)
	var code uint64
	switch descriptor := d.Descriptor.(type) {
	case uint64:
		code = descriptor
	case Symbol:
		code = descriptors[descriptor]
	}
	p := LifetimePolicy(code)
	return p, p >= DeleteOnClose && p <= DeleteOnNoLinksOrMessages
}

func (f *fieldReader) durability(name string) TerminusDurability {
	v := f.uint(name).Value
	if v > uint32(DurabilityUnsettledState) {
		f.d.failAs(ConditionInvalidField, "%d is none of 0, 1 and 2", v)
	}
	return TerminusDurability(v)
}

// source reads a source, nil when absent.
func (f *fieldReader) source(name string) *Source {
	descriptor, ok := f.described(name)
	if !ok {
		return nil
	}
	if descriptor != descSource {
		f.d.fail("expected a source, got the descriptor 0x%x", descriptor)
		return nil
	}
	g, s := f.d.fields("source"), &Source{}
	s.Address = g.text("address")
	s.Durable = g.durability("durable")
	s.ExpiryPolicy = g.symbol("expiry-policy").Value
	s.Timeout = g.uint("timeout").Value
	s.Dynamic = g.flag("dynamic")
	s.DynamicNodeProperties = g.mapping("dynamic-node-properties")
	s.DistributionMode = g.symbol("distribution-mode").Value
	s.Filter = g.mapping("filter")
	s.DefaultOutcome = g.state("default-outcome")
	s.Outcomes = g.symbols("outcomes")
	s.Capabilities = g.symbols("capabilities")
	g.end()
	return s
}

// target reads a target or a coordinator; both are nil when absent.
func (f *fieldReader) target(name string) (*Target, *Coordinator) {
	descriptor, ok := f.described(name)
	if !ok {
		return nil, nil
	}
	switch descriptor {
	case descTarget:
		return decodeTarget(f.d), nil
	case descCoordinator:
		g, c := f.d.fields("coordinator"), &Coordinator{}
		c.Capabilities = g.symbols("capabilities")
		g.end()
		return nil, c
	}
	f.d.fail("expected a target or a coordinator, got the descriptor 0x%x", descriptor)
	return nil, nil
}

func decodeTarget(d *decoder) *Target {
	g, t := d.fields("target"), &Target{}
	t.Address = g.text("address")
	t.Durable = g.durability("durable")
	t.ExpiryPolicy = g.symbol("expiry-policy").Value
	t.Timeout = g.uint("timeout").Value
	t.Dynamic = g.flag("dynamic")
	t.DynamicNodeProperties = g.mapping("dynamic-node-properties")
	t.Capabilities = g.symbols("capabilities")
	g.end()
	return t
}

func (s *Source) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descSource)
	w.optText(s.Address)
	w.uintIf(uint32(s.Durable))
	w.symbolIf(s.ExpiryPolicy)
	w.uintIf(s.Timeout)
	w.booleanIf(s.Dynamic)
	w.mapIf(s.DynamicNodeProperties)
	w.symbolIf(s.DistributionMode)
	w.mapIf(s.Filter)
	w.stateIf(s.DefaultOutcome)
	w.symbolsIf(s.Outcomes)
	w.symbolsIf(s.Capabilities)
	return w.end()
}

func (t *Target) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descTarget)
	w.optText(t.Address)
	w.uintIf(uint32(t.Durable))
	w.symbolIf(t.ExpiryPolicy)
	w.uintIf(t.Timeout)
	w.booleanIf(t.Dynamic)
	w.mapIf(t.DynamicNodeProperties)
	w.symbolsIf(t.Capabilities)
	return w.end()
}

func (c *Coordinator) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descCoordinator)
	w.symbolsIf(c.Capabilities)
	return w.end()
}
