// Package notice logs what would be said over and over: clients that fail try
// again at once, and would fill a disk with it. It imports no other package of
// Bellhop.
package notice

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// every is how often one message is logged at most.
const every = time.Minute

// Notices are what was logged lately, by its message. The zero value is ready
// for use, by any number of goroutines.
type Notices struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// Log logs a message that was not logged for a minute. Messages are kept for
// good: they must be few, and what differs belongs into args.
func (n *Notices) Log(log *slog.Logger, level slog.Level, message string, args ...any) {
	n.mu.Lock()
	last, seen := n.last[message]
	due := !seen || time.Since(last) >= every
	if due {
		if n.last == nil {
			n.last = make(map[string]time.Time)
		}
		n.last[message] = time.Now()
	}
	n.mu.Unlock()
	if due {
		log.Log(context.Background(), level, message, args...)
	}
}
