package busserver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// A link that gives back the same message again and again, in a way that does
// not count, gets it more and more slowly, and nothing else changes: not the
// count, not the message. When it keeps one, it is as fast as before.
func TestRawGivingBackForEverIsSlowedDown(t *testing.T) {
	t.Parallel()
	const rounds = 7 * returnsStep
	atLeast := (1 + 2 + 3 + 4 + 5) * returnsStep * time.Millisecond
	for name, c := range map[string]struct {
		queue string
		state wire.DeliveryState
	}{
		"released":               {"orders", &wire.Released{}},
		"forgotten":              {"orders", nil},
		"a dead letter modified": {"orders/$DeadLetterQueue", &wire.Modified{DeliveryFailed: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, err := r.bus.Send(r.ctx, "orders", bus.Message{MessageID: "one"})
			r.must(err)
			if c.queue != "orders" {
				got, err := r.bus.Receive(r.ctx, "orders", bus.ReceiveOptions{})
				r.must(err)
				r.must(r.bus.DeadLetter(r.ctx, got[0].LockToken, "", "", nil))
			}
			p := r.peer()
			p.Receiver(1, 5, "r", c.queue, rounds+1)
			began := time.Now()
			for range rounds {
				p.Send(1, &wire.Disposition{Role: wire.RoleReceiver, First: p.same(), Settled: true, State: c.state})
			}
			id := p.same()
			if took := time.Since(began); took < atLeast {
				t.Errorf("it came back %d times in %v, want at least %v", rounds, took, atLeast)
			}
			p.Send(1, &wire.Disposition{Role: wire.RoleReceiver, First: id, State: &wire.Accepted{}})
			amqptest.Expect[*wire.Disposition](p.Peer)
			r.counts("orders", bus.Counts{})
			if pause := r.restrained("orders").pause(); pause != 0 {
				t.Errorf("the link is slowed down by %v still", pause)
			}
		})
	}
}

// same expects a message which nobody is known to have received before, and
// returns its delivery-id.
func (p *peer) same() (id uint32) {
	p.Helper()
	transfer, payload := p.Delivery()
	m, err := wire.DecodeMessage(payload)
	if p.must(err); m.Properties.MessageID != "one" || m.Header.DeliveryCount != wire.Some[uint32](0) {
		p.Fatalf("got %+v, %+v", m.Properties, m.Header)
	}
	return transfer.DeliveryID.Value
}

// restrained is the restraint of the one link that receives from a queue.
func (r *rig) restrained(queue string) (only *restraint) {
	r.Helper()
	for _, c := range r.server.connections() {
		for _, l := range c.linksOf(queue) {
			if l.node.kind != nodeManagement && !l.fromClient {
				only = &l.restraint
			}
		}
	}
	if only == nil {
		r.Fatalf("nobody receives from %s", queue)
	}
	return only
}

// While one link is slowed down as much as can be, another of its session sends,
// receives and settles at its own pace.
func TestRestraintHoldsUpNoOtherLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue("other", bus.Settings{})
	session := r.session()
	receiver := func(queue string) *goamqp.Receiver {
		rec, err := session.NewReceiver(r.ctx, queue, &goamqp.ReceiverOptions{Credit: 10})
		r.must(err)
		return rec
	}
	_, err := r.bus.Send(r.ctx, "orders", bus.Message{})
	r.must(err)
	slow := receiver("orders")
	r.restrained("orders").returned.Store(1 << 40)
	ctx, cancel := context.WithCancel(r.ctx)
	returned := make(chan int)
	began := time.Now()
	go func() {
		for n := 0; ; n++ {
			m, err := slow.Receive(ctx, nil)
			if err != nil || slow.ReleaseMessage(ctx, m) != nil {
				returned <- n
				return
			}
		}
	}()
	to, err := session.NewSender(r.ctx, "other", nil)
	r.must(err)
	from := receiver("other")
	const rounds = 100
	for range rounds {
		r.must(to.Send(r.ctx, goamqp.NewMessage([]byte("x")), nil))
		m, err := from.Receive(r.ctx, nil)
		r.must(err)
		r.must(from.AcceptMessage(r.ctx, m))
	}
	took := time.Since(began)
	cancel()
	n := <-returned
	if took > rounds*maxRestraint {
		t.Errorf("the other link took %v for %d messages", took, rounds)
	}
	if most := int(time.Since(began)/maxRestraint) + 2; n > most {
		t.Errorf("the slow one gave back %d times in %v", n, took)
	}
}

// How long a link waits, and that it does not when it or its connection ends.
func TestRestraint(t *testing.T) {
	t.Parallel()
	for returned, want := range map[int64]time.Duration{
		0: 0, returnsStep - 1: 0, returnsStep: time.Millisecond, 5000: 78 * time.Millisecond, 1 << 40: maxRestraint,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := restraint{ended: make(chan struct{})}
			r.returned.Store(returned)
			began := time.Now()
			if r.wait(t.Context()); time.Since(began) != want {
				t.Errorf("after %d it waited %v, want %v", returned, time.Since(began), want)
			}
		})
	}
	ends := map[string]func(*restraint, context.CancelFunc){
		"link":       func(r *restraint, _ context.CancelFunc) { close(r.ended) },
		"connection": func(_ *restraint, cancel context.CancelFunc) { cancel() },
	}
	for name, end := range ends {
		synctest.Test(t, func(t *testing.T) {
			r := restraint{ended: make(chan struct{})}
			r.returned.Store(1 << 40)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			began := time.Now()
			time.AfterFunc(time.Millisecond, func() { end(&r, cancel) })
			if r.wait(ctx); time.Since(began) != time.Millisecond {
				t.Errorf("%s: it waited %v", name, time.Since(began))
			}
		})
	}
}

// What counts as given back, and what ends the count.
func TestRestraintNotes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   bus.SettleKind
		isDead bool
		want   int64
	}{
		{bus.Release, false, 8}, {bus.Release, true, 8}, {bus.Abandon, true, 8},
		{bus.Abandon, false, 0}, {bus.Complete, false, 0}, {bus.Complete, true, 0}, {bus.Defer, true, 0}, {bus.DeadLetter, false, 0},
	} {
		var r restraint
		r.returned.Store(7)
		if r.note(c.kind, c.isDead); r.returned.Load() != c.want {
			t.Errorf("kind %d, dead letter %v: %d, want %d", c.kind, c.isDead, r.returned.Load(), c.want)
		}
	}
}
