package bustest

import (
	"context"
	"time"

	"bellhop/internal/bus"
)

// DeadLetters, behind a queue's name, names the queue of its dead letters.
const DeadLetters = bus.DeadLetterSuffix

// Counts are how many messages a queue has. Those that are locked count as
// Active, or as Deferred.
type Counts struct{ Active, Scheduled, Deferred, DeadLetter int }

// CreateQueue makes a queue while the bus runs. [Queue] says how.
func (b *Bus) CreateQueue(name string, opts ...QueueOption) {
	b.t.Helper()
	b.create(newQueueSettings(name, opts))
}

func (b *Bus) create(q queueSettings) {
	b.t.Helper()
	b.check("create the queue "+q.name, b.bus.CreateQueue(context.Background(), q.name, q.bus))
}

// Counts returns how many messages a queue has now.
func (b *Bus) Counts(queue string) Counts {
	b.t.Helper()
	found, err := b.bus.Queue(context.Background(), queue)
	b.check("count", err)
	c := found.Counts
	return Counts{Active: int(c.Active), Scheduled: int(c.Scheduled), Deferred: int(c.Deferred), DeadLetter: int(c.DeadLetter)}
}

// Advance puts the bus's clock forward, and returns when everything that has
// come due by that is done: locks have ended, messages expired, schedules come
// true. Tokens do not end, for clients make them by the real clock.
func (b *Bus) Advance(d time.Duration) {
	b.t.Helper()
	b.ahead.Add(int64(d))
	b.check("advance the clock", b.bus.Tick(context.Background()))
}

// DropConnections cuts all connections without a word, as a network does, and
// returns how many there were. Locks stay, and clients may connect again.
func (b *Bus) DropConnections() int { return b.faults.DropConnections() }

// Deaf has the bus take everything that clients send and answer nothing, on old
// connections and on new ones; Deaf(false) lets it say what it has held back. A
// connection that is cut meanwhile was carried out and never answered.
func (b *Bus) Deaf(deaf bool) { b.faults.Deaf(deaf) }

// Delay holds back everything the bus says from now on. 0 ends it.
func (b *Bus) Delay(d time.Duration) { b.faults.Delay(d) }

// Busy has the next n sends, settlements and requests refused with
// com.microsoft:server-busy. 0 ends it.
func (b *Bus) Busy(n int) { b.faults.Busy(n) }

// Update detaches the links of a queue as the service does when somebody updates
// the queue, and returns how many there were. Clients attach again by
// themselves.
func (b *Bus) Update(queue string) int { return b.faults.Update(queue) }

// Detach detaches the links of a queue, its dead-letter queue and their
// management with an error of AMQP or of Service Bus, such as
// amqp:link:detach-forced, and returns how many there were. Not every condition
// is one that a client gets over: after com.microsoft:server-busy Azure's SDK for
// Go goes on with the link that has ended, and fails.
func (b *Bus) Detach(queue, condition, description string) int {
	return b.faults.DetachLinks(queue, condition, description)
}

// LoseLocks ends all locks of a queue as if their time had come, and returns how
// many there were: the messages are delivered again, and their settlements come
// too late.
func (b *Bus) LoseLocks(queue string) int {
	b.t.Helper()
	n, err := b.bus.LoseLocks(context.Background(), queue)
	b.check("lose locks", err)
	return n
}

// Purge removes all messages of a queue, locked ones too, and returns how many
// there were.
func (b *Bus) Purge(queue string) int {
	b.t.Helper()
	n, err := b.bus.Purge(context.Background(), queue)
	b.check("purge", err)
	return n
}
