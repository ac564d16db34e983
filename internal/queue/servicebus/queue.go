// Package servicebus carries Bellhop's messages over Azure Service Bus, by the
// official SDK and nothing else. It knows queues and the SDK's habits, and
// nothing of what the messages mean.
//
// # What it defends against
//
// The SDK hands out messages and settles them. It does not renew locks, and it
// has ways to stand still, or to spin, for ever. So:
//
//   - Every call has a deadline. One that does not even mind that is left
//     behind, and the whole client is made anew: new links on a dead
//     connection do not help.
//   - A receiver asks for one message, and for twice as many each time it was
//     given all it asked for at once, never for more than its caller has room
//     for. Credit that is left on a link would draw messages that nobody takes,
//     and the SDK holds back the first of several while it waits for the others.
//   - A receive that ends without messages and without an error means that the
//     link is lost, or, after some conditions, that the SDK will say so again
//     at once for as long as it is asked. The link is closed, and the next one
//     waits, longer each time, around the SDK's own tries.
//   - Where nothing comes, the head of the queue is looked at now and then. A
//     message that is there at two looks, and that nobody here holds, means
//     that this receiver is deaf: the client is made anew. Looking is peeking,
//     on the receiver's own link, so that the right to listen is enough.
//   - A message is settled on the link it came by. When that fails or is gone,
//     it is settled once more by its lock token, on whichever link there is.
//     The SDK would recover the connection for each message that came by a
//     connection that is gone, however well the new one is.
//   - Links that send, or look, are made anew every minute: the SDK keeps a
//     processor busy for as long as one of its auxiliary links has ended with
//     certain conditions (server-busy is one), and nothing tells of that.
//   - Tokens are asked for with a deadline, which the SDK does not set.
//   - Closing has a deadline.
//
// The ledger decides what a message means, so nothing here is ever the last
// chance of one: what cannot be settled comes again.
//
// # Order
//
// The SDK gives back messages that arrive while nobody waits for them, and the
// broker sends them again, behind others. So messages may overtake each other.
package servicebus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

var (
	_ queue.Queue        = (*Queue)(nil)
	_ queue.DeadLetterer = (*Queue)(nil)
	_ queue.Counter      = (*Queue)(nil)
)

// Options say which namespace [New] and [Prepare] work with, and how they prove
// who they are: by ConnectionString, or by Namespace and Credential.
type Options struct {
	// ConnectionString is that of a namespace. It holds a key.
	ConnectionString string
	// Namespace is the name of a namespace's host, such as
	// contoso.servicebus.windows.net.
	Namespace string
	// Credential gives tokens for Namespace. See [NewCredential].
	Credential azcore.TokenCredential
	// TLS is how the namespace is reached, such as which certificates are
	// trusted. Default: by the system's.
	TLS *tls.Config
	// Logger is told what an operator should know. Default: nobody is.
	Logger *slog.Logger
}

// timing are the deadlines and waits of a queue.
type timing struct {
	receive     time.Duration // one receive, at most
	settle      time.Duration // settling on the link a message came by, less than the SDK waits before it tries again
	call        time.Duration // any other call
	grace       time.Duration // by which a call may overrun its deadline
	close       time.Duration // closing a link or a client
	patience    time.Duration // nothing comes: from then on it is worth looking why
	patienceMax time.Duration
	backoff     time.Duration // after a failure; doubled after each further one
	backoffMax  time.Duration
	linkAge     time.Duration // of links that send or look
	batch       time.Duration // how long a receive waits for more than one message
	prompt      time.Duration // messages that come sooner have waited for whoever asks
	search      time.Duration // nothing comes: a search is over
}

func usualTiming() timing {
	return timing{
		receive: 15 * time.Second, settle: 2500 * time.Millisecond, call: 10 * time.Second,
		grace: 3 * time.Second, close: 5 * time.Second,
		patience: 15 * time.Second, patienceMax: 5 * time.Minute,
		backoff: 200 * time.Millisecond, backoffMax: 15 * time.Second,
		linkAge: time.Minute, batch: 20 * time.Millisecond, prompt: 50 * time.Millisecond, search: 3 * time.Second,
	}
}

// lockAssumed is the longest that a lock is taken to last: as long as those of
// the queues that [Prepare] makes. The end the broker tells is by its clock, and
// a lock that is renewed too soon does no harm.
const lockAssumed = time.Minute

// lockLeast is the shortest lock that Service Bus has.
const lockLeast = 5 * time.Second

// Queue is a [queue.Queue], a [queue.DeadLetterer] and a [queue.Counter] over a
// namespace. All lanes share one connection. It creates no queues; see
// [Prepare].
//
// Batches that are over the namespace's limit (256 KiB in the standard tier)
// are refused with [queue.ErrTooLarge].
type Queue struct {
	log    *slog.Logger
	timing timing
	dial   func() (sdkClient, error)

	mu        sync.Mutex
	closed    bool
	current   *client // nil until it is needed
	replaced  time.Time
	quiet     time.Duration // until the client may be made anew again
	receivers map[*receiver]struct{}
	desks     map[string]chan struct{} // by queue: one at a time handles its dead letters

	clients sync.WaitGroup // those that are being closed
}

// New makes a queue. It connects to nothing yet.
func New(opts Options) (*Queue, error) {
	sdk, err := opts.client()
	if err != nil {
		return nil, err
	}
	_ = sdk.Close(context.Background()) // it has connected to nothing: that it could be made is what matters
	return newQueue(opts.Logger, usualTiming(), opts.client), nil
}

func newQueue(log *slog.Logger, t timing, dial func() (sdkClient, error)) *Queue {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Queue{
		log: log, timing: t, dial: dial,
		receivers: map[*receiver]struct{}{}, desks: map[string]chan struct{}{},
	}
}

// Missing looks at the head of each queue, and returns those that are not there.
// The error says why the namespace cannot be used: it wraps [ErrRefused], or tells
// why it cannot be reached.
func (q *Queue) Missing(ctx context.Context, names ...string) (missing []string, err error) {
	for _, name := range names {
		_, err := q.peek(ctx, name, 0, 0, 1)
		switch {
		case errors.Is(err, queue.ErrUnknownQueue):
			missing = append(missing, name)
		case err != nil:
			return missing, err
		}
	}
	return missing, nil
}

// Send implements [queue.Sender].
func (q *Queue) Send(ctx context.Context, name string, messages ...queue.Message) error {
	if err := q.open(); err != nil || len(messages) == 0 {
		return err
	}
	out := make([]*azservicebus.Message, len(messages))
	for i, m := range messages {
		if err := m.CheckSize(); err != nil {
			return fmt.Errorf("message %q: %w", m.ID, err)
		}
		out[i] = encode(m)
	}
	return q.send(ctx, name, out)
}

func (q *Queue) send(ctx context.Context, name string, messages []*azservicebus.Message) error {
	c, err := q.client()
	if err != nil {
		return err
	}
	link, err := c.senders.take(name, func() (sdkSender, error) { return c.sdk.newSender(name) })
	if err != nil {
		return fmt.Errorf("send to %q: %w", name, err)
	}
	_, err = call(ctx, c, q.timing.call, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, sendAll(ctx, link.value, messages)
	}, nil)
	link.giveBack(err == nil)
	if err != nil {
		q.doubt(ctx, c, err)
		return fmt.Errorf("send to %q: %w", name, translate(err))
	}
	return nil
}

// sendAll sends in one step.
func sendAll(ctx context.Context, s sdkSender, messages []*azservicebus.Message) error {
	if len(messages) == 1 {
		return s.SendMessage(ctx, messages[0], nil)
	}
	batch, err := s.NewMessageBatch(ctx, nil)
	if err != nil {
		return err
	}
	for i, m := range messages {
		if err := batch.AddMessage(m, nil); errors.Is(err, azservicebus.ErrMessageTooLarge) {
			return fmt.Errorf("%w: %d messages do not fit into one batch, %d do", err, len(messages), i)
		} else if err != nil {
			return err
		}
	}
	return s.SendMessageBatch(ctx, batch, nil)
}

// Receiver implements [queue.Queue]. A queue that does not exist is reported by
// the first Receive.
func (q *Queue) Receiver(name string) (queue.Receiver, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, queue.ErrClosed
	}
	r := newReceiver(q, name)
	q.receivers[r] = struct{}{}
	return r, nil
}

// Close implements [queue.Queue]. It waits for ctx or a few seconds, whichever
// is shorter; what the SDK has not ended by then ends later, or never.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	c, open := q.current, q.receivers
	q.current, q.receivers = nil, map[*receiver]struct{}{}
	q.mu.Unlock()
	for r := range open {
		r.end()
	}
	if c != nil {
		q.retire(c, q.timing.close)
	}
	ctx, cancel := context.WithTimeout(ctx, q.timing.close+q.timing.grace)
	defer cancel()
	closed := make(chan struct{})
	go func() { q.clients.Wait(); close(closed) }()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the connection to Service Bus: %w", ctx.Err())
	}
}

func (q *Queue) forget(r *receiver) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.receivers, r)
}

// open is [queue.ErrClosed] after Close.
func (q *Queue) open() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return queue.ErrClosed
	}
	return nil
}
