package smtp

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bellhop/internal/mail"
)

// Client hands mails to one mail server over a few kept connections. It
// implements [mail.Transport] and may be used by many goroutines.
type Client struct {
	dialer  dialer
	limit   *rate.Limiter // nil for none
	slots   chan struct{} // one per connection in use
	idleTTL time.Duration
	renewal int // mails per connection

	closing chan struct{} // closed by the first Close
	drained chan struct{} // closed when Close was called and nothing is active
	quits   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	cut    bool       // Close has lost patience
	idle   []*session // the last used is last
	active map[*attempt]struct{}
}

// attempt is one use of a connection: from Begin to the end of its
// transaction, or the goodbye of a session.
type attempt struct {
	cut func() // ends it at once, from outside; guarded by Client.mu
}

var _ mail.Transport = (*Client)(nil)

// New checks the configuration and returns a client that has not connected
// yet: the mail server need not be up. Close it after use.
func New(config Config) (*Client, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	tlsConfig, err := config.tlsConfig()
	if err != nil {
		return nil, err
	}
	c := &Client{
		dialer:  dialer{endpoint: config.Endpoint, hello: config.Hello, tls: tlsConfig, timeouts: config.Timeouts},
		slots:   make(chan struct{}, config.Connections),
		idleTTL: config.IdleTTL,
		renewal: config.MailsPerConnection,
		closing: make(chan struct{}),
		drained: make(chan struct{}),
		active:  make(map[*attempt]struct{}),
	}
	if config.Endpoint.User != "" {
		c.dialer.login = &credentials{config.Endpoint.User, config.Endpoint.Password}
		c.dialer.endpoint.Password = ""
	}
	if config.Rate > 0 {
		c.limit = rate.NewLimiter(rate.Limit(config.Rate), 1)
	}
	return c, nil
}

// Begin implements [mail.Transport]: it finds or opens a connection, says
// MAIL, RCPT and DATA and writes body up to the final dot. A kept connection
// that turns out to be dead costs nothing: the mail goes over a fresh one.
// body must consist of lines that end in CRLF.
func (c *Client) Begin(ctx context.Context, envelope mail.Envelope, body []byte) (mail.Transaction, *mail.Outcome) {
	if refused := check(envelope, body); refused != nil {
		return nil, refused
	}
	if !c.wait(ctx) {
		return nil, cancelled()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &attempt{cut: cancel}
	if !c.enter(a) {
		<-c.slots
		return nil, cancelled()
	}
	s, fail := c.start(ctx, envelope, body)
	if fail == nil && c.handOver(a, s) {
		return &transaction{client: c, attempt: a, session: s, local: localPart(envelope.To)}, nil
	}
	outcome := cancelled()
	if ctx.Err() == nil && fail != nil {
		*outcome = fail.outcome(localPart(envelope.To))
	}
	if s != nil {
		c.giveBack(s, *outcome)
	}
	c.leave(a)
	<-c.slots
	return nil, outcome
}

// Close implements [mail.Transport].
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
		for _, s := range c.idle {
			s.timer.Stop()
			c.sayGoodbye(s)
		}
		c.idle = nil
		c.checkDrained()
	}
	c.mu.Unlock()
	defer c.quits.Wait()
	select {
	case <-c.drained:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for a := range c.active {
		a.cut()
	}
	return ctx.Err()
}

// check refuses what must never reach the wire.
func check(envelope mail.Envelope, body []byte) *mail.Outcome {
	refuse := func(reason mail.Reason, text string) *mail.Outcome {
		return &mail.Outcome{Class: mail.Permanent, Phase: mail.PhaseDial, Reason: reason, Text: text}
	}
	if !isPath(envelope.From) || !isPath(envelope.To) || envelope.To == "" {
		return refuse(mail.ReasonBadAddress, "sender and recipient must be ASCII addresses")
	}
	lines := bytes.Count(body, []byte("\r\n"))
	if !bytes.HasSuffix(body, []byte("\r\n")) || bytes.Count(body, []byte("\r")) != lines || bytes.Count(body, []byte("\n")) != lines {
		return refuse(mail.ReasonRefused, "the mail must consist of lines that end in CRLF")
	}
	return nil
}

// isPath tells whether s can stand between the angle brackets of MAIL and RCPT.
func isPath(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' }) < 0
}

func localPart(address string) string {
	return address[:max(0, strings.LastIndexByte(address, '@'))]
}

func cancelled() *mail.Outcome {
	o := mail.Cancelled(mail.PhaseDial)
	return &o
}

// wait takes a slot, and then its turn under the rate limit. Without success
// it holds nothing.
func (c *Client) wait(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	case <-c.closing:
		return false
	}
	if c.limit == nil {
		return true
	}
	turn := c.limit.Reserve()
	timer := time.NewTimer(turn.Delay())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.closing:
	}
	turn.Cancel()
	<-c.slots
	return false
}

// enter makes an attempt known to Close. It is false after Close.
func (c *Client) enter(a *attempt) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.active[a] = struct{}{}
	return true
}

// handOver lets Close cut the session itself from now on. It is false when
// Close has already lost patience.
func (c *Client) handOver(a *attempt, s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.cut = s.wire.cut
	return !c.cut
}

func (c *Client) leave(a *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.active, a)
	c.checkDrained()
}

// checkDrained is called with mu held.
func (c *Client) checkDrained() {
	if c.closed && len(c.active) == 0 {
		select {
		case <-c.drained:
		default:
			close(c.drained)
		}
	}
}

// start brings the mail up to its final dot, over a kept connection if there
// is a live one. The session returned beside a failure has yet to be given
// back.
func (c *Client) start(ctx context.Context, envelope mail.Envelope, body []byte) (*session, *failure) {
	if s := c.takeIdle(); s != nil {
		fail := s.run(ctx, envelope, body, c.dialer.timeouts)
		if fail == nil || ctx.Err() != nil || s.data != nil || !fail.stale() {
			return s, fail
		}
		s.wire.cut()
	}
	s, fail := c.dialer.dial(ctx)
	if fail != nil {
		return nil, fail
	}
	return s, s.run(ctx, envelope, body, c.dialer.timeouts)
}

// takeIdle returns the connection used last, which is the likeliest to live.
func (c *Client) takeIdle() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		return nil
	}
	s := c.idle[len(c.idle)-1]
	c.idle = c.idle[:len(c.idle)-1]
	s.timer.Stop() // if it has fired already, expire will not find s
	return s
}

// giveBack keeps a session for the next mail, or ends it.
func (c *Client) giveBack(s *session, outcome mail.Outcome) {
	if outcome.Close || !s.usable() {
		s.wire.cut()
		return
	}
	if outcome.Class != mail.Accepted {
		if err := s.reset(c.dialer.timeouts); err != nil {
			s.wire.cut()
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cut:
		s.wire.cut()
	case c.closed, s.mails >= c.renewal:
		c.sayGoodbye(s)
	default:
		c.idle = append(c.idle, s)
		s.timer = time.AfterFunc(c.idleTTL, func() { c.expire(s) })
	}
}

// expire ends a session that nobody has used for a while.
func (c *Client) expire(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, kept := range c.idle {
		if kept == s {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			c.sayGoodbye(s)
			return
		}
	}
}

// sayGoodbye ends a usable session with QUIT, aside so that no mail waits for
// it. It is called with mu held; Close waits for it.
func (c *Client) sayGoodbye(s *session) {
	a := &attempt{cut: s.wire.cut}
	c.active[a] = struct{}{}
	c.quits.Go(func() {
		s.quit(c.dialer.timeouts)
		c.leave(a)
	})
}
