package smtp

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"bellhop/internal/mail"
	"bellhop/internal/mail/smtptest"
)

// scissors is a connection that breaks after so many bytes in one direction;
// negative means never.
type scissors struct {
	net.Conn
	writes, reads int
}

func (s *scissors) Write(p []byte) (int, error) {
	if s.writes < 0 || len(p) <= s.writes {
		s.writes = max(-1, s.writes-len(p))
		return s.Conn.Write(p)
	}
	n, _ := s.Conn.Write(p[:s.writes])
	s.writes = 0
	return n, io.ErrClosedPipe
}

func (s *scissors) Read(p []byte) (int, error) {
	if s.reads == 0 {
		return 0, io.EOF
	}
	if s.reads > 0 {
		p = p[:min(len(p), s.reads)]
	}
	n, err := s.Conn.Read(p)
	if s.reads > 0 {
		s.reads -= n
	}
	return n, err
}

// A9.3 and trap 2, exhaustively: the connection breaks after every single byte
// that we write, and after every one that we read. Whatever the outcome says
// must be true: accepted only if the server has the mail, and anything but
// accepted and unknown only if it has not.
func TestCutAtEveryByte(t *testing.T) {
	envelope := mail.Envelope{From: "hello@bellhop.test", To: "ana@example.com"}
	body := []byte("Message-ID: <1@x>\r\n\r\n.\r\nend\r\n")
	const enough = 1 << 20
	for _, direction := range []string{"writes", "reads"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			last := -1
			for cut := 0; cut != last+1 || last < 0; cut++ {
				conn := &scissors{writes: -1, reads: -1}
				*map[string]*int{"writes": &conn.writes, "reads": &conn.reads}[direction] = cut
				outcome, delivered := sendThrough(t, conn, envelope, body)
				switch {
				case delivered && outcome.Class != mail.Accepted && outcome.Class != mail.Unknown,
					!delivered && outcome.Class == mail.Accepted:
					t.Fatalf("cut after %d: delivered %v, but %v: %s", cut, delivered, outcome.Class, outcome.Explain())
				case direction == "writes" && outcome.Class == mail.Unknown:
					t.Fatalf("cut after %d bytes written: the dot was not written whole, so it is not unknown", cut)
				case outcome.Class == mail.Accepted:
					last = cut // nothing was missing
				case cut > enough:
					t.Fatal("no end")
				}
			}
			if last < 100 {
				t.Errorf("accepted after %d bytes", last)
			}
		})
	}
}

// sendThrough sends one mail over conn and tells what the server's log says.
func sendThrough(t *testing.T, conn *scissors, envelope mail.Envelope, body []byte) (mail.Outcome, bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mails.log")
	server, err := smtptest.New(smtptest.Options{LogPath: path, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	if conn.Conn, err = net.Dial("tcp", server.Addr()); err != nil {
		t.Fatal(err)
	}
	outcome := attemptOver(t, conn, envelope, body)
	_ = conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
	mails, err := smtptest.ReadLog(path)
	if err != nil || len(mails) > 1 {
		t.Fatalf("%d mails in the log, %v", len(mails), err)
	}
	return outcome, len(mails) == 1
}

func attemptOver(t *testing.T, conn *scissors, envelope mail.Envelope, body []byte) mail.Outcome {
	t.Helper()
	timeouts := Timeouts{}.withDefaults()
	d := dialer{endpoint: Endpoint{Security: None}, hello: "bellhop.test", timeouts: timeouts}
	s, fail := d.establish(t.Context(), &wire{Conn: conn, socket: conn})
	if fail == nil {
		fail = s.begin(envelope, body, timeouts)
	}
	if fail != nil {
		return fail.outcome()
	}
	text, fail := s.commit(timeouts)
	if fail != nil {
		return fail.outcome()
	}
	return mail.Classify(mail.PhaseDot, mail.Reply{Code: 250, Text: text})
}
