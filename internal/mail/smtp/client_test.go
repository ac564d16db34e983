package smtp_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"go.uber.org/goleak"

	"bellhop/internal/mail"
	"bellhop/internal/mail/smtp"
	"bellhop/internal/mail/smtptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTimeouts are short where a test runs into them, and generous otherwise.
func testTimeouts() smtp.Timeouts {
	const long = time.Minute
	return smtp.Timeouts{Dial: long, TLS: long, Greeting: long, Command: long, Data: long, Block: long, Dot: long, Quit: 5 * time.Second}
}

func newClient(t *testing.T, server *smtptest.Server, adjust func(*smtp.Config)) *smtp.Client {
	t.Helper()
	return newClientURL(t, server.URL(), adjust)
}

func newClientURL(t *testing.T, url string, adjust func(*smtp.Config)) *smtp.Client {
	t.Helper()
	endpoint, err := smtp.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	config := smtp.Config{Endpoint: endpoint, Hello: "bellhop.test", Timeouts: testTimeouts()}
	if adjust != nil {
		adjust(&config)
	}
	client, err := smtp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return client
}

func envelope(n int) mail.Envelope {
	return mail.Envelope{From: "hello@bellhop.test", To: fmt.Sprintf("person%d@example.com", n)}
}

// body is a mail with everything that is hard to carry: leading dots, a line
// with a lone dot, and size if asked for.
func body(n, size int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "From: hello@bellhop.test\r\nTo: person%d@example.com\r\nMessage-ID: <%d.1@bellhop.test>\r\n\r\n", n, n)
	b.WriteString(".\r\n..\r\n.leading dot\r\n\r\n.\r\nend\r\n")
	for b.Len() < size {
		b.WriteString(strings.Repeat("x", 70) + "\r\n")
	}
	return []byte(b.String())
}

// send is a whole attempt.
func send(ctx context.Context, client mail.Transport, n int) mail.Outcome {
	tx, refused := client.Begin(ctx, envelope(n), body(n, 0))
	if refused != nil {
		return *refused
	}
	return tx.Commit(ctx)
}

func mustAccept(t *testing.T, client mail.Transport, n int) {
	t.Helper()
	if o := send(t.Context(), client, n); o.Class != mail.Accepted {
		t.Fatalf("mail %d: %v: %s", n, o.Class, o.Explain())
	}
}

// A9.2: a mail as Bellhop makes it arrives byte by byte, and another library
// finds in it what it should.
func TestRenderedMailArrives(t *testing.T) {
	templates, err := mail.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	from := mail.From{Name: "Bellhop", Address: "hello@bellhop.test"}
	renderer, err := mail.NewRenderer(templates, from, "https://signup.example.com")
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := renderer.Render(mail.Request{
		Variant: mail.VariantConfirm, To: "ana@example.com", Link: "https://signup.example.com/confirm/abc", ValidFor: 72 * time.Hour,
		Code: "042917", CodeValidFor: 15 * time.Minute, MessageID: mail.MessageID("0190b7a2.sign-up.1", from.Domain()), Date: time.Unix(0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := smtptest.Start(t, smtptest.Options{})
	client := newClient(t, server, nil)
	tx, refused := client.Begin(t.Context(), mail.Envelope{From: from.Address, To: "ana@example.com"}, rendered.Body)
	if refused != nil {
		t.Fatal(refused.Explain())
	}
	if o := tx.Commit(t.Context()); o.Class != mail.Accepted {
		t.Fatal(o.Explain())
	}
	got := server.Mails()[0]
	if got.SHA256 != hex.EncodeToString(rendered.Hash[:]) || got.MessageID != "<0190b7a2.sign-up.1@bellhop.test>" {
		t.Errorf("arrived as %s %s", got.MessageID, got.SHA256)
	}
	entity, err := message.Read(bytes.NewReader(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	parts := entity.MultipartReader()
	for _, kind := range []string{"text/plain", "text/html"} {
		part, err := parts.NextPart()
		if err != nil || !strings.HasPrefix(part.Header.Get("Content-Type"), kind) {
			t.Fatalf("%s: %v", kind, err)
		}
		if content, err := io.ReadAll(part.Body); err != nil || !bytes.Contains(content, []byte("https://signup.example.com/confirm/abc")) {
			t.Errorf("%s without the link (%v)", kind, err)
		}
	}
}

func TestSendsBytesExactly(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{})
	client := newClient(t, server, nil)
	for n, size := range []int{0, 4000, 4096, 5000, 100_000, 3_000_000} {
		tx, refused := client.Begin(t.Context(), envelope(n), body(n, size))
		if refused != nil {
			t.Fatal(refused.Explain())
		}
		if o := tx.Commit(t.Context()); o.Class != mail.Accepted || o.Phase != mail.PhaseDot || o.Code != 250 || o.Enhanced != "2.0.0" {
			t.Fatalf("outcome %+v", o)
		}
		got := server.Mails()[n]
		if string(got.Body) != string(body(n, size)) {
			t.Errorf("size %d: %d bytes arrived, not those that were sent", size, len(got.Body))
		}
		if got.From != envelope(n).From || got.To != envelope(n).To || got.MessageID != fmt.Sprintf("<%d.1@bellhop.test>", n) {
			t.Errorf("envelope %q %q %q", got.From, got.To, got.MessageID)
		}
	}
	if n := server.Connections(); n != 1 {
		t.Errorf("%d connections for mails one after the other, want 1", n)
	}
}
