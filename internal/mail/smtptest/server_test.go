package smtptest_test

import (
	"context"
	"errors"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/porttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const content = "Subject: hello\r\nMessage-ID:\r\n <1@example.com>\r\n\r\n..dots\r\n.\r\nend\r\n"

// deliver uses the standard library's client, which shares nothing with ours.
func deliver(server *smtptest.Server, to string) error {
	return smtp.SendMail(server.Addr(), nil, "from@example.com", []string{to}, []byte(content))
}

// A9.1: the log holds what was accepted, to the byte, and is there before the
// sender hears of it.
func TestLogIsTheOracle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mails.log")
	server := smtptest.Start(t, smtptest.Options{LogPath: path})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := deliver(server, "ana@example.com"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	logged, err := smtptest.ReadLog(path)
	if err != nil || len(logged) != 8 || server.Count() != 8 || len(server.Mails()) != 8 {
		t.Fatalf("%d logged, %d counted (%v)", len(logged), server.Count(), err)
	}
	for _, m := range logged {
		if string(m.Body) != content || m.From != "from@example.com" || m.To != "ana@example.com" || m.MessageID != "<1@example.com>" || len(m.SHA256) != 64 || m.Conn == 0 || m.Time.IsZero() {
			t.Errorf("logged %+v", m)
		}
	}
}

// A crash may cut the last line short. A log goes on where it ended.
func TestLogAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mails.log")
	for range 2 {
		server := smtptest.Start(t, smtptest.Options{LogPath: path, NoSync: true})
		if err := deliver(server, "ana@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-10); err != nil {
		t.Fatal(err)
	}
	if logged, err := smtptest.ReadLog(path); err != nil || len(logged) != 1 {
		t.Errorf("%d mails, %v", len(logged), err)
	}
}

func TestScriptByRecipient(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{MaxBytes: 1000, Script: smtptest.First(
		smtptest.For("grey@example.com", smtptest.Once(smtptest.RcptTo, smtptest.Fault{Reply: "450 4.2.0 greylisted"})),
		smtptest.For("gone@example.com", smtptest.At(smtptest.RcptTo, smtptest.Fault{Reply: "550 5.1.1 gone"})),
		smtptest.For("lost@example.com", smtptest.At(smtptest.Dot, smtptest.Fault{Accept: true, Then: smtptest.EOF})),
		smtptest.For("half@example.com", smtptest.At(smtptest.Body, smtptest.Fault{Then: smtptest.RST})),
		smtptest.For("slow@example.com", smtptest.At(smtptest.Dot, smtptest.Fault{Delay: 50 * time.Millisecond})),
	)})
	for _, tc := range []struct {
		to   string
		code int // 0 for success, -1 for a broken connection
	}{
		{"grey@example.com", 450}, {"grey@example.com", 0}, {"gone@example.com", 550}, {"ana@example.com", 0},
		{"lost@example.com", -1}, {"half@example.com", -1}, {"slow@example.com", 0},
	} {
		err := deliver(server, tc.to)
		var reply *textproto.Error
		switch {
		case tc.code == 0 && err == nil, tc.code < 0 && err != nil && !errors.As(err, &reply), errors.As(err, &reply) && reply.Code == tc.code:
		default:
			t.Errorf("%s: %v, want %d", tc.to, err, tc.code)
		}
	}
	var accepted []string
	for _, m := range server.Mails() {
		accepted = append(accepted, m.To)
	}
	if got := strings.Join(accepted, " "); got != "grey@example.com ana@example.com lost@example.com slow@example.com" {
		t.Errorf("accepted %s", got)
	}
	err := smtp.SendMail(server.Addr(), nil, "a@b", []string{"c@d"}, []byte(strings.Repeat("x", 60)+"\r\n"+strings.Repeat("y\r\n", 1000)))
	var reply *textproto.Error
	if !errors.As(err, &reply) || reply.Code != 552 {
		t.Errorf("too large: %v", err)
	}
}

func TestWaitFor(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{Forget: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var sending sync.WaitGroup
	sending.Go(func() {
		for range 3 {
			if err := deliver(server, "ana@example.com"); err != nil {
				t.Error(err)
			}
		}
	})
	if err := server.WaitFor(ctx, 3); err != nil {
		t.Error(err)
	}
	sending.Wait()
	if err := server.WaitIdle(ctx); err != nil {
		t.Error(err)
	}
	if len(server.Mails()) != 0 || server.Count() != 3 {
		t.Errorf("%d mails kept, %d counted", len(server.Mails()), server.Count())
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.WaitFor(over, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitFor: %v", err)
	}
}

// A server can come back where it was, as after an outage.
func TestRestartOnTheSameAddress(t *testing.T) {
	address := porttest.Hold(t)
	first := smtptest.Start(t, smtptest.Options{Addr: address})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := deliver(first, "ana@example.com"); err == nil {
		t.Error("a closed server takes mails")
	}
	second := smtptest.Start(t, smtptest.Options{Addr: address})
	if err := deliver(second, "ana@example.com"); err != nil {
		t.Error(err)
	}
}

func TestLogins(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{User: "ana", Password: "secret"})
	for name, tc := range map[string]struct {
		mechanism sasl.Client
		ok        bool
	}{
		"plain":       {sasl.NewPlainClient("", "ana", "secret"), true},
		"plain wrong": {sasl.NewPlainClient("", "ana", "guess"), false},
		"login":       {sasl.NewLoginClient("ana", "secret"), true},
		"login wrong": {sasl.NewLoginClient("eve", "secret"), false},
	} {
		client, err := gosmtp.Dial(server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Auth(tc.mechanism); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		_ = client.Close()
	}
}
