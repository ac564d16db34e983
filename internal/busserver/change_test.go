package busserver

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	goamqp "github.com/Azure/go-amqp"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// A queue updated while it is used: clients attach again and go on.
func TestSDKUpdateQueueWhileInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s, rec := r.sender(c, "orders"), r.receiver(c, "orders", nil)
	for i := range 5 {
		r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: []byte("x")}, nil))
		m := r.receiveOne(rec)
		r.must(r.bus.UpdateQueue(r.ctx, "orders", bus.Settings{MaxDeliveryCount: 20 + i}))
		r.await(func() bool { return r.links("orders") == 0 }) // what is settled just then may be done and not confirmed
		r.must(rec.CompleteMessage(r.ctx, m, nil))
	}
	r.counts("orders", bus.Counts{})
}

// links is how many senders and receivers a queue has.
func (r *rig) links(queue string) (n int) {
	r.server.eachLink(queue, func(_ *conn, l *link) {
		if l.node.kind == nodeEntity {
			n++
		}
	})
	return n
}

// Senders and receivers of an updated queue get the service's condition.
func TestUpdateDetachesLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("other", bus.Settings{})
	session := r.session()
	s, err := session.NewSender(r.ctx, "Orders", nil)
	r.must(err)
	rec, err := session.NewReceiver(r.ctx, "orders/$DeadLetterQueue", nil)
	r.must(err)
	bystander, err := session.NewSender(r.ctx, "other", nil)
	r.must(err)
	r.must(r.bus.UpdateQueue(r.ctx, "orders", bus.Settings{MaxDeliveryCount: 5}))
	r.condition(r.awaitDetach(s), goamqp.ErrCondDetachForced)
	_, err = rec.Receive(r.ctx, nil)
	r.condition(err, goamqp.ErrCondDetachForced)
	r.must(bystander.Send(r.ctx, goamqp.NewMessage(nil), nil))
}

// A queue that is deleted.
func TestSDKDeleteQueueWhileInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s, rec := r.sender(c, "orders"), r.receiver(c, "orders", nil)
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	m := r.receiveOne(rec)
	received := make(chan error, 1)
	r.serving.Go(func() {
		_, err := rec.ReceiveMessages(r.ctx, 1, nil)
		received <- err
	})
	r.must(r.bus.DeleteQueue(r.ctx, "orders"))
	r.says(<-received, "could not be found")
	r.says(s.SendMessage(r.ctx, &azservicebus.Message{}, nil), "could not be found")
	if err := r.receiver(c, "orders", nil).CompleteMessage(r.ctx, m, nil); err == nil {
		t.Error("a message of a deleted queue could be completed")
	}
	r.code(r.trySend(c, "orders"), azservicebus.CodeNotFound)
}

// A queue that is disabled, wholly or in part.
func TestSDKDisabledQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	for _, q := range []struct {
		status           bus.Status
		sends, receives  bool
		detachesSender   goamqp.ErrCond
		detachesReceiver goamqp.ErrCond
	}{
		{bus.StatusDisabled, false, false, "com.microsoft:entity-disabled", "com.microsoft:entity-disabled"},
		{bus.StatusSendDisabled, false, true, "com.microsoft:entity-disabled", goamqp.ErrCondDetachForced},
		{bus.StatusReceiveDisabled, true, false, goamqp.ErrCondDetachForced, "com.microsoft:entity-disabled"},
	} {
		session := r.session()
		s, err := session.NewSender(r.ctx, "orders", nil)
		r.must(err)
		rec, err := session.NewReceiver(r.ctx, "orders", nil)
		r.must(err)
		r.must(r.bus.UpdateQueue(r.ctx, "orders", bus.Settings{Status: q.status}))
		r.condition(r.awaitDetach(s), q.detachesSender)
		_, err = rec.Receive(r.ctx, nil)
		r.condition(err, q.detachesReceiver)

		wait := patience
		if q.receives {
			wait = 200 * time.Millisecond // nothing comes
		}
		for _, try := range []struct {
			may bool
			err error
		}{{q.sends, r.trySend(c, "orders")}, {q.receives, r.tryReceive(c, "orders", wait)}} {
			if try.may {
				r.must(try.err)
			} else {
				r.says(try.err, "com.microsoft:entity-disabled")
			}
		}
		_, err = r.receiver(c, "orders", nil).PeekMessages(r.ctx, 1, nil)
		if q.receives {
			r.must(err)
		}
		r.must(r.bus.UpdateQueue(r.ctx, "orders", bus.Settings{}))
	}
}

// A full queue refuses, and takes again when there is room.
func TestSDKFullQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("small", bus.Settings{MaxSizeBytes: 2500})
	c := r.client()
	s := r.sender(c, "small")
	body := make([]byte, 1000)
	for range 2 {
		r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: body}, nil))
	}
	r.says(s.SendMessage(r.ctx, &azservicebus.Message{Body: body}, nil), "amqp:resource-limit-exceeded")
	r.counts("small", bus.Counts{Active: 2})
	r.receiveOne(r.receiver(c, "small", deleting))
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{Body: body}, nil))
}

// Sessions are refused in words, and not tried for ever.
func TestSDKSessionsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.client().AcceptSessionForQueue(r.ctx, "orders", "s", nil)
	r.says(err, "amqp:not-implemented")
	r.says(err, "Sessions are not supported")
}

// A server that shuts down says so, and clients go elsewhere or come back.
func TestShutdownClosesConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := r.dial(r.root())
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	r.must(r.server.Shutdown(ctx))
	<-conn.Done()
	r.condition(conn.Err(), goamqp.ErrCondConnectionForced)
}

// A bus that has failed takes nothing more, and says that it is its own
// fault.
func TestSDKBusThatIsClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	s, rec := r.sender(c, "orders"), r.receiver(c, "orders", nil)
	r.must(s.SendMessage(r.ctx, &azservicebus.Message{}, nil))
	m := r.receiveOne(rec)
	r.must(r.bus.Close())
	if err := s.SendMessage(r.ctx, &azservicebus.Message{}, nil); err == nil {
		t.Error("a closed bus took a message")
	}
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	if err := rec.CompleteMessage(ctx, m, nil); err == nil || errors.Is(err, context.DeadlineExceeded) && r.ctx.Err() != nil {
		t.Errorf("a closed bus completed a message: %v", err)
	}
}

// C1.15: after a commit that failed nothing is confirmed any more, and clients
// hear that it is the server's fault.
func TestC1_15_FailedBusRejects(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bus.db")
	r := newRigOn(t, bus.Options{Path: path})
	session := r.session()
	s, err := session.NewSender(r.ctx, "orders", nil)
	r.must(err)
	r.must(s.Send(r.ctx, goamqp.NewMessage(nil), nil))
	rec, err := session.NewReceiver(r.ctx, "orders", &goamqp.ReceiverOptions{Credit: 1, SettlementMode: goamqp.ReceiverSettleModeSecond.Ptr()})
	r.must(err)
	m, err := rec.Receive(r.ctx, nil)
	r.must(err)

	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	r.must(err)
	defer conn.Close()
	r.must(sqlitex.ExecuteTransient(conn, "CREATE TRIGGER broken BEFORE UPDATE ON subqueue BEGIN SELECT RAISE(ABORT, 'disk on fire'); END", nil))
	for range 2 {
		err = s.Send(r.ctx, goamqp.NewMessage(nil), nil)
		r.condition(err, goamqp.ErrCondInternalError)
		if strings.Contains(err.Error(), "fire") {
			t.Errorf("a client was told what is wrong inside: %v", err)
		}
	}
	r.condition(rec.AcceptMessage(r.ctx, m), goamqp.ErrCondInternalError)
	_, err = session.NewReceiver(r.ctx, "orders", &goamqp.ReceiverOptions{Credit: 1})
	if err == nil { // it is attached before anything is asked of the bus
		_, err = rec.Receive(r.ctx, nil)
	}
	r.condition(err, goamqp.ErrCondInternalError)
}

// TestLinkDetachedBeforeItsAnswer is about a queue that changes while a link is
// attached to it: the link ends as soon as it has begun.
func TestLinkDetachedBeforeItsAnswer(t *testing.T) {
	l, why := &link{}, &wire.Error{Condition: wire.ConditionDetachForced}
	l.detach(why)
	var got *wire.Error
	l.accept(func(e *wire.Error) { got = e })
	if got != why {
		t.Errorf("the link was detached with %v, want %v", got, why)
	}
}

// TestQueueCreated is about a client that attaches to a queue as soon as it is
// there: that it was created is no reason to end the link.
func TestQueueCreated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.session().NewReceiver(r.ctx, "orders", nil)
	r.must(err)
	r.server.queueChanged("orders", bus.QueueCreated)
	r.server.changes.Wait()
	if n := r.faults.DetachLinks("orders", "amqp:link:detach-forced", "on purpose"); n != 1 {
		t.Errorf("%d links were left, want 1", n)
	}
}
