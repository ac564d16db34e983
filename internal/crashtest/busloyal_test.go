package crashtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// loyal is a client that outlives its bus. It repeats by itself what was not
// confirmed, so a message may come in several copies; a completed one never
// comes again, which its sequence number tells.
type loyal struct {
	*busRig
	client *azservicebus.Client

	mu        sync.Mutex
	confirmed map[string]bool           // messages sent
	copies    map[string]map[int64]bool // that have come, by sequence number
	completed map[int64]bool
	held      []*azservicebus.ReceivedMessage // locked by a process that is dead now, or soon
	refused   int                             // completions, because the lock had ended
	sends     int
	settles   int
	faults    []string
}

// C1.1: the bus is killed under a client that lives on and finds it again by
// itself, with messages in hand that were locked by the process before.
func TestC1_1_BusKilledUnderALongLivedClient(t *testing.T) {
	t.Parallel()
	complain(t, outlive(t, built(t, shipped), 5))
}

// outlive returns the faults that so many kills have shown.
func outlive(t *testing.T, binary string, kills int) []string {
	t.Helper()
	b := newBusRig(t, binary, killedQueues())
	b.start()
	l := &loyal{
		busRig: b, confirmed: make(map[string]bool), copies: make(map[string]map[int64]bool), completed: make(map[int64]bool),
		client: b.client(azservicebus.RetryOptions{MaxRetries: 20, RetryDelay: 50 * time.Millisecond, MaxRetryDelay: 500 * time.Millisecond}),
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { l.keepSending(ctx) })
	all.Go(func() { l.keepReceiving(ctx) })
	for range kills {
		l.awaitWork()
		b.process.kill()
		pause(ctx, 300*time.Millisecond)
		b.start()
		l.awaitWork()
		l.settleHeld(ctx)
	}
	cancel()
	all.Wait()
	leave(l.client)
	return l.judge(kills)
}

// keepSending sends until ctx ends.
func (l *loyal) keepSending(ctx context.Context) {
	s := l.sender(l.client, mixed)
	for n := int64(0); pause(ctx, 5*time.Millisecond); n++ {
		id := label("loyal", n)
		err := s.SendMessage(ctx, message(id), nil)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		l.mu.Lock()
		l.confirmed[id] = true
		l.sends++
		l.mu.Unlock()
	}
}

// keepReceiving receives and completes until ctx ends, and keeps a message in
// hand now and then.
func (l *loyal) keepReceiving(ctx context.Context) {
	r := l.receiver(l.client, mixed, azservicebus.ReceiverOptions{})
	for ctx.Err() == nil {
		all, err := r.ReceiveMessages(ctx, 10, nil)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
		}
		for _, m := range all {
			if !l.received(m) {
				continue
			}
			if err := l.complete(ctx, r, m); err != nil && !isCode(err, azservicebus.CodeLockLost) {
				break // the rest was locked by the same process
			}
		}
	}
}

// received notes a message, and tells whether it is to be completed now.
func (l *loyal) received(m *azservicebus.ReceivedMessage) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.completed[*m.SequenceNumber] {
		l.faults = append(l.faults, fmt.Sprintf("%s has come again after its completion was confirmed", m.MessageID))
	}
	if l.copies[m.MessageID] == nil {
		l.copies[m.MessageID] = make(map[int64]bool)
	}
	l.copies[m.MessageID][*m.SequenceNumber] = true
	if len(l.held) < 5 {
		l.held = append(l.held, m)
		return false
	}
	return true
}

// complete completes a message and notes what came of it. The SDK's own pauses
// between its tries cannot be set, and are longer than anybody here has time for.
func (l *loyal) complete(ctx context.Context, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
	brief, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := r.CompleteMessage(brief, m, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.completed[*m.SequenceNumber] = true
		l.settles++
	case isCode(err, azservicebus.CodeLockLost):
		l.refused++
	}
	return err
}

// settleHeld completes what was locked by the process before, which must be
// refused: these messages come again.
func (l *loyal) settleHeld(ctx context.Context) {
	l.mu.Lock()
	held := l.held
	l.held = nil
	l.mu.Unlock()
	r := l.receiver(l.client, mixed, azservicebus.ReceiverOptions{})
	defer r.Close(ctx)
	for _, m := range held {
		// Only the token: what came by a link of old would be settled on that.
		bare := &azservicebus.ReceivedMessage{LockToken: m.LockToken, MessageID: m.MessageID, SequenceNumber: m.SequenceNumber}
		err := l.complete(ctx, r, bare)
		for err != nil && !isCode(err, azservicebus.CodeLockLost) && pause(ctx, 50*time.Millisecond) {
			err = l.complete(ctx, r, bare) // nobody has answered
		}
		if err == nil {
			l.mu.Lock()
			l.faults = append(l.faults, fmt.Sprintf("%s was completed by a lock that had ended with its process", m.MessageID))
			l.mu.Unlock()
		}
	}
}

// awaitWork waits until the client has sent and completed something more.
func (l *loyal) awaitWork() {
	l.t.Helper()
	count := func() (sends, settles int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.sends, l.settles
	}
	sends, settles := count()
	l.await("the client to work again", func() bool {
		now, done := count()
		return now > sends+5 && done > settles+5
	})
}

func (l *loyal) judge(kills int) []string {
	l.t.Helper()
	c := l.busRig.client(azservicebus.RetryOptions{})
	defer leave(c)
	l.process.kill() // ends the locks that are left
	l.start()
	l.held = make([]*azservicebus.ReceivedMessage, 5)
	blame := func(format string, args ...any) { l.faults = append(l.faults, fmt.Sprintf(format, args...)) }
	l.drain(c, blame, mixed, 0, func(m *azservicebus.ReceivedMessage) { l.received(m) })
	copies := 0
	for id, seqs := range l.copies {
		copies += len(seqs) - 1
		if len(seqs) > kills+1 {
			l.faults = append(l.faults, fmt.Sprintf("%s came in %d copies", id, len(seqs)))
		}
	}
	for id := range l.confirmed {
		if len(l.copies[id]) == 0 {
			l.faults = append(l.faults, fmt.Sprintf("the sending of %s was confirmed, and it has not come", id))
		}
	}
	if l.refused == 0 {
		l.faults = append(l.faults, "no lock was lost, with messages in hand when the bus was killed")
	}
	l.t.Logf("%d kills: %d sends confirmed, %d copies because a confirmation was lost; %d completions confirmed, %d refused because the lock had ended",
		kills, len(l.confirmed), copies, len(l.completed), l.refused)
	return l.faults
}
