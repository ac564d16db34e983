// Package embedded carries Bellhop's messages over the embedded bus of this
// process. It translates between the two vocabularies and knows nothing else.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
)

var (
	_ queue.Queue        = (*Queue)(nil)
	_ queue.DeadLetterer = (*Queue)(nil)
	_ queue.Counter      = (*Queue)(nil)
)

// Queue is a [queue.Queue], a [queue.DeadLetterer] and a [queue.Counter] over
// a bus. It creates no queues by itself; see [Queue.EnsureQueues].
type Queue struct {
	bus *bus.Bus

	mu        sync.Mutex
	closed    bool
	receivers map[*receiver]struct{} // the open ones
}

// New makes a queue over b. Closing the queue leaves b open.
func New(b *bus.Bus) *Queue {
	return &Queue{bus: b, receivers: map[*receiver]struct{}{}}
}

// EnsureQueues creates the queues that are missing, with settings for lanes:
// locks of a minute, no expiry, and a maximum delivery count of 100, well above
// the ledger's own limit, because a broker's dead letter never decides a mail.
// Queues that exist stay as they are.
func (q *Queue) EnsureQueues(ctx context.Context, names ...string) error {
	for _, name := range names {
		err := q.bus.CreateQueue(ctx, name, bus.Settings{LockDuration: time.Minute, MaxDeliveryCount: 100})
		if err != nil && !errors.Is(err, bus.ErrQueueExists) {
			return fmt.Errorf("create queue %q: %w", name, translate(err))
		}
	}
	return nil
}

// Send implements [queue.Sender].
func (q *Queue) Send(ctx context.Context, name string, messages ...queue.Message) error {
	if q.isClosed() {
		return queue.ErrClosed
	}
	out := make([]bus.Message, len(messages))
	for i, m := range messages {
		if err := m.CheckSize(); err != nil {
			return fmt.Errorf("message %q: %w", m.ID, err)
		}
		out[i] = bus.Message{MessageID: m.ID, Body: bus.Body{Kind: bus.BodyData, Bytes: m.Body}}
		if len(m.Properties) > 0 {
			out[i].Properties = make(bus.Properties, len(m.Properties))
		}
		for key, value := range m.Properties {
			out[i].Properties[key] = value
		}
	}
	_, err := q.bus.Send(ctx, name, out...)
	return translate(err)
}

// Receiver implements [queue.Queue].
func (q *Queue) Receiver(name string) (queue.Receiver, error) {
	if q.isClosed() {
		return nil, queue.ErrClosed
	}
	if _, err := q.bus.Queue(context.Background(), name); err != nil {
		return nil, translate(err)
	}
	r := &receiver{queue: q, name: name, waits: map[*context.CancelCauseFunc]struct{}{}}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, queue.ErrClosed
	}
	q.receivers[r] = struct{}{}
	return r, nil
}

func (q *Queue) forget(r *receiver) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.receivers, r)
}

// Close implements [queue.Queue].
func (q *Queue) Close(context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for r := range q.receivers {
		r.end()
	}
	clear(q.receivers)
	return nil
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// DeadLetters implements [queue.DeadLetterer]. The cursor is the sequence
// number of the last dead letter listed.
func (q *Queue) DeadLetters(ctx context.Context, name, after string, limit int) ([]queue.DeadLetter, string, error) {
	if q.isClosed() {
		return nil, "", queue.ErrClosed
	}
	last := int64(0)
	if after != "" {
		var err error
		if last, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, "", fmt.Errorf("cursor %q: want one from an earlier list", after)
		}
	}
	found, err := q.bus.Peek(ctx, name+bus.DeadLetterSuffix, last+1, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	letters := make([]queue.DeadLetter, len(found))
	next := ""
	for i, r := range found {
		letters[i] = deadLetter(r)
		next = letters[i].ID
	}
	return letters, next, nil
}

func deadLetter(r bus.Received) queue.DeadLetter {
	reason, _ := r.Properties[bus.DeadLetterReason].(string)
	description, _ := r.Properties[bus.DeadLetterErrorDescription].(string)
	delete(r.Properties, bus.DeadLetterReason)
	delete(r.Properties, bus.DeadLetterErrorDescription)
	return queue.DeadLetter{
		ID: strconv.FormatInt(r.SequenceNumber, 10), Message: message(r),
		Reason: reason, Description: description, Since: r.DeadLetteredAt,
	}
}

// Replay implements [queue.DeadLetterer].
func (q *Queue) Replay(ctx context.Context, name, id string) error {
	return q.onDeadLetter(ctx, name, id, q.bus.Replay)
}

// Discard implements [queue.DeadLetterer].
func (q *Queue) Discard(ctx context.Context, name, id string) error {
	return q.onDeadLetter(ctx, name, id, q.bus.Discard)
}

func (q *Queue) onDeadLetter(ctx context.Context, name, id string, do func(context.Context, string, int64) error) error {
	if q.isClosed() {
		return queue.ErrClosed
	}
	seq, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return fmt.Errorf("dead letter %q: want an id from the list of dead letters", id)
	}
	return translate(do(ctx, name, seq))
}

// Depth implements [queue.Counter].
func (q *Queue) Depth(ctx context.Context, name string) (active, dead int64, err error) {
	if q.isClosed() {
		return 0, 0, queue.ErrClosed
	}
	found, err := q.bus.Queue(ctx, name)
	if err != nil {
		return 0, 0, translate(err)
	}
	c := found.Counts
	return c.Active + c.Deferred + c.Scheduled, c.DeadLetter, nil
}

// message translates back. Properties that a foreign sender typed otherwise
// than as text are left out: the contract has no words for them.
func message(r bus.Received) queue.Message {
	m := queue.Message{ID: r.MessageID, Body: r.Body.Bytes}
	for key, value := range r.Properties {
		if text, ok := value.(string); ok {
			if m.Properties == nil {
				m.Properties = make(map[string]string, len(r.Properties))
			}
			m.Properties[key] = text
		}
	}
	return m
}

// translate puts the contract's sentinel in front of the bus's error.
func translate(err error) error {
	for _, pair := range [...]struct{ from, to error }{
		{bus.ErrClosed, queue.ErrClosed},
		{bus.ErrLockLost, queue.ErrLockLost},
		{bus.ErrQueueNotFound, queue.ErrUnknownQueue},
		{bus.ErrTooLarge, queue.ErrTooLarge},
	} {
		if errors.Is(err, pair.from) {
			return fmt.Errorf("%w (%w)", pair.to, err)
		}
	}
	return err
}
