package onboarding

import (
	"context"
	"sync"
	"time"
)

// How a provider's circuit behaves.
const (
	circuitOpensAfter = 3 // provider-down outcomes in a row
	probeFirst        = time.Second
	probeMost         = 15 * time.Second
)

// circuit keeps senders from a provider that is down. Closed, it lets
// everything through. After circuitOpensAfter provider-down outcomes in a row
// it opens, and lets one probe through at a time, first every second, then
// more and more rarely up to every 15 seconds. Any other outcome closes it.
// A down provider costs no mail an attempt.
type circuit struct {
	mu       sync.Mutex
	failures int           // provider-down outcomes in a row
	wait     time.Duration // between probes; 0 while closed
	nextAt   time.Time     // when the next probe may go
	probing  bool          // a probe is under way
	changed  chan struct{} // closed and replaced at every change
}

func newCircuit() *circuit { return &circuit{changed: make(chan struct{})} }

// Open tells whether the provider is taken for down.
func (c *circuit) Open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait > 0
}

// Enter waits until something may be taken, and tells whether it is a probe: a
// probe takes one message, and ends with Leave. The channel is closed when the
// circuit changes, so that whoever waits for messages looks again.
func (c *circuit) Enter(ctx context.Context) (probe bool, changed <-chan struct{}, err error) {
	for ctx.Err() == nil {
		c.mu.Lock()
		changed, wait := c.changed, time.Until(c.nextAt)
		switch {
		case c.wait == 0:
			c.mu.Unlock()
			return false, changed, nil
		case c.probing:
			wait = -1
		case wait <= 0:
			c.probing = true
			c.mu.Unlock()
			return true, changed, nil
		}
		c.mu.Unlock()
		pause(ctx, wait, changed)
	}
	return false, nil, ctx.Err()
}

// Leave ends a probe that found nothing to take, or whose outcome was given to
// Down or Up already. Only who was let in as a probe may call it.
func (c *circuit) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.probing {
		c.probing = false
		c.change()
	}
}

// Down takes a provider-down outcome, of a probe or of another attempt. At once
// opens the circuit without waiting for more of them, as after a refused
// log-in.
func (c *circuit) Down(probe, atOnce bool) (opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures++
	wasOpen := c.wait > 0
	switch {
	case !wasOpen && !atOnce && c.failures < circuitOpensAfter:
		return false
	case !wasOpen:
		c.wait = probeFirst
	case !probe: // it was under way when the circuit opened
		return false
	default:
		c.wait = min(2*c.wait, probeMost)
	}
	c.nextAt = time.Now().Add(c.wait)
	c.change()
	return !wasOpen
}

// Up takes an outcome that shows that the provider answers.
func (c *circuit) Up() (closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = 0
	if c.wait == 0 {
		return false
	}
	c.wait, c.probing = 0, false
	c.change()
	return true
}

// change tells everyone who waits. c.mu is held.
func (c *circuit) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}
