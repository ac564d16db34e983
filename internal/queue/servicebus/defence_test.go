package servicebus

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/bustest"
	"bellhop/internal/bus"
	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// What the driver defends against, with the SDK itself and a bus that misbehaves.

// hasty is so impatient that a test need not be patient.
func hasty() timing {
	t := usualTiming()
	t.receive, t.patience, t.patienceMax = 500*time.Millisecond, 500*time.Millisecond, 2*time.Second
	t.settle, t.call, t.grace, t.close = 500*time.Millisecond, 2*time.Second, 500*time.Millisecond, 2*time.Second
	t.backoff, t.backoffMax = 20*time.Millisecond, 200*time.Millisecond
	t.search = 500 * time.Millisecond
	return t
}

// journal is what was logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// hall is a bus that misbehaves and a driver on it.
type hall struct {
	*testing.T
	ctx     context.Context
	bus     *bustest.Bus
	queue   *Queue
	journal *journal
}

func enter(t *testing.T, tm timing) *hall {
	t.Helper()
	h := &hall{T: t, ctx: within(t), journal: &journal{}}
	h.bus = bustest.Start(t, bustest.Queue("q"), bustest.Queue("other"))
	h.queue = h.open(tm)
	return h
}

// open opens one more driver.
func (h *hall) open(tm timing) *Queue {
	h.Helper()
	opts := Options{ConnectionString: h.bus.ConnectionString()}
	q := newQueue(slog.New(slog.NewTextHandler(h.journal, nil)), tm, opts.client)
	h.Cleanup(func() {
		h.bus.Deaf(false)
		if err := q.Close(context.Background()); err != nil {
			h.Error(err)
		}
		if h.Failed() {
			h.Log(h.journal)
		}
	})
	return q
}

func (h *hall) receiver() queue.Receiver {
	h.Helper()
	r, err := h.queue.Receiver("q")
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// send sends until the bus has taken it.
func (h *hall) send(id string) {
	h.Helper()
	for {
		err := h.queue.Send(h.ctx, "q", queue.Message{ID: id})
		if err == nil {
			return
		}
		if h.ctx.Err() != nil {
			h.Fatal(err)
		}
	}
}

// take receives until there is a message: errors are for whoever calls to get
// over.
func (h *hall) take(r queue.Receiver) queue.Delivery {
	h.Helper()
	for {
		got, err := r.Receive(h.ctx, 1)
		if len(got) == 1 {
			return got[0]
		}
		if h.ctx.Err() != nil {
			h.Fatalf("received %d messages, %v", len(got), err)
		}
	}
}

func (h *hall) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// waits tells whether a goroutine of ours is in the SDK's receive.
func (h *hall) waits(r queue.Receiver) {
	h.Helper()
	for {
		ctx, cancel := context.WithTimeout(h.ctx, 50*time.Millisecond)
		_, err := r.Receive(ctx, 1)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			r := r.(*receiver)
			r.mu.Lock()
			l := r.link
			r.mu.Unlock()
			select {
			case <-l.opened.over:
				return
			default:
			}
		}
		if h.ctx.Err() != nil {
			h.Fatal(err)
		}
	}
}

// TestLinkEnds ends what a waiting receiver waits on, in each way that the SDK
// has a recovery, or none, for. The next message comes all the same, and is not
// delivered a second time.
func TestLinkEnds(t *testing.T) {
	for _, condition := range []string{
		"cut", "update", "amqp:link:detach-forced", "amqp:internal-error", "amqp:not-allowed", "amqp:resource-limit-exceeded",
		"com.microsoft:server-busy", "com.microsoft:timeout", "com.microsoft:operation-cancelled", "com.example:unheard-of",
	} {
		t.Run(condition, func(t *testing.T) {
			h := enter(t, hasty())
			r := h.receiver()
			h.waits(r)
			takeOne := func() {
				d := h.take(r)
				if d.Message().ID != "after" || d.Count() != 1 {
					t.Errorf("received %q, delivery %d", d.Message().ID, d.Count())
				}
				if err := d.Complete(h.ctx); err != nil {
					t.Error(err)
				}
			}
			var waiting sync.WaitGroup
			waiting.Go(takeOne)
			switch condition {
			case "cut":
				h.bus.DropConnections()
			case "update":
				h.bus.Update("q")
			default:
				h.bus.Detach("q", condition, "on purpose")
			}
			h.send("after")
			waiting.Wait()
			if h.bus.Counts("q").Active > 0 { // the SDK sends again when its connection ends meanwhile
				takeOne()
			}
			if c := h.bus.Counts("q"); c != (bustest.Counts{}) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestBusGoesDeaf: nobody answers any more, on connections that are there and on
// new ones, and nothing ends them.
func TestBusGoesDeaf(t *testing.T) {
	tm := hasty()
	h := enter(t, tm)
	r := h.receiver()
	h.send("before")
	h.must(h.take(r).Complete(h.ctx))
	h.bus.Deaf(true)

	began := time.Now()
	err := h.queue.Send(h.ctx, "q", queue.Message{ID: "lost"})
	if !errors.Is(err, errLimit) && !errors.Is(err, errHung) {
		t.Errorf("sending to a deaf bus: %v", err)
	}
	if took := time.Since(began); took > 4*(tm.call+tm.grace) {
		t.Errorf("a send took %v", took)
	}
	for !strings.Contains(h.journal.String(), "made anew") {
		ctx, cancel := context.WithTimeout(h.ctx, tm.receive)
		_, err := r.Receive(ctx, 1)
		cancel()
		if err == nil || h.ctx.Err() != nil {
			t.Fatalf("error %v, log %s", err, h.journal)
		}
	}
	h.bus.Deaf(false)
	h.send("after")
	for id := ""; id != "after"; {
		d := h.take(r)
		id = d.Message().ID
		h.must(d.Complete(h.ctx))
	}
}

// TestSlowBus: slow is not dead.
func TestSlowBus(t *testing.T) {
	h := enter(t, usualTiming())
	r := h.receiver()
	h.bus.Delay(30 * time.Millisecond)
	h.send("slow")
	d := h.take(r)
	h.must(d.Renew(h.ctx))
	h.must(d.Complete(h.ctx))
	if log := h.journal.String(); log != "" {
		t.Errorf("it was said: %s", log)
	}
}

// TestMessageHeldElsewhere: the watchdog's doubt, as the wire has it.
func TestMessageHeldElsewhere(t *testing.T) {
	h := enter(t, hasty())
	h.send("held")
	other := h.open(usualTiming())
	theirs, err := other.Receiver("q")
	h.must(err)
	got, err := theirs.Receive(h.ctx, 1)
	h.must(err)
	r := h.receiver()
	for !strings.Contains(h.journal.String(), "messages wait and none is received") {
		ctx, cancel := context.WithTimeout(h.ctx, 300*time.Millisecond)
		_, err := r.Receive(ctx, 1)
		cancel()
		if h.ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	h.must(got[0].Abandon(h.ctx))
	d := h.take(r)
	if d.Count() != 2 {
		t.Errorf("delivery %d", d.Count())
	}
	h.must(d.Complete(h.ctx))
}

// TestSettlingSurvives: what is held when a link or the connection ends can be
// settled all the same, and renewed before.
func TestSettlingSurvives(t *testing.T) {
	for name, end := range map[string]func(*bustest.Bus){
		"cut":    func(b *bustest.Bus) { b.DropConnections() },
		"update": func(b *bustest.Bus) { b.Update("q") },
		"busy":   func(b *bustest.Bus) { b.Detach("q", "com.microsoft:server-busy", "on purpose") },
	} {
		t.Run(name, func(t *testing.T) {
			h := enter(t, hasty())
			for _, id := range []string{"1", "2", "3", "4"} {
				h.send(id)
			}
			r := h.receiver()
			var held []queue.Delivery
			for len(held) < 4 {
				held = append(held, h.take(r))
			}
			end(h.bus)
			for {
				err := held[0].Renew(h.ctx)
				if err == nil {
					break
				}
				if errors.Is(err, queue.ErrLockLost) || h.ctx.Err() != nil {
					t.Fatal(err)
				}
			}
			h.must(held[0].Complete(h.ctx))
			h.must(held[1].Complete(h.ctx))
			h.must(held[2].DeadLetter(h.ctx, "reason", "words"))
			h.must(held[3].Abandon(h.ctx))
			if got, want := h.bus.Counts("q"), (bustest.Counts{Active: 1, DeadLetter: 1}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			d := h.take(r)
			if d.Message().ID != "4" || d.Count() != 2 {
				t.Errorf("received %q, delivery %d", d.Message().ID, d.Count())
			}
		})
	}
}

// TestBusyBus: refused for a while, and done in the end.
func TestBusyBus(t *testing.T) {
	h := enter(t, hasty())
	h.bus.Busy(1)
	h.must(h.queue.Send(h.ctx, "q", queue.Message{ID: "1"})) // the SDK's own second try
	h.bus.Busy(1000)
	if err := h.queue.Send(h.ctx, "q", queue.Message{ID: "2"}); !errors.Is(err, errBusy) {
		t.Errorf("sending to a busy bus: %v", err)
	}
	h.bus.Busy(0)
	d := h.take(h.receiver())
	h.bus.Busy(1)
	h.must(d.Complete(h.ctx))
	if c := h.bus.Counts("q"); c.Active != 0 {
		t.Errorf("%+v", c)
	}
}

// TestLocksLost: whoever holds the message is told, at renewing and at settling.
func TestLocksLost(t *testing.T) {
	h := enter(t, usualTiming())
	h.send("1")
	r := h.receiver()
	d := h.take(r)
	for range 3 { // for longer than a lock
		h.bus.Advance(40 * time.Second)
		h.must(d.Renew(h.ctx))
		if left := time.Until(d.LockedUntil()); left <= 30*time.Second || left > time.Minute {
			t.Errorf("a renewed lock ends in %v", left)
		}
	}
	if n := h.bus.LoseLocks("q"); n != 1 {
		t.Fatalf("%d locks", n)
	}
	for name, do := range map[string]func(context.Context) error{"renew": d.Renew, "complete": d.Complete, "abandon": d.Abandon} {
		if err := do(h.ctx); !errors.Is(err, queue.ErrLockLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	again := h.take(r)
	if again.Count() != 2 {
		t.Errorf("delivery %d", again.Count())
	}
	if h.bus.Purge("q") != 1 {
		t.Error("nothing to purge")
	}
	if err := again.Complete(h.ctx); !errors.Is(err, queue.ErrLockLost) {
		t.Errorf("completing what was purged: %v", err)
	}
}

// TestFreshIDs: a queue that detects duplicates swallows no second try.
func TestFreshIDs(t *testing.T) {
	h := enter(t, usualTiming())
	h.bus.CreateQueue("single", bustest.DetectDuplicates(time.Hour))
	for _, id := range []string{"try-1", "try-2", "try-2"} {
		h.must(h.queue.Send(h.ctx, "single", queue.Message{ID: id, Properties: map[string]string{"mail": "7"}}))
	}
	if got, want := h.bus.Counts("single"), (bustest.Counts{Active: 2}); got != want {
		t.Errorf("%+v, want %+v: the id is the try's, and the mail a property", got, want)
	}
}

// TestOneConnection: two lanes that receive, send and are looked into.
func TestOneConnection(t *testing.T) {
	h := enter(t, usualTiming())
	for _, lane := range []string{"q", "other"} {
		h.must(h.queue.Send(h.ctx, lane, queue.Message{ID: "1"}))
		r, err := h.queue.Receiver(lane)
		h.must(err)
		h.must(h.take(r).Complete(h.ctx))
		if _, _, err := h.queue.Depth(h.ctx, lane); err != nil {
			t.Error(err)
		}
	}
	if n := h.bus.DropConnections(); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}

// TestOutage: a bus that was away for long is found again soon.
func TestOutage(t *testing.T) {
	w := startWire(t, false)
	w.makeQueue("q", bus.Settings{})
	q := w.queueWith(hasty())
	r, err := q.Receiver("q")
	w.must(err)
	w.must(q.Send(within(t), "q", queue.Message{ID: "1"}))
	got, err := r.Receive(within(t), 1)
	w.must(err)
	w.must(got[0].Complete(within(t)))
	w.stop()
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if _, err := r.Receive(ctx, 1); err == nil {
			t.Error("received from nobody")
		}
		cancel()
	}
	if err := q.Send(within(t), "q", queue.Message{ID: "2"}); err == nil {
		t.Error("sent to nobody")
	}
	if missing, err := q.Missing(within(t), "q"); err == nil {
		t.Errorf("nobody says that %q are missing", missing)
	}
	w.start()
	h := &hall{T: t, ctx: within(t), queue: q, journal: &journal{}}
	h.send("3")
	if d := h.take(r); d.Message().ID != "3" || d.Count() != 1 {
		t.Errorf("received %q, delivery %d", d.Message().ID, d.Count())
	}
}

// TestForeignMessage: anybody may send anything to a lane.
func TestForeignMessage(t *testing.T) {
	h := enter(t, usualTiming())
	client, err := azservicebus.NewClientFromConnectionString(h.bus.ConnectionString(), nil)
	h.must(err)
	defer client.Close(context.Background())
	sender, err := client.NewSender("q", nil)
	h.must(err)
	h.must(sender.SendAMQPAnnotatedMessage(h.ctx, &azservicebus.AMQPAnnotatedMessage{
		ApplicationProperties: map[string]any{"number": int64(7), "text": "seven"},
		Body:                  azservicebus.AMQPAnnotatedMessageBody{Value: "no data"},
	}, nil))
	r := h.receiver()
	d := h.take(r)
	m := d.Message()
	if m.ID == "" || len(m.Properties) != 1 || m.Properties["text"] != "seven" || len(m.Body) != 0 {
		t.Errorf("received %+v", m)
	}
	h.must(d.DeadLetter(h.ctx, strings.Repeat("r", 5000), "not ours: \xff"))
	letters, _, err := h.queue.DeadLetters(h.ctx, "q", "", 10)
	h.must(err)
	if len(letters) != 1 || len(letters[0].Reason) != queue.MaxReasonBytes || letters[0].Description != "not ours: ?" || len(letters[0].Message.Properties) != 1 {
		t.Fatalf("dead letters: %+v", letters)
	}
	h.must(h.queue.Replay(h.ctx, "q", letters[0].ID))
	again := h.take(r).(*delivery)
	if again.received.ApplicationProperties["number"] != int64(7) || len(again.received.ApplicationProperties) != 2 || again.message.ID == m.ID {
		t.Errorf("replayed as %q with %v", again.message.ID, again.received.ApplicationProperties)
	}
}
