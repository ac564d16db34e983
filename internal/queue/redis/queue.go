// Package redis carries Bellhop's messages over Redis Streams, for processes
// that share a Redis. It knows streams, consumer groups and the contract of a
// queue, and nothing of what the messages mean.
//
// # What is stored
//
// A queue NAME is the stream {NAME}:messages with the consumer group "bellhop",
// and the stream {NAME}:dead of its dead letters. A settled message leaves the
// stream; nothing is ever trimmed. The channel {NAME}:bell wakes receivers that
// wait; one that does not hear it looks once a second.
//
// # Locks
//
// A lock is an entry in the group's list of pending entries. Every settlement
// is one script, which first checks there that the message is still held by the
// same receiver, for the same delivery, and that its time is not over by the
// server's clock. So a script that is made twice does nothing the second time.
// Locks outlive the server's restart, and end for a process that has died when
// their time is over.
//
// # What it survives
//
// A stream that has vanished (a flush, a failover that lost it) is made anew by
// whoever misses it first; what it held comes again from the ledger. An answer
// that is lost leaves either messages that were sent and are not known to be, or
// messages that were received and nobody has: the first come twice, the second
// go back when the receiver next looks.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/redisdb"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

var (
	_ queue.Queue        = (*Queue)(nil)
	_ queue.DeadLetterer = (*Queue)(nil)
	_ queue.Counter      = (*Queue)(nil)
)

// Options configure [New].
type Options struct {
	// Client is the Redis. It is required, and stays open when the queue is
	// closed.
	Client *redisdb.Client
	// Lock is how long a message is held before it goes back. It must be the
	// same in all processes that share a queue. A person may be waiting for what
	// a killed process held. Default: 30 s.
	Lock time.Duration
	// MaxDeliveries is how often a message is delivered before it becomes a
	// dead letter. Default: 100, well above the ledger's own limit, because a
	// broker's dead letter never decides a mail.
	MaxDeliveries int
	// Consumer names this queue's receivers in Redis. No two queues that are
	// open may share one. Default: a fresh UUID.
	Consumer string
	// Logger is told what an operator should know. Default: nobody is.
	Logger *slog.Logger
}

// Queue is a [queue.Queue], a [queue.DeadLetterer] and a [queue.Counter] over
// Redis Streams. It creates no queues by itself; see [Queue.EnsureQueues].
// While Redis is away its calls return [redisdb.ErrUnavailable].
type Queue struct {
	opts    Options
	scripts scripts

	mu        sync.Mutex
	closed    bool
	ensured   map[string]bool // queues that are made anew when they vanish
	receivers map[*receiver]struct{}
	made      int // numbers the receivers
}

// New makes a queue. It connects to nothing yet.
func New(opts Options) *Queue {
	if opts.Lock <= 0 {
		opts.Lock = 30 * time.Second
	}
	if opts.MaxDeliveries <= 0 {
		opts.MaxDeliveries = 100
	}
	if opts.Consumer == "" {
		opts.Consumer = uuid.NewString()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Queue{opts: opts, scripts: newScripts(), ensured: map[string]bool{}, receivers: map[*receiver]struct{}{}}
}

// EnsureQueues creates the queues that are missing. Those it was once asked for
// it creates again, without being asked, when they have vanished.
func (q *Queue) EnsureQueues(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := q.note(name); err != nil {
			return err
		}
		if _, err := q.tag(name).Run(ctx, q.scripts.ensure, redisdb.Answered); err != nil {
			return fmt.Errorf("create queue %q: %w", name, err)
		}
	}
	return nil
}

func (q *Queue) note(name string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return queue.ErrClosed
	}
	q.ensured[name] = true
	return nil
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

func (q *Queue) tag(name string) *redisdb.Tag { return q.opts.Client.Tag("{" + name + "}") }

// run makes a step on a queue, which it creates when it should be there and is
// not.
func (q *Queue) run(ctx context.Context, name string, s *redisdb.Script, args ...any) (any, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	reply, err := q.tag(name).Run(ctx, s, redisdb.Answered, args...)
	if !vanished(err) {
		return reply, err
	}
	q.mu.Lock()
	ensured := q.ensured[name]
	q.mu.Unlock()
	if !ensured {
		return nil, fmt.Errorf("%w: %q (%w)", queue.ErrUnknownQueue, name, err)
	}
	q.opts.Logger.Warn("a queue has vanished from Redis and is made anew: what it held comes again from the ledger", "queue", name)
	if err := q.EnsureQueues(ctx, name); err != nil {
		return nil, err
	}
	return q.tag(name).Run(ctx, s, redisdb.Answered, args...)
}

// vanished tells that the stream or its group is not there.
func vanished(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && redis.HasErrorPrefix(reply, "NOGROUP")
}

// Send implements [queue.Sender]. A message may have 1000 properties.
func (q *Queue) Send(ctx context.Context, name string, messages ...queue.Message) error {
	if err := q.open(); err != nil || len(messages) == 0 {
		return err
	}
	args := make([]any, 0, 8*len(messages))
	for _, m := range messages {
		if err := checkSize(m); err != nil {
			return fmt.Errorf("message %q: %w", m.ID, err)
		}
		args = appendFields(args, m)
	}
	_, err := q.run(ctx, name, q.scripts.send, args...)
	return err
}

// Receiver implements [queue.Queue]. A queue that does not exist is reported by
// the first Receive.
func (q *Queue) Receiver(name string) (queue.Receiver, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, queue.ErrClosed
	}
	q.made++
	r := newReceiver(q, name, q.opts.Consumer+"."+strconv.Itoa(q.made))
	q.receivers[r] = struct{}{}
	return r, nil
}

// Close implements [queue.Queue].
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	open := q.receivers
	q.receivers = map[*receiver]struct{}{}
	q.mu.Unlock()
	var errs []error
	for r := range open {
		errs = append(errs, r.Close(ctx))
	}
	return errors.Join(errs...)
}

func (q *Queue) forget(r *receiver) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.receivers, r)
}

// Depth implements [queue.Counter].
func (q *Queue) Depth(ctx context.Context, name string) (active, dead int64, err error) {
	reply, err := q.run(ctx, name, q.scripts.depth)
	if err != nil {
		return 0, 0, err
	}
	if counts, _ := reply.([]any); len(counts) == 2 {
		active, _ = counts[0].(int64)
		dead, _ = counts[1].(int64)
	}
	return active, dead, nil
}
