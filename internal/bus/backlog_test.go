package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sqlitedb"
)

var kibibyte = bytes.Repeat([]byte{'x'}, 1024)

// pile is a bus on disk with messages of 1 KiB that have a time to live.
func pile(b *testing.B, path string, n int) *bus.Bus {
	b.Helper()
	broker, err := bus.Open(bus.Options{Path: path, Durability: sqlitedb.Normal})
	if err != nil {
		b.Fatal(err)
	}
	if err := broker.CreateQueue(context.Background(), "q", bus.Settings{DefaultTTL: 24 * time.Hour}); err != nil {
		b.Fatal(err)
	}
	fill(b, broker, n, kibibyte)
	return broker
}

// BenchmarkDrain receives and completes from the head of a backlog, one message
// at a time or as many as come. A message of a million should cost what one of a
// thousand does.
func BenchmarkDrain(b *testing.B) {
	for _, limit := range []int{1, 100} {
		for _, backlog := range []int{1000, 1_000_000} {
			b.Run(fmt.Sprintf("limit=%d/backlog=%d", limit, backlog), func(b *testing.B) {
				broker := pile(b, filepath.Join(b.TempDir(), "bus.db"), backlog)
				defer broker.Close()
				syscall.Sync() // or the disk is still busy with the filling
				b.ResetTimer()
				used := time.Duration(0)
				for left := b.N; left > 0; left -= backlog {
					if left < b.N {
						b.StopTimer()
						fill(b, broker, backlog, kibibyte)
						b.StartTimer()
					}
					before := cpu(b)
					drain(b, broker, min(left, backlog), limit)
					used += cpu(b) - before
				}
				b.StopTimer()
				b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
				b.ReportMetric(resident(b), "resident-MB")
			})
		}
	}
}

// drain takes and completes n messages with 16 receivers.
func drain(b *testing.B, broker *bus.Bus, n, limit int) {
	var left atomic.Int64
	left.Store(int64(n))
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for left.Add(-int64(limit)) > -int64(limit) {
				got, err := broker.Receive(context.Background(), "q", bus.ReceiveOptions{Limit: limit, NoWait: true})
				if err != nil {
					b.Error(err)
					return
				}
				complete(b, broker, got)
			}
		})
	}
	group.Wait()
}

func complete(b *testing.B, broker *bus.Bus, got []bus.Received) {
	settlements := make([]bus.Settlement, len(got))
	for i := range got {
		settlements[i] = bus.Settlement{Kind: bus.Complete, Token: got[i].LockToken}
	}
	done := make(chan []error, 1)
	broker.StartSettle(settlements, func(errs []error) { done <- errs })
	for _, err := range <-done {
		if err != nil {
			b.Error(err)
		}
	}
}

// resident is the memory of this process, in MB.
func resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(status), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / 1e6
}

// BenchmarkOpen opens what a killed process has left, and receives.
func BenchmarkOpen(b *testing.B) {
	for _, backlog := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("backlog=%d", backlog), func(b *testing.B) {
			dir := b.TempDir()
			broker := pile(b, filepath.Join(dir, "bus.db"), backlog)
			if _, err := broker.Receive(context.Background(), "q", bus.ReceiveOptions{Limit: 1000}); err != nil {
				b.Fatal(err)
			}
			killed := filepath.Join(dir, "killed")
			for _, suffix := range []string{"", "-wal"} { // as kill -9 leaves them
				copyFile(b, killed+suffix, filepath.Join(dir, "bus.db")+suffix)
			}
			if err := broker.Close(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				again, err := bus.Open(bus.Options{Path: killed, Durability: sqlitedb.Normal})
				if err != nil {
					b.Fatal(err)
				}
				if got, err := again.Receive(context.Background(), "q", bus.ReceiveOptions{}); err != nil || len(got) != 1 {
					b.Fatal(got, err)
				}
				b.StopTimer()
				if err := again.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func copyFile(b *testing.B, to, from string) {
	b.Helper()
	source, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	_, err = io.Copy(target, source)
	if err := target.Close(); err != nil {
		b.Fatal(err)
	}
	if err != nil {
		b.Fatal(err)
	}
}
