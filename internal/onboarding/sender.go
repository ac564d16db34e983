package onboarding

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/mail"
	"bellhop/internal/queue"
)

// bulkShare is the part of the workers that the bulk lane may use at most.
const bulkShare = 4

// Composer renders a claimed mail into the bytes that are submitted. The same
// arguments give the same bytes while templates and settings are the same.
type Composer interface {
	// Compose renders for h with the mint number h.NextMint().
	Compose(h Held) (mail.Envelope, mail.Rendered, error)
}

// Arrivals is where a sender reports markers.
type Arrivals interface {
	// Arrived is [Outbox.Arrived].
	Arrived(ctx context.Context, lane Lane, sent time.Time) error
}

// Sender takes messages, claims their mails, submits them and records what
// became of it. Several senders may work on one ledger and one queue.
type Sender struct {
	deps    SenderDeps
	circuit *circuit
	alone   sync.RWMutex // held for writing by a mail that is sent alone
	claims  atomic.Int64 // numbers the claims of this incarnation
}

// SenderDeps is what a sender works with. All fields are required but Observe.
type SenderDeps struct {
	Claims    Claims
	Arrivals  Arrivals
	Queue     queue.Queue
	Transport mail.Transport
	Composer  Composer
	Policy    Policy
	// Self is the incarnation the sender claims for. Somebody else keeps up
	// its heartbeat.
	Self Incarnation
	// Workers is how many mails are under way at once, 1 or more. The bulk
	// lane gets a quarter of them, one at least, on top.
	Workers int
	Log     *slog.Logger
	// Observe, if set, is told of each attempt. It must be quick.
	Observe func(Attempt)
}

// Attempt is what one attempt took, for measurements.
type Attempt struct {
	Lane    Lane
	Variant Variant
	Outcome mail.Outcome
	// Begin is the time until the content was with the server, Wait that of
	// waiting for the ledger's disk, Dot that from the dot to its answer.
	Begin, Wait, Dot time.Duration
	// Age is how old the mail was at the end.
	Age time.Duration
}

// NewSender makes a sender.
func NewSender(deps SenderDeps) *Sender {
	return &Sender{deps: deps, circuit: newCircuit()}
}

// CircuitOpen tells whether the mail server is taken for down.
func (s *Sender) CircuitOpen() bool { return s.circuit.Open() }

// Run sends until ctx ends. Then it takes no more messages, finishes the
// attempts under way, closes the transport and returns nil. When cut ends
// before that, attempts that have not written their dot are broken off and
// their mails are due again; those that have are left in committing.
func (s *Sender) Run(ctx, cut context.Context) error {
	var pumps, attempts sync.WaitGroup
	for _, lane := range Lanes() {
		receiver, err := s.deps.Queue.Receiver(lane.Queue())
		if err != nil {
			return fmt.Errorf("receive from the %s lane: %w", lane, err)
		}
		p := &pump{sender: s, lane: lane, receiver: receiver, free: make(chan struct{}, s.workers(lane)), attempts: &attempts}
		pumps.Go(func() { p.run(ctx, cut) })
	}
	pumps.Wait()
	done := make(chan struct{})
	go func() { attempts.Wait(); close(done) }()
	select {
	case <-done:
	case <-cut.Done():
	}
	err := s.deps.Transport.Close(cut)
	<-done
	if errors.Is(err, context.Cause(cut)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func (s *Sender) workers(lane Lane) int {
	if lane == Bulk {
		return max(1, s.deps.Workers/bulkShare)
	}
	return s.deps.Workers
}

// pump feeds one lane's messages to its workers, and never holds more messages
// than there are workers free.
type pump struct {
	sender   *Sender
	lane     Lane
	receiver queue.Receiver
	free     chan struct{} // one token for each worker at work
	attempts *sync.WaitGroup
}

// How the pump waits when it has no reason to be told.
const (
	pumpRetry   = time.Second // after an error
	probeWindow = time.Second // how long a probe waits for a message
)

func (p *pump) run(ctx, cut context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := p.take(ctx, cut)
		if err == nil || ctx.Err() != nil {
			failing = false
			continue
		}
		if !failing {
			p.sender.deps.Log.Warn("cannot take messages", "lane", p.lane, "error", err)
		}
		failing = true
		pause(ctx, jitter(pumpRetry), nil)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if err := p.receiver.Close(closing); err != nil {
		p.sender.deps.Log.Warn("closing a receiver failed", "lane", p.lane, "error", err)
	}
}

// take receives once and starts an attempt for each message.
func (p *pump) take(ctx, cut context.Context) error {
	probe, changed, err := p.sender.circuit.Enter(ctx)
	if err != nil {
		return err
	}
	limit := p.acquire(ctx, probe)
	deliveries, err := p.receive(ctx, limit, probe, changed)
	for range limit - len(deliveries) {
		<-p.free
	}
	if probe && len(deliveries) == 0 {
		p.sender.circuit.Leave()
		pause(ctx, probeWindow, nil) // it is the other lane's turn to probe
	}
	for _, d := range deliveries {
		p.attempts.Go(func() {
			defer func() { <-p.free }()
			p.sender.handle(cut, p.lane, d, probe)
			if probe {
				p.sender.circuit.Leave()
			}
		})
	}
	return err
}

// acquire waits for one free worker and takes as many more as are free.
func (p *pump) acquire(ctx context.Context, probe bool) int {
	select {
	case p.free <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	n := 1
	for !probe && n < cap(p.free) {
		select {
		case p.free <- struct{}{}:
			n++
			continue
		default:
		}
		break
	}
	return n
}

// receive waits for messages until the circuit changes; a probe waits only a
// moment, so that the other lane may probe too.
func (p *pump) receive(ctx context.Context, limit int, probe bool, changed <-chan struct{}) ([]queue.Delivery, error) {
	if limit == 0 {
		return nil, nil
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	if probe {
		waiting, cancel = context.WithTimeout(waiting, probeWindow)
		defer cancel()
	} else {
		stop := make(chan struct{})
		var watch sync.WaitGroup
		defer watch.Wait()
		defer close(stop)
		watch.Go(func() {
			select {
			case <-changed:
				cancel()
			case <-stop:
			}
		})
	}
	deliveries, err := p.receiver.Receive(waiting, limit)
	if err != nil && waiting.Err() != nil {
		return nil, nil
	}
	return deliveries, err
}

// retryAfter is how long a mail waits after its nth counted attempt (from 1):
// drawn from nothing up to the schedule's value, so that mails that failed
// together do not come back together, but not before the server said.
func (p Policy) retryAfter(n int, atLeast time.Duration) time.Duration {
	step := p.Retry[min(max(n, 1), len(p.Retry))-1]
	return max(atLeast, rand.N(step+1))
}
