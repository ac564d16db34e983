package busserver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	goamqp "github.com/Azure/go-amqp"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

func TestFaultDetachLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	s, err := session.NewSender(r.ctx, "orders", nil)
	r.must(err)
	_, err = session.NewReceiver(r.ctx, "orders", nil)
	r.must(err)
	if n := r.faults.DetachLinks("orders", "com.microsoft:timeout", "on purpose"); n != 2 {
		t.Errorf("%d links were detached", n)
	}
	err = r.awaitDetach(s)
	r.condition(err, "com.microsoft:timeout")
	r.says(err, "on purpose TrackingId:")
	if n := r.faults.Update("orders"); n > 1 {
		t.Errorf("%d links are left", n)
	}
}

func TestFaultDropConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := r.dial(r.root())
	if n := r.faults.DropConnections(); n != 1 {
		t.Errorf("%d connections were cut", n)
	}
	<-conn.Done()
	var closed *goamqp.ConnError
	if err := conn.Err(); !errors.As(err, &closed) || closed.RemoteErr != nil {
		t.Errorf("got %v, want a connection that ended without a word", err)
	}
}

func TestFaultBusy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s, rec := r.sender(c, "orders"), r.receiver(c, "orders", nil)
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	m := r.receiveOne(rec)
	_, err := rec.PeekMessages(r.ctx, 1, nil)
	r.must(err)

	r.faults.Busy(2) // once more than it tries
	r.says(s.SendMessage(r.ctx, &azservicebus.Message{}, nil), "com.microsoft:server-busy")
	r.faults.Busy(1)
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	r.faults.Busy(2)
	_, err = rec.PeekMessages(r.ctx, 1, nil)
	r.says(err, "status code 503")
	r.faults.Busy(1)
	r.must(rec.RenewMessageLock(r.ctx, m, nil))

	r.faults.Busy(1000)
	r.faults.Busy(0)
	r.must(rec.CompleteMessage(r.ctx, m, nil))
	r.counts("orders", bus.Counts{Active: 1})
}

func TestFaultBusySettlement(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session := r.session()
	s, err := session.NewSender(r.ctx, "orders", nil)
	r.must(err)
	r.must(s.Send(r.ctx, goamqp.NewMessage(nil), nil))
	rec, err := session.NewReceiver(r.ctx, "orders", &goamqp.ReceiverOptions{SettlementMode: goamqp.ReceiverSettleModeSecond.Ptr()})
	r.must(err)
	m, err := rec.Receive(r.ctx, nil)
	r.must(err)
	r.faults.Busy(1)
	r.condition(rec.AcceptMessage(r.ctx, m), "com.microsoft:server-busy")
	r.counts("orders", bus.Counts{Active: 1})
}

func TestFaultDeaf(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s := r.sender(c, "orders")
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	r.faults.Deaf(true)
	r.faults.Deaf(true)
	ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
	defer cancel()
	if err := s.SendMessage(ctx, &azservicebus.Message{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deaf server answered: %v", err)
	}
	r.await(func() bool { return r.has("orders") == 2 }) // it took the bytes
	r.faults.Deaf(false)
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	r.counts("orders", bus.Counts{Active: 3})
}

func TestFaultDeafEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.Deaf(true)
	ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
	defer cancel()
	if conn, err := goamqp.Dial(ctx, "amqp://"+r.addr, &goamqp.ConnOptions{SASLType: r.root()}); err == nil {
		conn.Close()
		t.Error("a deaf server let somebody in")
	}
	r.faults.DropConnections()
}

// A client that goes while the server is deaf takes its connection with it.
func TestFaultDeafEndsWithTheClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.peer()
	p.Peer.Sender(1, 0, "s", "orders")
	r.faults.Deaf(true)
	p.Message(1, 0, 0, encoded(t, &wire.Message{Value: wire.Some[any]("x")}))
	r.await(func() bool { return r.has("orders") == 1 }) // so there is an answer that is held back
	p.Hang()
	r.await(func() bool { return len(r.server.connections()) == 0 })
}

func TestFaultDelay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.sender(r.client(), "orders")
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	const d = 150 * time.Millisecond
	r.faults.Delay(d)
	began := time.Now()
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	if took := time.Since(began); took < d {
		t.Errorf("an answer took %v", took)
	}
	r.faults.Delay(0)
}

func TestFaultLoseLocks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	r.send(c, "orders", "a", "b")
	rec := r.receiver(c, "orders", nil)
	got := r.receive(rec, 2)
	n, err := r.faults.LoseLocks(r.ctx, "orders")
	if r.must(err); n != 2 {
		t.Errorf("%d locks were lost", n)
	}
	r.code(rec.CompleteMessage(r.ctx, got[0], nil), azservicebus.CodeLockLost)
}

// The zero value, given to no server, does nothing.
func TestFaultsWithoutServer(t *testing.T) {
	var f Faults
	n, err := f.LoseLocks(context.Background(), "orders")
	if n += f.DetachLinks("orders", "x", "y") + f.DropConnections() + f.Update("orders"); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	f.Busy(1)
	f.Delay(1)
	f.Deaf(true)
	f.Deaf(false)
}
