package amqp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/wire"

	client "github.com/Azure/go-amqp"
)

func dial(t testing.TB, address string, o *client.ConnOptions) *client.Conn {
	t.Helper()
	if o == nil {
		o = &client.ConnOptions{}
	}
	if o.SASLType == nil {
		o.SASLType = client.SASLTypeAnonymous()
	}
	conn, err := client.Dial(patient(t), "amqp://"+address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newSession(t testing.TB, conn *client.Conn) *client.Session {
	t.Helper()
	session, err := conn.NewSession(patient(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func newSender(t testing.TB, session *client.Session, queue string, o *client.SenderOptions) *client.Sender {
	t.Helper()
	sender, err := session.NewSender(patient(t), queue, o)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func newReceiver(t testing.TB, session *client.Session, queue string, o *client.ReceiverOptions) *client.Receiver {
	t.Helper()
	receiver, err := session.NewReceiver(patient(t), queue, o)
	if err != nil {
		t.Fatal(err)
	}
	return receiver
}

// TestSettleModes sends and receives in each pair of settle modes that go-amqp
// knows, with messages of many sizes over small frames.
func TestSettleModes(t *testing.T) {
	for _, frames := range []uint32{512, 65536} {
		for _, send := range []client.SenderSettleMode{client.SenderSettleModeUnsettled, client.SenderSettleModeSettled, client.SenderSettleModeMixed} {
			for _, receive := range []client.ReceiverSettleMode{client.ReceiverSettleModeFirst, client.ReceiverSettleModeSecond} {
				t.Run(fmt.Sprintf("%d/%v/%v", frames, send, receive), func(t *testing.T) {
					testSettleModes(t, frames, send, receive)
				})
			}
		}
	}
}

func testSettleModes(t *testing.T, frames uint32, send client.SenderSettleMode, receive client.ReceiverSettleMode) {
	t.Parallel()
	_, address := serve(t, amqp.Config{MaxFrameSize: frames}, newBroker())
	conn := dial(t, address, &client.ConnOptions{MaxFrameSize: frames})
	session := newSession(t, conn)
	sender := newSender(t, session, "q", &client.SenderOptions{SettlementMode: &send, RequestedReceiverSettleMode: &receive})
	receiver := newReceiver(t, session, "q", &client.ReceiverOptions{SettlementMode: &receive, RequestedSenderSettleMode: &send, Credit: 3})
	ctx := patient(t)
	for size := 1; size < 300_000; size *= 7 {
		body := bytes.Repeat([]byte{byte(size)}, size)
		if err := sender.Send(ctx, client.NewMessage(body), nil); err != nil {
			t.Fatalf("send %d bytes: %v", size, err)
		}
		got, err := receiver.Receive(ctx, nil)
		if err != nil {
			t.Fatalf("receive %d bytes: %v", size, err)
		}
		if !bytes.Equal(got.GetData(), body) {
			t.Fatalf("sent %d bytes, received %d others", size, len(got.GetData()))
		}
		if err := receiver.AcceptMessage(ctx, got); err != nil {
			t.Fatalf("accept %d bytes: %v", size, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestManyLinks has 16 senders and 16 receivers work on one connection.
func TestManyLinks(t *testing.T) {
	const links, each = 16, 200
	_, address := serve(t, amqp.Config{}, newBroker())
	conn := dial(t, address, nil)
	session := newSession(t, conn)
	var work sync.WaitGroup
	for n := range links {
		queue := fmt.Sprint("q", n)
		sender := newSender(t, session, queue, nil)
		receiver := newReceiver(t, newSession(t, conn), queue, &client.ReceiverOptions{Credit: 10})
		ctx := patient(t)
		work.Go(func() {
			for i := range each {
				if err := sender.Send(ctx, client.NewMessage([]byte(fmt.Sprint(i))), nil); err != nil {
					t.Errorf("send: %v", err)
					return
				}
			}
		})
		work.Go(func() {
			for i := range each {
				m, err := receiver.Receive(ctx, nil)
				if err != nil {
					t.Errorf("receive: %v", err)
					return
				}
				if got := string(m.GetData()); got != fmt.Sprint(i) {
					t.Errorf("received %s, want %d", got, i)
				}
				if err := receiver.AcceptMessage(ctx, m); err != nil {
					t.Errorf("accept: %v", err)
				}
			}
		})
	}
	work.Wait()
}

// TestManualCredit proves that a client which gives credit by hand gets as much
// as that, and that draining ends although there is less.
func TestManualCredit(t *testing.T) {
	_, address := serve(t, amqp.Config{}, newBroker())
	session := newSession(t, dial(t, address, nil))
	sender := newSender(t, session, "q", nil)
	receiver := newReceiver(t, session, "q", &client.ReceiverOptions{Credit: -1})
	ctx := patient(t)
	send := func(n int) {
		t.Helper()
		for range n {
			if err := sender.Send(ctx, client.NewMessage([]byte("x")), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	take := func(n int) {
		t.Helper()
		for range n {
			m, err := receiver.Receive(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.AcceptMessage(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(5)
	for _, credit := range []uint32{2, 3, 10} {
		if err := receiver.IssueCredit(credit); err != nil {
			t.Fatal(err)
		}
		take(min(int(credit), 3))
		if credit == 2 {
			send(1) // beyond the credit, for the next
		}
		if credit == 3 {
			send(2)
		}
	}
	if err := receiver.DrainCredit(ctx, nil); err != nil {
		t.Errorf("drain: %v", err)
	}
	send(1)
	if m := receiver.Prefetched(); m != nil {
		t.Error("a message came without credit")
	}
	if err := receiver.IssueCredit(1); err != nil {
		t.Fatal(err)
	}
	take(1)
}

// TestRefusalsReachClients proves that a client understands why it is refused.
func TestRefusalsReachClients(t *testing.T) {
	b := newBroker()
	b.outcome = &wire.Rejected{Error: &wire.Error{Condition: wire.ConditionResourceLimitExceeded}}
	_, address := serve(t, amqp.Config{}, b)
	session := newSession(t, dial(t, address, nil))
	_, err := session.NewReceiver(patient(t), "missing", nil)
	if failed, ok := errors.AsType[*client.Error](err); !ok || failed.Condition != client.ErrCondNotFound {
		t.Errorf("attach: %v, want amqp:not-found", err)
	}
	err = newSender(t, session, "q", nil).Send(patient(t), client.NewMessage([]byte("x")), nil)
	if failed, ok := errors.AsType[*client.Error](err); !ok || failed.Condition != client.ErrCondResourceLimitExceeded {
		t.Errorf("send: %v, want amqp:resource-limit-exceeded", err)
	}
}
