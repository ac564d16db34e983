package redisdb_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// accepting writes about as much as the acceptance of a sign-up.
const accepting = `#!lua
redis.call('HSET', KEYS[1] .. ':u:' .. ARGV[1], 'first', ARGV[2], 'last', ARGV[3], 'email', ARGV[4], 'status', '0')
redis.call('HSET', KEYS[1] .. ':m:' .. ARGV[1], 'gen', '1', 'kind', 'confirm', 'at', ARGV[5])
redis.call('ZADD', KEYS[1] .. ':due', ARGV[5], ARGV[1])
return 1`

// BenchmarkRun compares grouped steps with the same ones sent one by one, for
// calls per second (of the wall clock) and the client's processor time.
func BenchmarkRun(b *testing.B) {
	for _, kept := range []struct {
		name        string
		persistence redistest.Persistence
	}{{"always", redistest.Always}, {"none", redistest.None}} {
		for _, callers := range []int{64, 512} {
			b.Run(fmt.Sprintf("%s/%d/grouped", kept.name, callers), func(b *testing.B) {
				server := redistest.Start(b, redistest.Options{Persistence: kept.persistence})
				tag := tagOf(b, server, slow)
				script := redisdb.NewScript("accepting", accepting)
				share(b, callers, func(args ...any) error {
					_, err := tag.Run(context.Background(), script, redisdb.Answered, args...)
					return err
				})
			})
			b.Run(fmt.Sprintf("%s/%d/onebyone", kept.name, callers), func(b *testing.B) {
				server := redistest.Start(b, redistest.Options{Persistence: kept.persistence})
				client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: callers, MaxRetries: -1, Protocol: 2})
				defer client.Close()
				script := redis.NewScript(accepting)
				if err := script.Load(b.Context(), client).Err(); err != nil {
					b.Fatal(err)
				}
				share(b, callers, func(args ...any) error {
					return script.EvalSha(context.Background(), client, []string{tagName}, args...).Err()
				})
			})
		}
	}
}

// share lets callers make b.N calls together.
func share(b *testing.B, callers int, do func(args ...any) error) {
	var next atomic.Int64
	var all sync.WaitGroup
	used := processor()
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				id := fmt.Sprintf("%012d", n)
				if err := do(id, "Firstname", "Lastname", "someone"+id+"@example.org", n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((processor()-used).Microseconds())/float64(b.N), "client-µs/call")
}

// processor is the time that this process has used of its processors.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
