// Package queuetest holds what every driver of [queue.Queue] must do, as
// tests: [Run]. It also has [Faulty], a queue that breaks when it is told to,
// for the tests of those who use one.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bellhop/internal/queue"
)

// Features say what a driver, or the broker behind it, cannot do. The zero
// value asks for everything. A test that needs more than there is says so and
// is skipped; nothing is ever skipped by a driver's name.
type Features struct {
	// Absent says why there is no broker to test here, such as one that must be
	// paid for and that nobody has named. All tests are skipped then.
	Absent string
	// Unordered: messages may come in another order than they were sent.
	Unordered bool
	// Volatile: messages do not outlive Reopen.
	Volatile bool
	// NoLockEnd: the tests cannot make locks end.
	NoLockEnd bool
	// NoDeadLetterList: the driver is no [queue.DeadLetterer].
	NoDeadLetterList bool
	// NoDepth: the driver is no [queue.Counter].
	NoDepth bool
}

// The queues the tests use. They exist, are empty, hold locks for at least
// 30 s and dead-letter a message after MaxDeliveries. There is none named
// Missing.
const (
	Main          = "main"
	Other         = "other"
	Missing       = "missing"
	MaxDeliveries = 5
)

// Broker is a driver under test, with what the tests must be able to do to it.
type Broker struct {
	// Queue is open. The tests may close it.
	Queue queue.Queue
	// EndLocks ends all locks now held, as if their time were over. Not needed
	// with Features.NoLockEnd.
	EndLocks func(t *testing.T)
	// Reopen ends the broker or its connection as abruptly as it can and
	// starts it again. It returns the queue to go on with; locks held before
	// have ended. Not needed with Features.Volatile.
	Reopen func(t *testing.T) queue.Queue
}

// behaviour is one promise of the contract.
type behaviour struct {
	name string
	// lacks names the feature without which it cannot be tested, or is empty.
	lacks func(Features) string
	test  func(*suite)
}

// Run tests a driver. open must give each test a broker of its own.
func Run(t *testing.T, features Features, open func(t *testing.T) Broker) {
	if features.Absent != "" {
		t.Skip("there is no broker: " + features.Absent)
	}
	for _, b := range slices.Concat(sending, receiving, settling, deadLetters) {
		t.Run(b.name, func(t *testing.T) {
			if b.lacks != nil {
				if missing := b.lacks(features); missing != "" {
					t.Skip("the driver declares " + missing)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			s := &suite{T: t, ctx: ctx, features: features, broker: open(t)}
			s.queue = s.broker.Queue
			b.test(s)
		})
	}
}

func unordered(f Features) string { return naming(f.Unordered, "Unordered") }
func volatile(f Features) string  { return naming(f.Volatile, "Volatile") }
func noLockEnd(f Features) string { return naming(f.NoLockEnd, "NoLockEnd") }
func noLetters(f Features) string { return naming(f.NoDeadLetterList, "NoDeadLetterList") }

func naming(set bool, name string) string {
	if set {
		return name
	}
	return ""
}

// suite is one running test.
type suite struct {
	*testing.T
	ctx      context.Context // of the whole test
	features Features
	broker   Broker
	queue    queue.Queue
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) wants(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("error %v, want %v", err, want)
	}
}

// send sends one message for each body, in one step.
func (s *suite) send(name string, bodies ...string) {
	s.Helper()
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{ID: fmt.Sprintf("%s-%d", body, i), Body: []byte(body)}
	}
	s.must(s.queue.Send(s.ctx, name, messages...))
}

func (s *suite) receiver(name string) queue.Receiver {
	s.Helper()
	r, err := s.queue.Receiver(name)
	s.must(err)
	return r
}

// take receives exactly n messages, in as many steps as it needs.
func (s *suite) take(r queue.Receiver, n int) []queue.Delivery {
	s.Helper()
	var all []queue.Delivery
	for len(all) < n {
		got, err := r.Receive(s.ctx, n-len(all))
		if err != nil {
			s.Fatalf("received %d of %d messages, then: %v", len(all), n, err)
		}
		if len(got) == 0 || len(got) > n-len(all) {
			s.Fatalf("Receive returned %d messages, want 1 to %d", len(got), n-len(all))
		}
		all = append(all, got...)
	}
	return all
}

// one receives the one message there must be.
func (s *suite) one(r queue.Receiver, body string, count int) queue.Delivery {
	s.Helper()
	d := s.take(r, 1)[0]
	if string(d.Message().Body) != body || d.Count() != count {
		s.Fatalf("received %q with count %d, want %q with %d", d.Message().Body, d.Count(), body, count)
	}
	return d
}

// empty checks that nothing more comes for a moment.
func (s *suite) empty(r queue.Receiver) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
	defer cancel()
	got, err := r.Receive(ctx, 10)
	if len(got) > 0 {
		s.Fatalf("received %q, want nothing", bodies(got))
	}
	s.wants(err, context.DeadlineExceeded)
}

// depth checks the counts, where the driver has them.
func (s *suite) depth(name string, active, dead int64) {
	s.Helper()
	if s.features.NoDepth {
		return
	}
	a, d, err := s.queue.(queue.Counter).Depth(s.ctx, name)
	s.must(err)
	if a != active || d != dead {
		s.Fatalf("depth of %s: %d active and %d dead, want %d and %d", name, a, d, active, dead)
	}
}

func bodies(deliveries []queue.Delivery) []string {
	all := make([]string, len(deliveries))
	for i, d := range deliveries {
		all[i] = string(d.Message().Body)
	}
	return all
}

// numbered returns prefix0, prefix1 and so on.
func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%02d", prefix, i)
	}
	return all
}
