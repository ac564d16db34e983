package amqp_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 60 * time.Second

// broker is a Handler with a queue in memory for each address that clients name.
// It holds back nothing and keeps nothing: what a receiver releases or modifies
// goes to the end of the queue, and all else is gone.
type broker struct {
	incoming amqp.IncomingOptions // Credit, MaxMessageSize and Properties of links
	outcome  wire.DeliveryState   // of what is sent; nil: accepted
	hold     func(*amqp.Delivery) // gets what is sent, instead of its queue
	check    func(*amqp.Delivery) // sees what is sent
	detached func(error)          // hears of links that have ended
	authErr  error
	openErr  error

	mu     sync.Mutex
	queues map[string]*queue
	locked map[lock]amqp.OutMessage
	links  sync.WaitGroup
}

type lock struct {
	link *amqp.Outgoing
	tag  string
}

type queue struct {
	messages []amqp.OutMessage
	arrived  chan struct{} // closed when something arrives
}

// ring is called with the broker's mu held.
func (q *queue) ring() {
	close(q.arrived)
	q.arrived = make(chan struct{})
}

func newBroker() *broker {
	return &broker{queues: map[string]*queue{}, locked: map[lock]amqp.OutMessage{}}
}

func (b *broker) Mechanisms(amqp.Transport) []wire.Symbol {
	return []wire.Symbol{"MSSBCBS", "ANONYMOUS", "PLAIN"}
}

func (b *broker) Authenticate(_ *amqp.Conn, mechanism wire.Symbol, initial []byte, _ string) error {
	if mechanism == "PLAIN" && string(initial) != "\x00user\x00secret" {
		return errors.New("wrong password")
	}
	return b.authErr
}

func (b *broker) Open(c *amqp.Conn, open *wire.Open) error {
	c.SetValue(open.ContainerID)
	return b.openErr
}

func (b *broker) Closed(*amqp.Conn) {}

func (b *broker) Attach(a *amqp.Attach) {
	address := a.Frame().Source
	switch {
	case a.FromClient() && a.Frame().Target.Address.Value == "missing", !a.FromClient() && address.Address.Value == "missing":
		a.Refuse(&wire.Error{Condition: wire.ConditionNotFound, Description: "there is no such queue"})
	case a.FromClient():
		o := b.incoming
		name := a.Frame().Target.Address.Value
		o.Deliver = func(d *amqp.Delivery) { b.take(name, d) }
		o.Detached = b.detached
		a.AcceptIncoming(o)
	default:
		ctx, cancel := context.WithCancel(context.Background())
		l := a.AcceptOutgoing(amqp.OutgoingOptions{Dispose: b.dispose, Detached: func(err error) {
			cancel()
			if b.detached != nil {
				b.detached(err)
			}
		}})
		settled := a.Frame().SenderSettleMode.Value == wire.SenderSettled
		b.links.Go(func() { b.serve(ctx, l, address.Address.Value, settled) })
	}
}

// queue is called with mu held.
func (b *broker) queue(name string) *queue {
	if b.queues[name] == nil {
		b.queues[name] = &queue{arrived: make(chan struct{})}
	}
	return b.queues[name]
}

func (b *broker) take(name string, d *amqp.Delivery) {
	if b.check != nil {
		b.check(d)
	}
	if b.hold != nil {
		b.hold(d)
		return
	}
	state := b.outcome
	if state == nil {
		state = &wire.Accepted{}
		b.put(name, amqp.OutMessage{Tag: d.Tag, Format: d.Format, Message: d.Message})
	}
	d.Settle(state)
}

func (b *broker) put(name string, messages ...amqp.OutMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queue(name)
	q.messages = append(q.messages, messages...)
	q.ring()
}

// putBack returns messages that the link did not want any more to their places.
func (b *broker) putBack(l *amqp.Outgoing, name string, messages []amqp.OutMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range messages {
		delete(b.locked, lock{l, string(m.Tag)})
	}
	q := b.queue(name)
	q.messages = append(messages, q.messages...)
	q.ring()
}

// serve sends a queue's messages to a link as long as that is there.
func (b *broker) serve(ctx context.Context, l *amqp.Outgoing, name string, settled bool) {
	for {
		demand, err := l.Wait(ctx)
		if err != nil {
			return
		}
		messages, arrived := b.get(l, name, int(demand.Credit), settled)
		for i, m := range messages {
			if l.Send(m) != nil {
				b.putBack(l, name, messages[i:])
				break
			}
		}
		if len(messages) > 0 {
			continue
		}
		if demand.Drain {
			l.Drained()
			continue
		}
		select {
		case <-arrived:
		case <-demand.Withdrawn:
		case <-ctx.Done():
		}
	}
}

func (b *broker) get(l *amqp.Outgoing, name string, n int, settled bool) ([]amqp.OutMessage, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queue(name)
	n = min(n, len(q.messages))
	messages := slices.Clone(q.messages[:n])
	q.messages = q.messages[n:]
	for i := range messages {
		messages[i].Settled = settled
		if !settled {
			b.locked[lock{l, string(messages[i].Tag)}] = messages[i]
		}
	}
	return messages, q.arrived
}

func (b *broker) dispose(l *amqp.Outgoing, sent []amqp.Sent, state wire.DeliveryState, settled bool) {
	for _, s := range sent {
		b.mu.Lock()
		m, ok := b.locked[lock{l, string(s.Tag)}]
		delete(b.locked, lock{l, string(s.Tag)})
		b.mu.Unlock()
		switch state.(type) {
		case *wire.Released, *wire.Modified:
			if ok {
				b.put("again", m)
			}
		}
		if !settled {
			l.Settle(s.ID, &wire.Accepted{})
		}
	}
}

// waiting is how many messages are in a queue.
func (b *broker) waiting(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue(name).messages)
}

// serve starts a server on loopback and stops it with the test.
func serve(t testing.TB, cfg amqp.Config, h amqp.Handler) (s *amqp.Server, address string) {
	t.Helper()
	s = amqp.NewServer(cfg, h)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { _ = s.Serve(t.Context(), nc, amqp.Transport{Loopback: true}) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		conns.Wait()
		if b, ok := h.(*broker); ok {
			b.links.Wait()
		}
		if held := s.Held(); held != 0 {
			t.Errorf("%d bytes of deliveries are counted after all connections have ended", held)
		}
		if names := s.Names(); names != 0 {
			t.Errorf("%d links are known after all connections have ended", names)
		}
	})
	return s, listener.Addr().String()
}

// pipe serves one client on a connection that holds nothing: who writes waits
// for who reads.
func pipe(t testing.TB, cfg amqp.Config, h amqp.Handler) *amqptest.Peer {
	t.Helper()
	p, _ := connect(t, amqp.NewServer(cfg, h), h)
	return p
}

// connect is pipe for a server that there is. ended tells why the connection
// ended.
func connect(t testing.TB, s *amqp.Server, h amqp.Handler) (p *amqptest.Peer, ended <-chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	done, served := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(served)
		done <- s.Serve(context.Background(), ours, amqp.Transport{Loopback: true})
	}()
	t.Cleanup(func() {
		_ = theirs.Close()
		<-served
		if b, ok := h.(*broker); ok {
			b.links.Wait()
		}
	})
	return amqptest.New(t, theirs), done
}
