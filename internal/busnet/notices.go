package busnet

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// noticeEvery is how often one kind of notice is logged at most: clients try
// again at once, and would fill a disk with it.
const noticeEvery = time.Minute

// notices are what was logged lately, by its message.
type notices struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// log logs a message that was not logged for noticeEvery.
func (n *notices) log(log *slog.Logger, level slog.Level, message string, args ...any) {
	n.mu.Lock()
	last, seen := n.last[message]
	due := !seen || time.Since(last) >= noticeEvery
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
