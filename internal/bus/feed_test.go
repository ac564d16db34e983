package bus

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"bellhop/internal/sqlitedb"
)

// A crowd of waiting receivers does not make one group read more into memory
// than it may, while all others wait; and each of them is served.
func TestOneGroupHandsOutSoMuchAndNoMore(t *testing.T) {
	const crowd, size = 100, 200 << 10 // more than twice what one group may hand out
	var b atomic.Pointer[Bus]
	waiting := make(chan struct{})
	gathered := sync.OnceFunc(func() { close(waiting) })
	held, most := 0, 0
	opened, err := Open(Options{InMemory: true, AfterCommit: func(sqlitedb.Group) {
		if b.Load() == nil {
			return
		}
		locks := b.Load().locks // this is the writer's goroutine
		most = max(most, len(locks)-held)
		held = len(locks)
		if len(b.Load().queues["q"].main.waiters) == crowd {
			gathered()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.CreateQueue(t.Context(), "q", Settings{}); err != nil {
		t.Fatal(err)
	}
	b.Store(opened)
	var receivers sync.WaitGroup
	for range crowd {
		receivers.Go(func() {
			if got, err := opened.Receive(context.Background(), "q", ReceiveOptions{}); err != nil || len(got) != 1 {
				t.Errorf("received %d: %v", len(got), err)
			}
		})
	}
	<-waiting
	messages := make([]Message, crowd)
	for i := range messages {
		messages[i].Body = Body{Kind: BodyData, Bytes: make([]byte, size)}
	}
	if _, err := opened.Send(t.Context(), "q", messages...); err != nil {
		t.Fatal(err)
	}
	receivers.Wait()
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes := most * size; bytes < maxFeedBytes/2 || bytes > maxFeedBytes+maxReceiveBytes {
		t.Errorf("one group handed out %d bytes, want about %d", bytes, maxFeedBytes)
	}
}
