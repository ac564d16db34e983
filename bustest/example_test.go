package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"testing"
	"time"

	"bellhop/bustest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
)

// A message is sent, received and completed. In a test of yours t is its
// *testing.T.
func ExampleStart() {
	inTest(func(t testing.TB) {
		ctx := context.Background()
		bus := bustest.Start(t, bustest.Queue("orders"))
		client, err := azservicebus.NewClientFromConnectionString(bus.ConnectionString(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(ctx)

		sender, err := client.NewSender("orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := sender.SendMessage(ctx, &azservicebus.Message{Body: []byte("two bells")}, nil); err != nil {
			t.Fatal(err)
		}
		fmt.Println("waiting:", bus.Counts("orders").Active)

		receiver, err := client.NewReceiverForQueue("orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := receiver.ReceiveMessages(ctx, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := receiver.CompleteMessage(ctx, messages[0], nil); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("received: %s\n", messages[0].Body)
		fmt.Println("waiting:", bus.Counts("orders").Active)
	})
	// Output:
	// waiting: 1
	// received: two bells
	// waiting: 0
}

// A handler that takes too long loses its lock. No time passes for that: the
// bus's clock is put forward.
func ExampleBus_Advance() {
	inTest(func(t testing.TB) {
		ctx := context.Background()
		bus := bustest.Start(t, bustest.Queue("orders", bustest.LockDuration(30*time.Second)))
		client := connect(t, bus)
		send(t, client, "orders", "slow")
		receiver, err := client.NewReceiverForQueue("orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := receiver.ReceiveMessages(ctx, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		bus.Advance(time.Minute)

		err = receiver.CompleteMessage(ctx, messages[0], nil)
		var lost *azservicebus.Error
		if errors.As(err, &lost) {
			fmt.Println("completing:", lost.Code)
		}
		again, err := receiver.ReceiveMessages(ctx, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("delivery:", again[0].DeliveryCount)
	})
	// Output:
	// completing: locklost
	// delivery: 2
}

// The network fails between two sends. The SDK connects again by itself.
func ExampleBus_DropConnections() {
	inTest(func(t testing.TB) {
		bus := bustest.Start(t, bustest.Queue("orders"))
		client := connect(t, bus)
		send(t, client, "orders", "first")
		fmt.Println("cut:", bus.DropConnections())
		send(t, client, "orders", "second")
		fmt.Println("waiting:", bus.Counts("orders").Active)
	})
	// Output:
	// cut: 1
	// waiting: 2
}

// The admin client knows https URLs only, so it is given the bus's HTTP client.
func ExampleBus_HTTPClient() {
	inTest(func(t testing.TB) {
		ctx := context.Background()
		bus := bustest.Start(t)
		client, err := admin.NewClientFromConnectionString(bus.ConnectionString(), &admin.ClientOptions{
			ClientOptions: azcore.ClientOptions{Transport: bus.HTTPClient()},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.CreateQueue(ctx, "orders", nil); err != nil {
			t.Fatal(err)
		}
		found, err := client.GetQueue(ctx, "orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(found.QueueName, *found.LockDuration)
	})
	// Output: orders PT1M
}

// With TLS, as the service has it, clients must trust the bus's certificate.
func ExampleTLS() {
	inTest(func(t testing.TB) {
		bus := bustest.Start(t, bustest.TLS(), bustest.Queue("orders"))
		client, err := azservicebus.NewClientFromConnectionString(bus.ConnectionString(),
			&azservicebus.ClientOptions{TLSConfig: bus.TLSConfig()})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		send(t, client, "orders", "private")
		fmt.Println("waiting:", bus.Counts("orders").Active)
	})
	// Output: waiting: 1
}

// connect makes a client that is closed before the bus ends.
func connect(t testing.TB, bus *bustest.Bus) *azservicebus.Client {
	client, err := azservicebus.NewClientFromConnectionString(bus.ConnectionString(), &azservicebus.ClientOptions{
		TLSConfig:    bus.TLSConfig(),
		RetryOptions: azservicebus.RetryOptions{RetryDelay: 50 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

func send(t testing.TB, client *azservicebus.Client, queue string, bodies ...string) {
	sender, err := client.NewSender(queue, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close(context.Background())
	for _, body := range bodies {
		if err := sender.SendMessage(context.Background(), &azservicebus.Message{Body: []byte(body)}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// inTest runs an example as if it were a test.
func inTest(example func(t testing.TB)) {
	t := &exampleTB{}
	defer t.end()
	example(t)
}

// exampleTB is what an example needs of a test.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (t *exampleTB) Helper()                        {}
func (t *exampleTB) Cleanup(f func())               { t.cleanups = append(t.cleanups, f) }
func (t *exampleTB) Logf(format string, a ...any)   { log.Printf(format, a...) }
func (t *exampleTB) Error(a ...any)                 { log.Panic(a...) }
func (t *exampleTB) Errorf(format string, a ...any) { log.Panicf(format, a...) }
func (t *exampleTB) Fatal(a ...any)                 { log.Panic(a...) }
func (t *exampleTB) Fatalf(format string, a ...any) { log.Panicf(format, a...) }
func (t *exampleTB) TempDir() string {
	dir, err := os.MkdirTemp("", "bustest")
	if err != nil {
		log.Panic(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (t *exampleTB) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
