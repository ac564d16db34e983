package mail_test

import (
	"crypto/sha256"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bellhop/internal/mail"
)

const testLink = "https://signup.example.com/confirm/AbC-_123?x=1&y=2"

func newRenderer(t testing.TB, dir string) *mail.Renderer {
	t.Helper()
	templates, err := mail.LoadTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := mail.NewRenderer(templates, mail.From{Name: "Bellhop", Address: "hello@example.com"}, "https://signup.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func confirmRequest() mail.Request {
	return mail.Request{
		Variant: mail.VariantConfirm, To: "ana@example.org", Link: testLink, ValidFor: 72 * time.Hour,
		MessageID: "<0190b7a2.1@example.com>", Date: testDate,
	}
}

// A1.1: 200 renders of one row, from two renderers, are one string of bytes.
func TestRenderIsDeterministic(t *testing.T) {
	renderers := []*mail.Renderer{newRenderer(t, ""), newRenderer(t, "")}
	first, err := renderers[0].Render(confirmRequest())
	if err != nil {
		t.Fatal(err)
	}
	if first.Hash != sha256.Sum256(first.Body) {
		t.Error("the hash is not that of the bytes")
	}
	for i := range 200 {
		again, err := renderers[i%2].Render(confirmRequest())
		if err != nil || again.Hash != first.Hash || string(again.Body) != string(first.Body) {
			t.Fatalf("render %d differs: %v", i, err)
		}
	}
}

// A8.3 and A1.6: both parts hold the same link and the same facts, and a way
// out for somebody who did not ask for it.
func TestConfirmSaysTheSameTwice(t *testing.T) {
	rendered, err := newRenderer(t, "").Render(confirmRequest())
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, rendered.Body)
	links := regexp.MustCompile(`https?://[^\s"<>]+`)
	plain := html.UnescapeString(p.html)
	for _, part := range []struct{ name, content string }{{"text", p.text}, {"html", plain}} {
		for _, fact := range []string{testLink, "72 hours", "Bellhop", "signup.example.com", "ignore this mail", "That wasn't you?"} {
			if !strings.Contains(part.content, fact) {
				t.Errorf("the %s part does not say %q", part.name, fact)
			}
		}
		for _, link := range links.FindAllString(part.content, -1) {
			if link != testLink {
				t.Errorf("the %s part holds another link: %s", part.name, link)
			}
		}
	}
	if n := strings.Count(p.text, "http"); n != 1 {
		t.Errorf("%d links in the text, want 1", n)
	}
}

// A8.2: nothing is fetched, small, readable in the dark and on a phone.
func TestConfirmHTMLIsSelfContained(t *testing.T) {
	rendered, err := newRenderer(t, "").Render(confirmRequest())
	if err != nil {
		t.Fatal(err)
	}
	markup := parse(t, rendered.Body).html
	for _, banned := range []string{"<script", "<img", "<link", "@import", "url(", "src=", "<iframe", "<form", "ZgotmplZ"} {
		if strings.Contains(markup, banned) {
			t.Errorf("the HTML holds %s", banned)
		}
	}
	for _, wanted := range []string{`<html lang="en"`, `dir="ltr"`, `name="color-scheme"`, `name="viewport"`, "prefers-color-scheme: dark", "<title>"} {
		if !strings.Contains(markup, wanted) {
			t.Errorf("the HTML lacks %s", wanted)
		}
	}
	if len(markup) > 100<<10 {
		t.Errorf("%d bytes of HTML", len(markup))
	}
}

func TestValidForInWords(t *testing.T) {
	r := newRenderer(t, "")
	for d, want := range map[time.Duration]string{
		time.Minute: "1 minute", 90 * time.Minute: "90 minutes", time.Hour: "1 hour", 24 * time.Hour: "24 hours",
		72 * time.Hour: "72 hours", 168 * time.Hour: "7 days", 71*time.Hour + 59*time.Minute: "71 hours", 15*time.Minute + 59*time.Second: "15 minutes",
	} {
		request := confirmRequest()
		request.ValidFor = d
		rendered, err := r.Render(request)
		if err != nil || !strings.Contains(parse(t, rendered.Body).text, "works for "+want+".") {
			t.Errorf("%v is not said as %q (%v)", d, want, err)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	r := newRenderer(t, "")
	for _, spoil := range []func(*mail.Request){
		func(q *mail.Request) { q.Variant = "unheard-of" },
		func(q *mail.Request) { q.To = "ana@example.org\nBcc: x@y" },
		func(q *mail.Request) { q.MessageID = "" },
	} {
		request := confirmRequest()
		spoil(&request)
		if _, err := r.Render(request); err == nil || strings.Contains(err.Error(), "ana@") {
			t.Errorf("%+v: %v", request, err)
		}
	}
}

func TestTemplatesAreOverriddenFileByFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "confirm.subject", "Bitte bestätigen\n")
	write(t, dir, "confirm.txt", "Öffnen: {{.Link}} ({{.ValidFor}})\n")
	write(t, dir, "README", "not a template")
	rendered, err := newRenderer(t, dir).Render(confirmRequest())
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, rendered.Body)
	if subject, _ := p.header.Text("Subject"); subject != "Bitte bestätigen" || p.text != "Öffnen: "+testLink+" (72 hours)\n" {
		t.Errorf("subject %q, text %q", subject, p.text)
	}
	if !strings.Contains(p.html, "Confirm my address") {
		t.Error("the embedded HTML is gone")
	}
}

// A8.1: a template error fails the start, naming the file and the reason.
func TestTemplateFaultsFailTheLoad(t *testing.T) {
	for name, tc := range map[string]struct{ file, source, want string }{
		"syntax":         {"confirm.txt", "{{.Link", "unclosed action"},
		"unknown field":  {"confirm.html", "<p>{{.Link}} {{.ValidFor}} {{.Name}}</p>", "Name"},
		"no link":        {"confirm.txt", "hello {{.ValidFor}}", "{{.Link}}"},
		"no duration":    {"confirm.html", `<a href="{{.Link}}">x</a>`, "{{.ValidFor}}"},
		"empty subject":  {"confirm.subject", " \n", "one line"},
		"long subject":   {"confirm.subject", "a\nb", "one line"},
		"too long":       {"confirm.html", `<a href="{{.Link}}">{{.ValidFor}}</a>` + strings.Repeat("x", 110<<10), "too long"},
		"unheard-of":     {"welcom.txt", "hello", "no mail is called that"},
		"script context": {"confirm.html", "<script>{{.Link}", "confirm.html"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, tc.file, tc.source)
			_, err := mail.LoadTemplates(dir)
			if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, tc.file)) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %s and %q", err, tc.file, tc.want)
			}
		})
	}
	if _, err := mail.LoadTemplates(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing directory is no error")
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRender(b *testing.B) {
	r := newRenderer(b, "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Render(confirmRequest()); err != nil {
			b.Fatal(err)
		}
	}
}
