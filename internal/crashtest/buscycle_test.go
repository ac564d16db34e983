package crashtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// The queues of a bus that is killed again and again.
const (
	mixed  = "mixed"  // sent to in every way, received and settled in every way
	taken  = "taken"  // received and deleted at once
	unique = "unique" // with a window for duplicates
)

func killedQueues() busQueues {
	return busQueues{
		mixed:  {"LockDuration": "PT5M", "MaxDeliveryCount": 2000},
		taken:  {"LockDuration": "PT5M"},
		unique: {"RequiresDuplicateDetection": true, "DuplicateDetectionHistoryTimeWindow": "P1D"},
	}
}

// ordeal is what a bus and its clients go through.
type ordeal struct {
	*busRig
	mixed, taken, unique *notes
	rng                  *rand.Rand
	rngMu                sync.Mutex
	progress             atomic.Int64 // confirmations
	cycles               int
}

func newOrdeal(b *busRig, rng *rand.Rand) *ordeal {
	return &ordeal{busRig: b, mixed: newNotes(), taken: newNotes(), unique: newNotes(), rng: rng}
}

func (o *ordeal) chance(n int) int {
	o.rngMu.Lock()
	defer o.rngMu.Unlock()
	return o.rng.IntN(n)
}

// cycle is one life of the bus, with new clients.
func (o *ordeal) cycle() {
	o.t.Helper()
	p := o.start()
	c := o.client(once())
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	before := o.progress.Load()
	work := func(step func(context.Context) error) {
		all.Go(func() {
			for ctx.Err() == nil {
				err := step(ctx)
				switch {
				case p.ending.Load() || ctx.Err() != nil:
					return
				case err != nil:
					o.mixed.blame("while the bus was alive: %v", err)
					return
				}
			}
		})
	}
	mixedSender := o.sender(c, mixed)
	work(o.single(mixedSender))
	work(o.single(mixedSender))
	work(o.batch(mixedSender))
	work(o.schedule(mixedSender))
	work(o.repeat(o.sender(c, unique)))
	work(o.feed(o.sender(c, taken)))
	work(o.take(o.receiver(c, taken, azservicebus.ReceiverOptions{ReceiveMode: azservicebus.ReceiveModeReceiveAndDelete})))
	for range 2 {
		work(o.settle(o.receiver(c, mixed, azservicebus.ReceiverOptions{})))
	}
	o.await("the bus to confirm something", func() bool { return o.progress.Load() > before || len(o.faults()) > 0 })
	pause(ctx, time.Duration(o.chance(400))*time.Millisecond)
	p.kill()
	cancel()
	o.gather(&all)
	leave(c)
	o.cycles++
}

// hungAfter is how long a call of the SDK may take once its connection and its
// context have ended.
const hungAfter = time.Minute

// gather waits for the workers of a cycle. One whose call never returns is left
// behind: a send of go-amqp 1.7 whose frame could not be written waits for a link
// that has ended (Sender.send, where it rolls back).
func (o *ordeal) gather(all *sync.WaitGroup) {
	o.t.Helper()
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(hungAfter):
		o.t.Logf("cycle %d: a call of the SDK did not return for %v after its connection had ended", o.cycles, hungAfter)
	}
}

func message(id string) *azservicebus.Message {
	return &azservicebus.Message{MessageID: &id, Body: []byte(id)}
}

// single sends one message.
func (o *ordeal) single(s *azservicebus.Sender) func(context.Context) error {
	return func(ctx context.Context) error {
		id := o.mixed.sending("single", 1)[0]
		err := s.SendMessage(ctx, message(id), nil)
		if err == nil {
			o.mixed.sent(id)
			o.progress.Add(1)
		}
		return err
	}
}

// batch sends some messages, all or none.
func (o *ordeal) batch(s *azservicebus.Sender) func(context.Context) error {
	return func(ctx context.Context) error {
		b, err := s.NewMessageBatch(ctx, nil)
		if err != nil {
			return err
		}
		ids := o.mixed.sending("batched", 2+o.chance(20))
		for _, id := range ids {
			if err := b.AddMessage(message(id), nil); err != nil {
				return err
			}
		}
		if err = s.SendMessageBatch(ctx, b, nil); err == nil {
			o.mixed.sent(ids...)
		}
		return err
	}
}

// schedule schedules a message for soon, and sometimes cancels it.
func (o *ordeal) schedule(s *azservicebus.Sender) func(context.Context) error {
	return func(ctx context.Context) error {
		id := o.mixed.sending("scheduled", 1)[0]
		due := time.Now().Add(time.Duration(o.chance(2000)) * time.Millisecond)
		seqs, err := s.ScheduleMessages(ctx, []*azservicebus.Message{message(id)}, due, nil)
		if err != nil {
			return err
		}
		o.mixed.sent(id)
		o.mixed.scheduled(id, seqs[0])
		if o.chance(4) > 0 || time.Until(due) < time.Second {
			return nil // or it may have come, and then its cancelling means nothing
		}
		o.mixed.asks(id, gone, "")
		if err = s.CancelScheduledMessages(ctx, seqs, nil); err == nil {
			o.mixed.told(id)
		} else if time.Now().After(due) {
			o.mixed.refused(id)
			err = nil
		}
		return err
	}
}

// repeat sends a message under an id that may have been used before: at first in
// each cycle one that was, so that few sends suffice to notice a repeat.
func (o *ordeal) repeat(s *azservicebus.Sender) func(context.Context) error {
	first := o.unique.known()
	return func(ctx context.Context) error {
		id := label("unique", int64(o.chance(20*(o.cycles+1))))
		if first != "" {
			id, first = first, ""
		}
		o.unique.mu.Lock()
		if o.unique.all[id] == nil {
			o.unique.all[id] = &note{where: inQueue}
		}
		o.unique.mu.Unlock()
		err := s.SendMessage(ctx, message(id), nil)
		if err == nil {
			o.unique.sent(id)
		}
		return err
	}
}

// feed sends what will be received and deleted.
func (o *ordeal) feed(s *azservicebus.Sender) func(context.Context) error {
	return func(ctx context.Context) error {
		id := o.taken.sending("taken", 1)[0]
		err := s.SendMessage(ctx, message(id), nil)
		if err == nil {
			o.taken.sent(id)
		}
		return err
	}
}

// atOnceTaken is how many messages one asks for who deletes them so.
const atOnceTaken = 10

func (o *ordeal) take(r *azservicebus.Receiver) func(context.Context) error {
	return func(ctx context.Context) error {
		all, err := r.ReceiveMessages(ctx, atOnceTaken, nil)
		for _, m := range all {
			o.taken.taken(m, inQueue)
		}
		return err
	}
}

// settle receives messages, and settles each in some way or leaves it; and
// sometimes it takes deferred ones.
func (o *ordeal) settle(r *azservicebus.Receiver) func(context.Context) error {
	return func(ctx context.Context) error {
		all, err := r.ReceiveMessages(ctx, 20, nil)
		if err != nil {
			return err
		}
		for _, m := range all {
			if !o.mixed.received(m, inQueue) {
				continue
			}
			if err := o.settleOne(ctx, r, m); err != nil {
				return err
			}
		}
		if o.chance(4) == 0 {
			return o.pickUp(ctx, r)
		}
		return nil
	}
}

func (o *ordeal) settleOne(ctx context.Context, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
	reason := "of " + m.MessageID
	to, do := gone, func() error { return r.CompleteMessage(ctx, m, nil) }
	switch o.chance(10) {
	case 0:
		return nil // to be killed with it in hand
	case 1:
		to, do = inQueue, func() error { return r.AbandonMessage(ctx, m, nil) }
	case 2:
		to, do = inDeadLetters, func() error {
			return r.DeadLetterMessage(ctx, m, &azservicebus.DeadLetterOptions{Reason: &reason})
		}
	case 3:
		to, do = setAside, func() error { return r.DeferMessage(ctx, m, nil) }
	}
	o.mixed.asks(m.MessageID, to, reason)
	err := do()
	if err == nil {
		if to != inQueue { // an abandoned one may have come again by now
			o.mixed.told(m.MessageID)
		}
		o.progress.Add(1)
	}
	return err
}

// pickUp takes one deferred message by its number and completes it or leaves it.
func (o *ordeal) pickUp(ctx context.Context, r *azservicebus.Receiver) error {
	for seq, id := range o.mixed.aside(false) {
		all, err := r.ReceiveDeferredMessages(ctx, []int64{seq}, nil)
		if isCode(err, azservicebus.CodeNotFound) {
			return nil // another receiver holds it
		}
		if err != nil {
			return err
		}
		if len(all) != 1 || all[0].MessageID != id {
			o.mixed.blame("%s was asked for by its number %d, and %d messages came", id, seq, len(all))
			return nil
		}
		if !o.mixed.received(all[0], setAside) || o.chance(2) == 0 {
			return nil
		}
		o.mixed.asks(id, gone, "")
		if err = r.CompleteMessage(ctx, all[0], nil); err == nil {
			o.mixed.told(id)
		}
		return err
	}
	return nil
}

func isCode(err error, code azservicebus.Code) bool {
	var known *azservicebus.Error
	return errors.As(err, &known) && known.Code == code
}

// faults are all that were found so far.
func (o *ordeal) faults() (all []string) {
	for _, n := range []*notes{o.mixed, o.taken, o.unique} {
		n.mu.Lock()
		all = append(all, n.faults...)
		n.mu.Unlock()
	}
	return all
}

// judge takes everything out of the bus and compares it with the notes. It
// returns what must not be.
func (o *ordeal) judge() []string {
	o.t.Helper()
	o.start()
	c := o.client(azservicebus.RetryOptions{})
	defer leave(c)
	none := azservicebus.SubQueue(0)
	o.drain(c, o.mixed.blame, mixed, none, func(m *azservicebus.ReceivedMessage) { o.mixed.taken(m, inQueue) })
	o.drain(c, o.mixed.blame, mixed, azservicebus.SubQueueDeadLetter, func(m *azservicebus.ReceivedMessage) { o.mixed.taken(m, inDeadLetters) })
	o.takeAside(c)
	o.drain(c, o.taken.blame, taken, none, func(m *azservicebus.ReceivedMessage) { o.taken.taken(m, inQueue) })
	o.drain(c, o.unique.blame, unique, none, func(m *azservicebus.ReceivedMessage) { o.unique.taken(m, inQueue) })
	o.t.Logf("%d cycles. %s", o.cycles, o.mixed.judge())
	o.t.Logf("with a window for duplicates: %s", o.unique.judge())
	o.judgeTaken()
	o.stop()
	return o.faults()
}

// takeAside takes the deferred messages. Those that nobody knows to be deferred
// may be missing.
func (o *ordeal) takeAside(c *azservicebus.Client) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	r := o.receiver(c, mixed, azservicebus.ReceiverOptions{ReceiveMode: azservicebus.ReceiveModeReceiveAndDelete})
	defer r.Close(ctx)
	for seq, id := range o.mixed.aside(true) {
		all, err := r.ReceiveDeferredMessages(ctx, []int64{seq}, nil)
		if err != nil && !isCode(err, azservicebus.CodeNotFound) {
			o.t.Fatal(err)
		}
		for _, m := range all {
			if m.MessageID != id {
				o.mixed.blame("%s is deferred under the number of %s", m.MessageID, id)
			}
			o.mixed.taken(m, setAside)
		}
	}
}

// judgeTaken judges what was deleted as soon as it was received: each has come
// once or not at all, and not more are missing than were on their way.
func (o *ordeal) judgeTaken() {
	o.t.Helper()
	confirmed, missing := 0, 0
	for _, known := range o.taken.all {
		if known.confirmed {
			confirmed++
		}
		if known.confirmed && known.where != gone {
			missing++
		}
	}
	if most := atOnceTaken * o.cycles; missing > most {
		o.taken.blame("%d messages that were received and deleted are missing, and %d can have been on their way", missing, most)
	}
	o.t.Logf("received and deleted: %d sends confirmed, %d of them on their way at a kill and gone", confirmed, missing)
}
