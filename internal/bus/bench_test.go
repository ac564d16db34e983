package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sqlitedb"
)

// BenchmarkSendReceiveComplete is the life of one message of 100 bytes: a send,
// a receive of one, a completion. It should cost the same whatever the backlog.
func BenchmarkSendReceiveComplete(b *testing.B) {
	for _, c := range []struct {
		workers, backlog int
		durability       sqlitedb.Durability
	}{
		{1, 0, sqlitedb.Normal}, {1, 0, sqlitedb.Full}, {16, 0, sqlitedb.Normal}, {16, 0, sqlitedb.Full},
		{64, 1000, sqlitedb.Normal}, {64, 200_000, sqlitedb.Normal}, {64, 1000, sqlitedb.Full},
	} {
		name := map[sqlitedb.Durability]string{sqlitedb.Normal: "normal", sqlitedb.Full: "full"}[c.durability]
		b.Run(fmt.Sprintf("workers=%d/backlog=%d/%s", c.workers, c.backlog, name), func(b *testing.B) {
			broker, err := bus.Open(bus.Options{Path: filepath.Join(b.TempDir(), "bus.db"), Durability: c.durability})
			if err != nil {
				b.Fatal(err)
			}
			defer broker.Close()
			if err := broker.CreateQueue(context.Background(), "q", bus.Settings{}); err != nil {
				b.Fatal(err)
			}
			fill(b, broker, c.backlog, hundred)
			b.ResetTimer()
			before := cpu(b)
			var left atomic.Int64
			left.Store(int64(b.N))
			var group sync.WaitGroup
			for range c.workers {
				group.Go(func() {
					for left.Add(-1) >= 0 {
						live(b, broker)
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

var hundred = bytes.Repeat([]byte{'x'}, 100)

func live(b *testing.B, broker *bus.Bus) {
	ctx := context.Background()
	if _, err := broker.Send(ctx, "q", bus.Message{Body: bus.Body{Kind: bus.BodyData, Bytes: hundred}}); err != nil {
		b.Error(err)
		return
	}
	got, err := broker.Receive(ctx, "q", bus.ReceiveOptions{})
	if err != nil {
		b.Error(err)
		return
	}
	if err := broker.Complete(ctx, got[0].LockToken); err != nil {
		b.Error(err)
	}
}

func fill(b *testing.B, broker *bus.Bus, n int, body []byte) {
	batch := make([]bus.Message, 1000)
	for i := range batch {
		batch[i].Body = bus.Body{Kind: bus.BodyData, Bytes: body}
	}
	for ; n > 0; n -= len(batch) {
		if _, err := broker.Send(context.Background(), "q", batch...); err != nil {
			b.Fatal(err)
		}
	}
}
