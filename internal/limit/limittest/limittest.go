// Package limittest is the suite that every limiter passes.
package limittest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"bellhop/internal/limit"
)

// Subject is a limiter and its clock.
type Subject struct {
	Limiter limit.Limiter
	// Advance moves the limiter's clock on, by whole milliseconds.
	Advance func(time.Duration)
}

// Run tests the limiters that fresh makes. Each is empty, and its clock stands
// still. Times in the suite are long, so that a limiter which forgets by a
// clock of its own cannot forget within the test.
func Run(t *testing.T, fresh func(t *testing.T) Subject) {
	t.Run("Burst", func(t *testing.T) { testBurst(t, fresh(t)) })
	t.Run("AllOrNone", func(t *testing.T) { testAllOrNone(t, fresh(t)) })
	t.Run("Wait", func(t *testing.T) { testWait(t, fresh(t)) })
	t.Run("Unlimited", func(t *testing.T) { testUnlimited(t, fresh(t)) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, fresh(t)) })
	t.Run("RateChanges", func(t *testing.T) { testRateChanges(t, fresh(t)) })
}

// Key makes a key of a name.
func Key(name string) (k limit.Key) {
	sum := sha256.Sum256([]byte(name))
	copy(k[:], sum[:])
	return k
}

// Three an hour: one every twenty minutes.
var three = limit.Rate{Events: 3, Per: time.Hour}

const interval = 20 * time.Minute

// answer is what Take says.
type answer struct {
	over int
	wait time.Duration
}

var taken = answer{over: -1}

func (s Subject) want(t *testing.T, want answer, charges ...limit.Charge) {
	t.Helper()
	over, wait, err := s.Limiter.Take(t.Context(), charges...)
	if err != nil {
		t.Fatal(err)
	}
	if got := (answer{over, wait}); got != want {
		t.Fatalf("Take = %v, want %v", got, want)
	}
}

// A key may do everything at once, then one thing every interval, and is as new
// once it was away for the whole time.
func testBurst(t *testing.T, s Subject) {
	a := limit.Charge{Key: Key("a"), Rate: three}
	for range 3 {
		s.want(t, taken, a)
	}
	s.want(t, answer{0, interval}, a)
	s.want(t, taken, limit.Charge{Key: Key("b"), Rate: three})
	s.Advance(interval - time.Millisecond)
	s.want(t, answer{0, time.Millisecond}, a)
	s.Advance(time.Millisecond)
	s.want(t, taken, a)
	s.want(t, answer{0, interval}, a)
	s.Advance(2 * interval)
	s.want(t, taken, a)
	s.want(t, taken, a)
	s.want(t, answer{0, interval}, a)
	s.Advance(100 * time.Hour) // saves nothing up beyond the burst
	for range 3 {
		s.want(t, taken, a)
	}
	s.want(t, answer{0, interval}, a)
}

// What is refused for one key is charged to none.
func testAllOrNone(t *testing.T, s Subject) {
	one := limit.Charge{Key: Key("one"), Rate: limit.Rate{Events: 1, Per: time.Hour}}
	many := limit.Charge{Key: Key("many"), Rate: three}
	s.want(t, taken, many, one)
	for range 10 {
		s.want(t, answer{1, time.Hour}, many, one)
	}
	s.want(t, taken, many)
	s.want(t, taken, many)
	s.want(t, answer{0, interval}, many)
}

// The wait is for all keys, the index that of the first.
func testWait(t *testing.T, s Subject) {
	short := limit.Charge{Key: Key("short"), Rate: limit.Rate{Events: 1, Per: time.Hour}}
	long := limit.Charge{Key: Key("long"), Rate: limit.Rate{Events: 1, Per: 5 * time.Hour}}
	s.want(t, taken, short, long)
	s.want(t, answer{0, 5 * time.Hour}, short, long)
	s.want(t, answer{0, 5 * time.Hour}, long, short)
	s.Advance(time.Hour)
	s.want(t, answer{1, 4 * time.Hour}, short, long)
	s.want(t, taken, short)
}

func testUnlimited(t *testing.T, s Subject) {
	never := limit.Charge{Key: Key("never")}
	s.want(t, taken)
	for range 100 {
		s.want(t, taken, never)
	}
	one := limit.Charge{Key: Key("one"), Rate: limit.Rate{Events: 1, Per: time.Hour}}
	s.want(t, taken, never, one)
	s.want(t, answer{1, time.Hour}, never, one)
}

// However many ask at once, no more pass than may.
func testConcurrent(t *testing.T, s Subject) {
	const askers, each, may = 8, 25, 50
	charge := limit.Charge{Key: Key("all"), Rate: limit.Rate{Events: may, Per: 50 * time.Hour}}
	var passed [askers]int
	var wg sync.WaitGroup
	for i := range askers {
		wg.Go(func() {
			for n := range each {
				own := limit.Charge{Key: Key(fmt.Sprint(i, n)), Rate: three}
				over, _, err := s.Limiter.Take(t.Context(), own, charge)
				if err != nil {
					t.Error(err)
				}
				if over < 0 {
					passed[i]++
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range passed {
		total += n
	}
	if total != may {
		t.Errorf("%d passed, want %d", total, may)
	}
}

// After a change of settings nobody waits longer than the new rate's burst
// takes, and nobody is free of what was charged.
func testRateChanges(t *testing.T, s Subject) {
	slow := limit.Charge{Key: Key("a"), Rate: limit.Rate{Events: 1, Per: 1000 * time.Hour}}
	s.want(t, taken, slow)
	fast := limit.Charge{Key: Key("a"), Rate: three}
	s.want(t, answer{0, interval}, fast)
	s.Advance(interval)
	s.want(t, taken, fast)
	s.want(t, answer{0, interval}, fast)
}

// Broken is a limiter that cannot be asked.
type Broken struct{}

// ErrBroken is what [Broken] answers.
var ErrBroken = errors.New("the limiter cannot be asked")

// Take fails.
func (Broken) Take(context.Context, ...limit.Charge) (over int, wait time.Duration, err error) {
	return -1, 0, ErrBroken
}
