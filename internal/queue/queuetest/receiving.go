package queuetest

import (
	"context"
	"errors"
	"sync"

	"bellhop/internal/queue"
)

var receiving = []behaviour{
	{"a waiting receiver is woken by a send", nil, (*suite).woken},
	{"a receive returns at most its limit", nil, (*suite).limit},
	{"the end of ctx ends a wait and holds nothing", nil, (*suite).cancelled},
	{"competing receivers get different messages", nil, (*suite).competing},
	{"closing a receiver ends its waits", nil, (*suite).closeReceiver},
	{"after Close everything is ErrClosed", nil, (*suite).closeQueue},
}

func isClosed(err error) bool { return errors.Is(err, queue.ErrClosed) }

func (s *suite) woken() {
	r := s.receiver(Main)
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			got, err := r.Receive(s.ctx, 1)
			if err != nil || len(got) != 1 {
				s.Errorf("received %d messages, error %v", len(got), err)
			}
		})
	}
	for _, body := range numbered("w", 3) {
		s.send(Main, body)
	}
	waiting.Wait()
}

func (s *suite) limit() {
	s.send(Main, numbered("l", 10)...)
	r := s.receiver(Main)
	got, err := r.Receive(s.ctx, 3)
	s.must(err)
	if len(got) < 1 || len(got) > 3 {
		s.Fatalf("received %d messages, want 1 to 3", len(got))
	}
	s.take(r, 10-len(got))
	s.empty(r)
}

// cancelled lets the end of ctx race with a send: the receive either has the
// message, or the message is there, untouched, for the next one.
func (s *suite) cancelled() {
	r := s.receiver(Main)
	done, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := r.Receive(done, 1)
	s.wants(err, context.Canceled)
	for range 30 {
		ctx, cancel := context.WithCancel(s.ctx)
		var got []queue.Delivery
		var err error
		var receive sync.WaitGroup
		receive.Go(func() { got, err = r.Receive(ctx, 1) })
		var race sync.WaitGroup
		race.Go(cancel)
		s.send(Main, "raced")
		race.Wait()
		receive.Wait()
		if err != nil {
			s.wants(err, context.Canceled)
			got = []queue.Delivery{s.one(r, "raced", 1)}
		}
		s.must(got[0].Complete(s.ctx))
	}
	s.empty(r)
}

func (s *suite) competing() {
	const n = 120
	s.send(Main, numbered("c", n)...)
	var mu sync.Mutex
	seen := map[string]int{}
	total := 0
	enough, stop := context.WithCancel(s.ctx)
	defer stop()
	var group sync.WaitGroup
	for range 4 {
		r := s.receiver(Main)
		group.Go(func() {
			for {
				got, err := r.Receive(enough, 7)
				if err != nil {
					return
				}
				mu.Lock()
				for _, body := range bodies(got) {
					seen[body]++
				}
				if total += len(got); total >= n {
					stop()
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if total != n || len(seen) != n {
		s.Errorf("received %d messages, %d of them different, want %d", total, len(seen), n)
	}
}

func (s *suite) closeReceiver() {
	r, other := s.receiver(Main), s.receiver(Main)
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() {
			if _, err := r.Receive(s.ctx, 1); !isClosed(err) {
				s.Errorf("a wait ended with %v, want ErrClosed", err)
			}
		})
	}
	s.must(r.Close(s.ctx))
	waiting.Wait()
	s.must(r.Close(s.ctx))
	_, err := r.Receive(s.ctx, 1)
	s.wants(err, queue.ErrClosed)
	s.send(Main, "still open")
	s.one(other, "still open", 1)
}

func (s *suite) closeQueue() {
	s.send(Main, "left behind")
	r, idle := s.receiver(Main), s.receiver(Other)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, err := idle.Receive(s.ctx, 1); !isClosed(err) {
			s.Errorf("a wait ended with %v, want ErrClosed", err)
		}
	})
	s.must(s.queue.Close(s.ctx))
	waiting.Wait()
	s.must(s.queue.Close(s.ctx))
	s.wants(s.queue.Send(s.ctx, Main, queue.Message{ID: "1"}), queue.ErrClosed)
	_, err := r.Receive(s.ctx, 1)
	s.wants(err, queue.ErrClosed)
	_, err = s.queue.Receiver(Main)
	s.wants(err, queue.ErrClosed)
	if letters, ok := s.queue.(queue.DeadLetterer); ok {
		_, _, err = letters.DeadLetters(s.ctx, Main, "", 1)
		s.wants(err, queue.ErrClosed)
		s.wants(letters.Replay(s.ctx, Main, "1"), queue.ErrClosed)
		s.wants(letters.Discard(s.ctx, Main, "1"), queue.ErrClosed)
	}
	if counter, ok := s.queue.(queue.Counter); ok {
		_, _, err = counter.Depth(s.ctx, Main)
		s.wants(err, queue.ErrClosed)
	}
}
