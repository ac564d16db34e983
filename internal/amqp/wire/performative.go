package wire

// Performative is one of the pointers to Open, Begin, Attach, Flow, Transfer,
// Disposition, Detach, End and Close (part 2, 2.7): the body of an AMQP frame.
type Performative interface {
	appendTo(b []byte) ([]byte, error)
	performative()
}

// Open begins a connection (part 2, 2.7.1).
type Open struct {
	ContainerID         string
	Hostname            string
	MaxFrameSize        Optional[uint32] // bytes; absent: 4294967295
	ChannelMax          Optional[uint16] // absent: 65535
	IdleTimeOut         uint32           // milliseconds; 0: none
	OutgoingLocales     []Symbol
	IncomingLocales     []Symbol
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Begin begins a session (part 2, 2.7.2).
type Begin struct {
	RemoteChannel       Optional[uint16] // present in the answer to a begin
	NextOutgoingID      uint32
	IncomingWindow      uint32
	OutgoingWindow      uint32
	HandleMax           Optional[uint32] // absent: 4294967295
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Attach attaches a link to a session (part 2, 2.7.3). Of Target and
// Coordinator one at most is not nil.
type Attach struct {
	Name                 string
	Handle               uint32
	Role                 Role
	SenderSettleMode     Optional[SenderSettleMode]   // absent: mixed
	ReceiverSettleMode   Optional[ReceiverSettleMode] // absent: first
	Source               *Source
	Target               *Target
	Coordinator          *Coordinator
	Unsettled            Map // delivery-tags to delivery states; nil when absent
	IncompleteUnsettled  bool
	InitialDeliveryCount Optional[uint32] // mandatory from a sender
	MaxMessageSize       uint64           // bytes; 0: no limit
	OfferedCapabilities  []Symbol
	DesiredCapabilities  []Symbol
	Properties           Map
}

// Flow updates the windows of a session and, with a Handle, the credit of a
// link (part 2, 2.7.4).
type Flow struct {
	NextIncomingID Optional[uint32] // absent: no begin has come yet
	IncomingWindow uint32
	NextOutgoingID uint32
	OutgoingWindow uint32
	Handle         Optional[uint32]
	DeliveryCount  Optional[uint32]
	LinkCredit     Optional[uint32]
	Available      Optional[uint32]
	Drain          bool
	Echo           bool
	Properties     Map
}

// Transfer carries a message or a part of one (part 2, 2.7.5); the bytes are
// the frame's payload.
type Transfer struct {
	Handle             uint32
	DeliveryID         Optional[uint32] // present in the first transfer of a delivery
	DeliveryTag        []byte           // up to 32 bytes; nil when absent
	MessageFormat      Optional[uint32] // present in the first transfer of a delivery
	Settled            Optional[bool]   // absent: as the transfers before, at first false
	More               bool
	ReceiverSettleMode Optional[ReceiverSettleMode]
	State              DeliveryState
	Resume             bool
	Aborted            bool
	Batchable          bool
}

// Disposition tells the state of deliveries (part 2, 2.7.6).
type Disposition struct {
	Role      Role // of who sends it
	First     uint32
	Last      Optional[uint32] // absent: as First
	Settled   bool
	State     DeliveryState
	Batchable bool
}

// Detach detaches a link, and with Closed ends it (part 2, 2.7.7).
type Detach struct {
	Handle uint32
	Closed bool
	Error  *Error
}

// End ends a session (part 2, 2.7.8).
type End struct {
	Error *Error
}

// Close ends a connection (part 2, 2.7.9).
type Close struct {
	Error *Error
}

// Role is which end of a link speaks.
type Role bool

// The roles of part 2, 2.8.1.
const (
	RoleSender   Role = false
	RoleReceiver Role = true
)

// String is sender or receiver.
func (r Role) String() string {
	if r == RoleReceiver {
		return "receiver"
	}
	return "sender"
}

// SenderSettleMode says whether a sender settles what it sends.
type SenderSettleMode uint8

// The modes of part 2, 2.8.2.
const (
	SenderUnsettled SenderSettleMode = 0
	SenderSettled   SenderSettleMode = 1
	SenderMixed     SenderSettleMode = 2
)

// ReceiverSettleMode says when a receiver settles: at once, or after the sender.
type ReceiverSettleMode uint8

// The modes of part 2, 2.8.3.
const (
	ReceiverFirst  ReceiverSettleMode = 0
	ReceiverSecond ReceiverSettleMode = 1
)

// MaxDeliveryTag is the longest delivery-tag, in bytes (part 2, 2.8.7).
const MaxDeliveryTag = 32

func (*Open) performative()        {}
func (*Begin) performative()       {}
func (*Attach) performative()      {}
func (*Flow) performative()        {}
func (*Transfer) performative()    {}
func (*Disposition) performative() {}
func (*Detach) performative()      {}
func (*End) performative()         {}
func (*Close) performative()       {}
