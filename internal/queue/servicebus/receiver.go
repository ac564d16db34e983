package servicebus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

const (
	// maxReceive bounds the messages of one receive; the SDK's own limit is 5000.
	maxReceive = 1000
	// glance is how many messages at the head of a queue are looked at.
	glance = 32
	// failuresApart are far enough from each other not to be counted together.
	failuresApart = time.Minute
)

// errDeaf is why a client is made anew whose receiver hears nothing.
var errDeaf = errors.New("messages wait and none is received")

// receiver takes messages from one queue.
type receiver struct {
	queue  *Queue
	name   string
	sub    azservicebus.SubQueue // 0, or its dead letters
	closed chan struct{}
	end    func()        // closes closed, once
	turn   chan struct{} // one token: whoever has put it there receives

	// By the holder of turn.
	ask       int       // how many messages to ask for next
	failures  int       // in a row
	failed    time.Time // the last of them
	notBefore time.Time // the next receive
	heard     time.Time // the last message, or the last look
	patience  time.Duration
	suspect   int64 // the message that waited at the last look; 0 for none
	looking   *peek // the look under way, nil for none

	mu   sync.Mutex
	link *link                  // nil until it is needed
	held map[*delivery]struct{} // handed out and not settled
}

// link is a receiver of the SDK.
type link struct {
	client *client
	sdk    sdkReceiver
	opened *peek // over when it is attached, or cannot be
}

// peek is a look at the head of a queue, which goes on when nobody waits for it.
type peek struct {
	link *link
	over chan struct{}
	head []*azservicebus.ReceivedMessage // to be read after over, as is err
	err  error
}

func newReceiver(q *Queue, name string) *receiver {
	r := &receiver{
		queue: q, name: name, closed: make(chan struct{}), turn: make(chan struct{}, 1),
		ask: 1, heard: time.Now(), patience: q.timing.patience, held: map[*delivery]struct{}{},
	}
	r.end = sync.OnceFunc(func() { close(r.closed) })
	return r
}

// Receive implements [queue.Receiver]. One caller at a time receives.
func (r *receiver) Receive(ctx context.Context, limit int) ([]queue.Delivery, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.closed:
		return nil, queue.ErrClosed
	}
	waiting, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		select {
		case <-r.closed:
			cancel()
		case <-waiting.Done():
		}
	})
	for {
		if err := r.over(ctx); err != nil {
			return nil, err
		}
		got, err := r.once(waiting, min(max(limit, 1), maxReceive))
		if len(got) > 0 {
			return got, nil
		}
		if err != nil && r.over(ctx) == nil {
			return nil, err
		}
	}
}

// over is the reason why a receive must end.
func (r *receiver) over(ctx context.Context) error {
	select {
	case <-r.closed:
		return queue.ErrClosed
	default:
		return ctx.Err()
	}
}

// once receives for a limited time. Nothing at all means: again.
func (r *receiver) once(ctx context.Context, limit int) ([]queue.Delivery, error) {
	if err := pause(ctx, time.Until(r.notBefore)); err != nil {
		return nil, err
	}
	l, err := r.attach(ctx)
	if err != nil {
		return nil, r.fault(ctx, l, err)
	}
	if time.Since(r.heard) >= r.patience {
		if err := r.look(ctx, l); err != nil {
			return nil, r.fault(ctx, l, err)
		}
	}
	asked, began := min(r.ask, limit), time.Now()
	got, err := call(ctx, l.client, r.queue.timing.receive, func(ctx context.Context) ([]*azservicebus.ReceivedMessage, error) {
		return l.sdk.ReceiveMessages(ctx, asked, &azservicebus.ReceiveMessagesOptions{TimeAfterFirstMessage: r.queue.timing.batch})
	}, l.giveBack)
	switch {
	case len(got) > 0:
		r.ask = 1
		if len(got) == asked && time.Since(began) < r.queue.timing.prompt {
			r.ask = min(2*asked, maxReceive)
		}
		return r.hand(l, got), nil
	case errors.Is(err, errLimit):
		return nil, nil
	case err == nil:
		err = errLinkLost
	}
	return nil, r.fault(ctx, l, err)
}

// hand makes deliveries.
func (r *receiver) hand(l *link, got []*azservicebus.ReceivedMessage) []queue.Delivery {
	r.failures, r.notBefore = 0, time.Time{}
	r.heard, r.suspect, r.patience = time.Now(), 0, r.queue.timing.patience
	r.queue.healthy()
	deliveries := make([]queue.Delivery, len(got))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, m := range got {
		d := &delivery{receiver: r, link: l, received: m, message: decode(m)}
		until := lockEnd(m.LockedUntil)
		d.until.Store(&until)
		r.held[d] = struct{}{}
		deliveries[i] = d
	}
	return deliveries
}

// fault notes a failure and returns what the caller should know of it: nothing
// of the first one, because links end every now and then, and nothing of one
// that came from a client that was given up meanwhile.
func (r *receiver) fault(ctx context.Context, l *link, err error) error {
	if ctx.Err() != nil && !errors.Is(err, errHung) {
		return ctx.Err() // the link is good: what it brings meanwhile, the SDK gives back
	}
	if l != nil {
		r.drop(l)
		r.queue.doubt(ctx, l.client, err)
	}
	if errors.Is(err, queue.ErrClosed) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if l != nil && !r.queue.isCurrent(l.client) {
		return nil
	}
	now := time.Now()
	if now.Sub(r.failed) > failuresApart {
		r.failures = 0
	}
	r.failures++
	r.failed = now
	r.notBefore = now.Add(r.backoff())
	meaning := translate(err)
	if errors.Is(meaning, queue.ErrUnknownQueue) || errors.Is(meaning, ErrRefused) {
		return fmt.Errorf("receive from %q: %w", r.name, meaning)
	}
	if r.failures == 1 {
		return nil
	}
	if l != nil {
		r.queue.replace(l.client, err)
	}
	return fmt.Errorf("receive from %q: %w", r.name, meaning)
}

// backoff is the wait after so many failures, drawn from a half of its usual
// value to one and a half.
func (r *receiver) backoff() time.Duration {
	t := r.queue.timing
	d := t.backoff
	for range min(r.failures-1, 20) {
		d = min(2*d, t.backoffMax)
	}
	return d/2 + rand.N(d)
}

// look finds out whether the receiver is deaf: at the head of the queue is a
// message that was there at the last look, and nobody here holds it. Somebody
// else may, for long; so the more often it did not help to make the client
// anew, the more patient the receiver is. A look goes on when ctx ends: no answer
// to it is an answer, also for callers that never wait long enough.
func (r *receiver) look(ctx context.Context, l *link) error {
	if r.looking == nil || r.looking.link != l {
		r.looking = l.peek(glance)
	}
	select {
	case <-r.looking.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	found := r.looking
	r.looking = nil
	if found.err != nil {
		return found.err
	}
	r.heard = time.Now()
	last := r.suspect
	r.suspect = r.waiting(found.head)
	if r.suspect == 0 || r.suspect != last {
		return nil
	}
	r.patience = min(2*r.patience, r.queue.timing.patienceMax)
	r.queue.replace(l.client, fmt.Errorf("%w: queue %q", errDeaf, r.name))
	return nil
}

// waiting is the sequence number of the first message that could be received
// and is not held here; 0 if there is none.
func (r *receiver) waiting(head []*azservicebus.ReceivedMessage) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := make(map[int64]bool, len(r.held))
	for d := range r.held {
		held[sequence(d.received)] = true
	}
	for _, m := range head {
		if m.State == azservicebus.MessageStateActive && !held[sequence(m)] {
			return sequence(m)
		}
	}
	return 0
}

// attach returns a link on the present client, once it is attached. That goes
// on when ctx ends: a caller that never waits long enough gets it in the end. A
// link that could not be attached is returned with the error.
func (r *receiver) attach(ctx context.Context) (*link, error) {
	l, err := r.currentLink()
	if err != nil {
		return nil, err
	}
	select {
	case <-l.opened.over:
		return l, l.opened.err
	case <-ctx.Done():
		return l, ctx.Err()
	}
}

func (r *receiver) currentLink() (*link, error) {
	c, err := r.queue.client()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != nil && r.link.client == c {
		return r.link, nil
	}
	sdk, err := c.sdk.newReceiver(r.name, r.sub)
	if err != nil {
		return nil, err
	}
	// The SDK attaches a link at the first thing it is asked for, and looking is
	// the one that takes no message.
	r.link = &link{client: c, sdk: sdk}
	r.link.opened = r.link.peek(1)
	return r.link, nil
}

// peek begins a look.
func (l *link) peek(most int) *peek {
	p := &peek{link: l, over: make(chan struct{})}
	started := l.client.start(func() {
		defer close(p.over)
		p.head, p.err = call(context.Background(), l.client, l.client.timing.call, func(ctx context.Context) ([]*azservicebus.ReceivedMessage, error) {
			return l.sdk.PeekMessages(ctx, most, &azservicebus.PeekMessagesOptions{FromSequenceNumber: new(int64)})
		}, nil)
	})
	if !started {
		p.err = errReplaced
		close(p.over)
	}
	return p
}

// giveBack gives back what came too late for its receive.
func (l *link) giveBack(late []*azservicebus.ReceivedMessage) {
	ctx, cancel := context.WithTimeout(context.Background(), l.client.timing.close)
	defer cancel()
	for _, m := range late {
		_ = l.sdk.AbandonMessage(ctx, m, nil) // otherwise its lock ends
	}
}

// drop closes a link. What came by it is settled by another one from now on.
func (r *receiver) drop(l *link) <-chan struct{} {
	r.mu.Lock()
	if r.link == l {
		r.link = nil
	}
	r.mu.Unlock()
	return l.client.closeLink(l.sdk)
}

// release forgets a delivery that was settled, or may have been.
func (r *receiver) release(d *delivery) {
	r.mu.Lock()
	delete(r.held, d)
	r.mu.Unlock()
	select {
	case <-r.closed:
		r.leave()
	default:
	}
}

// leave closes the link of a closed receiver when nothing is left to be settled
// on it.
func (r *receiver) leave() <-chan struct{} {
	r.mu.Lock()
	l := r.link
	if len(r.held) > 0 {
		l = nil
	}
	r.mu.Unlock()
	if l == nil {
		nothing := make(chan struct{})
		close(nothing)
		return nothing
	}
	return r.drop(l)
}

// Close implements [queue.Receiver]. Messages that are held can still be
// settled: the link is closed after the last of them.
func (r *receiver) Close(ctx context.Context) error {
	r.queue.forget(r)
	r.end()
	select {
	case r.turn <- struct{}{}: // no receive is under way
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-r.leave():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause waits for d, or for ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
