package redistest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// link is one connection through a Proxy.
type link struct {
	client *net.TCPConn

	// Under the proxy's mu:
	server *net.TCPConn // nil while it is being dialled; set once, before the pumps run
	over   bool         // cut: nothing is forwarded any more
	halved [2]bool
	limits [2]limit
	armed  bool   // a request has passed whose answer must not
	recent []byte // the end of the requests so far, shorter than the text looked for
}

// accept takes connections until the proxy is closed.
func (p *Proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.serve(ctx, conn.(*net.TCPConn)) })
	}
}

// serve connects a client with the target, until both directions have ended.
func (p *Proxy) serve(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	l := &link{client: client}
	if !p.enter(l) {
		return
	}
	defer p.change(func() { delete(p.links, l) })
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", p.target)
	if err != nil {
		return // as if nobody listened
	}
	defer server.Close()
	if !p.attach(l, server.(*net.TCPConn)) {
		return
	}
	var replies sync.WaitGroup
	replies.Go(func() { p.pump(l, ToClient) })
	p.pump(l, ToServer)
	replies.Wait()
}

// enter counts a link and lets the faults reach it, unless it is refused.
func (p *Proxy) enter(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	if p.refuse && p.abrupt {
		_ = l.client.SetLinger(0)
	}
	if p.refuse || p.closed {
		return false
	}
	l.limits = p.each
	p.links[l] = true
	return true
}

// attach gives a link its server, unless it has been cut meanwhile.
func (p *Proxy) attach(l *link, server *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.server = server
	if l.halved[ToServer] {
		_ = server.CloseWrite()
	}
	return !l.over
}

// pump forwards what comes from one end until that ends. What may not pass is
// read all the same, so that the end is seen.
func (p *Proxy) pump(l *link, d Direction) {
	from, to := l.ends(d)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.forward(l, d, to, buffer[:n])
		}
		if err != nil {
			p.finish(l, d, err)
			return
		}
	}
}

// verdict is what follows the bytes that may pass.
type verdict int

const (
	goOn verdict = iota
	cutThis
	cutEvery
)

func (p *Proxy) forward(l *link, d Direction, to *net.TCPConn, chunk []byte) {
	n, then := p.judge(l, d, chunk)
	_, err := to.Write(chunk[:n])
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case then == cutEvery && p.firing[d]:
		p.total[d], p.firing[d] = limit{}, false
		p.cutAll()
	case then == cutThis:
		p.cut(l)
	case err != nil && !l.over && !l.halved[d]:
		l.reset() // the receiver is gone
	default:
		return
	}
	p.changed.Broadcast()
}

// judge waits while a direction stalls, and says how many bytes may pass.
func (p *Proxy) judge(l *link, d Direction, chunk []byte) (n int, then verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.await(l, d) {
		return 0, goOn
	}
	if d == ToClient && l.armed && p.reply.on {
		p.reply.spend()
		return 0, cutThis
	}
	n, end := l.limits[d].take(len(chunk))
	if end {
		then = cutThis
	}
	if n, end = p.total[d].take(n); end {
		then, p.firing[d] = cutEvery, true
	}
	if d == ToServer && n > 0 {
		l.watch(p.reply, chunk[:n])
	}
	return n, then
}

// await waits while nothing may pass, and tells whether anything may after
// that.
func (p *Proxy) await(l *link, d Direction) bool {
	for !l.over && !l.halved[d] && (p.stalled[d] || p.firing[d]) {
		p.changed.Wait()
	}
	return !l.over && !l.halved[d]
}

// finish ends a direction whose sender has ended: in order if it did so, or by
// breaking the connection as the sender did.
func (p *Proxy) finish(l *link, d Direction, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.await(l, d) {
		return
	}
	if !errors.Is(err, io.EOF) {
		l.reset()
		p.changed.Broadcast()
		return
	}
	l.halve(d)
}

// cutAll cuts all links; mu is held.
func (p *Proxy) cutAll() {
	for l := range p.links {
		p.cut(l)
	}
}

// cut ends a link on both sides, after what has been forwarded; mu is held. The
// pumps go on and swallow what still comes: closing at once could take away
// what a receiver has not read yet.
func (p *Proxy) cut(l *link) {
	if l.over {
		return
	}
	l.over = true
	p.cuts++
	if p.abrupt {
		_ = l.client.SetLinger(0)
		_ = l.client.Close()
	} else {
		_ = l.client.CloseWrite()
	}
	if l.server != nil {
		_ = l.server.CloseWrite()
	}
}

// spend counts one cut before a reply.
func (r *replyCut) spend() {
	if r.times == 0 {
		return
	}
	r.times--
	r.on = r.times > 0
}

// watch looks for the text of r in the requests, which may be torn apart.
func (l *link) watch(r replyCut, chunk []byte) {
	if !r.on {
		l.recent, l.armed = nil, false
		return
	}
	l.recent = append(l.recent, chunk...)
	l.armed = l.armed || bytes.Contains(l.recent, []byte(r.containing))
	if keep := max(len(r.containing)-1, 0); len(l.recent) > keep {
		l.recent = l.recent[len(l.recent)-keep:]
	}
}

// ends are the two ends of a direction.
func (l *link) ends(d Direction) (from, to *net.TCPConn) {
	if d == ToServer {
		return l.client, l.server
	}
	return l.server, l.client
}

// halve ends a direction for its receiver.
func (l *link) halve(d Direction) {
	if l.over || l.halved[d] {
		return
	}
	l.halved[d] = true
	if _, to := l.ends(d); to != nil {
		_ = to.CloseWrite()
	}
}

// reset breaks both ends, as a peer that is gone does.
func (l *link) reset() {
	l.over = true
	_ = l.client.SetLinger(0)
	_ = l.server.SetLinger(0)
	l.close()
}

func (l *link) close() {
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}
