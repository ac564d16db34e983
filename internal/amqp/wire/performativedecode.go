package wire

// DecodePerformative reads the body of an AMQP frame. Only a Transfer has a
// payload, which is part of body; everything else is a copy. An empty body is
// an error here: see Frame.Empty.
func DecodePerformative(body []byte) (p Performative, payload []byte, err error) {
	d := newDecoder(body)
	p = decodePerformative(&d)
	if _, ok := p.(*Transfer); !ok && len(d.buf) > 0 {
		d.fail("%d bytes are left after a performative that has no payload", len(d.buf))
	}
	if d.err != nil {
		return nil, nil, d.err
	}
	return p, d.rest(), nil
}

func decodePerformative(d *decoder) Performative {
	switch descriptor := d.described(); descriptor {
	case descOpen:
		return decodeOpen(d)
	case descBegin:
		return decodeBegin(d)
	case descAttach:
		return decodeAttach(d)
	case descFlow:
		return decodeFlow(d)
	case descTransfer:
		return decodeTransfer(d)
	case descDisposition:
		return decodeDisposition(d)
	case descDetach:
		f, p := d.fields("detach"), &Detach{}
		p.Handle = f.mustUint("handle")
		p.Closed = f.flag("closed")
		p.Error = f.failure("error")
		f.end()
		return p
	case descEnd:
		f, p := d.fields("end"), &End{}
		p.Error = f.failure("error")
		f.end()
		return p
	case descClose:
		f, p := d.fields("close"), &Close{}
		p.Error = f.failure("error")
		f.end()
		return p
	default:
		d.fail("expected a performative, got the descriptor 0x%x", descriptor)
		return nil
	}
}

func decodeOpen(d *decoder) *Open {
	f, p := d.fields("open"), &Open{}
	id := f.text("container-id")
	f.mandatory(id.Present)
	p.ContainerID = id.Value
	p.Hostname = f.text("hostname").Value
	p.MaxFrameSize = f.uint("max-frame-size")
	p.ChannelMax = f.ushort("channel-max")
	p.IdleTimeOut = f.uint("idle-time-out").Value
	p.OutgoingLocales = f.symbols("outgoing-locales")
	p.IncomingLocales = f.symbols("incoming-locales")
	p.OfferedCapabilities = f.symbols("offered-capabilities")
	p.DesiredCapabilities = f.symbols("desired-capabilities")
	p.Properties = f.mapping("properties")
	f.end()
	return p
}

func decodeBegin(d *decoder) *Begin {
	f, p := d.fields("begin"), &Begin{}
	p.RemoteChannel = f.ushort("remote-channel")
	p.NextOutgoingID = f.mustUint("next-outgoing-id")
	p.IncomingWindow = f.mustUint("incoming-window")
	p.OutgoingWindow = f.mustUint("outgoing-window")
	p.HandleMax = f.uint("handle-max")
	p.OfferedCapabilities = f.symbols("offered-capabilities")
	p.DesiredCapabilities = f.symbols("desired-capabilities")
	p.Properties = f.mapping("properties")
	f.end()
	return p
}

func decodeAttach(d *decoder) *Attach {
	f, p := d.fields("attach"), &Attach{}
	name := f.text("name")
	f.mandatory(name.Present)
	p.Name = name.Value
	p.Handle = f.mustUint("handle")
	p.Role = f.role("role")
	p.SenderSettleMode = f.senderSettleMode("snd-settle-mode")
	p.ReceiverSettleMode = f.receiverSettleMode("rcv-settle-mode")
	p.Source = f.source("source")
	p.Target, p.Coordinator = f.target("target")
	p.Unsettled = f.mapping("unsettled")
	p.IncompleteUnsettled = f.flag("incomplete-unsettled")
	p.InitialDeliveryCount = f.uint("initial-delivery-count")
	p.MaxMessageSize = f.ulong("max-message-size").Value
	p.OfferedCapabilities = f.symbols("offered-capabilities")
	p.DesiredCapabilities = f.symbols("desired-capabilities")
	p.Properties = f.mapping("properties")
	f.end()
	return p
}

func decodeFlow(d *decoder) *Flow {
	f, p := d.fields("flow"), &Flow{}
	p.NextIncomingID = f.uint("next-incoming-id")
	p.IncomingWindow = f.mustUint("incoming-window")
	p.NextOutgoingID = f.mustUint("next-outgoing-id")
	p.OutgoingWindow = f.mustUint("outgoing-window")
	p.Handle = f.uint("handle")
	p.DeliveryCount = f.uint("delivery-count")
	p.LinkCredit = f.uint("link-credit")
	p.Available = f.uint("available")
	p.Drain = f.flag("drain")
	p.Echo = f.flag("echo")
	p.Properties = f.mapping("properties")
	f.end()
	return p
}

func decodeTransfer(d *decoder) *Transfer {
	f, p := d.fields("transfer"), &Transfer{}
	p.Handle = f.mustUint("handle")
	p.DeliveryID = f.uint("delivery-id")
	p.DeliveryTag = f.binary("delivery-tag")
	if len(p.DeliveryTag) > MaxDeliveryTag {
		f.d.failAs(ConditionInvalidField, "%d bytes are more than %d", len(p.DeliveryTag), MaxDeliveryTag)
	}
	p.MessageFormat = f.uint("message-format")
	p.Settled = f.boolean("settled")
	p.More = f.flag("more")
	p.ReceiverSettleMode = f.receiverSettleMode("rcv-settle-mode")
	p.State = f.state("state")
	p.Resume = f.flag("resume")
	p.Aborted = f.flag("aborted")
	p.Batchable = f.flag("batchable")
	f.end()
	return p
}

func decodeDisposition(d *decoder) *Disposition {
	f, p := d.fields("disposition"), &Disposition{}
	p.Role = f.role("role")
	p.First = f.mustUint("first")
	p.Last = f.uint("last")
	p.Settled = f.flag("settled")
	p.State = f.state("state")
	p.Batchable = f.flag("batchable")
	f.end()
	return p
}

func (f *fieldReader) role(name string) Role {
	o := f.boolean(name)
	f.mandatory(o.Present)
	return Role(o.Value)
}

func (f *fieldReader) senderSettleMode(name string) Optional[SenderSettleMode] {
	o := f.ubyte(name)
	if o.Value > uint8(SenderMixed) {
		f.d.failAs(ConditionInvalidField, "%d is none of 0, 1 and 2", o.Value)
	}
	return Optional[SenderSettleMode]{SenderSettleMode(o.Value), o.Present}
}

func (f *fieldReader) receiverSettleMode(name string) Optional[ReceiverSettleMode] {
	o := f.ubyte(name)
	if o.Value > uint8(ReceiverSecond) {
		f.d.failAs(ConditionInvalidField, "%d is neither 0 nor 1", o.Value)
	}
	return Optional[ReceiverSettleMode]{ReceiverSettleMode(o.Value), o.Present}
}
