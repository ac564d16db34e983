// Package smtptest is a mail server for tests and measurements: it keeps what
// it accepts, writes it to a log that survives a crash before it says 250, and
// fails on request at any step. The log, not Bellhop's own tables, is what
// tests believe.
//
// The protocol is go-smtp's server. Faults are played on the connection below
// it, so that a reply, a broken connection or silence can stand in for any
// answer. Below STARTTLS nothing can be read, so there faults stop at the
// handshake; with implicit TLS they work at every step.
package smtptest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// Options are what a server is like. The zero value accepts everything from
// everyone, without TLS, on a free port of loopback.
type Options struct {
	// Addr is where to listen. Default: "127.0.0.1:0".
	Addr string
	// LogPath is the file accepted mails are appended to, one JSON object per
	// line, on disk before the 250 is sent. Default: no log.
	LogPath string
	// NoSync leaves out the waiting for the disk, for measurements.
	NoSync bool
	// Forget keeps no mails in memory, only their number.
	Forget bool
	// TLS offers STARTTLS, or is used from the first byte with Implicit.
	TLS      *tls.Config
	Implicit bool
	// User and Password are asked for when set, by the mechanisms named in
	// Mechanisms (PLAIN, LOGIN). Default: both.
	User, Password string
	Mechanisms     []string
	// MaxBytes refuses larger mails. Default: no limit.
	MaxBytes int64
	// Script decides which answers fail. Default: none. See SetScript.
	Script Script
}

// Mail is one mail the server has taken responsibility for.
type Mail struct {
	Time      time.Time `json:"time"`
	Conn      int       `json:"conn"`
	From      string    `json:"from"`
	To        string    `json:"to"` // several are joined by commas
	MessageID string    `json:"messageId"`
	SHA256    string    `json:"sha256"` // of Body, in hex
	Body      []byte    `json:"body"`
}

// Server is a running mail server. Its methods may be called concurrently.
type Server struct {
	options  Options
	listener net.Listener
	smtp     *gosmtp.Server
	serving  sync.WaitGroup
	journal  *journal // nil without LogPath

	mu     sync.Mutex
	script Script
	seen   map[seenKey]int
	mails  []Mail
	count  int
	change chan struct{} // closed and replaced by changed
	conns  map[*conn]struct{}
	dialed int
	closed bool
}

// New starts a server. Close it after use.
func New(options Options) (*Server, error) {
	if options.Addr == "" {
		options.Addr = "127.0.0.1:0"
	}
	if options.Mechanisms == nil {
		options.Mechanisms = []string{sasl.Plain, sasl.Login}
	}
	s := &Server{
		options: options, script: options.Script,
		seen: make(map[seenKey]int), conns: make(map[*conn]struct{}), change: make(chan struct{}),
	}
	var err error
	if options.LogPath != "" {
		if s.journal, err = openJournal(options.LogPath, options.NoSync); err != nil {
			return nil, err
		}
	}
	if s.listener, err = net.Listen("tcp", options.Addr); err != nil {
		return nil, fmt.Errorf("listen for mails: %w", err)
	}
	s.smtp = s.newSMTP()
	s.serving.Go(func() { _ = s.smtp.Serve(acceptor{s.listener, s}) })
	return s, nil
}

// newSMTP is the protocol half.
func (s *Server) newSMTP() *gosmtp.Server {
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		return &session{server: s, conn: unwrap(c.Conn())}, nil
	}))
	server.Domain = "smtptest.invalid"
	server.AllowInsecureAuth = true
	server.MaxMessageBytes = s.options.MaxBytes
	server.ErrorLog = log.New(io.Discard, "", 0)
	if !s.options.Implicit {
		server.TLSConfig = s.options.TLS
	}
	return server
}

// TB is the part of [testing.TB] that Start needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start is New for tests: it fails the test on an error and closes the server
// at its end.
func Start(t TB, options Options) *Server {
	t.Helper()
	s, err := New(options)
	if err != nil {
		t.Fatalf("start mail server: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Fatalf("close mail server: %v", err)
		}
	})
	return s
}

// Addr is the host and port the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is Addr as a setting for Bellhop, without user and password.
func (s *Server) URL() string {
	switch {
	case s.options.Implicit:
		return "smtps://" + s.Addr()
	case s.options.TLS != nil:
		return "smtp://" + s.Addr() + "?tls=starttls"
	}
	return "smtp://" + s.Addr()
}

// SetScript changes the script for what comes from now on; nil for no faults.
func (s *Server) SetScript(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Mails are the mails accepted so far, oldest first. Empty with Forget.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Count is how many mails were accepted so far.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Connections is how many connections were made so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialed
}

// Drop ends all connections there are now without a word, as a restarting
// server would.
func (s *Server) Drop() {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// WaitFor returns once n mails were accepted in all, or with ctx's error.
func (s *Server) WaitFor(ctx context.Context, n int) error {
	return s.wait(ctx, func() (bool, string) {
		return s.count >= n, fmt.Sprintf("wait for %d mails, have %d", n, s.count)
	})
}

// WaitIdle returns once every connection has ended, so that whatever came over
// them has been looked at, or with ctx's error.
func (s *Server) WaitIdle(ctx context.Context) error {
	return s.wait(ctx, func() (bool, string) {
		return len(s.conns) == 0, fmt.Sprintf("wait for connections to end, have %d", len(s.conns))
	})
}

// wait returns once done, which is called with mu held, says so.
func (s *Server) wait(ctx context.Context, done func() (bool, string)) error {
	for {
		s.mu.Lock()
		ok, what := done()
		change := s.change
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
}

// changed wakes those who wait. It is called with mu held.
func (s *Server) changed() {
	close(s.change)
	s.change = make(chan struct{})
}

// Close ends the server and its connections, and waits for their goroutines.
// A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	_ = s.listener.Close()
	s.serving.Wait() // no connection is added after this, as Shutdown needs it
	s.Drop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := s.smtp.Shutdown(ctx)
	if err != nil && !isClosed(err) {
		return fmt.Errorf("shut down mail server: %w", err)
	}
	if s.journal != nil {
		return s.journal.close()
	}
	return nil
}

// accept records a mail: on disk first, then for Mails and WaitFor.
func (s *Server) accept(m Mail) error {
	if s.journal != nil {
		if err := s.journal.append(m); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if !s.options.Forget {
		s.mails = append(s.mails, m)
	}
	s.changed()
	return nil
}

// session is go-smtp's view of one connection.
type session struct {
	server     *Server
	conn       *conn
	from       string
	recipients []string
}

func (s *session) Reset() { s.from, s.recipients = "", nil }

func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.recipients = append(s.recipients, to)
	return nil
}

// Data is called after the 354. It sees the whole content or an error.
func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	fault := s.conn.fault(Dot)
	if fault == nil || fault.Accept || !fault.answers() {
		if err := s.server.accept(s.mail(body)); err != nil {
			return err
		}
	}
	if fault != nil {
		s.conn.answerWith(fault)
	}
	return nil
}

func (s *session) mail(body []byte) Mail {
	sum := sha256.Sum256(body)
	return Mail{
		Time: time.Now().UTC(), Conn: s.conn.number, From: s.from, To: strings.Join(s.recipients, ","),
		MessageID: headerValue(body, "Message-Id"), SHA256: hex.EncodeToString(sum[:]), Body: body,
	}
}

// headerValue reads one header field, unfolded, without allocating the rest.
func headerValue(body []byte, name string) string {
	head, _, _ := strings.Cut(string(body[:min(len(body), 8<<10)]), "\r\n\r\n")
	var value strings.Builder
	found := false
	for line := range strings.SplitSeq(head, "\r\n") {
		if found && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			value.WriteString(line)
			continue
		}
		if found {
			break
		}
		if field, rest, ok := strings.Cut(line, ":"); ok && textproto.CanonicalMIMEHeaderKey(field) == name {
			found = true
			value.WriteString(rest)
		}
	}
	return strings.TrimSpace(value.String())
}
