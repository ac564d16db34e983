package amqp_test

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// holder is a broker that settles nothing by itself.
type holder struct {
	*broker
	mu   sync.Mutex
	held []*amqp.Delivery
}

func newHolder() *holder {
	h := &holder{broker: newBroker()}
	h.hold = func(d *amqp.Delivery) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held = append(h.held, d)
	}
	return h
}

// count is how many deliveries are held once nothing moves any more.
func (h *holder) count() int {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

// settle settles the first n.
func (h *holder) settle(n int) {
	h.mu.Lock()
	first := h.held[:n]
	h.held = h.held[n:]
	h.mu.Unlock()
	for _, d := range first {
		d.Settle(&wire.Accepted{})
	}
}

// sending is a peer that writes n messages of so many bytes in the background,
// and reads what comes. stop ends both. Messages without a byte are settled.
func sending(t *testing.T, s *amqp.Server, h amqp.Handler, n uint32, size int) (p *amqptest.Peer, stop func()) {
	t.Helper()
	p, _ = connect(t, s, h)
	p.Open("")
	p.Begin(0)
	p.Sender(0, 0, "out", "q")
	var b []byte
	for id := range n {
		first := amqptest.First(0, id)
		first.Settled = wire.Some(size == 0)
		b = append(b, encode(t, first, size)...)
	}
	var work sync.WaitGroup
	work.Go(func() { _ = p.TryWrite(b) })
	work.Go(func() {
		for {
			if _, err := p.Frame(); err != nil {
				return
			}
		}
	})
	return p, func() {
		p.Hang()
		work.Wait()
	}
}

// TestConnBytes proves that a connection with too much unsettled is not read any
// more, until something is settled.
func TestConnBytes(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, want int
	}{
		{"large messages", 1000, 11},
		{"small messages, which count 512 bytes", 1, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHolder()
				s := amqp.NewServer(amqp.Config{ConnBytes: 10_000}, h)
				_, stop := sending(t, s, h, 100, c.size)
				defer stop()
				if n := h.count(); n != c.want {
					t.Errorf("%d deliveries came, want %d", n, c.want)
				}
				_, stopOther := sending(t, s, h, 5, 1)
				if n := h.count(); n != c.want+5 {
					t.Errorf("%d deliveries came, want %d: another connection is served", n, c.want+5)
				}
				stopOther()
				h.settle(2)
				if n := h.count(); n != c.want+5 {
					t.Errorf("%d deliveries came, want as many as before: two for two", n)
				}
				for h.count() > 0 {
					h.settle(h.count())
				}
				if held := s.Held(); held != 0 {
					t.Errorf("%d bytes are held when all is settled", held)
				}
			})
		})
	}
}

// TestServerBytes proves that the same holds for all connections together.
func TestServerBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolder()
		s := amqp.NewServer(amqp.Config{ServerBytes: 10_000}, h)
		_, stop := sending(t, s, h, 30, 1000)
		defer stop()
		if n := h.count(); n != 11 {
			t.Errorf("%d deliveries came, want 11", n)
		}
		_, stopOther := sending(t, s, h, 30, 1000)
		defer stopOther()
		if n := h.count(); n != 12 {
			t.Errorf("%d deliveries came, want 11, and one of the other connection", n)
		}
		total := 0
		for n := h.count(); n > 0; n = h.count() {
			if n > 12 {
				t.Errorf("%d deliveries are unsettled", n)
			}
			h.settle(1)
			total++
		}
		if total != 60 {
			t.Errorf("%d deliveries came, want 60", total)
		}
	})
}

// TestServerBytesOfOthers proves that a connection which has nothing unsettled
// may send even when others have too much.
func TestServerBytesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolder()
		s := amqp.NewServer(amqp.Config{ServerBytes: 10_000}, h)
		_, stop := sending(t, s, h, 30, 1000)
		defer stop()
		had := h.count()
		_, stopOther := sending(t, s, h, 5, 0) // settled, so that no confirmation is written
		defer stopOther()
		for range 5 {
			if n := h.count(); n != had+1 {
				t.Fatalf("%d deliveries came, want one more than %d", n, had)
			}
			h.mu.Lock()
			last := h.held[had]
			h.held = h.held[:had]
			h.mu.Unlock()
			last.Settle(&wire.Accepted{})
		}
		for h.count() > 0 {
			h.settle(h.count())
		}
	})
}

// TestSettledLate proves that what is settled after its connection has gone
// frees what it counted, and harms nobody.
func TestSettledLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolder()
		s := amqp.NewServer(amqp.Config{ServerBytes: 5000}, h)
		_, stop := sending(t, s, h, 6, 1000)
		if n := h.count(); n != 6 {
			t.Fatalf("%d deliveries came", n)
		}
		stop()
		_, stop = sending(t, s, h, 3, 1000)
		defer stop()
		if n := h.count(); n != 7 {
			t.Errorf("%d deliveries came, want one more while those of the first connection are held", n)
		}
		h.settle(6)
		if n := h.count(); n != 3 {
			t.Errorf("%d deliveries came, want those of the second connection", n)
		}
		h.settle(3)
		if held := s.Held(); held != 0 {
			t.Errorf("%d bytes are held when all is settled", held)
		}
	})
}

// begun is the first transfer of a delivery of which more is to come.
func begun(handle, id uint32) *wire.Transfer {
	first := amqptest.First(handle, id)
	first.More = true
	return first
}

// TestPartialDeliveries proves that deliveries which never become complete
// cannot take more memory than a connection may have, nor stop it.
func TestPartialDeliveries(t *testing.T) {
	_, address := serve(t, amqp.Config{ConnBytes: 10_000}, newBroker())
	other := newBystander(t, address)
	p := amqptest.Dial(t, address)
	p.Open("peer")
	p.Begin(0)
	for handle := range uint32(5) {
		p.Sender(0, handle, string(rune('a'+handle)), "q")
		p.Write(encode(t, begun(handle, handle), 2500))
	}
	p.ExpectDetach(0, 4, wire.ConditionResourceLimitExceeded)
	p.Write(encode(t, &wire.Transfer{Handle: 0}, 1)) // the others go on
	if d := amqptest.Await[*wire.Disposition](p); d.First != 0 || !isAccepted(d.State) {
		t.Errorf("got %+v, want the first accepted", d)
	}
	p.Write(encode(t, &wire.Transfer{Handle: 1, More: true}, 8000))
	p.ExpectDetach(0, 1, wire.ConditionResourceLimitExceeded)
	other.check(t)
}

// TestPartialDeliveriesOfAll proves the same for all connections together: who
// has begun much may not go on, who has begun little may.
func TestPartialDeliveriesOfAll(t *testing.T) {
	_, address := serve(t, amqp.Config{ServerBytes: 64 * 1000}, newBroker())
	other := newBystander(t, address)
	var hogs []*amqptest.Peer
	for n := range 4 {
		p := amqptest.Dial(t, address)
		p.Open("")
		p.Begin(0)
		p.Sender(0, 0, "out", "q")
		p.Write(encode(t, begun(0, 0), 10_000))
		if n < 3 { // there is room for three
			p.Send(0, echo())
			amqptest.Expect[*wire.Flow](p)
		} else {
			p.ExpectDetach(0, 0, wire.ConditionResourceLimitExceeded)
		}
		hogs = append(hogs, p)
	}
	var modest []*amqptest.Peer
	for range 4 { // 30 000 and these are more than half of 64 000
		p := amqptest.Dial(t, address)
		p.Open("")
		p.Begin(0)
		p.Sender(0, 0, "out", "q")
		p.Write(encode(t, begun(0, 0), 800))
		p.Send(0, echo())
		amqptest.Expect[*wire.Flow](p)
		modest = append(modest, p)
	}
	hogs[0].Write(encode(t, &wire.Transfer{More: true}, 1))
	hogs[0].ExpectDetach(0, 0, wire.ConditionResourceLimitExceeded)
	for _, p := range modest {
		p.Write(encode(t, &wire.Transfer{}, 100))
		if d := amqptest.Await[*wire.Disposition](p); !isAccepted(d.State) {
			t.Errorf("got %+v", d)
		}
	}
	other.check(t)
}

// TestPeerThatDoesNotRead proves that a peer which provokes answers and reads
// none is not read any more, and closed when it goes on like that.
func TestPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBroker()
		s := amqp.NewServer(amqp.Config{}, h)
		p, ended := connect(t, s, h)
		p.Open("peer")
		p.Begin(0)
		ask := amqptest.Frames(t, 0, echo())
		written := 0
		start := time.Now()
		for p.TryWrite(ask) == nil {
			written += len(ask)
		}
		if written > 8<<20 {
			t.Errorf("the server took %d bytes of questions without getting rid of its answers", written)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection ended with %v", err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("the connection was closed after %v, want 30s", took)
		}
	})
}

// TestPeerThatReadsLate proves that a peer which was not read because it did not
// read gets all its answers when it does.
func TestPeerThatReadsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const questions = 150_000
		p := pipe(t, amqp.Config{}, newBroker())
		p.Open("peer")
		p.Begin(0)
		ask := amqptest.Frames(t, 0, echo())
		var written atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range questions {
				if p.TryWrite(ask) == nil {
					written.Add(1)
				}
			}
		}()
		synctest.Wait()
		if n := written.Load(); n == questions {
			t.Error("all questions were taken before an answer was read")
		}
		for range questions {
			amqptest.Expect[*wire.Flow](p)
		}
		<-done
	})
}

// TestWriterRoom proves that there is no demand as long as a peer does not read
// what it has been sent, and that a message is not taken then.
func TestWriterRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManual()
		s := amqp.NewServer(amqp.Config{WriteTimeout: time.Hour}, m)
		p, _ := connect(t, s, m)
		p.Open("peer")
		p.Begin(0)
		p.Send(0, attachReceiver(0, "in"))
		l := acceptOutgoing(<-m.attaches)
		amqptest.Expect[*wire.Attach](p)
		p.Send(0, credit(0, 1000))
		large := amqp.OutMessage{Tag: []byte("x"), Message: make([]byte, 256<<10)}
		first := l.wait(t)
		if first.Credit > 100 {
			t.Errorf("demand is %d before anybody knows how large messages are", first.Credit)
		}
		sent := 0
		for ; l.Send(large) == nil; sent++ {
			if d, err := l.Wait(canceled()); err == nil && d.Credit > 4 {
				t.Errorf("demand is %d large messages", d.Credit)
			}
		}
		if bytes := sent * len(large.Message); bytes < 1<<20 || bytes > 10<<20 {
			t.Errorf("%d bytes were taken for a peer that does not read", bytes)
		}
		if err := l.Send(large); !errors.Is(err, amqp.ErrWithdrawn) {
			t.Errorf("sent to a peer that does not read: %v", err)
		}
		l.hasNoDemand(t)
		demanded := make(chan error, 1)
		go func() {
			_, err := l.Wait(t.Context())
			demanded <- err
		}()
		for range sent - 1 {
			p.Delivery()
		}
		if err := <-demanded; err != nil {
			t.Errorf("wait: %v", err)
		}
	})
}

// TestHeldRoom proves that what waits for the window of a session is bounded,
// that other sessions wait with it then, and go on when the window opens.
func TestHeldRoom(t *testing.T) {
	m, p, stuck := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: 1})
	p.BeginAs(1, &wire.Begin{IncomingWindow: wide})
	p.Send(1, attachReceiver(0, "other"))
	other := acceptOutgoing(<-m.attaches)
	amqptest.Expect[*wire.Attach](p)
	give := credit(0, 1000)
	give.IncomingWindow = 1
	p.Send(0, give)
	p.Send(1, credit(0, 1000))
	other.wait(t)
	stuck.wait(t)
	large, sent := amqp.OutMessage{Tag: []byte("x"), Message: make([]byte, 256<<10)}, 0
	for stuck.Send(large) == nil {
		sent++
	}
	if bytes := sent * len(large.Message); bytes < 4<<20 || bytes > 10<<20 {
		t.Errorf("%d bytes were taken for a session whose window is closed", bytes)
	}
	other.hasNoDemand(t)
	demanded := make(chan error, 1)
	go func() {
		_, err := other.Wait(t.Context())
		demanded <- err
	}()
	p.Send(0, &wire.Flow{NextIncomingID: wire.Some[uint32](0), IncomingWindow: wide})
	for range sent {
		p.Delivery()
	}
	if err := <-demanded; err != nil {
		t.Errorf("wait: %v", err)
	}
}

// TestHeldRoomIsFreed is the same when the session ends instead.
func TestHeldRoomIsFreed(t *testing.T) {
	m, p, stuck := receiving(t, amqp.Config{}, &wire.Begin{IncomingWindow: 0})
	p.BeginAs(1, &wire.Begin{IncomingWindow: wide})
	p.Send(1, attachReceiver(0, "other"))
	other := acceptOutgoing(<-m.attaches)
	amqptest.Expect[*wire.Attach](p)
	give := credit(0, 1000)
	give.IncomingWindow, give.Echo = 0, true
	p.Send(1, credit(0, 1000))
	p.Send(0, give)
	amqptest.Await[*wire.Flow](p)
	for stuck.Send(amqp.OutMessage{Tag: []byte("x"), Message: make([]byte, 256<<10)}) == nil {
	}
	other.hasNoDemand(t)
	p.Send(0, &wire.End{})
	other.wait(t)
}

// TestPatientWriter proves that a peer which reads slowly, but reads, is not
// closed.
func TestPatientWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.put("q", amqp.OutMessage{Tag: []byte("x"), Message: make([]byte, 1<<20)})
		p := pipe(t, amqp.Config{IdleTimeout: time.Hour}, b)
		p.Open("peer")
		p.Begin(0)
		p.Receiver(0, 0, "in", "q", 1)
		for more := true; more; {
			<-time.After(20 * time.Second)
			f := amqptest.Expect[*wire.Transfer](p)
			more = f.More
		}
		p.Send(0, &wire.Close{})
		p.ExpectClose("")
	})
}
