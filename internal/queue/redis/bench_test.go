package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/queue/redis"
	"bellhop/internal/redistest"
)

// BenchmarkThrough sends messages as the relay does, takes them with 64 workers
// as the sender does, and completes them.
func BenchmarkThrough(b *testing.B) {
	for _, disk := range []struct {
		name        string
		persistence redistest.Persistence
	}{{"memory", redistest.None}, {"everysec", redistest.EverySec}, {"always", redistest.Always}} {
		b.Run(disk.name, func(b *testing.B) {
			server := redistest.Start(b, redistest.Options{Persistence: disk.persistence})
			q := open(b, redis.Options{Client: connect(b, server.URL(0))}, lane)
			b.ResetTimer()
			before := cpu(b)
			var sending sync.WaitGroup
			sending.Go(func() { sendAll(b, q, b.N) })
			completeAll(b, q, b.N)
			sending.Wait()
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// sendAll sends n messages by 256, and never has more than 10 000 waiting.
func sendAll(b *testing.B, q *redis.Queue, n int) {
	for sent := 0; sent < n; {
		batch := make([]queue.Message, min(256, n-sent))
		for i := range batch {
			batch[i] = queue.Message{ID: fmt.Sprintf("0b54d1d1-%d", sent+i), Properties: map[string]string{
				"mail": "9d7e3a52-4d3c-4b8e-8d25-0c1f6a1f2b3c.sign-up.0", "gen": strconv.Itoa(sent + i),
			}}
		}
		if err := q.Send(b.Context(), lane, batch...); err != nil {
			b.Error(err)
			return
		}
		sent += len(batch)
	}
}

func completeAll(b *testing.B, q *redis.Queue, n int) {
	r, err := q.Receiver(lane)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	free := make(chan struct{}, 64)
	var workers sync.WaitGroup
	for done := 0; done < n; {
		limit := 0
		for free <- struct{}{}; ; {
			limit++
			select {
			case free <- struct{}{}:
				continue
			default:
			}
			break
		}
		got, err := r.Receive(ctx, limit)
		if err != nil {
			b.Fatal(err)
		}
		for range limit - len(got) {
			<-free
		}
		done += len(got)
		for _, d := range got {
			workers.Go(func() {
				defer func() { <-free }()
				if err := d.Complete(ctx); err != nil {
					b.Error(err)
				}
			})
		}
	}
	workers.Wait()
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
