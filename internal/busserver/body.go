package busserver

import (
	"fmt"
	"math"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// body reads the map of a request to $management. The first fault sticks;
// whatever is read after it means nothing.
type body struct {
	m     wire.Map
	fault error
}

func bodyOf(r *request) *body {
	m, ok := r.body.(wire.Map)
	b := &body{m: m}
	if !ok {
		b.fail("the body of a request must be an amqp-value with a map")
	}
	return b
}

func (b *body) fail(format string, args ...any) {
	if b.fault == nil {
		b.fault = &wire.Error{Condition: wire.ConditionInvalidField, Description: fmt.Sprintf(format, args...)}
	}
}

// must is the value of a key that must be there.
func (b *body) must(key string) any {
	v, ok := b.m.Get(key)
	if !ok || v == nil {
		b.fail("%s is missing", key)
	}
	return v
}

func (b *body) long(key string) int64 {
	switch v := b.must(key).(type) {
	case int64:
		return v
	case int32:
		return int64(v)
	}
	b.fail("%s must be a long", key)
	return 0
}

// int is a number from 1 on.
func (b *body) int(key string) int64 {
	n := b.long(key)
	if n < 1 || n > math.MaxInt32 {
		b.fail("%s must be an int greater than 0", key)
	}
	return n
}

// flag is false when it is missing.
func (b *body) flag(key string) bool {
	v, _ := b.m.Get(key)
	set, ok := v.(bool)
	if !ok && v != nil {
		b.fail("%s must be a boolean", key)
	}
	return set
}

// several are the items of an array or a list, one at least.
func (b *body) several(key string) []any {
	var items []any
	switch v := b.must(key).(type) {
	case wire.Array:
		items = v.Items
	case wire.List:
		items = v
	default:
		b.fail("%s must be an array or a list", key)
	}
	if len(items) == 0 || len(items) > maxNames {
		b.fail("%s must have 1 to %d items", key, maxNames)
		return nil
	}
	return items
}

func (b *body) lockTokens(key string) (tokens []bus.LockToken) {
	for _, item := range b.several(key) {
		token, ok := item.(wire.UUID)
		if !ok {
			b.fail("%s must hold values of the type uuid", key)
		}
		tokens = append(tokens, bus.LockToken(token))
	}
	return tokens
}

func (b *body) longs(key string) (numbers []int64) {
	for _, item := range b.several(key) {
		n, ok := item.(int64)
		if !ok {
			b.fail("%s must hold values of the type long", key)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// messages are the encoded messages in a list of maps.
func (b *body) messages(key string) (all [][]byte) {
	for _, item := range b.several(key) {
		m, _ := item.(wire.Map)
		v, _ := m.Get("message")
		raw, ok := v.([]byte)
		if !ok {
			b.fail("%s must hold maps with a binary message", key)
		}
		all = append(all, raw)
	}
	return all
}

// settleMode is a uint by the SDKs and a ubyte by the documentation.
func (b *body) settleMode(key string) wire.ReceiverSettleMode {
	switch b.must(key) {
	case uint32(0), uint8(0):
		return wire.ReceiverFirst
	case uint32(1), uint8(1):
		return wire.ReceiverSecond
	}
	b.fail("%s must be the uint 0 or 1", key)
	return 0
}

func (b *body) disposition(key string) bus.SettleKind {
	word, _ := b.must(key).(string)
	kind, ok := dispositions[word]
	if !ok {
		b.fail("%s must be completed, abandoned, defered or suspended", key)
	}
	return kind
}

// modifications are absent, or null, when there are none.
func (b *body) modifications(key string) bus.Properties {
	v, _ := b.m.Get(key)
	m, ok := v.(wire.Map)
	if !ok && v != nil {
		b.fail("%s must be a map", key)
	}
	set, err := modifications(m)
	if err != nil && b.fault == nil {
		b.fault = err
	}
	return set
}

// reasons takes why a message is dead-lettered. An empty text is one, too.
func (b *body) reasons(order *bus.Settlement) {
	for key, property := range map[string]string{
		"deadletter-reason": bus.DeadLetterReason, "deadletter-description": bus.DeadLetterErrorDescription,
	} {
		v, _ := b.m.Get(key)
		why, ok := v.(string)
		if !ok && v != nil {
			b.fail("%s must be a string", key)
		}
		if v != nil {
			if order.Modify == nil {
				order.Modify = bus.Properties{}
			}
			order.Modify[property] = why
		}
	}
}
