package limit_test

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bellhop/internal/limit"
	"bellhop/internal/limit/limittest"
)

// clock is a clock that moves when it is told to.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Unix(1_800_000_000, 0)} }

func (c *clock) read() time.Time { return c.now }

func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

func TestMemory(t *testing.T) {
	limittest.Run(t, func(*testing.T) limittest.Subject {
		c := newClock()
		return limittest.Subject{Limiter: limit.NewMemory(0, c.read), Advance: c.advance}
	})
}

// model is GCRA by the book, for any number of keys: exact and unbounded. It
// holds what was taken, in whole nanoseconds.
type model map[limit.Key]time.Time

// over is the index of the first charge that the book refuses, and how long
// until it would refuse none.
func (m model) over(now time.Time, charges []limit.Charge) (over int, wait time.Duration) {
	over = -1
	for i, c := range charges {
		if c.Rate.Unlimited() {
			continue
		}
		increment := c.Rate.Interval(1)
		arrival := later(now, m[c.Key])
		if missing := arrival.Add(increment).Sub(now) - increment*time.Duration(c.Rate.Events); missing > 0 {
			if over < 0 {
				over = i
			}
			wait = max(wait, missing)
		}
	}
	return over, wait
}

func (m model) take(now time.Time, charges []limit.Charge) {
	for _, c := range charges {
		if !c.Rate.Unlimited() {
			m[c.Key] = later(now, m[c.Key]).Add(c.Rate.Interval(1))
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// some draws charges of different keys: each key has a rate of its own, as in
// real use.
func some(t *rapid.T, keys int) []limit.Charge {
	rates := []limit.Rate{
		{Events: 1, Per: time.Minute}, {Events: 3, Per: 10 * time.Minute}, {Events: 30, Per: 10 * time.Minute},
		{Events: 7, Per: time.Second}, {Events: 1000, Per: time.Second}, {},
	}
	numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, keys-1), 1, 3, rapid.ID).Draw(t, "keys")
	charges := make([]limit.Charge, len(numbers))
	for i, n := range numbers {
		charges[i] = limit.Charge{Key: limittest.Key(string(rune(n))), Rate: rates[n%len(rates)]}
	}
	return charges
}

// With room for all keys the limiter answers as the book does.
func TestMemoryAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, m := newClock(), model{}
		l := limit.NewMemory(4096, c.read)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			c.advance(pause(t))
			charges := some(t, 12)
			wantOver, wantWait := m.over(c.now, charges)
			over, wait, err := l.Take(t.Context(), charges...)
			if err != nil || over != wantOver || wait != wantWait {
				t.Fatalf("Take = %d, %v, %v, want %d, %v", over, wait, err, wantOver, wantWait)
			}
			if over < 0 {
				m.take(c.now, charges)
			}
		}
	})
}

func pause(t *rapid.T) time.Duration {
	return time.Duration(rapid.SampledFrom([]int64{0, 0, 1, int64(time.Millisecond), int64(time.Second), int64(time.Minute)}).Draw(t, "unit")) *
		time.Duration(rapid.IntRange(0, 20).Draw(t, "times"))
}

// B5.2: with room for far fewer keys than there are, whatever passes would have
// passed by the book, too: pushing a key out gives it nothing. And nobody who
// only waits is kept out longer than the book allows at its slowest.
func TestMemoryIsNeverLooserThanModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, m := newClock(), model{}
		l := limit.NewMemory(8, c.read)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			c.advance(pause(t))
			charges := some(t, 100)
			wantOver, wantWait := m.over(c.now, charges)
			over, wait, err := l.Take(t.Context(), charges...)
			if err != nil || over < 0 && wantOver >= 0 || wait < wantWait {
				t.Fatalf("Take = %d, %v, %v; the book says %d, %v", over, wait, err, wantOver, wantWait)
			}
			if over < 0 {
				m.take(c.now, charges)
				continue
			}
			if longest := longestInterval(charges); wait > longest {
				t.Fatalf("the wait is %v, the longest interval %v", wait, longest)
			}
		}
	})
}

func longestInterval(charges []limit.Charge) (longest time.Duration) {
	for _, c := range charges {
		if !c.Rate.Unlimited() {
			longest = max(longest, c.Rate.Interval(1))
		}
	}
	return longest
}

// B5.2: an attacker who pushes a key out with many others resets nothing.
func TestFloodResetsNobody(t *testing.T) {
	c := newClock()
	l := limit.NewMemory(64, c.read)
	rate := limit.Rate{Events: 30, Per: 10 * time.Minute}
	attacker := limit.Charge{Key: limittest.Key("attacker"), Rate: rate}
	passed := 0
	for range 31 {
		if over, _, _ := l.Take(t.Context(), attacker); over < 0 {
			passed++
		}
	}
	others := randomKeys(100_000)
	for _, key := range others {
		_, _, _ = l.Take(t.Context(), limit.Charge{Key: key, Rate: rate})
	}
	if over, _, _ := l.Take(t.Context(), attacker); over < 0 || passed != 30 {
		t.Errorf("after the flood: over %d, %d passed before it", over, passed)
	}
}

// Losing everything, at a restart, gives one burst a key and no more.
func TestRestartGivesOneBurst(t *testing.T) {
	c := newClock()
	charge := limit.Charge{Key: limittest.Key("a"), Rate: limit.Rate{Events: 10, Per: time.Hour}}
	passed := 0
	for range 2 {
		l := limit.NewMemory(0, c.read)
		for range 100 {
			if over, _, _ := l.Take(t.Context(), charge); over < 0 {
				passed++
			}
		}
	}
	if passed != 20 {
		t.Errorf("%d passed, want two bursts of 10", passed)
	}
}

// A flood costs strangers next to nothing: what the sketch takes them for is
// wrong for few, and those few wait for one event. This is an eighth of the
// default size and of 1000 addresses a second.
func TestFloodHardlyTouchesStrangers(t *testing.T) {
	c := newClock()
	l := limit.NewMemory(limit.DefaultSize/8, c.read)
	rate := limit.Rate{Events: 10, Per: time.Hour}
	for _, key := range randomKeys(100_000) {
		c.advance(8 * time.Millisecond)
		_, _, _ = l.Take(t.Context(), limit.Charge{Key: key, Rate: rate})
	}
	refused := 0
	for _, key := range randomKeys(10_000) {
		over, wait, _ := l.Take(t.Context(), limit.Charge{Key: key, Rate: rate})
		if over >= 0 {
			refused++
		}
		if wait > 6*time.Minute {
			t.Fatalf("a stranger waits for %v", wait)
		}
	}
	t.Logf("%d of 10000 strangers were refused", refused)
	if refused > 10 {
		t.Errorf("%d of 10000 strangers were refused", refused)
	}
}

func randomKeys(n int) []limit.Key {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	keys := make([]limit.Key, n)
	for i := range keys {
		binary.LittleEndian.PutUint64(keys[i][:8], r.Uint64())
		binary.LittleEndian.PutUint64(keys[i][8:], r.Uint64())
	}
	return keys
}

// However many keys come, it keeps to its bound, and few cost a part of that.
func TestMemoryIsBounded(t *testing.T) {
	c := newClock()
	keys := randomKeys(20_000)
	before := heap()
	l := limit.NewMemory(4096, c.read) // 100 kB for its keys, 500 kB for those pushed out
	for _, step := range []struct {
		keys  []limit.Key
		bound int64
	}{{keys[:100], 150 << 10}, {keys, 700 << 10}} {
		for _, key := range step.keys {
			_, _, _ = l.Take(t.Context(), limit.Charge{Key: key, Rate: limit.Rate{Events: 1, Per: time.Hour}})
		}
		if grown := heap() - before; grown > step.bound {
			t.Errorf("after %d keys the heap is %d bytes larger", len(step.keys), grown)
		}
	}
	runtime.KeepAlive(l)
	runtime.KeepAlive(keys)
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestGate(t *testing.T) {
	c := newClock()
	l := limit.NewMemory(0, c.read)
	g := limit.Gate{Limiter: l, Secret: []byte("secret"), Kind: "address", Rate: limit.Rate{Events: 2, Per: time.Hour}}
	other := g
	other.Kind = "network"
	for i, want := range []bool{false, false, true, true} {
		if got := g.Over(t.Context(), []byte("a")); got != want {
			t.Errorf("try %d: over %v", i, got)
		}
	}
	if g.Over(t.Context(), []byte("b")) || other.Over(t.Context(), []byte("a")) || (limit.Gate{}).Over(t.Context(), []byte("a")) {
		t.Error("another value, another kind, or no limit at all was over")
	}
	broken := limit.Gate{Limiter: limittest.Broken{}, Kind: "x", Rate: g.Rate}
	if broken.Over(t.Context(), []byte("a")) {
		t.Error("over because the limiter could not be asked")
	}
}

func BenchmarkTake(b *testing.B) {
	total := limit.Charge{Key: limittest.Key("total"), Rate: limit.Rate{Events: 1 << 30, Per: time.Second}}
	rate := limit.Rate{Events: 30, Per: 10 * time.Minute}
	keys := randomKeys(1 << 20)
	b.Run("one visitor", func(b *testing.B) {
		l := limit.NewMemory(0, nil)
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = l.Take(b.Context(), limit.Charge{Key: keys[0], Rate: rate}, total)
		}
	})
	b.Run("flood", func(b *testing.B) {
		l := limit.NewMemory(0, nil)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_, _, _ = l.Take(b.Context(), limit.Charge{Key: keys[i%len(keys)], Rate: rate}, total)
		}
	})
	b.Run("flood in parallel", func(b *testing.B) {
		l := limit.NewMemory(0, nil)
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(len(keys)); pb.Next(); i++ {
				_, _, _ = l.Take(b.Context(), limit.Charge{Key: keys[i%len(keys)], Rate: rate}, total)
			}
		})
	})
	b.Run("NewMemory", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = limit.NewMemory(0, nil)
		}
	})
	b.Run("NewKey", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = limit.NewKey(keys[0][:], "network", keys[1][:8])
		}
	})
}
