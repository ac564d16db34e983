package queuetest

import "bellhop/internal/queue"

var settling = []behaviour{
	{"a completed message does not come again", nil, (*suite).complete},
	{"an abandoned message comes again with its count raised", nil, (*suite).abandon},
	{"an abandoned message keeps its place", unordered, (*suite).abandonInPlace},
	{"renewing a lock moves its end", nil, (*suite).renew},
	{"a lock that ends gives the message back with its count raised", noLockEnd, (*suite).lockEnds},
	{"a second settlement is ErrLockLost", nil, (*suite).settleTwice},
	{"a message abandoned too often becomes a dead letter", nil, (*suite).tooOften},
	{"a message that kills its process becomes a dead letter", volatile, (*suite).poison},
}

func (s *suite) complete() {
	s.send(Main, "a")
	r := s.receiver(Main)
	s.must(s.one(r, "a", 1).Complete(s.ctx))
	s.depth(Main, 0, 0)
	if !s.features.NoLockEnd {
		s.broker.EndLocks(s.T)
	}
	s.empty(r)
}

func (s *suite) abandon() {
	s.send(Main, "a")
	r := s.receiver(Main)
	s.must(s.one(r, "a", 1).Abandon(s.ctx))
	s.must(s.one(r, "a", 2).Abandon(s.ctx))
	s.depth(Main, 1, 0)
	s.must(s.one(r, "a", 3).Complete(s.ctx))
	s.empty(r)
}

func (s *suite) abandonInPlace() {
	s.send(Main, "a", "b", "c")
	r := s.receiver(Main)
	held := s.take(r, 2)
	s.must(held[1].Abandon(s.ctx))
	s.must(held[0].Abandon(s.ctx))
	for i, want := range []string{"a", "b", "c"} {
		s.one(r, want, []int{2, 2, 1}[i])
	}
}

func (s *suite) renew() {
	s.send(Main, "a")
	d := s.one(s.receiver(Main), "a", 1)
	before := d.LockedUntil()
	s.must(d.Renew(s.ctx))
	if d.LockedUntil().Before(before) {
		s.Errorf("the lock's end moved back from %s to %s", before, d.LockedUntil())
	}
	s.must(d.Complete(s.ctx))
	s.wants(d.Renew(s.ctx), queue.ErrLockLost)
}

func (s *suite) lockEnds() {
	s.send(Main, "a")
	r := s.receiver(Main)
	late := s.one(r, "a", 1)
	s.broker.EndLocks(s.T)
	again := s.one(r, "a", 2)
	s.lost(late)
	s.must(again.Complete(s.ctx)) // the late one has not touched it
	s.empty(r)
}

// lost checks that a delivery can do nothing any more.
func (s *suite) lost(d queue.Delivery) {
	s.Helper()
	s.wants(d.Renew(s.ctx), queue.ErrLockLost)
	s.wants(d.Complete(s.ctx), queue.ErrLockLost)
	s.wants(d.Abandon(s.ctx), queue.ErrLockLost)
	s.wants(d.DeadLetter(s.ctx, "late", "too late"), queue.ErrLockLost)
}

func (s *suite) settleTwice() {
	r := s.receiver(Main)
	s.send(Main, "completed")
	d := s.one(r, "completed", 1)
	s.must(d.Complete(s.ctx))
	s.lost(d)
	s.send(Main, "dead")
	d = s.one(r, "dead", 1)
	s.must(d.DeadLetter(s.ctx, "test", "on purpose"))
	s.lost(d)
	s.send(Main, "abandoned")
	d = s.one(r, "abandoned", 1)
	s.must(d.Abandon(s.ctx))
	s.lost(d)
	again := s.one(r, "abandoned", 2)
	s.lost(d)
	s.must(again.Complete(s.ctx))
	s.empty(r)
}

func (s *suite) tooOften() {
	s.send(Main, "bad", "good")
	r := s.receiver(Main)
	good := 0
	for bad := 0; bad < MaxDeliveries; {
		d := s.take(r, 1)[0]
		if string(d.Message().Body) == "good" {
			s.must(d.Complete(s.ctx))
			good++
			continue
		}
		if bad++; d.Count() != bad {
			s.Fatalf("count %d at delivery %d", d.Count(), bad)
		}
		s.must(d.Abandon(s.ctx))
	}
	if good == 0 {
		s.must(s.one(r, "good", 1).Complete(s.ctx))
	}
	s.empty(r)
	s.depth(Main, 0, 1)
}

// poison ends the process with the message in hand, as a handler that kills it
// would.
func (s *suite) poison() {
	s.send(Main, "poison")
	for i := range MaxDeliveries {
		s.one(s.receiver(Main), "poison", i+1)
		s.queue = s.broker.Reopen(s.T)
	}
	s.empty(s.receiver(Main))
	s.depth(Main, 0, 1)
}
