package busserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"go.uber.org/goleak"

	"bellhop/internal/amqp"
	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 90 * time.Second

// The rules of a rig beside the root's.
const (
	sendOnly   = "send-only"
	listenOnly = "listen-only"
	otherKey   = "c2VuZCBhbmQgbGlzdGVuIGtleXM="
)

// rig is a bus and a server on loopback, with the queue "orders".
type rig struct {
	testing.TB
	bus    *bus.Bus
	server *Server
	faults *Faults
	keys   *sas.Keys
	addr   string
	clock  *clock
	ctx    context.Context // ends with the test, or when it takes too long

	serving sync.WaitGroup
}

// clock is the real one, put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// newRig starts a server; set may change its options.
func newRig(t testing.TB, set ...func(*Options)) *rig {
	t.Helper()
	return newRigOn(t, bus.Options{InMemory: true}, set...)
}

// newRigOn starts a server on a bus of its own.
func newRigOn(t testing.TB, on bus.Options, set ...func(*Options)) *rig {
	t.Helper()
	r := &rig{TB: t, clock: &clock{}}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	var wiring Wiring
	var err error
	on.Now = r.clock.now
	r.bus, err = bus.Open(wiring.Bus(on))
	r.must(err)
	t.Cleanup(func() {
		if err := r.bus.Close(); err != nil && r.bus.Err() == nil {
			t.Errorf("close bus: %v", err)
		}
	})
	r.queue("orders", bus.Settings{})
	r.keys, err = sas.NewKeys(
		sas.Rule{Name: sas.RootRule, Key: otherKey + "root", Rights: sas.Manage},
		sas.Rule{Name: sendOnly, Key: otherKey, Rights: sas.Send},
		sas.Rule{Name: listenOnly, Key: otherKey, Rights: sas.Listen},
	)
	r.must(err)
	opts := Options{Bus: r.bus, Wiring: &wiring, Keys: r.keys, Now: r.clock.now, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Faults: &Faults{}}
	for _, f := range set {
		f(&opts)
	}
	r.server, r.faults = New(opts), opts.Faults
	r.listen()
	return r
}

// testWriter logs to a test.
type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (r *rig) listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	r.addr = l.Addr().String()
	r.serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			r.serving.Go(func() { _ = r.server.ServeConn(context.Background(), nc, amqp.Transport{Loopback: true}) })
		}
	})
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		l.Close()
		if err := r.server.Shutdown(ctx); err != nil {
			r.Errorf("shut down: %v", err)
		}
		r.serving.Wait()
	})
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) queue(name string, s bus.Settings) {
	r.Helper()
	r.must(r.bus.CreateQueue(r.ctx, name, s))
}

// advance puts the clock forward and settles what is due then.
func (r *rig) advance(d time.Duration) {
	r.Helper()
	r.clock.ahead.Add(int64(d))
	r.must(r.bus.Tick(r.ctx))
	for _, c := range r.server.connections() {
		c.expire()
	}
}

func (r *rig) connectionString(rule, key string) string {
	return fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", r.addr, rule, key)
}

// client is the official SDK's, with the root's key.
func (r *rig) client() *azservicebus.Client {
	root := r.keys.Root()
	return r.clientOf(r.connectionString(root.Name, root.Key))
}

// clientOf does not try often, so that a failure is quick.
func (r *rig) clientOf(connection string) *azservicebus.Client {
	r.Helper()
	c, err := azservicebus.NewClientFromConnectionString(connection, &azservicebus.ClientOptions{
		RetryOptions: azservicebus.RetryOptions{MaxRetries: 1, RetryDelay: 10 * time.Millisecond, MaxRetryDelay: 20 * time.Millisecond},
	})
	r.must(err)
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

func (r *rig) sender(c *azservicebus.Client, queue string) *azservicebus.Sender {
	r.Helper()
	s, err := c.NewSender(queue, nil)
	r.must(err)
	return s
}

func (r *rig) receiver(c *azservicebus.Client, queue string, o *azservicebus.ReceiverOptions) *azservicebus.Receiver {
	r.Helper()
	rec, err := c.NewReceiverForQueue(queue, o)
	r.must(err)
	return rec
}

// send sends messages with these bodies, each by itself.
func (r *rig) send(c *azservicebus.Client, queue string, bodies ...string) {
	r.Helper()
	s := r.sender(c, queue)
	for _, body := range bodies {
		r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: []byte(body)}, nil))
	}
	r.must(s.Close(r.ctx))
}

// receive receives exactly n messages, in one call as long as they come: what
// comes between two the SDK gives back, and it is behind the others then.
func (r *rig) receive(rec *azservicebus.Receiver, n int) []*azservicebus.ReceivedMessage {
	r.Helper()
	var all []*azservicebus.ReceivedMessage
	for len(all) < n {
		got, err := rec.ReceiveMessages(r.ctx, n-len(all), &azservicebus.ReceiveMessagesOptions{TimeAfterFirstMessage: patience})
		r.must(err)
		all = append(all, got...)
	}
	return all
}

func (r *rig) receiveOne(rec *azservicebus.Receiver) *azservicebus.ReceivedMessage {
	r.Helper()
	return r.receive(rec, 1)[0]
}

// counts compares a queue's counts.
func (r *rig) counts(queue string, want bus.Counts) {
	r.Helper()
	q, err := r.bus.Queue(r.ctx, queue)
	r.must(err)
	if q.Counts != want {
		r.Errorf("%s has %+v, want %+v", queue, q.Counts, want)
	}
}

// code compares the code of an error of the SDK.
func (r *rig) code(err error, want azservicebus.Code) {
	r.Helper()
	var e *azservicebus.Error
	if !errors.As(err, &e) || e.Code != want {
		r.Errorf("got the error %v, want one with the code %q", err, want)
	}
}

// says compares part of an error's text.
func (r *rig) says(err error, want string) {
	r.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		r.Errorf("got the error %v, want one that says %q", err, want)
	}
}

func bodies(messages []*azservicebus.ReceivedMessage) (all []string) {
	for _, m := range messages {
		all = append(all, string(m.Body))
	}
	return all
}
