package servicebus

import (
	"maps"
	"time"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// The properties a dead letter has in addition to those it was sent with.
const (
	propReason      = "DeadLetterReason"
	propDescription = "DeadLetterErrorDescription"
)

// encode makes the SDK's message. Its id is fresh for each try to send, as the
// contract has it: a queue that detects duplicates must not swallow a second
// try.
func encode(m queue.Message) *azservicebus.Message {
	out := &azservicebus.Message{Body: m.Body}
	if m.ID != "" {
		out.MessageID = &m.ID
	}
	if len(m.Properties) > 0 {
		out.ApplicationProperties = make(map[string]any, len(m.Properties))
	}
	for key, value := range m.Properties {
		out.ApplicationProperties[key] = value
	}
	return out
}

// decode reads a message, whoever sent it. Properties that are no text are left
// out: the contract has no words for them.
func decode(r *azservicebus.ReceivedMessage) queue.Message {
	m := queue.Message{ID: r.MessageID, Body: r.Body}
	for key, value := range r.ApplicationProperties {
		if text, ok := value.(string); ok {
			if m.Properties == nil {
				m.Properties = make(map[string]string, len(r.ApplicationProperties))
			}
			m.Properties[key] = text
		}
	}
	return m
}

// decodeLetter reads a dead letter.
func decodeLetter(r *azservicebus.ReceivedMessage) queue.DeadLetter {
	letter := queue.DeadLetter{ID: letterID(r), Message: decode(r), Reason: text(r.DeadLetterReason), Description: text(r.DeadLetterErrorDescription)}
	delete(letter.Message.Properties, propReason)
	delete(letter.Message.Properties, propDescription)
	if r.EnqueuedTime != nil {
		letter.Since = *r.EnqueuedTime
	}
	return letter
}

// again is a dead letter as it is sent once more: under a fresh id and without
// what it got when it was set aside. Properties of foreign senders keep their
// types.
func again(r *azservicebus.ReceivedMessage, id string) *azservicebus.Message {
	m := r.Message()
	m.MessageID, m.ScheduledEnqueueTime = &id, nil
	m.ApplicationProperties = maps.Clone(m.ApplicationProperties)
	delete(m.ApplicationProperties, propReason)
	delete(m.ApplicationProperties, propDescription)
	return m
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func sequence(r *azservicebus.ReceivedMessage) int64 {
	if r.SequenceNumber == nil {
		return 0
	}
	return *r.SequenceNumber
}

// lockEnd is when a lock ends, by this machine's clock, if the broker's clock
// says until. The two may differ by any amount.
func lockEnd(until *time.Time) time.Time {
	now := time.Now()
	if until == nil {
		return now.Add(lockAssumed)
	}
	return now.Add(min(max(until.Sub(now), lockLeast), lockAssumed))
}
