package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"bellhop/internal/mail"
)

const (
	blockBytes    = 32 << 10 // written under one deadline
	preambleBytes = 64 << 10 // the most a server may say before TLS
)

var (
	errNotLoopback = errors.New("the mail server is not on this machine, and without TLS nothing is sent to another one: use STARTTLS, or say ?tls=none")
	errNoSTARTTLS  = errors.New("the mail server does not offer STARTTLS, which is required here")
	errInjected    = errors.New("the mail server sent more than its answer to STARTTLS: somebody may be injecting replies")
	errNoMechanism = errors.New("the mail server offers neither AUTH PLAIN nor AUTH LOGIN")
)

// failure is where and why a transaction ended before it was handed over.
type failure struct {
	phase mail.Phase
	err   error
}

// session is one connection, past EHLO and AUTH. It has one user at a time.
type session struct {
	wire  *wire
	text  *gosmtp.Client
	data  *gosmtp.DataCommand // while a mail's content is being written
	mails int                 // transactions begun
	timer *time.Timer         // ends it when it has been idle for too long
}

// credentials sit behind a pointer, which fmt does not follow.
type credentials struct {
	user, password string
}

// dialer opens sessions.
type dialer struct {
	endpoint Endpoint // without the password
	login    *credentials
	hello    string
	tls      *tls.Config
	timeouts Timeouts
}

// dial opens a connection and brings it to where MAIL can be said.
func (d *dialer) dial(ctx context.Context) (*session, *failure) {
	tcp := net.Dialer{Timeout: d.timeouts.Dial}
	socket, err := tcp.DialContext(ctx, "tcp", net.JoinHostPort(d.endpoint.Host, d.endpoint.Port))
	if err != nil {
		return nil, &failure{mail.PhaseDial, err}
	}
	w := &wire{Conn: socket, socket: socket}
	stop := context.AfterFunc(ctx, w.cut)
	s, fail := d.establish(ctx, w)
	if !stop() && fail == nil {
		fail = &failure{mail.PhaseHello, ctx.Err()}
	}
	if fail != nil {
		w.cut()
		return nil, fail
	}
	return s, nil
}

// establish encrypts, greets and logs in, as configured.
func (d *dialer) establish(ctx context.Context, w *wire) (*session, *failure) {
	var fail *failure
	switch d.endpoint.Security {
	case Implicit:
		fail = d.handshake(ctx, w)
	case STARTTLS:
		fail = d.startTLS(ctx, w)
	default:
		fail = d.checkLoopback(w)
	}
	if fail != nil {
		return nil, fail
	}
	s := &session{wire: w, text: gosmtp.NewClient(w)}
	w.wrote = false
	s.text.CommandTimeout = d.timeouts.Greeting
	if err := s.text.Hello(d.hello); err != nil {
		if !w.wrote {
			return nil, &failure{mail.PhaseGreeting, err}
		}
		return nil, &failure{mail.PhaseHello, err}
	}
	return s, d.authenticate(s)
}

// checkLoopback guards mails and, without exception, the login.
func (d *dialer) checkLoopback(w *wire) *failure {
	if tcp, ok := w.socket.RemoteAddr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	if d.endpoint.ClearOnPurpose && d.login == nil {
		return nil
	}
	return &failure{mail.PhaseDial, errNotLoopback}
}

func (d *dialer) handshake(ctx context.Context, w *wire) *failure {
	_ = w.socket.SetDeadline(time.Now().Add(d.timeouts.TLS))
	conn := tls.Client(w.socket, d.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return &failure{mail.PhaseTLS, err}
	}
	_ = w.socket.SetDeadline(time.Time{})
	w.Conn = conn
	return nil
}

// startTLS upgrades (RFC 3207). go-smtp could do it, but says "EHLO localhost"
// first and drops injected lines in silence. Its client begins after the
// upgrade and is given a greeting to read, for the server has sent its own.
func (d *dialer) startTLS(ctx context.Context, w *wire) *failure {
	text := textproto.NewConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{bufio.NewReader(io.LimitReader(w, preambleBytes)), w, w})
	_ = w.socket.SetDeadline(time.Now().Add(d.timeouts.Greeting))
	if _, _, err := text.ReadResponse(220); err != nil {
		return &failure{mail.PhaseGreeting, err}
	}
	_ = w.socket.SetDeadline(time.Now().Add(d.timeouts.Command))
	offers, err := ask(text, 250, "EHLO "+d.hello)
	if err != nil {
		return &failure{mail.PhaseHello, err}
	}
	if !offersSTARTTLS(offers) {
		return &failure{mail.PhaseTLS, errNoSTARTTLS}
	}
	if _, err := ask(text, 220, "STARTTLS"); err != nil {
		return &failure{mail.PhaseTLS, err}
	}
	if w.replies.more {
		return &failure{mail.PhaseTLS, errInjected}
	}
	w.first = []byte("220 continued under TLS\r\n")
	return d.handshake(ctx, w)
}

func ask(text *textproto.Conn, expect int, command string) (string, error) {
	if err := text.PrintfLine("%s", command); err != nil {
		return "", err
	}
	_, answer, err := text.ReadResponse(expect)
	return answer, err
}

func offersSTARTTLS(offers string) bool {
	for _, line := range strings.Split(offers, "\n") {
		if strings.EqualFold(strings.TrimSpace(line), "STARTTLS") {
			return true
		}
	}
	return false
}

// authenticate logs in with the best mechanism offered.
func (d *dialer) authenticate(s *session) *failure {
	if d.login == nil {
		return nil
	}
	s.text.CommandTimeout = d.timeouts.Command
	var mechanism sasl.Client
	switch {
	case s.text.SupportsAuth(sasl.Plain):
		mechanism = sasl.NewPlainClient("", d.login.user, d.login.password)
	case s.text.SupportsAuth(sasl.Login):
		mechanism = sasl.NewLoginClient(d.login.user, d.login.password)
	default:
		return &failure{mail.PhaseAuth, errNoMechanism}
	}
	if err := s.text.Auth(mechanism); err != nil {
		return &failure{mail.PhaseAuth, err}
	}
	return nil
}

// run is begin, cut short when ctx ends.
func (s *session) run(ctx context.Context, envelope mail.Envelope, body []byte, t Timeouts) *failure {
	stop := context.AfterFunc(ctx, s.wire.cut)
	fail := s.begin(envelope, body, t)
	if !stop() && fail == nil {
		fail = &failure{mail.PhaseData, ctx.Err()}
	}
	return fail
}

// begin says MAIL, RCPT and DATA and writes the content up to the final dot.
func (s *session) begin(envelope mail.Envelope, body []byte, t Timeouts) *failure {
	s.mails++
	s.text.CommandTimeout = t.Command
	if err := s.text.Mail(envelope.From, &gosmtp.MailOptions{Size: int64(len(body))}); err != nil {
		return &failure{mail.PhaseMail, err}
	}
	if err := s.text.Rcpt(envelope.To, nil); err != nil {
		return &failure{mail.PhaseRcpt, err}
	}
	if envelope.Underway != nil {
		envelope.Underway()
	}
	s.text.CommandTimeout = t.Data
	data, err := s.text.Data()
	if err != nil {
		return &failure{mail.PhaseData, err}
	}
	s.data = data
	if s.wire.replies.more {
		return &failure{mail.PhaseData, fmt.Errorf("after DATA: %w", mail.ErrGarbled)}
	}
	for len(body) > 0 {
		n := min(len(body), blockBytes)
		_ = s.wire.SetWriteDeadline(time.Now().Add(t.Block))
		if _, err := data.Write(body[:n]); err != nil {
			return &failure{mail.PhaseData, err}
		}
		body = body[n:]
	}
	return nil
}

// commit writes the final dot and waits for the answer.
func (s *session) commit(t Timeouts) (string, *failure) {
	_ = s.wire.SetWriteDeadline(time.Now().Add(t.Block))
	s.text.SubmissionTimeout = t.Dot
	s.wire.dotting = true
	response, err := s.data.CloseWithResponse()
	s.wire.dotting = false
	switch {
	case err == nil:
		s.data = nil
		return response.StatusText, nil
	case s.wire.short:
		// The last byte did not leave this process, so the server cannot have
		// seen the end of the data.
		return "", &failure{mail.PhaseDot, fmt.Errorf("%w: %w", mail.ErrDotNotWritten, err)}
	}
	if isReply(err) {
		s.data = nil
	}
	return "", &failure{mail.PhaseDot, err}
}

// usable tells whether another command may follow: no content is open, and the
// server has said no more than it was asked.
func (s *session) usable() bool { return s.data == nil && !s.wire.replies.more }

// reset ends a transaction that the server refused.
func (s *session) reset(t Timeouts) error {
	s.text.CommandTimeout = t.Quit
	return s.text.Reset()
}

// quit ends a usable session politely. What comes back does not matter.
func (s *session) quit(t Timeouts) {
	s.text.CommandTimeout = t.Quit
	_ = s.text.Quit()
	_ = s.wire.socket.Close()
}

// outcome puts a failure into the table. private must not appear in its text.
func (f *failure) outcome(private ...string) mail.Outcome {
	var reply *gosmtp.SMTPError
	var plain *textproto.Error
	var protocol textproto.ProtocolError
	switch {
	case errors.As(f.err, &reply):
		return mail.Classify(f.phase, mail.Reply{Code: reply.Code, Status: statusOf(reply), Text: reply.Message}, private...)
	case errors.As(f.err, &plain):
		return mail.Classify(f.phase, mail.Reply{Code: plain.Code, Status: leadingStatus(plain.Msg), Text: plain.Msg}, private...)
	case errors.As(f.err, &protocol), errors.Is(f.err, gosmtp.ErrTooLongLine):
		return mail.ClassifyError(f.phase, fmt.Errorf("%w: %w", mail.ErrGarbled, f.err), private...)
	}
	return mail.ClassifyError(f.phase, f.err, private...)
}

// stale tells whether a kept connection turned out to be dead before the
// content was begun: broken, or the server saying goodbye with 421.
func (f *failure) stale() bool {
	var reply *gosmtp.SMTPError
	if errors.As(f.err, &reply) {
		return reply.Code == 421
	}
	return true
}

func isReply(err error) bool {
	var reply *gosmtp.SMTPError
	return errors.As(err, &reply)
}

func statusOf(reply *gosmtp.SMTPError) [3]int {
	if reply.EnhancedCode != gosmtp.EnhancedCodeNotSet {
		return reply.EnhancedCode
	}
	return leadingStatus(reply.Message)
}

// leadingStatus reads the enhanced status code at the start of a reply's text.
func leadingStatus(text string) [3]int {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	digits := strings.Split(word, ".")
	if len(digits) != 3 {
		return [3]int{}
	}
	var status [3]int
	for i, d := range digits {
		n, err := strconv.Atoi(d)
		if err != nil {
			return [3]int{}
		}
		status[i] = n
	}
	return status
}
