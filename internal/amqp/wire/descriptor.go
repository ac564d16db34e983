package wire

// Descriptors of the composite types, as the short numbers of the
// specification; a peer may also send the name.
const (
	descOpen        = 0x10
	descBegin       = 0x11
	descAttach      = 0x12
	descFlow        = 0x13
	descTransfer    = 0x14
	descDisposition = 0x15
	descDetach      = 0x16
	descEnd         = 0x17
	descClose       = 0x18
	descError       = 0x1d

	descReceived = 0x23
	descAccepted = 0x24
	descRejected = 0x25
	descReleased = 0x26
	descModified = 0x27
	descSource   = 0x28
	descTarget   = 0x29

	descCoordinator        = 0x30
	descDeclared           = 0x33
	descTransactionalState = 0x34

	descSASLMechanisms = 0x40
	descSASLInit       = 0x41
	descSASLChallenge  = 0x42
	descSASLResponse   = 0x43
	descSASLOutcome    = 0x44

	descHeader                = 0x70
	descDeliveryAnnotations   = 0x71
	descMessageAnnotations    = 0x72
	descProperties            = 0x73
	descApplicationProperties = 0x74
	descData                  = 0x75
	descSequence              = 0x76
	descValue                 = 0x77
	descFooter                = 0x78
)

var descriptors = map[Symbol]uint64{
	"amqp:open:list":        descOpen,
	"amqp:begin:list":       descBegin,
	"amqp:attach:list":      descAttach,
	"amqp:flow:list":        descFlow,
	"amqp:transfer:list":    descTransfer,
	"amqp:disposition:list": descDisposition,
	"amqp:detach:list":      descDetach,
	"amqp:end:list":         descEnd,
	"amqp:close:list":       descClose,
	"amqp:error:list":       descError,

	"amqp:received:list": descReceived,
	"amqp:accepted:list": descAccepted,
	"amqp:rejected:list": descRejected,
	"amqp:released:list": descReleased,
	"amqp:modified:list": descModified,
	"amqp:source:list":   descSource,
	"amqp:target:list":   descTarget,

	"amqp:delete-on-close:list":                uint64(DeleteOnClose),
	"amqp:delete-on-no-links:list":             uint64(DeleteOnNoLinks),
	"amqp:delete-on-no-messages:list":          uint64(DeleteOnNoMessages),
	"amqp:delete-on-no-links-or-messages:list": uint64(DeleteOnNoLinksOrMessages),

	"amqp:coordinator:list":         descCoordinator,
	"amqp:declared:list":            descDeclared,
	"amqp:transactional-state:list": descTransactionalState,

	"amqp:sasl-mechanisms:list": descSASLMechanisms,
	"amqp:sasl-init:list":       descSASLInit,
	"amqp:sasl-challenge:list":  descSASLChallenge,
	"amqp:sasl-response:list":   descSASLResponse,
	"amqp:sasl-outcome:list":    descSASLOutcome,

	"amqp:header:list":                descHeader,
	"amqp:delivery-annotations:map":   descDeliveryAnnotations,
	"amqp:message-annotations:map":    descMessageAnnotations,
	"amqp:properties:list":            descProperties,
	"amqp:application-properties:map": descApplicationProperties,
	"amqp:data:binary":                descData,
	"amqp:amqp-sequence:list":         descSequence,
	"amqp:amqp-value:*":               descValue,
	"amqp:footer:map":                 descFooter,
}

// descriptor reads what follows the code of a described value. A symbol that
// the specification does not define is 0, which nothing has for a descriptor.
func (d *decoder) descriptor() uint64 {
	code := d.byte()
	if n, ok := d.asUlong(code); ok {
		return n
	}
	if name, ok := d.asSymbol(code); ok {
		return descriptors[name]
	}
	d.fail("expected a ulong or symbol descriptor, got %v", typeOf(code))
	return 0
}

// described reads the beginning of a composite: 0x00 and its descriptor.
func (d *decoder) described() uint64 {
	if code := d.byte(); code != codeDescribed && d.err == nil {
		d.fail("expected a described list, got %v", typeOf(code))
	}
	return d.descriptor()
}
