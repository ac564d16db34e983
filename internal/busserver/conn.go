package busserver

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/wire"
	"bellhop/internal/sas"
)

// SASL mechanisms. MSSBCBS is what some of Service Bus's clients call ANONYMOUS.
const (
	mechanismCBS       wire.Symbol = "MSSBCBS"
	mechanismAnonymous wire.Symbol = "ANONYMOUS"
	mechanismPlain     wire.Symbol = "PLAIN"
)

var errCredentials = errors.New("the name or the key is wrong")

// handler is what amqp asks.
type handler struct{ *Server }

// Mechanisms offers PLAIN, which carries the key itself, only where nobody can
// listen.
func (h handler) Mechanisms(t amqp.Transport) []wire.Symbol {
	all := []wire.Symbol{mechanismCBS, mechanismAnonymous}
	if t.Secure || t.Loopback {
		all = append(all, mechanismPlain)
	}
	return all
}

// Authenticate lets those in who will show a token later, and judges the others.
func (h handler) Authenticate(ac *amqp.Conn, mechanism wire.Symbol, initial []byte, _ string) error {
	c := &conn{
		Server: h.Server, amqp: ac, requests: make(chan struct{}, requestsAtOnce),
		claims: claims{tokens: map[sas.Resource]sas.Grant{}}, links: map[*link]struct{}{},
	}
	ac.SetValue(c)
	if mechanism != mechanismPlain {
		return nil
	}
	parts := bytes.Split(initial, []byte{0}) // RFC 4616: who to act for, name, password
	if len(parts) != 3 {
		return errCredentials
	}
	grant, err := h.opts.Keys.Check(string(parts[1]), string(parts[2]))
	if err != nil && h.opts.AcceptAnyKey && len(parts[1]) > 0 {
		grant, err = sas.Grant{Rule: string(parts[1]), Rights: sas.Manage}, nil
	}
	if err != nil {
		h.wrongKey(ac.RemoteAddr())
		return errCredentials
	}
	c.claims.everything = &grant
	return nil
}

// Open begins the time that a connection has for its first token.
func (h handler) Open(ac *amqp.Conn, open *wire.Open) error {
	c := ac.Value().(*conn)
	c.host, _, _ = strings.Cut(open.Hostname, ":")
	h.mu.Lock()
	h.conns[c] = struct{}{}
	h.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.claims.everything == nil {
		c.grace = time.AfterFunc(h.opts.TokenTimeout, func() {
			ac.Close(h.tracked(&wire.Error{
				Condition: wire.ConditionUnauthorizedAccess, Description: "No valid token was put on $cbs in time.",
			}))
		})
	}
	return nil
}

// Closed waits for everything that worked for the connection.
func (h handler) Closed(ac *amqp.Conn) {
	c := ac.Value().(*conn)
	h.mu.Lock()
	delete(h.conns, c)
	h.mu.Unlock()
	c.mu.Lock()
	c.closed = true
	for _, timer := range []*time.Timer{c.grace, c.expiry} {
		if timer != nil {
			timer.Stop()
		}
	}
	c.mu.Unlock()
	c.work.Wait()
}

// Attach decides by address. What takes a look into the database does so on a
// goroutine of its own.
func (h handler) Attach(a *amqp.Attach) {
	c := a.Conn().Value().(*conn)
	n := parseAddress(addressOf(a))
	switch n.kind {
	case nodeUnsupported:
		a.Refuse(h.tracked(n.unsupported()))
	case nodeCBS:
		c.attachRequests(a, &link{node: n, fromClient: a.FromClient()})
	default:
		c.work.Go(func() { c.attachEntity(a, n) })
	}
}

func addressOf(a *amqp.Attach) string {
	if a.FromClient() {
		return a.Frame().Target.Address.Value
	}
	return a.Frame().Source.Address.Value
}

// conn is one connection.
type conn struct {
	*Server
	amqp *amqp.Conn
	host string // as the client calls us, without a port; set by Open

	work     sync.WaitGroup // receiving links, requests under way, attaches
	requests chan struct{}  // an entry for each request that is carried out

	mu      sync.Mutex // guards what follows; taken after Server.mu
	closed  bool
	claims  claims
	grace   *time.Timer // until the first token; nil with PLAIN
	expiry  *time.Timer // until the next token expires; nil before there is one
	links   map[*link]struct{}
	replies []*replyLink
}

// link is one link to an entity or its management.
type link struct {
	node       node
	fromClient bool
	restraint  restraint // of one that a client receives on

	mu       sync.Mutex
	accepted func(*wire.Error) // detaches it, without blocking; nil before the client's attach is answered
	early    *wire.Error       // why it is to be detached as soon as that is done
}

// enter makes a link known, before anything about it is looked up: no update of
// its queue and no end of its token is missed then.
func (c *conn) enter(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[l] = struct{}{}
}

// accept says how a link is detached, now that its attach is answered.
func (l *link) accept(detach func(*wire.Error)) {
	l.mu.Lock()
	l.accepted = detach
	early := l.early
	l.mu.Unlock()
	if early != nil {
		detach(early)
	}
}

// detach ends a link, or sees to it that it will end when it has begun.
func (l *link) detach(why *wire.Error) {
	l.mu.Lock()
	accepted := l.accepted
	l.early = why
	l.mu.Unlock()
	if accepted != nil {
		accepted(why)
	}
}

// remove forgets a link that has ended.
func (c *conn) remove(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.links, l)
}

// linksOf lists the links of a queue and what belongs to it.
func (c *conn) linksOf(queue string) (all []*link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.links {
		if strings.EqualFold(l.node.queue, queue) {
			all = append(all, l)
		}
	}
	return all
}

// put keeps a token. The first one ends the time of grace.
func (c *conn) put(r sas.Resource, g sas.Grant) {
	c.mu.Lock()
	c.claims.tokens[r] = g
	if c.grace != nil {
		c.grace.Stop()
	}
	c.mu.Unlock()
	c.expire()
}

// allows tells whether a valid token, or the password, includes any of the
// rights for a node.
func (c *conn) allows(n node, any sas.Rights) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.claims.rights(n.path(), c.opts.Now())&any != 0
}

// expire forgets tokens that have expired, and detaches the links that no other
// token covers.
func (c *conn) expire() {
	for _, l := range c.uncovered() {
		l.detach(c.tracked(&wire.Error{
			Condition: wire.ConditionUnauthorizedAccess, Description: "ExpiredToken: The token for this link is expired.",
		}))
	}
}

// uncovered lists the links whose tokens have expired, and sets the timer for
// the next token.
func (c *conn) uncovered() (all []*link) {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.claims.everything != nil {
		return nil
	}
	if c.claims.drop(now) {
		for l := range c.links {
			if c.claims.rights(l.node.path(), now)&l.needs() == 0 {
				all = append(all, l)
			}
		}
	}
	next, some := c.claims.next()
	switch {
	case !some:
	case c.expiry == nil:
		c.expiry = time.AfterFunc(next.Sub(now), c.expire)
	default:
		c.expiry.Reset(next.Sub(now))
	}
	return all
}

// needs is which rights a link must have any of.
func (l *link) needs() sas.Rights {
	switch {
	case l.node.kind == nodeManagement:
		return sas.Send | sas.Listen
	case l.fromClient:
		return sas.Send
	}
	return sas.Listen
}

// claims is what a client has shown that it may do.
type claims struct {
	everything *sas.Grant // by password; nil without
	tokens     map[sas.Resource]sas.Grant
}

// rights are those that are valid now for a path.
func (cl *claims) rights(path string, now time.Time) (all sas.Rights) {
	if cl.everything != nil {
		return cl.everything.Rights
	}
	for r, g := range cl.tokens {
		if r.Covers(sas.Resource{Host: r.Host, Path: path}) && live(g, now) {
			all |= g.Rights
		}
	}
	return all
}

// live tells whether a grant has not expired.
func live(g sas.Grant, now time.Time) bool { return g.Expires.IsZero() || now.Before(g.Expires) }

// drop forgets tokens that have expired and tells whether there were any.
func (cl *claims) drop(now time.Time) (some bool) {
	for r, g := range cl.tokens {
		if !live(g, now) {
			delete(cl.tokens, r)
			some = true
		}
	}
	return some
}

// next is when the next token expires.
func (cl *claims) next() (next time.Time, some bool) {
	for _, g := range cl.tokens {
		if !g.Expires.IsZero() && (!some || g.Expires.Before(next)) {
			next, some = g.Expires, true
		}
	}
	return next, some
}

// replyTo finds the link on which a request's answer goes: by its target, its
// name, or because there is no other.
func (c *conn) replyTo(session *amqp.Session, n node, address string) *replyLink {
	c.mu.Lock()
	defer c.mu.Unlock()
	var only, named *replyLink
	count := 0
	for _, r := range c.replies {
		if r.session != session || r.node.path() != n.path() {
			continue
		}
		count++
		only = r
		if r.address == address && address != "" {
			return r
		}
		if r.name == address {
			named = r
		}
	}
	if named == nil && count == 1 {
		return only
	}
	return named
}

func (c *conn) addReply(r *replyLink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, r)
}

func (c *conn) removeReply(r *replyLink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = slices.DeleteFunc(c.replies, func(other *replyLink) bool { return other == r })
}
