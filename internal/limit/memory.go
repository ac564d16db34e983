package limit

import (
	"context"
	"sync"
	"time"
)

// Memory is the limiter of one process. For the default size it begins with
// 1.6 MB of memory and never uses more than 10 MB; it has no goroutine and needs
// no closing.
//
// Its keys are kept in small buckets. When a bucket is full, the key that nobody
// asked for longest makes room: its theoretical arrival time goes into the
// sketch, which remembers at least as much against every key as was charged to
// it. So whoever makes up keys to push others out resets nobody. What the
// sketch remembers too much is over by itself, and a key that is refused
// because of it comes back into a bucket and waits for one event at most.
type Memory struct {
	now   func() time.Time
	began time.Time

	mu      sync.Mutex
	buckets []bucket
	evicted sketch
}

// DefaultSize is how many keys a [Memory] knows exactly if it is not told.
const DefaultSize = 1 << 16

const bucketSize = 8

// bucket holds its entries in the order of their last use.
type bucket [bucketSize]entry

// entry is a key and its theoretical arrival time, in nanoseconds since the
// limiter began. An entry whose time is not in the future is free.
type entry struct {
	key     Key
	arrival int64
}

// NewMemory returns a limiter that knows about size keys exactly; 0 for
// [DefaultSize]. now is its clock, nil for time.Now.
func NewMemory(size int, now func() time.Time) *Memory {
	if size <= 0 {
		size = DefaultSize
	}
	if now == nil {
		now = time.Now
	}
	return &Memory{
		now: now, began: now(),
		buckets: make([]bucket, (size+bucketSize-1)/bucketSize),
		evicted: newSketch(size),
	}
}

// Take implements [Limiter]. It never returns an error.
func (m *Memory) Take(_ context.Context, charges ...Charge) (over int, wait time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := int64(m.now().Sub(m.began))
	over = -1
	for i, c := range charges {
		if missing := m.missing(c, now); missing > 0 {
			if over < 0 {
				over = i
			}
			wait = max(wait, missing)
		}
	}
	if over >= 0 {
		return over, wait, nil
	}
	for _, c := range charges {
		if !c.Rate.Unlimited() {
			arrival, _ := m.arrival(c, now)
			m.put(c.Key, arrival+int64(c.Rate.Interval(1)), now)
		}
	}
	return -1, 0, nil
}

// missing is how long a charge would have to wait.
func (m *Memory) missing(c Charge, now int64) time.Duration {
	if c.Rate.Unlimited() {
		return 0
	}
	arrival, own := m.arrival(c, now)
	wait := arrival + int64(c.Rate.Interval(1)) - int64(burst(c.Rate)) - now
	if wait > 0 && !own {
		m.put(c.Key, arrival, now) // so that it comes nearer from now on
	}
	return time.Duration(max(0, wait))
}

// burst is how far ahead of now a theoretical arrival time may lie.
func burst(r Rate) time.Duration { return time.Duration(r.Events) * r.Interval(1) }

// arrival returns a key's theoretical arrival time, between now and now plus the
// burst. own is false if that is not what is kept of the key itself: the sketch
// speaks for several, and a later time is another rate's, or the clock was set
// back.
func (m *Memory) arrival(c Charge, now int64) (arrival int64, own bool) {
	latest := now + int64(burst(c.Rate))
	b := m.bucket(c.Key)
	if i := b.index(c.Key); i >= 0 {
		b.use(i)
		arrival, own = b[0].arrival, b[0].arrival <= latest
	} else {
		arrival = m.evicted.read(c.Key)
	}
	return max(now, min(arrival, latest)), own
}

// put keeps a key's theoretical arrival time, in its own entry, a free one, or
// that of the key which was not asked for longest.
func (m *Memory) put(key Key, arrival, now int64) {
	b := m.bucket(key)
	room := b.index(key)
	if room < 0 {
		room = b.free(now)
	}
	if e := b[room]; e.key != key && e.arrival > now {
		m.evicted.raise(e.key, e.arrival)
	}
	b[room] = entry{key, arrival}
	b.use(room)
}

func (b *bucket) index(key Key) int {
	for i := range b {
		if b[i].key == key {
			return i
		}
	}
	return -1
}

// free returns a free entry, or else the last.
func (b *bucket) free(now int64) int {
	for i := range b {
		if b[i].arrival <= now {
			return i
		}
	}
	return bucketSize - 1
}

// use makes an entry the first of its bucket.
func (b *bucket) use(i int) {
	used := b[i]
	copy(b[1:i+1], b[:i])
	b[0] = used
}

func (m *Memory) bucket(key Key) *bucket {
	first, _ := key.halves()
	return &m.buckets[first%uint64(len(m.buckets))]
}
