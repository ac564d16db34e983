package servicebus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/uuid"
)

// ErrNoDeadLetter is returned for a dead letter that is not there, or that
// somebody else holds.
var ErrNoDeadLetter = errors.New("no such dead letter")

const (
	// maxPeek is how many messages Service Bus shows at once.
	maxPeek = 250
	// maxDepth is where counting ends.
	maxDepth = 10_000
	// searchFor bounds the search for one dead letter: those before it are held
	// meanwhile, and their locks must not end.
	searchFor = 40 * time.Second
	// searchStep is how many dead letters are received at once.
	searchStep = 100
)

// peek looks at up to limit messages of a queue or its dead letters, from a
// sequence number on.
func (q *Queue) peek(ctx context.Context, name string, sub azservicebus.SubQueue, from int64, limit int) ([]*azservicebus.ReceivedMessage, error) {
	c, err := q.client()
	if err != nil {
		return nil, err
	}
	key := name
	if sub != 0 {
		key += "/$DeadLetterQueue"
	}
	link, err := c.browsers.take(key, func() (sdkReceiver, error) { return c.sdk.newReceiver(name, sub) })
	if err != nil {
		return nil, fmt.Errorf("look into %q: %w", key, err)
	}
	found, err := call(ctx, c, q.timing.call, func(ctx context.Context) ([]*azservicebus.ReceivedMessage, error) {
		return link.value.PeekMessages(ctx, min(limit, maxPeek), &azservicebus.PeekMessagesOptions{FromSequenceNumber: &from})
	}, nil)
	link.giveBack(err == nil)
	if err != nil {
		q.doubt(ctx, c, err)
		return nil, fmt.Errorf("look into %q: %w", key, translate(err))
	}
	return found, nil
}

// Depth implements [queue.Counter]. It counts by looking at each message,
// because more than the right to listen would be needed to ask for the number;
// above 10 000 it stops and says that.
func (q *Queue) Depth(ctx context.Context, name string) (active, dead int64, err error) {
	if active, err = q.count(ctx, name, 0); err != nil {
		return 0, 0, err
	}
	if dead, err = q.count(ctx, name, azservicebus.SubQueueDeadLetter); err != nil {
		return 0, 0, err
	}
	return active, dead, nil
}

func (q *Queue) count(ctx context.Context, name string, sub azservicebus.SubQueue) (n int64, err error) {
	for from := int64(0); n < maxDepth; {
		found, err := q.peek(ctx, name, sub, from, maxPeek)
		if err != nil || len(found) == 0 {
			return n, err
		}
		n += int64(len(found))
		from = sequence(found[len(found)-1]) + 1
	}
	return maxDepth, nil
}

// DeadLetters implements [queue.DeadLetterer]. Since is when the message was put
// where it is now, as Service Bus tells it.
func (q *Queue) DeadLetters(ctx context.Context, name, after string, limit int) (letters []queue.DeadLetter, next string, err error) {
	if err := q.open(); err != nil {
		return nil, "", err
	}
	from := int64(0)
	if after != "" {
		last, err := strconv.ParseInt(after, 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("cursor %q: want one from an earlier list", after)
		}
		from = last + 1
	}
	for limit = max(limit, 1); len(letters) < limit; {
		found, err := q.peek(ctx, name, azservicebus.SubQueueDeadLetter, from, limit-len(letters))
		if err != nil {
			return nil, "", err
		}
		if len(found) == 0 {
			return letters, "", nil
		}
		for _, m := range found {
			letters = append(letters, decodeLetter(m))
			from = sequence(m) + 1
		}
	}
	return letters, letters[len(letters)-1].ID, nil
}

func letterID(r *azservicebus.ReceivedMessage) string {
	return strconv.FormatInt(sequence(r), 10)
}

// Replay implements [queue.DeadLetterer]. The message is sent before the dead
// letter is removed: a crash between the two leaves both.
func (q *Queue) Replay(ctx context.Context, name, id string) error {
	return q.onLetter(ctx, name, id, func(ctx context.Context, m *azservicebus.ReceivedMessage) error {
		return q.send(ctx, name, []*azservicebus.Message{again(m, uuid.NewString())})
	})
}

// Discard implements [queue.DeadLetterer].
func (q *Queue) Discard(ctx context.Context, name, id string) error {
	return q.onLetter(ctx, name, id, func(context.Context, *azservicebus.ReceivedMessage) error { return nil })
}

// onLetter removes a dead letter after do has returned nil for it.
func (q *Queue) onLetter(ctx context.Context, name, id string, do func(context.Context, *azservicebus.ReceivedMessage) error) error {
	if err := q.open(); err != nil {
		return err
	}
	seq, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return fmt.Errorf("dead letter %q: want an id from the list of dead letters", id)
	}
	leave, err := q.enterDesk(ctx, name)
	if err != nil {
		return err
	}
	defer leave()
	found, err := q.peek(ctx, name, azservicebus.SubQueueDeadLetter, seq, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 || sequence(found[0]) != seq {
		return fmt.Errorf("%w: %s in the queue %q", ErrNoDeadLetter, id, name)
	}
	return q.remove(ctx, name, seq, do)
}

// enterDesk waits until nobody else of this process handles the queue's dead
// letters: while somebody does, others are hidden.
func (q *Queue) enterDesk(ctx context.Context, name string) (leave func(), err error) {
	q.mu.Lock()
	desk := q.desks[name]
	if desk == nil {
		desk = make(chan struct{}, 1)
		q.desks[name] = desk
	}
	q.mu.Unlock()
	select {
	case desk <- struct{}{}:
		return func() { <-desk }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// remove receives dead letters until it has the one it wants, and gives all
// others back. There is no other way to take one: Service Bus lets a message be
// received by its number only when it is deferred.
func (q *Queue) remove(ctx context.Context, name string, seq int64, do func(context.Context, *azservicebus.ReceivedMessage) error) error {
	r := newReceiver(q, name)
	r.sub = azservicebus.SubQueueDeadLetter
	search, cancel := context.WithTimeout(ctx, searchFor)
	defer cancel()
	var wanted *delivery
	others, err := r.search(search, func(d *delivery) bool {
		if sequence(d.received) == seq {
			wanted = d
		}
		return wanted != nil
	})
	defer func() { r.giveUp(others) }()
	switch {
	case wanted != nil:
	case err != nil:
		return fmt.Errorf("receive the dead letter %d: %w", seq, err)
	default:
		return fmt.Errorf("%w to be had now: somebody else holds %d in the queue %q, for a minute at most", ErrNoDeadLetter, seq, name)
	}
	if err := do(ctx, wanted.received); err != nil {
		others = append(others, wanted)
		return err
	}
	return wanted.Complete(ctx)
}

// search receives until found is true, nothing comes any more, or ctx ends. It
// returns all for which found was false.
func (r *receiver) search(ctx context.Context, found func(*delivery) bool) (others []*delivery, err error) {
	for {
		wait, cancel := context.WithTimeout(ctx, r.queue.timing.search)
		got, err := r.Receive(wait, searchStep)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return others, ctx.Err()
		}
		if err != nil {
			return others, err
		}
		done := false
		for _, held := range got {
			if d := held.(*delivery); !done && found(d) {
				done = true
			} else {
				others = append(others, d)
			}
		}
		if done {
			return others, nil
		}
	}
}

// giveUp gives back what was received, and closes the receiver. In a dead-letter
// queue giving back does not count.
func (r *receiver) giveUp(held []*delivery) {
	ctx, cancel := context.WithTimeout(context.Background(), r.queue.timing.call)
	defer cancel()
	for _, d := range held {
		_ = d.Abandon(ctx) // otherwise its lock ends
	}
	_ = r.Close(ctx)
}
