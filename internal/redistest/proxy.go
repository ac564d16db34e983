package redistest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Direction is a way through a Proxy.
type Direction int

// The two ways through a Proxy.
const (
	ToServer Direction = iota // requests
	ToClient                  // replies
)

// Scope says whose bytes CutAfter counts, and whom it cuts.
type Scope int

// What CutAfter counts.
const (
	EachConnection Scope = iota // each connection's own, and cuts that one; until Heal
	AllTogether                 // those of all connections together, and cuts them all; once
)

// Proxy is a TCP proxy that breaks what passes through it: the network between
// a client and its server. It starts without a fault. Faults may be changed at
// any time by any goroutine, while connections are open; they add up, and Heal
// takes them all away.
//
// A cut ends a connection for both sides, after exactly what was forwarded; what
// either still sends is swallowed. So a request that was forwarded wholly is
// executed.
type Proxy struct {
	target   string
	listener net.Listener
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // of mu: something below, or a link, has changed
	links   map[*link]bool
	seen    int
	cuts    int
	closed  bool
	abrupt  bool
	faults
}

// faults are what Heal takes away.
type faults struct {
	refuse  bool
	stalled [2]bool // by Direction
	each    [2]limit
	total   [2]limit
	firing  [2]bool // the last bytes of total are being written
	reply   replyCut
}

// limit is how many more bytes may pass.
type limit struct {
	set  bool
	left int
}

// take returns how many of n bytes may pass, and whether that was the end.
func (l *limit) take(n int) (allowed int, end bool) {
	if !l.set {
		return n, false
	}
	n = min(n, l.left)
	l.left -= n
	return n, l.left == 0
}

// replyCut is the fault of CutBeforeReply.
type replyCut struct {
	on         bool
	containing string
	times      int // 0 for any number
}

// NewProxy starts a proxy to target, as host:port, on a free port of 127.0.0.1.
// The end of the test closes it.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", address(0))
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{target: target, listener: listener, stop: stop, links: map[*link]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.running.Go(func() { p.accept(ctx) })
	t.Cleanup(p.Close)
	return p
}

// Addr is where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Connections is how many connections the proxy has accepted so far, those it
// refused included.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// Cuts is how many connections have been cut so far, by whatever fault; those
// refused are not among them. A test that means to survive a cut can tell that
// there was one.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// change does something to the faults and lets everything look at them again.
func (p *Proxy) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	p.changed.Broadcast()
}

// Pass ends a Stall of one direction.
func (p *Proxy) Pass(d Direction) { p.change(func() { p.stalled[d] = false }) }

// Stall keeps connections open, and takes new ones, but forwards nothing in one
// direction: neither bytes nor an end. What was sent after Stall has returned
// waits until Pass or Heal.
func (p *Proxy) Stall(d Direction) { p.change(func() { p.stalled[d] = true }) }

// Abrupt says how the client sees a cut, or a refusal, from now on: as a reset
// (RST) if on, which may take away what it has not read yet, otherwise as an end
// (FIN). Heal does not change this. Default: off.
func (p *Proxy) Abrupt(on bool) { p.change(func() { p.abrupt = on }) }

// Cut cuts all connections that are open. New ones pass.
func (p *Proxy) Cut() { p.change(p.cutAll) }

// HalfClose ends one direction of all connections that are open: its receiver
// sees an end, what its sender sends is swallowed, and the other direction goes
// on. (Redis itself closes a connection whose client has ended.)
func (p *Proxy) HalfClose(d Direction) {
	p.change(func() {
		for l := range p.links {
			l.halve(d)
		}
	})
}

// CutAfter forwards n more bytes in one direction, and cuts right after the
// last of them; with n 0 it cuts when the first would come. Connections that
// are open count from now, new ones from their beginning.
func (p *Proxy) CutAfter(d Direction, n int, scope Scope) {
	p.change(func() {
		if scope == AllTogether {
			p.total[d], p.firing[d] = limit{set: true, left: n}, false
			return
		}
		p.each[d] = limit{set: true, left: n}
		for l := range p.links {
			l.limits[d] = p.each[d]
		}
	})
}

// CutBeforeReply forwards requests, and cuts a connection when the first byte
// of an answer comes that was sent after a request with the given text in it:
// the server has executed the request, and the client never learns. Without
// text any request will do, also those by which a client introduces itself;
// with TLS there is no other choice. It happens so many times, or until Heal
// with times 0.
//
// A client that sends requests before the ones before are answered may be cut
// at an answer to one of those; the server executes the request all the same.
func (p *Proxy) CutBeforeReply(containing string, times int) {
	p.change(func() {
		p.reply = replyCut{on: true, containing: containing, times: times}
		for l := range p.links {
			l.recent, l.armed = nil, false
		}
	})
}

// Refuse takes new connections and closes them at once. Those that are open
// stay.
func (p *Proxy) Refuse() { p.change(func() { p.refuse = true }) }

// Heal takes all faults away. What was cut or closed stays so.
func (p *Proxy) Heal() {
	p.change(func() {
		p.faults = faults{}
		for l := range p.links {
			l.limits, l.armed = [2]limit{}, false
		}
	})
}

// Close closes the proxy and all its connections, and waits until its
// goroutines have ended. It may be called again.
func (p *Proxy) Close() {
	p.stop()
	_ = p.listener.Close()
	p.change(func() {
		p.closed = true
		for l := range p.links {
			l.over = true
			l.close()
		}
	})
	p.running.Wait()
}
