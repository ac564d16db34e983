package servicebus

import (
	"sync"
	"time"
)

// pool keeps one link for each name, which many may use at once, and closes it
// when it is old or has failed.
type pool[T closer] struct {
	client *client

	mu     sync.Mutex
	closed bool
	open   map[string]*lease[T]
}

// lease is a link in use.
type lease[T closer] struct {
	pool  *pool[T]
	name  string
	value T
	users sync.WaitGroup // Add only while it is in the pool
	timer *time.Timer
}

func newPool[T closer](c *client) *pool[T] {
	return &pool[T]{client: c, open: map[string]*lease[T]{}}
}

// take returns the link of a name, which attach makes if there is none. It is to be
// given back.
func (p *pool[T]) take(name string, attach func() (T, error)) (*lease[T], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errReplaced
	}
	l := p.open[name]
	if l == nil {
		value, err := attach()
		if err != nil {
			return nil, err
		}
		l = &lease[T]{pool: p, name: name, value: value}
		l.timer = time.AfterFunc(p.client.timing.linkAge, l.retire)
		p.open[name] = l
	}
	l.users.Add(1)
	return l, nil
}

// giveBack ends one use. A link that is not to be kept is closed.
func (l *lease[T]) giveBack(keep bool) {
	l.users.Done()
	if !keep {
		l.retire()
	}
}

// retire takes the link out of the pool, and closes it when nobody uses it any
// more.
func (l *lease[T]) retire() {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[l.name] != l {
		return
	}
	delete(p.open, l.name)
	l.timer.Stop()
	p.client.start(func() {
		l.users.Wait()
		p.client.hangUp(l.value)
	})
}

// stop ends the pool. Its links are closed by whoever closes the client.
func (p *pool[T]) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, l := range p.open {
		l.timer.Stop()
	}
}
