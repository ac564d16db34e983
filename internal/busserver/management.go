package busserver

import (
	"context"
	"net/http"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

const (
	// maxReplyBytes is how many bytes of messages an answer holds, unless the
	// first alone has more.
	maxReplyBytes = 1 << 20
	// peekPiece is how many messages are read at once for a peek.
	peekPiece = 32
	// maxPeek is the most messages of a peek, maxNames the most locks, sequence
	// numbers or messages that one request names.
	maxPeek  = 250
	maxNames = 1000
	// maxDeferredBytes bounds the deferred messages of one answer, which are
	// taken together or not at all.
	maxDeferredBytes = 8 << 20
)

// operation is one operation of $management.
type operation struct {
	needs sas.Rights
	do    requestHandler
}

// operations are those that queues without sessions have.
var operations = map[string]operation{
	"com.microsoft:renew-lock":                 {sas.Listen, renewLocks},
	"com.microsoft:peek-message":               {sas.Listen, peekMessages},
	"com.microsoft:schedule-message":           {sas.Send, scheduleMessages},
	"com.microsoft:cancel-scheduled-message":   {sas.Send, cancelScheduled},
	"com.microsoft:receive-by-sequence-number": {sas.Listen, receiveDeferred},
	"com.microsoft:update-disposition":         {sas.Listen, updateDisposition},
}

// unsupported answers operations of topics, rules and sessions, among others.
func unsupported(_ context.Context, r *request) (reply, error) {
	return reply{}, notImplemented("The operation " + clip(r.operation) + " is not supported.")
}

// clip keeps what a client wrote from filling an answer.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return "that was asked for"
	}
	return s
}

func success(body wire.Map) reply {
	if body == nil {
		body = wire.Map{}
	}
	return reply{status: http.StatusOK, body: body}
}

// nothing is the answer of a peek that finds nothing.
func nothing() reply { return reply{status: http.StatusNoContent, body: wire.Map{}} }

func renewLocks(ctx context.Context, r *request) (reply, error) {
	b := bodyOf(r)
	tokens := b.lockTokens("lock-tokens")
	if b.fault != nil {
		return reply{}, b.fault
	}
	until, err := r.opts.Bus.RenewLocks(ctx, r.node.entity, tokens...)
	if err != nil {
		return reply{}, err
	}
	expirations := wire.Array{Elem: wire.TypeTimestamp}
	for _, t := range until {
		expirations.Items = append(expirations.Items, wire.TimestampOf(t))
	}
	return success(wire.Map{{Key: "expirations", Value: expirations}}), nil
}

func peekMessages(ctx context.Context, r *request) (reply, error) {
	b := bodyOf(r)
	from, count := b.long("from-sequence-number"), min(b.int("message-count"), maxPeek)
	bare := b.flag("omit-message-body")
	if b.fault != nil {
		return reply{}, b.fault
	}
	var messages wire.List
	for size := 0; int64(len(messages)) < count && size < maxReplyBytes; {
		got, err := r.opts.Bus.Peek(ctx, r.node.entity, from, int(min(count-int64(len(messages)), peekPiece)))
		if err != nil {
			return reply{}, err
		}
		for i := range got {
			if bare {
				got[i].Body = bus.Body{}
			}
			message := writeMessage(make([]byte, 0, writtenSize(&got[i])), &got[i])
			if size += len(message); size > maxReplyBytes && len(messages) > 0 {
				break
			}
			messages = append(messages, wire.Map{{Key: "message", Value: message}})
			from = got[i].SequenceNumber + 1
		}
		if len(got) < peekPiece {
			break
		}
	}
	if len(messages) == 0 {
		return nothing(), nil
	}
	return success(wire.Map{{Key: "messages", Value: messages}}), nil
}

func scheduleMessages(ctx context.Context, r *request) (reply, error) {
	b := bodyOf(r)
	var messages []bus.Message
	for _, raw := range b.messages("messages") {
		m, err := readMessage(raw)
		if err != nil {
			return reply{}, err
		}
		messages = append(messages, m)
	}
	if b.fault != nil {
		return reply{}, b.fault
	}
	seqs, err := r.opts.Bus.Send(ctx, r.node.entity, messages...)
	if err != nil {
		return reply{}, err
	}
	return success(wire.Map{{Key: "sequence-numbers", Value: wire.ArrayOf(seqs...)}}), nil
}

func cancelScheduled(ctx context.Context, r *request) (reply, error) {
	b := bodyOf(r)
	seqs := b.longs("sequence-numbers")
	if b.fault != nil {
		return reply{}, b.fault
	}
	if err := r.opts.Bus.CancelScheduled(ctx, r.node.entity, seqs...); err != nil {
		return reply{}, err
	}
	return success(nil), nil
}

func receiveDeferred(ctx context.Context, r *request) (reply, error) {
	b := bodyOf(r)
	seqs := b.longs("sequence-numbers")
	mode := b.settleMode("receiver-settle-mode")
	if b.fault != nil {
		return reply{}, b.fault
	}
	if err := r.fits(ctx, seqs); err != nil {
		return reply{}, err
	}
	got, err := r.opts.Bus.ReceiveDeferred(ctx, r.node.entity, bus.ReceiveOptions{Delete: mode == wire.ReceiverFirst}, seqs...)
	if err != nil {
		return reply{}, err
	}
	messages := make(wire.List, 0, len(got))
	for i := range got {
		one := wire.Map{{Key: "message", Value: writeMessage(make([]byte, 0, writtenSize(&got[i])), &got[i])}}
		if mode == wire.ReceiverSecond {
			one = append(one, wire.Pair{Key: "lock-token", Value: wire.UUID(got[i].LockToken)})
		}
		messages = append(messages, one)
	}
	return success(wire.Map{{Key: "messages", Value: messages}}), nil
}

// fits refuses to take so many deferred messages together that their answer
// would be huge. It looks only at what could be.
func (r *request) fits(ctx context.Context, seqs []int64) error {
	if len(seqs)*r.opts.MaxMessageBytes <= maxDeferredBytes {
		return nil
	}
	size := 0
	for _, seq := range seqs {
		got, err := r.opts.Bus.Peek(ctx, r.node.entity, seq, 1)
		if err != nil {
			return err
		}
		for i := range got {
			size += writtenSize(&got[i])
		}
		if size > maxDeferredBytes {
			return &wire.Error{Condition: wire.ConditionResourceLimitExceeded, Description: "So many deferred messages do not fit into one answer: ask for fewer at once."}
		}
	}
	return nil
}

// dispositions are the words of update-disposition, as they are spelled.
var dispositions = map[string]bus.SettleKind{
	"completed": bus.Complete,
	"abandoned": bus.Abandon,
	"defered":   bus.Defer,
	"suspended": bus.DeadLetter,
}

func updateDisposition(ctx context.Context, r *request) (reply, error) {
	b := bodyOf(r)
	order := bus.Settlement{Queue: r.node.entity, Kind: b.disposition("disposition-status")}
	tokens := b.lockTokens("lock-tokens")
	order.Modify = b.modifications("properties-to-modify")
	if order.Kind == bus.DeadLetter {
		b.reasons(&order)
	}
	if b.fault != nil {
		return reply{}, b.fault
	}
	orders := make([]bus.Settlement, len(tokens))
	for i, token := range tokens {
		orders[i] = order
		orders[i].Token = token
	}
	done := make(chan []error, 1)
	r.opts.Bus.StartSettle(orders, func(errs []error) { done <- errs })
	select {
	case errs := <-done:
		for _, err := range errs {
			if err != nil {
				return reply{}, err
			}
		}
		return success(nil), nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}
