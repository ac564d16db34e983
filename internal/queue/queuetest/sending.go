package queuetest

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"

	"bellhop/internal/queue"
)

var sending = []behaviour{
	{"a message arrives as it was sent", nil, (*suite).roundTrip},
	{"sending nothing does nothing", nil, (*suite).sendNothing},
	{"a batch arrives as a whole", nil, (*suite).batch},
	{"queues are separate", nil, (*suite).separate},
	{"messages come in the order they were sent", unordered, (*suite).order},
	{"an unknown queue is reported", nil, (*suite).unknownQueue},
	{"a message too large is refused with its batch", nil, (*suite).tooLarge},
	{"messages outlive the process", volatile, (*suite).outlive},
	{"eight senders and eight receivers lose and double nothing", nil, (*suite).load},
}

func (s *suite) roundTrip() {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	sent := []queue.Message{
		{ID: "1", Properties: map[string]string{"kind": "mail", "empty": "", "ümlaut": "ß"}, Body: every},
		{ID: "2"},
		{ID: "3", Properties: map[string]string{strings.Repeat("k", 255): strings.Repeat("v", 255)}, Body: bytes.Repeat([]byte("x"), 64<<10)},
	}
	r := s.receiver(Main)
	for _, want := range sent {
		s.must(s.queue.Send(s.ctx, Main, want))
		d := s.take(r, 1)[0]
		got := d.Message()
		if got.ID != want.ID || !maps.Equal(got.Properties, want.Properties) || !bytes.Equal(got.Body, want.Body) {
			s.Errorf("message %s came as %s with %d properties and %d bytes", want.ID, got.ID, len(got.Properties), len(got.Body))
		}
		if d.Count() != 1 {
			s.Errorf("first delivery has count %d, want 1", d.Count())
		}
		s.must(d.Complete(s.ctx))
	}
}

func (s *suite) sendNothing() {
	s.must(s.queue.Send(s.ctx, Main))
	s.empty(s.receiver(Main))
}

func (s *suite) batch() {
	want := numbered("b", 100)
	s.send(Main, want...)
	s.depth(Main, 100, 0)
	got := bodies(s.take(s.receiver(Main), 100))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.Errorf("received %q", got)
	}
}

func (s *suite) separate() {
	s.send(Main, "for main")
	s.send(Other, "for other")
	s.one(s.receiver(Other), "for other", 1)
	s.empty(s.receiver(Other))
	s.one(s.receiver(Main), "for main", 1)
}

func (s *suite) order() {
	want := numbered("o", 60)
	for part := range slices.Chunk(want, 7) {
		s.send(Main, part...)
	}
	if got := bodies(s.take(s.receiver(Main), len(want))); !slices.Equal(got, want) {
		s.Errorf("received %q", got)
	}
}

func (s *suite) unknownQueue() {
	s.wants(s.queue.Send(s.ctx, Missing, queue.Message{ID: "1"}), queue.ErrUnknownQueue)
	r, err := s.queue.Receiver(Missing)
	if err == nil { // a driver may notice later
		_, err = r.Receive(s.ctx, 1)
	}
	s.wants(err, queue.ErrUnknownQueue)
}

func (s *suite) tooLarge() {
	small := queue.Message{ID: "1", Body: []byte("small")}
	for _, large := range []queue.Message{
		{ID: "2", Body: make([]byte, 64<<10+1)},
		{ID: "3", Properties: map[string]string{"k": strings.Repeat("v", 256)}},
		{ID: "4", Properties: map[string]string{strings.Repeat("k", 256): "v"}},
	} {
		s.wants(s.queue.Send(s.ctx, Main, small, large), queue.ErrTooLarge)
	}
	s.empty(s.receiver(Main))
}

func (s *suite) outlive() {
	want := numbered("m", 20)
	s.send(Main, want...)
	r := s.receiver(Main)
	for _, d := range s.take(r, 5) {
		s.must(d.Complete(s.ctx))
	}
	s.queue = s.broker.Reopen(s.T)
	s.depth(Main, 15, 0)
	r = s.receiver(Main)
	s.take(r, 15)
	s.empty(r)
}

// load has each message completed by whoever receives it, and counts.
func (s *suite) load() {
	const workers, each = 8, 50
	var senders, receivers sync.WaitGroup
	got := make(chan string, workers*each)
	for w := range workers {
		senders.Go(func() {
			for part := range slices.Chunk(numbered(string(rune('a'+w)), each), 3) {
				s.send(Main, part...)
			}
		})
	}
	r := s.receiver(Main)
	for range workers {
		receivers.Go(func() { s.completeAll(r, got) })
	}
	senders.Wait()
	seen := map[string]int{}
	for range workers * each {
		select {
		case body := <-got:
			seen[body]++
		case <-s.ctx.Done():
			s.Fatalf("only %d of %d messages came", len(seen), workers*each)
		}
	}
	s.must(r.Close(s.ctx))
	receivers.Wait()
	if len(seen) != workers*each || len(got) > 0 {
		s.Errorf("received %d different messages of %d, and %d more", len(seen), workers*each, len(got))
	}
	s.empty(s.receiver(Main))
	s.depth(Main, 0, 0)
}

func (s *suite) completeAll(r queue.Receiver, got chan<- string) {
	for {
		deliveries, err := r.Receive(s.ctx, 4)
		if err != nil {
			if !isClosed(err) {
				s.Error(err)
			}
			return
		}
		for _, d := range deliveries {
			if err := d.Complete(s.ctx); err != nil {
				s.Error(err)
			}
			got <- string(d.Message().Body)
		}
	}
}
