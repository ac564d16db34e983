package busserver

import (
	"context"
	"reflect"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// failed checks the shape that clients need of an answer to a request that
// failed.
func (r *rig) failed(what string, answer *goamqp.Message, status int32, condition string) {
	r.Helper()
	p := answer.ApplicationProperties
	description, _ := p["statusDescription"].(string)
	if p["statusCode"] != status || p["errorCondition"] != condition || description == "" {
		r.Errorf("%s: got %v, want status %d and %s", what, p, status, condition)
	}
}

// Operations of sessions, rules and topics are refused with a status for which
// the Go SDK gives up.
func TestOperationsThatAreNotSupported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.caller(r.dial(r.root()), "orders/$management")
	for _, operation := range []any{
		"com.microsoft:renew-session-lock", "com.microsoft:get-session-state", "com.microsoft:set-session-state", "com.microsoft:get-message-sessions",
		"com.microsoft:add-rule", "com.microsoft:remove-rule", "com.microsoft:enumerate-rules", "com.microsoft:batch-delete-messages",
		"READ", "", nil, int64(1),
	} {
		_, answer := r.call(c, &goamqp.Message{ApplicationProperties: map[string]any{"operation": operation}, Value: map[string]any{"session-id": "s"}})
		r.failed("an unknown operation", answer, 404, "amqp:not-implemented")
	}
}

func TestBodiesOfWrongTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.caller(r.dial(r.root()), "orders/$management")
	u := []goamqp.UUID{{1}}
	for _, w := range []struct {
		operation string
		body      any
	}{
		{"renew-lock", nil}, {"renew-lock", "text"}, {"renew-lock", map[string]any{}}, {"renew-lock", map[string]any{"lock-tokens": nil}},
		{"renew-lock", map[string]any{"lock-tokens": []string{"a"}}}, {"renew-lock", map[string]any{"lock-tokens": []any{}}}, {"renew-lock", map[string]any{"lock-tokens": int64(1)}},
		{"peek-message", map[string]any{"message-count": int32(1)}}, {"peek-message", map[string]any{"from-sequence-number": "1", "message-count": int32(1)}},
		{"peek-message", map[string]any{"from-sequence-number": int64(1), "message-count": int32(0)}}, {"peek-message", map[string]any{"from-sequence-number": int64(1), "message-count": int32(-1)}},
		{"peek-message", map[string]any{"from-sequence-number": int64(1), "message-count": int32(1), "omit-message-body": "yes"}},
		{"schedule-message", map[string]any{"messages": "x"}}, {"schedule-message", map[string]any{"messages": []any{"x"}}},
		{"schedule-message", map[string]any{"messages": []any{map[string]any{"message": "x"}}}},
		{"cancel-scheduled-message", map[string]any{"sequence-numbers": []int32{1}}}, {"cancel-scheduled-message", map[string]any{"sequence-numbers": int64(1)}},
		{"receive-by-sequence-number", map[string]any{"sequence-numbers": []int64{1}}}, {"receive-by-sequence-number", map[string]any{"sequence-numbers": []int64{1}, "receiver-settle-mode": uint32(2)}},
		{"update-disposition", map[string]any{"lock-tokens": u}}, {"update-disposition", map[string]any{"lock-tokens": u, "disposition-status": "deferred"}},
		{"update-disposition", map[string]any{"lock-tokens": u, "disposition-status": "abandoned", "properties-to-modify": "x"}},
		{"update-disposition", map[string]any{"lock-tokens": u, "disposition-status": "suspended", "deadletter-reason": int64(1)}},
	} {
		_, answer := r.operate(c, "com.microsoft:"+w.operation, w.body)
		r.failed(w.operation, answer, 400, "amqp:invalid-field")
	}
	for _, w := range []any{map[string]any{"a": []any{}}, map[string]any{"DeadLetterReason": int64(1)}, map[string]any{"": "x"}} {
		_, answer := r.operate(c, "com.microsoft:update-disposition", map[string]any{"lock-tokens": u, "disposition-status": "abandoned", "properties-to-modify": w})
		r.failed("a property to modify", answer, 400, "amqp:not-allowed")
	}
	_, answer := r.operate(c, "com.microsoft:schedule-message", map[string]any{"messages": []any{map[string]any{"message": []byte{1}}}})
	r.failed("a message that is none", answer, 400, "amqp:decode-error")
}

// Tokens and numbers that are unknown, or of another queue.
func TestUnknownLocksAndNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("other", bus.Settings{})
	_, err := r.bus.Send(r.ctx, "other", bus.Message{})
	r.must(err)
	got, err := r.bus.Receive(r.ctx, "other", bus.ReceiveOptions{})
	r.must(err)
	foreign := goamqp.UUID(got[0].LockToken)
	for _, node := range []string{"orders/$management", "orders/$DeadLetterQueue/$management", "other/$deadletterqueue/$management"} {
		c := r.caller(r.dial(r.root()), node)
		for _, token := range []goamqp.UUID{{1}, foreign} {
			_, answer := r.operate(c, "com.microsoft:renew-lock", map[string]any{"lock-tokens": []goamqp.UUID{token}})
			r.failed("renew", answer, 410, "com.microsoft:message-lock-lost")
			for _, word := range []string{"completed", "abandoned", "defered", "suspended"} {
				_, answer := r.operate(c, "com.microsoft:update-disposition", map[string]any{"lock-tokens": []goamqp.UUID{token}, "disposition-status": word})
				r.failed(word, answer, 410, "com.microsoft:message-lock-lost")
			}
		}
		_, answer := r.operate(c, "com.microsoft:receive-by-sequence-number", map[string]any{"sequence-numbers": []int64{1}, "receiver-settle-mode": uint32(1)})
		r.failed("receive", answer, 404, "com.microsoft:message-not-found")
		_, answer = r.operate(c, "com.microsoft:cancel-scheduled-message", map[string]any{"sequence-numbers": []int64{1}})
		r.failed("cancel", answer, 404, "com.microsoft:message-not-found")
	}
	r.counts("other", bus.Counts{Active: 1})
	r.must(r.bus.Complete(r.ctx, got[0].LockToken))
}

// The answers have the AMQP types that the SDKs assert without looking.
func TestTypesOfAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.caller(r.dial(r.root()), "orders/$management")
	raw, err := (&goamqp.Message{
		Data: [][]byte{[]byte("m")}, Annotations: goamqp.Annotations{annScheduled: r.clock.now().Add(time.Hour)},
	}).MarshalBinary()
	r.must(err)
	status, answer := r.operate(c, "com.microsoft:schedule-message", map[string]any{"messages": []any{map[string]any{"message": raw, "message-id": "x"}}})
	if want := map[string]any{"sequence-numbers": []int64{1}}; status != 200 || !reflect.DeepEqual(answer.Value, want) {
		t.Errorf("schedule: %d, %#v", status, answer.Value)
	}
	status, answer = r.operate(c, "com.microsoft:cancel-scheduled-message", map[string]any{"sequence-numbers": []int64{1}})
	if status != 200 || !reflect.DeepEqual(answer.Value, map[any]any{}) {
		t.Errorf("cancel: %d, %#v", status, answer.Value)
	}
	status, answer = r.operate(c, "com.microsoft:peek-message", map[string]any{"from-sequence-number": int64(0), "message-count": int32(1)})
	if status != 204 || !reflect.DeepEqual(answer.Value, map[any]any{}) {
		t.Errorf("peek: %d, %#v", status, answer.Value)
	}

	_, err = r.bus.Send(r.ctx, "orders", bus.Message{Body: bus.Body{Kind: bus.BodyData, Bytes: []byte("body")}})
	r.must(err)
	got, err := r.bus.Receive(r.ctx, "orders", bus.ReceiveOptions{})
	r.must(err)
	lock := []goamqp.UUID{goamqp.UUID(got[0].LockToken)}
	status, answer = r.operate(c, "com.microsoft:renew-lock", map[string]any{"lock-tokens": lock})
	times, ok := answer.Value.(map[string]any)["expirations"].([]time.Time)
	if status != 200 || !ok || len(times) != 1 || times[0].Before(got[0].LockedUntil.Truncate(time.Millisecond)) {
		t.Errorf("renew: %d, %#v", status, answer.Value)
	}
	status, answer = r.operate(c, "com.microsoft:peek-message", map[string]any{"from-sequence-number": int64(0), "message-count": int32(1), "omit-message-body": true})
	messages, _ := answer.Value.(map[string]any)["messages"].([]any)
	if status != 200 || len(messages) != 1 {
		t.Fatalf("peek: %d, %#v", status, answer.Value)
	}
	peeked, err := wire.DecodeMessage(messages[0].(map[string]any)["message"].([]byte))
	if r.must(err); peeked.Data != nil {
		t.Errorf("a peek without bodies showed %q", peeked.Data)
	}
	status, _ = r.operate(c, "com.microsoft:update-disposition", map[string]any{"lock-tokens": lock, "disposition-status": "defered"})
	if status != 200 {
		t.Errorf("defer: %d", status)
	}
	status, answer = r.operate(c, "com.microsoft:receive-by-sequence-number", map[string]any{"sequence-numbers": []int64{got[0].SequenceNumber}, "receiver-settle-mode": uint8(1)})
	messages, _ = answer.Value.(map[string]any)["messages"].([]any)
	if status != 200 || len(messages) != 1 {
		t.Fatalf("receive: %d, %#v", status, answer.Value)
	}
	one := messages[0].(map[string]any)
	m, err := wire.DecodeMessage(one["message"].([]byte))
	r.must(err)
	token, isUUID := one["lock-token"].(goamqp.UUID)
	if annotated, _ := m.DeliveryAnnotations.Get(annLockToken); !isUUID || annotated != wire.UUID(token) {
		t.Errorf("lock token %v, in the message %v", one["lock-token"], annotated)
	}
	if state, _ := m.MessageAnnotations.Get(annState); state != int32(1) {
		t.Errorf("state %#v", state)
	}
}

// A dead letter's reason that is null, as the JavaScript SDK sends it, is none;
// one that is empty is one.
func TestReasonsOfDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.caller(r.dial(r.root()), "orders/$management")
	for _, w := range []struct {
		reason, description any
		want                bus.Properties
	}{
		{nil, nil, nil}, {"", nil, bus.Properties{bus.DeadLetterReason: ""}},
		{"why", "because", bus.Properties{bus.DeadLetterReason: "why", bus.DeadLetterErrorDescription: "because"}},
	} {
		_, err := r.bus.Send(r.ctx, "orders", bus.Message{})
		r.must(err)
		got, err := r.bus.Receive(r.ctx, "orders", bus.ReceiveOptions{})
		r.must(err)
		status, _ := r.operate(c, "com.microsoft:update-disposition", map[string]any{
			"lock-tokens": []goamqp.UUID{goamqp.UUID(got[0].LockToken)}, "disposition-status": "suspended",
			"deadletter-reason": w.reason, "deadletter-description": w.description,
		})
		dead, err := r.bus.Receive(r.ctx, "orders/$DeadLetterQueue", bus.ReceiveOptions{Delete: true})
		if r.must(err); status != 200 || !reflect.DeepEqual(dead[0].Properties, w.want) {
			t.Errorf("%v, %v: status %d, properties %v", w.reason, w.description, status, dead[0].Properties)
		}
	}
}

// Deferred messages that would make a huge answer are refused, and stay.
func TestTooManyDeferredMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.caller(r.dial(r.root()), "orders/$management")
	const n = 50
	var small, large []int64
	for i := range 2 * n {
		body := bus.Body{Kind: bus.BodyData, Bytes: make([]byte, 1+i%2*250_000)}
		seqs, err := r.bus.Send(r.ctx, "orders", bus.Message{Body: body})
		r.must(err)
		got, err := r.bus.Receive(r.ctx, "orders", bus.ReceiveOptions{})
		r.must(err)
		r.must(r.bus.Defer(r.ctx, got[0].LockToken, nil))
		if i%2 == 0 {
			small = append(small, seqs...)
		} else {
			large = append(large, seqs...)
		}
	}
	ask := func(seqs []int64) *goamqp.Message {
		_, answer := r.operate(c, "com.microsoft:receive-by-sequence-number", map[string]any{"sequence-numbers": seqs, "receiver-settle-mode": uint32(0)})
		return answer
	}
	r.failed("large ones", ask(large), 403, "amqp:resource-limit-exceeded")
	r.counts("orders", bus.Counts{Deferred: 2 * n})
	if answer := ask(small); answer.ApplicationProperties["statusCode"] != int32(200) {
		t.Errorf("small ones: %v", answer.ApplicationProperties)
	}
	if answer := ask(large[:20]); answer.ApplicationProperties["statusCode"] != int32(200) {
		t.Errorf("some large ones: %v", answer.ApplicationProperties)
	}
	r.counts("orders", bus.Counts{Deferred: n - 20})
}

// FuzzRequestBody reads any value as the body of each operation, without a bus.
func FuzzRequestBody(f *testing.F) {
	seed := func(v any) {
		b, err := wire.Append(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed(wire.Map{{Key: "lock-tokens", Value: wire.ArrayOf(wire.UUID{1})}, {Key: "disposition-status", Value: "suspended"}, {Key: "deadletter-reason", Value: "r"}})
	seed(wire.Map{{Key: "sequence-numbers", Value: wire.ArrayOf[int64](1, 2)}, {Key: "receiver-settle-mode", Value: uint32(1)}})
	seed(wire.Map{{Key: "from-sequence-number", Value: int64(1)}, {Key: "message-count", Value: int32(1)}})
	seed(wire.Map{{Key: "messages", Value: wire.List{wire.Map{{Key: "message", Value: []byte{0, 0x53, 0x77, 0x40}}}}}})
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, _, err := wire.Decode(raw)
		if err != nil {
			return
		}
		read := func(use func(*body) int) {
			b := bodyOf(&request{body: v})
			if n := use(b); b.fault == nil && (n == 0 || n > maxNames) {
				t.Errorf("%d items without a fault", n)
			}
		}
		read(func(b *body) int { return len(b.lockTokens("lock-tokens")) })
		read(func(b *body) int { return len(b.longs("sequence-numbers")) })
		read(func(b *body) int { return len(b.messages("messages")) })
		read(func(b *body) int { b.long("from-sequence-number"); return int(min(b.int("message-count"), maxNames)) })
		read(func(b *body) int { b.settleMode("receiver-settle-mode"); return 1 })
		read(func(b *body) int { b.flag("omit-message-body"); return 1 })
		read(func(b *body) int {
			var order bus.Settlement
			b.reasons(&order)
			b.modifications("properties-to-modify")
			return int(b.disposition("disposition-status"))
		})
	})
}

// Answers that a client gives no credit for do not keep its other requests, and
// with them all that it sends, waiting for ever.
func TestRawAnswersWaitNoLongerThanTheClient(t *testing.T) {
	t.Parallel()
	p := newRig(t).peer()
	defer context.AfterFunc(p.ctx, p.Hang)()
	p.Peer.Sender(1, 0, "requests", "orders/$management")
	p.Receiver(1, 1, "answers", "orders/$management", 0)
	request := encoded(t, &wire.Message{
		Properties:            &wire.Properties{MessageID: "m", ReplyTo: wire.Some("answers")},
		ApplicationProperties: wire.Map{{Key: "server-timeout", Value: uint32(200)}},
		Value:                 wire.Some[any](make([]byte, 250<<10)),
	})
	const n = 80 // more bytes than a connection may have unsettled, besides those whose answers wait
	for i := range uint32(n) {
		p.Transfer(1, amqptest.First(0, i), request, amqptest.MaxFrameSize)
	}
	for accepted := uint32(0); accepted < n; {
		if f, ok := p.Next().(*wire.Disposition); ok {
			accepted += f.Last.Or(f.First) - f.First + 1
		}
	}
}
