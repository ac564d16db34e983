package servicebus

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// fakeNamespace stands for the SDK where it must do what no broker makes it do,
// in the time of a synctest bubble. What it is asked for ends up in its logs.
type fakeNamespace struct {
	// receive answers the nth client's receivers, from 1. Default: it waits.
	receive func(ctx context.Context, client, most int) ([]*azservicebus.ReceivedMessage, error)
	// peek is the head of every queue. Default: empty.
	peek func(client int) ([]*azservicebus.ReceivedMessage, error)
	// settle answers settlements and renewals. Default: nil.
	settle func(ctx context.Context, client int, verb string) error
	// send answers sends. Default: nil.
	send func(ctx context.Context, client int) error
	// closing answers the closing of a client. Default: nil.
	closing func(ctx context.Context) error

	mu        sync.Mutex
	clients   int
	asked     []int // by each receive
	receivers int
	senders   int
	closed    int // links
	settled   []string
}

func (f *fakeNamespace) dial() (sdkClient, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clients++
	return &fakeClient{f, f.clients}, nil
}

// count reads a counter.
func (f *fakeNamespace) count(n *int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *n
}

func (f *fakeNamespace) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.settled)
}

// open opens a queue on it, which is closed at the end of the test.
func (f *fakeNamespace) open(t *testing.T) *Queue {
	q := newQueue(nil, usualTiming(), f.dial)
	t.Cleanup(func() {
		if err := q.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return q
}

type fakeClient struct {
	*fakeNamespace
	number int
}

func (c *fakeClient) newReceiver(string, azservicebus.SubQueue) (sdkReceiver, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receivers++
	return &fakeReceiver{c}, nil
}

func (c *fakeClient) newSender(string) (sdkSender, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.senders++
	return &fakeSender{c}, nil
}

func (c *fakeClient) Close(ctx context.Context) error {
	if c.closing != nil {
		return c.closing(ctx)
	}
	return nil
}

func (c *fakeClient) closeLink() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	return nil
}

type fakeReceiver struct{ *fakeClient }

func (r *fakeReceiver) ReceiveMessages(ctx context.Context, most int, _ *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error) {
	r.mu.Lock()
	r.asked = append(r.asked, most)
	r.mu.Unlock()
	if r.receive == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return r.receive(ctx, r.number, most)
}

func (r *fakeReceiver) PeekMessages(context.Context, int, *azservicebus.PeekMessagesOptions) ([]*azservicebus.ReceivedMessage, error) {
	if r.peek == nil {
		return nil, nil
	}
	return r.peek(r.number)
}

func (r *fakeReceiver) settling(ctx context.Context, verb string, m *azservicebus.ReceivedMessage) error {
	if m.SequenceNumber == nil {
		verb += " by token"
	}
	r.mu.Lock()
	r.settled = append(r.settled, verb)
	r.mu.Unlock()
	if r.settle == nil {
		return nil
	}
	return r.settle(ctx, r.number, verb)
}

func (r *fakeReceiver) RenewMessageLock(ctx context.Context, m *azservicebus.ReceivedMessage, _ *azservicebus.RenewMessageLockOptions) error {
	return r.settling(ctx, "renew", m)
}

func (r *fakeReceiver) CompleteMessage(ctx context.Context, m *azservicebus.ReceivedMessage, _ *azservicebus.CompleteMessageOptions) error {
	return r.settling(ctx, "complete", m)
}

func (r *fakeReceiver) AbandonMessage(ctx context.Context, m *azservicebus.ReceivedMessage, _ *azservicebus.AbandonMessageOptions) error {
	return r.settling(ctx, "abandon", m)
}

func (r *fakeReceiver) DeadLetterMessage(ctx context.Context, m *azservicebus.ReceivedMessage, _ *azservicebus.DeadLetterOptions) error {
	return r.settling(ctx, "dead-letter", m)
}

func (r *fakeReceiver) Close(context.Context) error { return r.closeLink() }

type fakeSender struct{ *fakeClient }

func (s *fakeSender) SendMessage(ctx context.Context, _ *azservicebus.Message, _ *azservicebus.SendMessageOptions) error {
	if s.send == nil {
		return nil
	}
	return s.send(ctx, s.number)
}

// NewMessageBatch is not needed: batches are the SDK's own.
func (s *fakeSender) NewMessageBatch(context.Context, *azservicebus.MessageBatchOptions) (*azservicebus.MessageBatch, error) {
	panic("a batch")
}

func (s *fakeSender) SendMessageBatch(context.Context, *azservicebus.MessageBatch, *azservicebus.SendMessageBatchOptions) error {
	panic("a batch")
}

func (s *fakeSender) Close(context.Context) error { return s.closeLink() }

// arrived makes n messages as the SDK delivers them.
func arrived(n int) []*azservicebus.ReceivedMessage {
	all := make([]*azservicebus.ReceivedMessage, n)
	for i := range all {
		seq := int64(i + 1)
		until := time.Now().Add(lockAssumed)
		all[i] = &azservicebus.ReceivedMessage{SequenceNumber: &seq, DeliveryCount: 1, LockedUntil: &until, LockToken: [16]byte{byte(i)}}
	}
	return all
}

// open1 opens a receiver on the queue "q".
func open1(t *testing.T, q *Queue) queue.Receiver {
	t.Helper()
	r, err := q.Receiver("q")
	if err != nil {
		t.Fatal(err)
	}
	return r
}
