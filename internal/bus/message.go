package bus

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// maxIDBytes bounds message, session and partition ids, as Service Bus does.
const maxIDBytes = 128

// BodyKind says what the bytes of a body are.
type BodyKind uint8

// The kinds of body an AMQP message can have.
const (
	BodyNone         BodyKind = iota // no body section at all
	BodyData                         // the content of one data section
	BodyDataSections                 // several data sections, as their owner encoded them
	BodyValue                        // one encoded AMQP value
	BodySequence                     // encoded AMQP sequence sections
	bodyKinds
)

// Body is a message's content. The bus never looks inside.
type Body struct {
	Kind  BodyKind
	Bytes []byte
}

// Message is what a sender hands in.
type Message struct {
	// MessageID is at most 128 bytes. Default: 32 random hexadecimal digits.
	MessageID     string
	CorrelationID string
	// Subject is what older Service Bus clients call the label.
	Subject string
	To      string
	ReplyTo string
	// SessionID is nil for no session; an empty id is an id. At most 128 bytes.
	SessionID        *string
	ReplyToSessionID string
	ContentType      string
	PartitionKey     string
	// TTL counts from the moment the message becomes active, in whole
	// milliseconds, rounded up. 0: the queue's own, which is a ceiling too.
	TTL time.Duration
	// ScheduledEnqueueTime holds the message back until then. Zero, or a time
	// that has passed: active at once.
	ScheduledEnqueueTime time.Time
	// Properties are the application's own typed values.
	Properties Properties
	Body       Body
	// Extra is kept byte for byte for whoever speaks a protocol: annotations,
	// footer, the original encoding of a section.
	Extra []byte
}

// State tells where a message is. Its numbers are those of the AMQP annotation
// x-opt-message-state.
type State uint8

// The states of a message. A locked message is active, or deferred.
const (
	Active State = iota
	Deferred
	Scheduled
	states
)

// Received is a message as a receiver or a peek sees it.
type Received struct {
	Message // its Properties are those that were sent, with Amended set over them
	// Amended are the properties that were set after sending: by a settlement,
	// or as the reason for a dead letter. Nil: the message is as it was sent.
	Amended        Properties
	SequenceNumber int64
	// EnqueuedSequenceNumber is the number a dead letter had in its queue; 0
	// for a message that was never moved.
	EnqueuedSequenceNumber int64
	// EnqueuedTime is when the message became, or is to become, active.
	EnqueuedTime time.Time
	// ExpiresAt is zero for a message that never expires.
	ExpiresAt time.Time
	// DeliveryCount is how many earlier locks ended and counted: 0 on the
	// first delivery.
	DeliveryCount int
	State         State
	// DeadLetterSource names the queue a dead letter came from.
	DeadLetterSource string
	// DeadLetteredAt is when it was set aside.
	DeadLetteredAt time.Time
	// LockToken settles a locked message; zero after a peek or a
	// receive-and-delete.
	LockToken LockToken
	// LockedUntil is when the lock ends.
	LockedUntil time.Time
}

// LockToken names one lock: 16 random bytes, a version 4 UUID in RFC 9562
// order. Whoever has it may settle, from any connection.
type LockToken [16]byte

// newLockTokens fills tokens with one read of the random source.
func newLockTokens(tokens []LockToken) {
	buf := make([]byte, 16*len(tokens))
	_, _ = rand.Read(buf) // never fails
	for i := range tokens {
		copy(tokens[i][:], buf[16*i:])
		tokens[i][6] = tokens[i][6]&0x0f | 0x40
		tokens[i][8] = tokens[i][8]&0x3f | 0x80
	}
}

// NewMessageID is an id for a message that was sent without one: 32 random
// hexadecimal digits.
func NewMessageID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// record is a message as it is stored.
type record struct {
	messageID  string
	head       []byte
	properties []byte
	kind       BodyKind
	body       []byte
	extra      []byte
	amended    []byte // set after sending, apart so that what was sent stays as it was
}

// size is that of what was sent.
func (r *record) size() int {
	return len(r.messageID) + len(r.head) + len(r.properties) + len(r.body) + len(r.extra)
}

// newRecord validates and encodes a message.
func newRecord(m *Message, maxBytes int) (record, error) {
	if err := m.validate(); err != nil {
		return record{}, err
	}
	properties, err := m.Properties.encodeWithin(maxPropertiesBytes)
	if err != nil {
		return record{}, err
	}
	r := record{messageID: m.MessageID, head: encodeHead(m), properties: properties, kind: m.Body.Kind, body: m.Body.Bytes, extra: m.Extra}
	if r.messageID == "" {
		r.messageID = NewMessageID()
	}
	if r.size() > maxBytes {
		return record{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, r.size(), maxBytes)
	}
	return r, nil
}

func (m *Message) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	session := ""
	if m.SessionID != nil {
		session = *m.SessionID
	}
	for _, f := range [...]struct{ name, value string }{{"message id", m.MessageID}, {"session id", session}, {"partition key", m.PartitionKey}} {
		check(len(f.value) <= maxIDBytes, "a %s has at most %d bytes, this one has %d", f.name, maxIDBytes, len(f.value))
	}
	for _, s := range [...]string{m.MessageID, session, m.PartitionKey, m.CorrelationID, m.Subject, m.To, m.ReplyTo, m.ReplyToSessionID, m.ContentType} {
		check(utf8.ValidString(s), "a system field is not valid UTF-8")
	}
	check(m.TTL >= 0, "a time to live cannot be negative")
	check(m.Body.Kind < bodyKinds, "unknown body kind %d", m.Body.Kind)
	check(m.Body.Kind != BodyNone || len(m.Body.Bytes) == 0, "a message without a body cannot have body bytes")
	return errors.Join(errs...)
}

// message decodes what newRecord encoded. What is damaged is left out, and is
// the error.
func (r *record) message() (Message, error) {
	m := Message{MessageID: r.messageID, Body: Body{Kind: r.kind, Bytes: r.body}, Extra: r.extra}
	var errs []error
	if err := decodeHead(r.head, &m); err != nil {
		errs = append(errs, fmt.Errorf("read message head: %w", err))
	}
	var err error
	if m.Properties, err = decodeProperties(r.properties); err != nil {
		errs = append(errs, fmt.Errorf("read message properties: %w", err))
	}
	return m, errors.Join(errs...)
}
