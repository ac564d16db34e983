package sqlitedb

import "sync"

// inbox holds what has been handed in and not yet begun. Handing in never
// waits; one goroutine, the writer's, takes.
type inbox struct {
	// stirred holds a token when something came into the empty inbox, or when
	// it was closed. The taker may find a token that means nothing any more.
	stirred chan struct{}

	mu     sync.Mutex // guards the rest
	writes []*write   // in the order in which they came
	closed bool
}

func newInbox() *inbox { return &inbox{stirred: make(chan struct{}, 1)} }

// put adds a write, unless the inbox is closed. What was put will be taken.
func (in *inbox) put(w *write) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return false
	}
	in.writes = append(in.writes, w)
	if len(in.writes) == 1 {
		in.stir()
	}
	return true
}

func (in *inbox) stir() {
	select {
	case in.stirred <- struct{}{}:
	default:
	}
}

// take appends at most n writes to dst.
func (in *inbox) take(dst []*write, n int) []*write {
	in.mu.Lock()
	defer in.mu.Unlock()
	n = min(n, len(in.writes))
	dst = append(dst, in.writes[:n]...)
	clear(in.writes[:n])
	if n == len(in.writes) {
		in.writes = in.writes[:0]
	} else {
		in.writes = in.writes[n:]
	}
	return dst
}

// await returns true when there is something to take, and false when there
// will never be.
func (in *inbox) await() bool {
	for {
		in.mu.Lock()
		some, closed := len(in.writes) > 0, in.closed
		in.mu.Unlock()
		if some || closed {
			return some
		}
		<-in.stirred
	}
}

func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.stir()
}
