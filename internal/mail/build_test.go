package mail_test

import (
	"bytes"
	"io"
	"mime"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	"pgregory.net/rapid"

	"bellhop/internal/mail"
)

var testDate = time.Date(2026, 11, 22, 17, 38, 0, 0, time.FixedZone("elsewhere", 5400))

func sampleMessage() mail.Message {
	return mail.Message{
		From: mail.From{Name: "Bellhop", Address: "hello@example.com"}, To: "ana@example.org",
		Subject: "Please confirm", Date: testDate, MessageID: "<0190b7a2.1@example.com>",
		Text: "Hello ü\n.\nend", HTML: "<p>Hello ü</p>\n",
	}
}

// parsed is a mail as another library reads it.
type parsed struct {
	header     message.Header
	text, html string
}

// parse reads a mail with go-message and checks what every mail promises
// (A9.2, A1.3, A1.4, A1.5).
func parse(t interface{ Fatalf(string, ...any) }, body []byte) parsed {
	checkLines(t, body)
	entity, err := message.Read(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("go-message: %v", err)
	}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Auto-Submitted"} {
		fields := entity.Header.FieldsByKey(name)
		if fields.Len() != 1 {
			t.Fatalf("%d fields called %s, want 1", fields.Len(), name)
		}
	}
	if n := entity.Header.Len(); n != 8 {
		t.Fatalf("%d header fields, want 8", n)
	}
	p := parsed{header: entity.Header}
	parts := entity.MultipartReader()
	if parts == nil {
		t.Fatalf("not a multipart")
	}
	for i, want := range []string{"text/plain", "text/html"} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		kind, params, _ := part.Header.ContentType()
		if kind != want || params["charset"] != "utf-8" || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatalf("part %d is %s %v", i, kind, params)
		}
		content, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		*[]*string{&p.text, &p.html}[i] = strings.ReplaceAll(string(content), "\r\n", "\n")
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Fatalf("a third part: %v", err)
	}
	return p
}

// checkLines: A1.3, CRLF only, no line over 76 but one that holds a long address.
func checkLines(t interface{ Fatalf(string, ...any) }, body []byte) {
	if !bytes.HasSuffix(body, []byte("\r\n")) {
		t.Fatalf("the mail does not end in CRLF")
	}
	for i, line := range bytes.Split(bytes.TrimSuffix(body, []byte("\r\n")), []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("line %d holds a bare CR, LF or NUL: %q", i+1, line)
		}
		if len(line) > 76 && !regexp.MustCompile(`^ ?<?[^ ]+@[^ ]+$`).Match(line) || len(line) > 998 {
			t.Fatalf("line %d has %d characters: %q", i+1, len(line), line)
		}
	}
}

func mustBuild(t *testing.T, m mail.Message) []byte {
	t.Helper()
	body, err := mail.Build(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestBuild(t *testing.T) {
	p := parse(t, mustBuild(t, sampleMessage()))
	for name, want := range map[string]string{
		"From": `"Bellhop" <hello@example.com>`, "To": "ana@example.org", "Subject": "Please confirm",
		"Date": "Sun, 22 Nov 2026 16:08:00 +0000", "Message-Id": "<0190b7a2.1@example.com>",
		"Auto-Submitted": "auto-generated", "Mime-Version": "1.0",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if p.text != "Hello ü\n.\nend\n" || p.html != "<p>Hello ü</p>\n" {
		t.Errorf("parts %q, %q", p.text, p.html)
	}
}

// A1.1: the bytes are a pure function of the message.
func TestBuildIsDeterministic(t *testing.T) {
	first := mustBuild(t, sampleMessage())
	for range 200 {
		if !bytes.Equal(first, mustBuild(t, sampleMessage())) {
			t.Fatal("two builds of one message differ")
		}
	}
	other := sampleMessage()
	other.MessageID = "<other.1@example.com>"
	if bytes.Equal(first, mustBuild(t, other)) {
		t.Fatal("another Message-ID gives the same bytes")
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*mail.Message){
		"recipient with a line break": func(m *mail.Message) { m.To = "ana@example.org\r\nBcc: eve@example.org" },
		"two recipients":              func(m *mail.Message) { m.To = "ana@example.org,eve@example.org" },
		"no recipient":                func(m *mail.Message) { m.To = "" },
		"recipient not ASCII":         func(m *mail.Message) { m.To = "jürgen@example.org" },
		"sender in brackets":          func(m *mail.Message) { m.From.Address = "<hello@example.com>" },
		"bare message id":             func(m *mail.Message) { m.MessageID = "a@b" },
		"message id with a break":     func(m *mail.Message) { m.MessageID = "<a@b>\r\nBcc: <x@y>" },
	} {
		m := sampleMessage()
		spoil(&m)
		if body, err := mail.Build(m); err == nil {
			t.Errorf("%s: built\n%s", name, body)
		} else if strings.Contains(err.Error(), "ana") || strings.Contains(err.Error(), "eve") {
			t.Errorf("%s: the error holds an address: %v", name, err)
		}
	}
}

// A1.10: whatever subject and names hold, no header line comes from it, and
// another library reads the same text.
func TestBuildHoldsAnyText(t *testing.T) {
	hostile := rapid.StringOf(rapid.OneOf(
		rapid.Rune(),
		rapid.SampledFrom([]rune{'\r', '\n', 0, '\u2028', '\u2029', '\t', ' ', '"', '\\', '=', '?', '<', '>', '@', ':', '.', '\u202e', 0x7f, 0x85, 'ü', '漢'}),
	))
	rapid.Check(t, func(t *rapid.T) {
		m := sampleMessage()
		m.Subject = hostile.Draw(t, "subject") + strings.Repeat(rapid.SampledFrom([]string{"", "x", "ab ", "ü"}).Draw(t, "filler"), rapid.IntRange(0, 10_000).Draw(t, "times"))
		m.From.Name = hostile.Draw(t, "name")
		m.Text = hostile.Draw(t, "text")
		m.HTML = hostile.Draw(t, "html")
		body, err := mail.Build(m)
		if err != nil {
			t.Fatalf("build: %v", err)
		}
		p := parse(t, body)
		subject, err := new(mime.WordDecoder).DecodeHeader(p.header.Get("Subject"))
		if err != nil || subject != readable(m.Subject) {
			t.Fatalf("subject %q was read as %q, %v", m.Subject, subject, err)
		}
		if from := p.header.Get("From"); !strings.HasSuffix(from, "hello@example.com>") && from != "hello@example.com" {
			t.Fatalf("From: %q", from)
		}
	})
}

// readable is what becomes of a text in a header.
func readable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}

func TestParseFrom(t *testing.T) {
	for in, want := range map[string]mail.From{
		"Bellhop <hello@localhost>":           {Name: "Bellhop", Address: "hello@localhost"},
		"hello@example.com":                   {Address: "hello@example.com"},
		`"Café, Ltd" <a.b@bücher.example>`:    {Name: "Café, Ltd", Address: "a.b@xn--bcher-kva.example"},
		"=?utf-8?q?Caf=C3=A9?= <a@b.example>": {Name: "Café", Address: "a@b.example"},
	} {
		got, err := mail.ParseFrom(in)
		if err != nil || got != want {
			t.Errorf("ParseFrom(%q) = %+v, %v", in, got, err)
		}
		m := sampleMessage()
		m.From = got
		parse(t, mustBuild(t, m))
	}
	for _, in := range []string{"", "hello", "a@b, c@d", "<>", `"a b"@example.com`, "jürgen@example.com", "a@exa mple", strings.Repeat("a", 600) + "@b"} {
		if got, err := mail.ParseFrom(in); err == nil {
			t.Errorf("ParseFrom(%q) = %+v", in, got)
		}
	}
	if f := (mail.From{Address: "hello@localhost"}); mail.MessageID("0190b7a2.sign-up.3", f.Domain()) != "<0190b7a2.sign-up.3@localhost>" {
		t.Error("Message-ID")
	}
}
