package amqp

import (
	"sync"
	"sync/atomic"
)

// minDelivery is what a delivery counts at least, in bytes: what it takes apart
// from its message.
const minDelivery = 512

// weight is what a message of so many bytes counts.
func weight(size int) int64 { return max(int64(size), minDelivery) }

// partialShare is the part of the server's bytes up to which a connection may
// begin deliveries, when all connections together have begun too many.
const partialShare = 64

// budget counts the bytes of incoming deliveries on all connections: those that
// the handler has, and those of which more is to come. The latter may take half
// of it, because nobody but their senders can end them.
type budget struct {
	limit     int64
	unsettled atomic.Int64
	partial   atomic.Int64
	waiting   atomic.Int64 // connections in paused

	mu     sync.Mutex
	paused map[*Conn]struct{}
}

// exceeded tells whether connections must wait for settlements.
func (b *budget) exceeded() bool {
	unsettled := b.unsettled.Load()
	return unsettled > 0 && unsettled+min(b.partial.Load(), b.limit/2) > b.limit
}

// crowded tells whether a connection that has begun deliveries of so many bytes
// may not go on with them.
func (b *budget) crowded(partial int64) bool {
	return b.partial.Load() > b.limit/2 && partial > b.limit/partialShare
}

// add counts bytes that the handler got, or gave back if negative.
func (b *budget) add(bytes int64) {
	b.unsettled.Add(bytes)
	if bytes < 0 && b.waiting.Load() > 0 && !b.exceeded() {
		b.resumeAll()
	}
}

func (b *budget) resumeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.paused {
		c.resumeReading()
	}
}

// pause has c woken when the budget is not exceeded any more, until goOn. The
// caller looks at exceeded afterwards, or it could miss that.
func (b *budget) pause(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paused == nil {
		b.paused = map[*Conn]struct{}{}
	}
	b.paused[c] = struct{}{}
	b.waiting.Store(int64(len(b.paused)))
}

func (b *budget) goOn(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.paused, c)
	b.waiting.Store(int64(len(b.paused)))
}
