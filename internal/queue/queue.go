// Package queue is the contract between Bellhop and a message queue, whichever
// one carries the messages: the embedded bus, Redis, Azure Service Bus.
//
// A queue is transport, never truth. It may deliver a message twice, late, or
// (after a purge or a power cut) not at all; the ledger decides what a message
// still means. What a driver must promise is small: a message it has taken is
// delivered at least once while the broker keeps its data, a delivery that is
// held is not given to anyone else until its lock ends, and a delivery that
// was completed does not come again.
//
// Every driver passes the suite in queue/queuetest and declares there what it
// cannot do.
package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrLockLost is returned when a delivery is settled or renewed after its
	// lock has ended. The message has gone back to the queue or on to someone
	// else. It is normal: treat it as "not mine any more".
	ErrLockLost = errors.New("queue: the lock on this message has ended")
	// ErrClosed is returned by everything after Close.
	ErrClosed = errors.New("queue: closed")
	// ErrUnknownQueue is returned for a queue that does not exist.
	ErrUnknownQueue = errors.New("queue: no such queue")
	// ErrTooLarge is returned for a message over the broker's limit.
	ErrTooLarge = errors.New("queue: message too large")
)

// Message is what travels: ids and a generation, never an address, a name or
// a token.
type Message struct {
	// ID names this try to send. It must be fresh each time: a broker's
	// duplicate window would swallow a retry under the same id.
	ID string
	// Properties are short strings a person may want to see in a broker's
	// tools. Keys and values are at most 255 bytes.
	Properties map[string]string
	// Body is opaque to the queue. At most 64 KiB.
	Body []byte
}

// Limits of a [Message], and of what is said of a dead letter.
const (
	maxBodyBytes     = 64 << 10
	maxPropertyBytes = 255

	// MaxReasonBytes is where [ClipReason] cuts.
	MaxReasonBytes = 4096
)

// CheckSize is [ErrTooLarge], with what is too large, for a message over the
// contract's limits. Drivers call it before they send.
func (m Message) CheckSize() error {
	if len(m.Body) > maxBodyBytes {
		return fmt.Errorf("%w: a body of %d bytes, the limit is %d", ErrTooLarge, len(m.Body), maxBodyBytes)
	}
	for key, value := range m.Properties {
		if max(len(key), len(value)) > maxPropertyBytes {
			return fmt.Errorf("%w: property %q has a name or value over %d bytes", ErrTooLarge, key, maxPropertyBytes)
		}
	}
	return nil
}

// ClipReason makes the reason or description of a dead letter, which may come
// from anywhere, fit for a person: UTF-8 of at most [MaxReasonBytes].
func ClipReason(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= MaxReasonBytes {
		return s
	}
	return strings.ToValidUTF8(s[:MaxReasonBytes], "")
}

// Queue is one broker with its named queues. All methods may be called
// concurrently. After Close every call returns [ErrClosed].
type Queue interface {
	Sender
	// Receiver opens a receiver on the named queue. [ErrUnknownQueue] if the
	// broker has no such queue; a driver may report it at the first Receive.
	Receiver(name string) (Receiver, error)
	// Close ends all receivers; deliveries still held lose their locks in time.
	Close(ctx context.Context) error
}

// Sender puts messages in a queue.
type Sender interface {
	// Send returns nil once the broker has taken all messages, in one step:
	// on an error none or, where the answer was lost, all of them may be
	// there. Sending no messages is allowed and does nothing.
	Send(ctx context.Context, name string, messages ...Message) error
}

// Receiver takes messages from one queue, oldest first as far as the broker
// can. It may be used by several goroutines.
type Receiver interface {
	// Receive waits until at least one message is there and returns at most
	// limit (at least 1), each locked for this receiver. When ctx ends first
	// it returns ctx's error and holds nothing.
	Receive(ctx context.Context, limit int) ([]Delivery, error)
	// Close ends the receiver. A waiting Receive returns [ErrClosed].
	Close(ctx context.Context) error
}

// Delivery is one message held under a lock. Exactly one of Complete, Abandon
// and DeadLetter should be called, once; each returns [ErrLockLost] when the
// lock has ended before. A repeated settlement is [ErrLockLost] too.
type Delivery interface {
	// Message is the message as it was sent.
	Message() Message
	// Count is 1 for the first delivery and grows by one each time a lock on
	// this message ended without a settlement, or with Abandon.
	Count() int
	// LockedUntil is when the lock ends, by this machine's clock.
	LockedUntil() time.Time
	// Renew sets the lock's end to now plus the queue's lock duration.
	Renew(ctx context.Context) error
	// Complete removes the message for good.
	Complete(ctx context.Context) error
	// Abandon gives it back at once, for anyone.
	Abandon(ctx context.Context) error
	// DeadLetter sets it aside with a reason (a short code) and a description
	// in words, until someone looks at it.
	DeadLetter(ctx context.Context, reason, description string) error
}

// DeadLetterer is implemented by drivers whose dead letters can be read and
// settled through Bellhop's own commands.
type DeadLetterer interface {
	// DeadLetters lists up to limit dead letters of a queue after the given
	// cursor ("" for the first), oldest first. An empty next ends the list.
	DeadLetters(ctx context.Context, name, after string, limit int) (letters []DeadLetter, next string, err error)
	// Replay sends a dead letter to its queue again, under a fresh id, and
	// removes it from the dead letters. An unknown id is an error.
	Replay(ctx context.Context, name, id string) error
	// Discard removes a dead letter for good. An unknown id is an error.
	Discard(ctx context.Context, name, id string) error
}

// DeadLetter is one message set aside.
type DeadLetter struct {
	// ID names the dead letter within its queue (not the message's own id).
	ID          string
	Message     Message
	Reason      string
	Description string
	// Since is when it was set aside.
	Since time.Time
}

// Counter is implemented by drivers that know how many messages wait.
type Counter interface {
	// Depth is how many messages of a queue are waiting or held, without its
	// dead letters, and how many dead letters it has.
	Depth(ctx context.Context, name string) (active, dead int64, err error)
}
