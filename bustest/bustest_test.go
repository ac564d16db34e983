package bustest_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"bellhop/bustest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func receiver(t *testing.T, client *azservicebus.Client, queue string) *azservicebus.Receiver {
	t.Helper()
	r, err := client.NewReceiverForQueue(queue, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func receive(t *testing.T, r *azservicebus.Receiver) *azservicebus.ReceivedMessage {
	t.Helper()
	for ctx := within(t, patience); ; {
		got, err := r.ReceiveMessages(ctx, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 1 {
			return got[0]
		}
	}
}

func wantCounts(t *testing.T, bus *bustest.Bus, queue string, want bustest.Counts) {
	t.Helper()
	if got := bus.Counts(queue); got != want {
		t.Errorf("%s: %+v, want %+v", queue, got, want)
	}
}

// TestNoInternalTypes checks that others can name all that they meet.
func TestNoInternalTypes(t *testing.T) {
	check := func(name string, f reflect.Type) {
		for i := range f.NumIn() {
			foreign(t, name, f.In(i))
		}
		for i := range f.NumOut() {
			foreign(t, name, f.Out(i))
		}
	}
	bus := reflect.TypeFor[*bustest.Bus]()
	for m := range bus.NumMethod() {
		check(bus.Method(m).Name, bus.Method(m).Type)
	}
	for name, f := range map[string]any{
		"Start": bustest.Start, "Queue": bustest.Queue, "TLS": bustest.TLS, "LockDuration": bustest.LockDuration,
		"MaxDeliveryCount": bustest.MaxDeliveryCount, "TimeToLive": bustest.TimeToLive, "MaxSize": bustest.MaxSize,
		"DeadLetterExpired": bustest.DeadLetterExpired, "DetectDuplicates": bustest.DetectDuplicates,
	} {
		check(name, reflect.TypeOf(f))
	}
}

// foreign finds types of internal packages, in what a type is made of, too.
func foreign(t *testing.T, name string, what reflect.Type) {
	t.Helper()
	switch what.Kind() {
	case reflect.Pointer, reflect.Slice:
		foreign(t, name, what.Elem())
	case reflect.Func:
		for i := range what.NumIn() {
			foreign(t, name, what.In(i))
		}
	}
	if strings.Contains(what.PkgPath(), "bellhop/internal/") {
		t.Errorf("%s: %v is a type that nobody else can name", name, what)
	}
}

func TestQueueOptions(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t,
		bustest.Queue("once", bustest.MaxDeliveryCount(1)),
		bustest.Queue("fleeting", bustest.TimeToLive(time.Minute)),
		bustest.Queue("kept", bustest.TimeToLive(time.Minute), bustest.DeadLetterExpired()),
		bustest.Queue("single", bustest.DetectDuplicates(time.Hour)),
		bustest.Queue("small", bustest.MaxSize(200)))
	client := connect(t, bus)
	for _, queue := range []string{"once", "fleeting", "kept", "small"} {
		send(t, client, queue, "a")
	}
	once := receiver(t, client, "once")
	if err := once.AbandonMessage(within(t, patience), receive(t, once), nil); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, bus, "once", bustest.Counts{DeadLetter: 1})
	if n := bus.Purge("once" + bustest.DeadLetters); n != 1 {
		t.Errorf("purged %d dead letters, want 1", n)
	}
	bus.Advance(2 * time.Minute)
	wantCounts(t, bus, "fleeting", bustest.Counts{})
	wantCounts(t, bus, "kept", bustest.Counts{DeadLetter: 1})

	sender := newSender(t, client, "single")
	id := "the same"
	for range 2 {
		if err := sender.SendMessage(within(t, patience), &azservicebus.Message{MessageID: &id}, nil); err != nil {
			t.Fatal(err)
		}
	}
	wantCounts(t, bus, "single", bustest.Counts{Active: 1})
	if err := newSender(t, client, "small").SendMessage(within(t, patience), &azservicebus.Message{Body: make([]byte, 200)}, nil); err == nil || !strings.Contains(err.Error(), "amqp:resource-limit-exceeded") {
		t.Errorf("sending to a full queue: %v", err)
	}
}

func newSender(t *testing.T, client *azservicebus.Client, queue string) *azservicebus.Sender {
	t.Helper()
	s, err := client.NewSender(queue, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t, bustest.Queue("orders"))
	client := connect(t, bus)
	_, err := newSender(t, client, "orders").ScheduleMessages(within(t, patience), []*azservicebus.Message{{Body: []byte("later")}}, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, bus, "orders", bustest.Counts{Scheduled: 1})
	bus.Advance(61 * time.Minute)
	wantCounts(t, bus, "orders", bustest.Counts{Active: 1})
}

func TestLocks(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t, bustest.Queue("orders"))
	client := connect(t, bus)
	send(t, client, "orders", "a")
	r := receiver(t, client, "orders")
	for lose, want := range []func(){func() { bus.LoseLocks("orders") }, func() { bus.Advance(time.Minute) }} {
		held := receive(t, r)
		if held.DeliveryCount != uint32(lose+1) {
			t.Errorf("delivery %d has count %d", lose+1, held.DeliveryCount)
		}
		want()
		err := r.CompleteMessage(within(t, patience), held, nil)
		var lost *azservicebus.Error
		if !errors.As(err, &lost) || lost.Code != azservicebus.CodeLockLost {
			t.Errorf("completing without a lock: %v", err)
		}
	}
	wantCounts(t, bus, "orders", bustest.Counts{Active: 1})
}

func TestDeaf(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t, bustest.Queue("orders"))
	client := connect(t, bus)
	send(t, client, "orders", "a")
	sender := newSender(t, client, "orders")
	bus.Deaf(true)
	if err := sender.SendMessage(within(t, 200*time.Millisecond), &azservicebus.Message{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sending to a deaf bus: %v", err)
	}
	bus.Deaf(false)
	if err := sender.SendMessage(within(t, patience), &azservicebus.Message{}, nil); err != nil {
		t.Error(err)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	const slow = 50 * time.Millisecond
	bus := bustest.Start(t, bustest.Queue("orders"))
	client := connect(t, bus)
	sender := newSender(t, client, "orders")
	bus.Delay(slow)
	began := time.Now()
	if err := sender.SendMessage(within(t, patience), &azservicebus.Message{}, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < slow {
		t.Errorf("a slow bus took %v, want %v at least", took, slow)
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t, bustest.Queue("orders"))
	client := connect(t, bus)
	sender := newSender(t, client, "orders")
	bus.Busy(1)
	if err := sender.SendMessage(within(t, patience), &azservicebus.Message{}, nil); err != nil {
		t.Errorf("the SDK does not try again: %v", err)
	}
	bus.Busy(1000)
	if err := sender.SendMessage(within(t, patience), &azservicebus.Message{}, nil); err == nil || !strings.Contains(err.Error(), "com.microsoft:server-busy") {
		t.Errorf("sending to a busy bus: %v", err)
	}
	bus.Busy(0)
	if err := sender.SendMessage(within(t, patience), &azservicebus.Message{}, nil); err != nil {
		t.Error(err)
	}
	wantCounts(t, bus, "orders", bustest.Counts{Active: 2})
}

// TestDays puts the clock forward by more than a token lives, between what
// clients do that have theirs already and clients that are new.
func TestDays(t *testing.T) {
	bus := bustest.Start(t, bustest.Queue("orders"))
	client := connect(t, bus)
	sender := newSender(t, client, "orders")
	at := time.Now().Add(24 * time.Hour)
	if _, err := sender.ScheduleMessages(within(t, patience), []*azservicebus.Message{{Body: []byte("tomorrow")}}, at, nil); err != nil {
		t.Fatal(err)
	}
	bus.Advance(25 * time.Hour)
	if m := receive(t, receiver(t, client, "orders")); string(m.Body) != "tomorrow" {
		t.Errorf("received %q", m.Body)
	}
	if err := newSender(t, connect(t, bus), "orders").SendMessage(within(t, patience), &azservicebus.Message{}, nil); err != nil {
		t.Errorf("a new client: %v", err)
	}
}

// TestLinksEnd detaches links while a receiver waits, which attaches again.
func TestLinksEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*bustest.Bus) int{
		"update": func(b *bustest.Bus) int { return b.Update("orders") },
		"detach": func(b *bustest.Bus) int { return b.Detach("orders", "amqp:internal-error", "on purpose") },
		"drop":   func(b *bustest.Bus) int { return b.DropConnections() },
	} {
		t.Run(name, func(t *testing.T) {
			bus := bustest.Start(t, bustest.Queue("orders"))
			client := connect(t, bus)
			r := receiver(t, client, "orders")
			send(t, client, "orders", "a")
			held := receive(t, r)
			if end(bus) == 0 {
				t.Fatal("nothing was there to end")
			}
			send(t, client, "orders", "b")
			if got := receive(t, r); string(got.Body) != "b" {
				t.Errorf("received %s, although somebody holds it", got.Body)
			}
			// The lock is as good as before, by its token.
			token := &azservicebus.ReceivedMessage{LockToken: held.LockToken}
			if err := r.CompleteMessage(within(t, patience), token, nil); err != nil {
				t.Error(err)
			}
			wantCounts(t, bus, "orders", bustest.Counts{Active: 1})
		})
	}
}

func TestTLSFiles(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t, bustest.TLS(), bustest.Queue("orders"))
	text, err := os.ReadFile(bus.CertificateFile())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("the file holds no certificate")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || leaf.VerifyHostname("localhost") != nil {
		t.Errorf("the certificate is not for localhost: %v", err)
	}
	answer, err := bus.HTTPClient().Get("https://" + bus.Host() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.TLS == nil {
		t.Errorf("health: %s", answer.Status)
	}
	client, err := admin.NewClientFromConnectionString(bus.ConnectionString(), &admin.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: bus.HTTPClient()}})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := client.GetQueue(within(t, patience), "orders", nil); err != nil || found == nil {
		t.Errorf("GetQueue: %+v, %v", found, err)
	}
	plain := bustest.Start(t)
	if plain.TLSConfig() != nil || plain.CertificateFile() != "" {
		t.Error("there is a certificate without TLS")
	}
}

// TestApart checks that buses know nothing of each other.
func TestApart(t *testing.T) {
	t.Parallel()
	one, other := bustest.Start(t, bustest.Queue("orders")), bustest.Start(t, bustest.Queue("orders"))
	send(t, connect(t, one), "orders", "a")
	wantCounts(t, one, "orders", bustest.Counts{Active: 1})
	wantCounts(t, other, "orders", bustest.Counts{})
	stranger, err := azservicebus.NewClientFromConnectionString(strings.ReplaceAll(one.ConnectionString(), one.Host(), other.Host()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close(context.Background())
	err = newSender(t, stranger, "orders").SendMessage(within(t, patience), &azservicebus.Message{}, nil)
	var refused *azservicebus.Error
	if !errors.As(err, &refused) || refused.Code != azservicebus.CodeUnauthorizedAccess {
		t.Errorf("one's key on the other: %v", err)
	}
}

// TestMistakes checks that a test is told of what it does wrong.
func TestMistakes(t *testing.T) {
	t.Parallel()
	heard := &listening{TB: t}
	bus := bustest.Start(heard, bustest.Queue("orders"))
	bus.CreateQueue("orders")
	bus.Counts("missing")
	bus.LoseLocks("missing")
	bus.Purge("missing")
	if len(heard.said) != 4 {
		t.Errorf("heard %q, want 4 errors", heard.said)
	}
	for _, said := range heard.said {
		if !strings.Contains(said, "no such queue") && !strings.Contains(said, "a queue of this name exists") {
			t.Errorf("heard %q", said)
		}
	}
}

// listening is a test that keeps errors to itself.
type listening struct {
	testing.TB
	said []string
}

func (l *listening) Errorf(format string, a ...any) {
	l.said = append(l.said, fmt.Sprintf(format, a...))
}
