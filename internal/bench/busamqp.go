package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"
)

// broker is a server that speaks AMQP 1.0, and how to get at a queue in it. It
// is all that the client below knows of whom it talks to.
type broker struct {
	name           string
	process        *process
	url            string // amqp://HOST:PORT
	user, password string
	queue          string // its address
}

const (
	// window is how many messages a receiver asks for at a time. It asks for
	// more when it has accepted them all: asked sooner, RabbitMQ 3.10 loses
	// count for a quorum queue's receiver and stops sending.
	window = 100
	// fillLinks is how many links fill a queue, inFlight how many sends of each
	// are under way then. That is not measured.
	fillLinks, inFlight = 16, 32
	// drainWithin is how long the messages that were sent may take to come.
	drainWithin = 5 * time.Minute
	// silence is how long nothing comes from a queue that is empty, and how long
	// connections stay open after their last message was accepted: RabbitMQ
	// delivers once more what it has not yet noted when they end.
	silence = 500 * time.Millisecond
)

// client is a number of connections to a broker with a session each, as so many
// programs have them.
type client struct {
	broker   *broker
	conns    []*amqp.Conn
	sessions []*amqp.Session
}

func (b *broker) connect(ctx context.Context, n int) (*client, error) {
	c := &client{broker: b}
	for range n {
		conn, err := amqp.Dial(ctx, b.url, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain(b.user, b.password)})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect to %s: %w", b.name, err), c.close())
		}
		c.conns = append(c.conns, conn)
		session, err := conn.NewSession(ctx, nil)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("begin a session with %s: %w", b.name, err), c.close())
		}
		c.sessions = append(c.sessions, session)
	}
	return c, nil
}

// close closes the connections, which ends the links. Links and sessions are not
// ended one by one: go-amqp waits for answers to that which RabbitMQ 3.10 does not
// always give.
func (c *client) close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// with connects, and closes when fn is done.
func (b *broker) with(ctx context.Context, n int, fn func(c *client) error) error {
	c, err := b.connect(ctx, n)
	if err != nil {
		return err
	}
	return errors.Join(fn(c), c.close())
}

func (c *client) senders(ctx context.Context) ([]*amqp.Sender, error) {
	var all []*amqp.Sender
	for _, s := range c.sessions {
		sender, err := s.NewSender(ctx, c.broker.queue, nil)
		if err != nil {
			return nil, fmt.Errorf("attach a sender to %s: %w", c.broker.name, err)
		}
		all = append(all, sender)
	}
	return all, nil
}

func (c *client) receivers(ctx context.Context) ([]*amqp.Receiver, error) {
	var all []*amqp.Receiver
	for _, s := range c.sessions {
		receiver, err := s.NewReceiver(ctx, c.broker.queue, &amqp.ReceiverOptions{Credit: -1})
		if err != nil {
			return nil, fmt.Errorf("attach a receiver to %s: %w", c.broker.name, err)
		}
		all = append(all, receiver)
	}
	return all, nil
}

// send has each link send one message after the other, each when the broker has
// confirmed the one before, and returns how many it has confirmed.
func send(ctx context.Context, senders []*amqp.Sender, d time.Duration) (int, time.Duration, error) {
	var n atomic.Int64
	began := time.Now()
	err := together(ctx, len(senders), func(ctx context.Context, i int) error {
		message := durable()
		for time.Since(began) < d {
			if err := senders[i].Send(ctx, message, nil); err != nil {
				return err
			}
			n.Add(1)
		}
		return nil
	})
	return int(n.Load()), time.Since(began), err
}

// fill sends n messages as fast as that goes.
func (b *broker) fill(ctx context.Context, n int) error {
	return b.with(ctx, fillLinks, func(c *client) error {
		senders, err := c.senders(ctx)
		if err != nil {
			return err
		}
		var left atomic.Int64
		left.Store(int64(n))
		return together(ctx, inFlight*len(senders), func(ctx context.Context, i int) error {
			message := durable()
			for left.Add(-1) >= 0 {
				if err := senders[i%len(senders)].Send(ctx, message, nil); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func durable() *amqp.Message {
	return &amqp.Message{Header: &amqp.MessageHeader{Durable: true}, Data: [][]byte{aBody()}}
}

// drain has the receivers receive and accept n messages in all, each one message
// after the other.
func drain(ctx context.Context, receivers []*amqp.Receiver, n int) (int, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	var left atomic.Int64
	left.Store(int64(n))
	began := time.Now()
	err := together(ctx, len(receivers), func(ctx context.Context, i int) error {
		return acceptSome(ctx, receivers[i], &left, cancel)
	})
	took := time.Since(began)
	switch more := left.Load(); {
	case err != nil:
		return 0, 0, fmt.Errorf("received %d of %d messages: %w", int64(n)-more, n, err)
	case more < 0:
		return 0, 0, fmt.Errorf("%d more messages came than were sent", -more)
	}
	return n, took, nil
}

// acceptSome receives and accepts until no messages are left, which it then tells
// the other receivers.
func acceptSome(ctx context.Context, r *amqp.Receiver, left *atomic.Int64, all func()) error {
	for i := 0; left.Load() > 0; i++ {
		if i%window == 0 {
			if err := r.IssueCredit(window); err != nil {
				return err
			}
		}
		message, err := r.Receive(ctx, nil)
		if err == nil {
			err = r.AcceptMessage(context.WithoutCancel(ctx), message)
		}
		switch {
		case err != nil && left.Load() <= 0:
			return nil // somebody else received the last one
		case err != nil:
			return err
		case left.Add(-1) == 0:
			all()
		}
	}
	return nil
}

// rest waits for the silence after messages.
func rest(ctx context.Context) error {
	select {
	case <-time.After(silence):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wantEmpty tells whether what was accepted is gone.
func (b *broker) wantEmpty(ctx context.Context) error {
	return b.with(ctx, 1, func(c *client) error {
		receivers, err := c.receivers(ctx)
		if err != nil {
			return err
		}
		if err := receivers[0].IssueCredit(1); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, silence)
		defer cancel()
		switch _, err := receivers[0].Receive(ctx, nil); {
		case err == nil:
			return fmt.Errorf("%s delivers a message although all were accepted", b.name)
		case errors.Is(err, context.DeadlineExceeded):
			return nil
		default:
			return err
		}
	})
}

// together runs fn n times at once and waits for all. The first error ends the
// context of the others and is returned.
func together(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		all   sync.WaitGroup
		once  sync.Once
		first error
	)
	for i := range n {
		all.Go(func() {
			if err := fn(ctx, i); err != nil {
				once.Do(func() { first = err })
				cancel()
			}
		})
	}
	all.Wait()
	return first
}
