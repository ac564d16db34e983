package wire

func (p *Open) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descOpen)
	w.text(p.ContainerID)
	w.textIf(p.Hostname)
	w.optUint(p.MaxFrameSize)
	w.optUshort(p.ChannelMax)
	w.uintIf(p.IdleTimeOut)
	w.symbolsIf(p.OutgoingLocales)
	w.symbolsIf(p.IncomingLocales)
	w.symbolsIf(p.OfferedCapabilities)
	w.symbolsIf(p.DesiredCapabilities)
	w.mapIf(p.Properties)
	return w.end()
}

func (p *Begin) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descBegin)
	w.optUshort(p.RemoteChannel)
	w.uint(p.NextOutgoingID)
	w.uint(p.IncomingWindow)
	w.uint(p.OutgoingWindow)
	w.optUint(p.HandleMax)
	w.symbolsIf(p.OfferedCapabilities)
	w.symbolsIf(p.DesiredCapabilities)
	w.mapIf(p.Properties)
	return w.end()
}

func (p *Attach) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descAttach)
	w.text(p.Name)
	w.uint(p.Handle)
	w.boolean(bool(p.Role))
	w.optUbyte(Optional[uint8]{uint8(p.SenderSettleMode.Value), p.SenderSettleMode.Present})
	w.optUbyte(Optional[uint8]{uint8(p.ReceiverSettleMode.Value), p.ReceiverSettleMode.Present})
	if w.present(p.Source != nil) {
		w.keep(p.Source.appendTo(w.buf))
	}
	p.appendTarget(&w)
	w.mapIf(p.Unsettled)
	w.booleanIf(p.IncompleteUnsettled)
	w.optUint(p.InitialDeliveryCount)
	w.ulongIf(p.MaxMessageSize)
	w.symbolsIf(p.OfferedCapabilities)
	w.symbolsIf(p.DesiredCapabilities)
	w.mapIf(p.Properties)
	return w.end()
}

func (p *Attach) appendTarget(w *fieldWriter) {
	switch {
	case p.Target != nil && p.Coordinator != nil:
		w.keep(w.buf, encodeErrorf("an attach has both a target and a coordinator"))
	case p.Coordinator != nil:
		w.put()
		w.keep(p.Coordinator.appendTo(w.buf))
	case w.present(p.Target != nil):
		w.keep(p.Target.appendTo(w.buf))
	}
}

func (p *Flow) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descFlow)
	w.optUint(p.NextIncomingID)
	w.uint(p.IncomingWindow)
	w.uint(p.NextOutgoingID)
	w.uint(p.OutgoingWindow)
	w.optUint(p.Handle)
	w.optUint(p.DeliveryCount)
	w.optUint(p.LinkCredit)
	w.optUint(p.Available)
	w.booleanIf(p.Drain)
	w.booleanIf(p.Echo)
	w.mapIf(p.Properties)
	return w.end()
}

func (p *Transfer) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descTransfer)
	if len(p.DeliveryTag) > MaxDeliveryTag {
		w.err = encodeErrorf("a delivery-tag of %d bytes is longer than %d", len(p.DeliveryTag), MaxDeliveryTag)
	}
	w.uint(p.Handle)
	w.optUint(p.DeliveryID)
	w.binaryIf(p.DeliveryTag)
	w.optUint(p.MessageFormat)
	w.optBoolean(p.Settled)
	w.booleanIf(p.More)
	w.optUbyte(Optional[uint8]{uint8(p.ReceiverSettleMode.Value), p.ReceiverSettleMode.Present})
	w.stateIf(p.State)
	w.booleanIf(p.Resume)
	w.booleanIf(p.Aborted)
	w.booleanIf(p.Batchable)
	return w.end()
}

func (p *Disposition) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descDisposition)
	w.boolean(bool(p.Role))
	w.uint(p.First)
	w.optUint(p.Last)
	w.booleanIf(p.Settled)
	w.stateIf(p.State)
	w.booleanIf(p.Batchable)
	return w.end()
}

func (p *Detach) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descDetach)
	w.uint(p.Handle)
	w.booleanIf(p.Closed)
	w.errorIf(p.Error)
	return w.end()
}

func (p *End) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descEnd)
	w.errorIf(p.Error)
	return w.end()
}

func (p *Close) appendTo(b []byte) ([]byte, error) {
	w := writeFields(b, descClose)
	w.errorIf(p.Error)
	return w.end()
}
