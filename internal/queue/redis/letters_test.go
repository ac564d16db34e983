package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bellhop/internal/queue"
	"bellhop/internal/queue/redis"
	"bellhop/internal/redistest"
)

// letters lists all dead letters, as many at a time as there may be.
func (r *rig) letters() (all []queue.DeadLetter) {
	r.Helper()
	for after := ""; ; {
		letters, next, err := r.queue.DeadLetters(r.ctx, lane, after, 500)
		r.must(err)
		all = append(all, letters...)
		if after = next; after == "" {
			return all
		}
	}
}

// More dead letters than are read at once are all listed.
func TestManyLetters(t *testing.T) {
	r := newRig(t, redistest.None)
	bodies := numbered("m", 700)
	r.send(r.queue, bodies...)
	receiver := r.receiver(r.queue)
	for _, d := range r.take(receiver, 1, bodies...) {
		r.must(d.DeadLetter(r.ctx, strings.Repeat("r", 5000), "not \xff text"))
	}
	letters := r.letters()
	if len(letters) != len(bodies) {
		t.Fatalf("%d letters, want %d", len(letters), len(bodies))
	}
	for i, letter := range letters {
		if string(letter.Message.Body) != bodies[i] || len(letter.Reason) != 4096 || letter.Description != "not ? text" {
			t.Fatalf("letter %d: %q, a reason of %d bytes, %q", i, letter.Message.Body, len(letter.Reason), letter.Description)
		}
	}
}

// A message that was delivered too often says so.
func TestReasonOfTooManyDeliveries(t *testing.T) {
	r := newRig(t, redistest.None)
	receiver := r.receiver(r.another(redis.Options{MaxDeliveries: 2}))
	r.send(r.queue, "bad", "good")
	r.must(r.take(receiver, 1, "bad")[0].Abandon(r.ctx))
	r.must(r.take(receiver, 2, "bad")[0].Abandon(r.ctx))
	r.take(receiver, 1, "good")
	letters := r.letters()
	if len(letters) != 1 || letters[0].Reason != "MaxDeliveryCountExceeded" || letters[0].Description != "The message was delivered 2 times without being completed." {
		t.Errorf("letters: %+v", letters)
	}
}

// Entries that others have written, of whatever kind, stop nobody.
func TestForeignEntries(t *testing.T) {
	r := newRig(t, redistest.None)
	q := r.another(redis.Options{MaxDeliveries: 2})
	many := []string{"XADD", "{urgent}:messages", "*"}
	for i := range 6000 {
		many = append(many, fmt.Sprint("f", i), "v")
	}
	r.do("XADD", "{urgent}:messages", "*", "mail", "1", "p:kind", "foreign")
	r.do(many...)
	r.do("XADD", "{urgent}:messages", "*", "body", "one", "body", "two", "id", "", "p:", "nameless", "", "")
	deleted := r.do("XADD", "{urgent}:messages", "*", "id", "deleted before it was received")
	r.do("XDEL", "{urgent}:messages", deleted)
	r.do("XADD", "{urgent}:dead", "*", "a letter", "of somebody else")
	receiver := r.receiver(q)
	for count := 1; count <= 2; count++ {
		for i, d := range r.take(receiver, count, "", "", "two") {
			switch m := d.Message(); {
			case i == 0 && (m.ID == "" || m.Properties["kind"] != "foreign"), i == 2 && m.Properties[""] != "nameless":
				t.Errorf("received %+v", m)
			}
			r.must(d.Abandon(r.ctx))
		}
	}
	r.empty(receiver)
	r.depth(0, 4)
	for _, letter := range r.letters() {
		r.must(q.Replay(r.ctx, lane, letter.ID))
	}
	for i, d := range r.take(receiver, 1, "", "", "", "two") {
		if d.Message().ID == "" {
			t.Errorf("message %d was replayed without an id", i)
		}
		r.must(d.DeadLetter(r.ctx, "test", "again"))
	}
	r.depth(0, 4)
	for _, letter := range r.letters() {
		r.must(q.Discard(r.ctx, lane, letter.ID))
	}
	r.depth(0, 0)
}

// Messages that somebody deletes while they are held or have come back are no
// trouble either.
func TestDeletedBehindOurBack(t *testing.T) {
	r := newRig(t, redistest.None)
	receiver := r.receiver(r.queue)
	r.send(r.queue, "held", "returned", "there")
	ds := r.take(receiver, 1, "held", "returned")
	r.must(ds[1].Abandon(r.ctx))
	ids := strings.Split(r.do("XPENDING", "{urgent}:messages", "bellhop", "-", "+", "10"), "\n")
	r.do("XDEL", "{urgent}:messages", ids[0], ids[4])
	if err := ds[0].DeadLetter(r.ctx, "test", "it is gone"); err != nil {
		t.Error(err)
	}
	r.must(r.take(receiver, 1, "there")[0].Complete(r.ctx))
	r.depth(0, 0)
	if pending := r.do("XPENDING", "{urgent}:messages", "bellhop", "-", "+", "10"); pending != "" {
		t.Errorf("still pending:\n%s", pending)
	}
}

func TestUnknownLetters(t *testing.T) {
	r := newRig(t, redistest.None)
	if err := r.queue.Replay(r.ctx, lane, "1-1"); !errors.Is(err, redis.ErrNoDeadLetter) {
		t.Errorf("replayed what is not there: %v", err)
	}
	for _, id := range []string{"-", "+", "$", "1", "1-", "-1", "(1-1", "1-1-1", " 1-1"} {
		if err := r.queue.Discard(r.ctx, lane, id); err == nil {
			t.Errorf("discarded %q", id)
		}
		if _, _, err := r.queue.DeadLetters(r.ctx, lane, id, 1); err == nil {
			t.Errorf("listed after %q", id)
		}
	}
}

func TestTooManyProperties(t *testing.T) {
	r := newRig(t, redistest.None)
	m := queue.Message{ID: "1", Properties: map[string]string{}}
	for _, key := range numbered("key", 1000) {
		m.Properties[key] = strings.Repeat("v", 255)
	}
	r.must(r.queue.Send(r.ctx, lane, m))
	got, err := r.receiver(r.queue).Receive(r.ctx, 1)
	r.must(err)
	if n := len(got[0].Message().Properties); n != 1000 {
		t.Errorf("received %d properties", n)
	}
	r.must(got[0].DeadLetter(r.ctx, "test", "large"))
	r.must(r.queue.Replay(r.ctx, lane, r.letters()[0].ID))
	m.Properties["one more"] = ""
	r.wants(r.queue.Send(r.ctx, lane, m), queue.ErrTooLarge)
}

// Queues that exist stay as they are.
func TestEnsureQueues(t *testing.T) {
	r := newRig(t, redistest.None)
	r.send(r.queue, "there")
	for range 2 {
		r.must(r.queue.EnsureQueues(r.ctx, lane, "bulk"))
	}
	r.take(r.receiver(r.queue), 1, "there")
	if keys := r.do("KEYS", "*"); len(strings.Fields(keys)) != 2 || !strings.Contains(keys, "{bulk}:messages") {
		t.Errorf("keys:\n%s", keys)
	}
	r.must(r.queue.Close(r.ctx))
	r.wants(r.queue.EnsureQueues(r.ctx, lane), queue.ErrClosed)
}
