package queuetest

import (
	"fmt"
	"time"

	"bellhop/internal/queue"
)

var deadLetters = []behaviour{
	{"a dead-lettered message is out of the way", nil, (*suite).setAside},
	{"dead letters are listed in pieces, oldest first", noLetters, (*suite).listLetters},
	{"a replayed dead letter comes again as new", noLetters, (*suite).replay},
	{"a discarded dead letter is gone", noLetters, (*suite).discard},
	{"an unknown dead letter is an error", noLetters, (*suite).unknownLetter},
}

func (s *suite) setAside() {
	s.send(Main, "bad", "good")
	r := s.receiver(Main)
	for range 2 {
		d := s.take(r, 1)[0]
		if string(d.Message().Body) == "bad" {
			s.must(d.DeadLetter(s.ctx, "Unreadable", "not a message of ours"))
			continue
		}
		s.must(d.Complete(s.ctx))
	}
	s.empty(r)
	s.depth(Main, 0, 1)
}

// kill sends messages and dead-letters them in order.
func (s *suite) kill(bodies ...string) {
	s.Helper()
	r := s.receiver(Main)
	for i, body := range bodies {
		s.must(s.queue.Send(s.ctx, Main, queue.Message{ID: body, Properties: map[string]string{"k": body}, Body: []byte(body)}))
		s.must(s.one(r, body, 1).DeadLetter(s.ctx, fmt.Sprintf("Reason%d", i), "because of "+body))
	}
}

// letters lists all dead letters, n at a time.
func (s *suite) letters(n int) (all []queue.DeadLetter) {
	s.Helper()
	for after, step := "", 0; step == 0 || after != ""; step++ {
		got, next, err := s.queue.(queue.DeadLetterer).DeadLetters(s.ctx, Main, after, n)
		s.must(err)
		if len(got) > n || step > 100 {
			s.Fatalf("listed %d dead letters at once in step %d, want at most %d and an end", len(got), step, n)
		}
		all = append(all, got...)
		after = next
	}
	return all
}

func (s *suite) listLetters() {
	if got := s.letters(2); len(got) != 0 {
		s.Fatalf("%d dead letters at the start", len(got))
	}
	names := numbered("d", 5)
	s.kill(names...)
	for _, n := range []int{1, 2, 5, 50} {
		got := s.letters(n)
		if len(got) != len(names) {
			s.Fatalf("listed %d dead letters by %d, want %d", len(got), n, len(names))
		}
		for i, letter := range got {
			s.checkLetter(letter, i, names[i])
		}
	}
}

func (s *suite) checkLetter(letter queue.DeadLetter, i int, body string) {
	s.Helper()
	m := letter.Message
	if string(m.Body) != body || m.ID != body || len(m.Properties) != 1 || m.Properties["k"] != body {
		s.Errorf("dead letter %d is %+v", i, m)
	}
	if letter.Reason != fmt.Sprintf("Reason%d", i) || letter.Description != "because of "+body {
		s.Errorf("dead letter %d has reason %q, %q", i, letter.Reason, letter.Description)
	}
	if letter.Since.Before(time.Unix(0, 0)) {
		s.Errorf("dead letter %d is there since %s", i, letter.Since)
	}
}

func (s *suite) replay() {
	s.kill("a", "b")
	letters := s.letters(10)
	s.must(s.queue.(queue.DeadLetterer).Replay(s.ctx, Main, letters[0].ID))
	s.depth(Main, 1, 1)
	r := s.receiver(Main)
	d := s.one(r, "a", 1)
	m := d.Message()
	if m.ID == "a" || m.ID == "" || len(m.Properties) != 1 || m.Properties["k"] != "a" {
		s.Errorf("replayed as %+v, want a fresh id and the properties it was sent with", m)
	}
	s.must(d.Complete(s.ctx))
	s.empty(r)
	if left := s.letters(10); len(left) != 1 || left[0].ID != letters[1].ID {
		s.Errorf("dead letters left: %+v", left)
	}
}

func (s *suite) discard() {
	s.kill("a", "b")
	letters := s.letters(10)
	s.must(s.queue.(queue.DeadLetterer).Discard(s.ctx, Main, letters[1].ID))
	if left := s.letters(10); len(left) != 1 || left[0].ID != letters[0].ID {
		s.Errorf("dead letters left: %+v", left)
	}
	s.depth(Main, 0, 1)
	s.empty(s.receiver(Main))
}

func (s *suite) unknownLetter() {
	s.kill("a")
	driver := s.queue.(queue.DeadLetterer)
	id := s.letters(1)[0].ID
	s.must(driver.Discard(s.ctx, Main, id))
	for _, unknown := range []string{id, "", "no id at all"} {
		if err := driver.Replay(s.ctx, Main, unknown); err == nil {
			s.Errorf("replayed %q", unknown)
		}
		if err := driver.Discard(s.ctx, Main, unknown); err == nil {
			s.Errorf("discarded %q", unknown)
		}
	}
	_, _, err := driver.DeadLetters(s.ctx, Missing, "", 1)
	s.wants(err, queue.ErrUnknownQueue)
	s.wants(driver.Replay(s.ctx, Missing, id), queue.ErrUnknownQueue)
}
