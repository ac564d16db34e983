package mail_test

import (
	"cmp"
	"crypto/sha256"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

const testCode = "042917"

func confirmRequest() mail.Request { return request(mail.VariantConfirm, "en") }

func request(variant, locale string) mail.Request {
	return mail.Request{
		Variant: variant, Locale: locale, To: "ana@example.org", Link: testLink, ValidFor: 72 * time.Hour,
		Code: testCode, CodeValidFor: 15 * time.Minute, MessageID: "<0190b7a2.1@example.com>", Date: testDate,
	}
}

// each runs a test with every mail in every language there is.
func each(t *testing.T, test func(t *testing.T, variant, locale string, p parsed)) {
	t.Helper()
	templates, err := mail.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	r := newRenderer(t, "")
	for _, locale := range templates.Languages() {
		for _, variant := range []string{mail.VariantConfirm, mail.VariantAlreadyRegistered, mail.VariantSignIn, mail.VariantWelcome} {
			t.Run(locale+"/"+variant, func(t *testing.T) {
				rendered, err := r.Render(request(variant, locale))
				if err != nil {
					t.Fatal(err)
				}
				test(t, variant, locale, parse(t, rendered.Body))
			})
		}
	}
}

// said is a sentence that a mail must have, in each language.
var said = map[string]map[string][]string{
	"en": {
		mail.VariantConfirm:           {"72 hours", "15 minutes", "That wasn't you?", "ignore this mail", testCode},
		mail.VariantAlreadyRegistered: {"72 hours", "You have an account", "That wasn't you?", "ignore this mail"},
		mail.VariantSignIn:            {"72 hours", "15 minutes", "That wasn't you?", "ignore this mail", testCode},
		mail.VariantWelcome:           {"confirmed", "delete your account"},
	},
	"de": {
		mail.VariantConfirm:           {"72 Stunden", "15 Minuten", "Das waren Sie nicht?", "ignorieren Sie diese Mail", testCode},
		mail.VariantAlreadyRegistered: {"72 Stunden", "schon ein Konto", "Das waren Sie nicht?", "ignorieren Sie diese Mail"},
		mail.VariantSignIn:            {"72 Stunden", "15 Minuten", "Das waren Sie nicht?", "ignorieren Sie diese Mail", testCode},
		mail.VariantWelcome:           {"bestätigt", "Konto dort jederzeit löschen"},
	},
}

var (
	links  = regexp.MustCompile(`https?://[^\s"<>]+`)
	tags   = regexp.MustCompile(`(?s)<style>.*</style>|<[^>]*>`)
	digits = regexp.MustCompile(`\b\d{6}\b`)
)

// visible is what is left of HTML for who reads it.
func visible(markup string) string { return html.UnescapeString(tags.ReplaceAllString(markup, "")) }

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

// A8.3 and A1.6: both parts hold the same link, the same code and the same
// facts, and a way out for somebody who did not ask for it.
func TestBothPartsSayTheSame(t *testing.T) {
	each(t, func(t *testing.T, variant, locale string, p parsed) {
		wanted := said[locale][variant]
		if wanted == nil {
			t.Fatal("nothing is known of this mail")
		}
		for name, content := range map[string]string{"text": p.text, "html": html.UnescapeString(p.html)} {
			for _, fact := range append([]string{testLink, "Bellhop", "signup.example.com"}, wanted...) {
				if !strings.Contains(strings.Join(strings.Fields(content), " "), fact) {
					t.Errorf("the %s part does not say %q", name, fact)
				}
			}
			for _, link := range links.FindAllString(content, -1) {
				if link != testLink {
					t.Errorf("the %s part holds another link: %s", name, link)
				}
			}
		}
		if n := strings.Count(p.text, "http"); n != 1 {
			t.Errorf("%d links in the text, want 1", n)
		}
		if text, markup := digits.FindAllString(p.text, -1), digits.FindAllString(visible(p.html), -1); !slices.Equal(text, markup) || len(text) > 1 {
			t.Errorf("codes %v in the text, %v in the HTML: want the same, and one at most", text, markup)
		}
	})
}

// A code is not for lock screens and lists of mails: those show the subject and
// the first words.
func TestCodeIsNotAtTheTop(t *testing.T) {
	const shown = 150
	each(t, func(t *testing.T, _, _ string, p parsed) {
		subject, _ := p.header.Text("Subject")
		if strings.Contains(subject, testCode) {
			t.Errorf("subject %q", subject)
		}
		for name, content := range map[string]string{"text": p.text, "html": visible(p.html)} {
			content = strings.Join(strings.Fields(content), " ")
			if at := strings.Index(content, testCode); at >= 0 && at < shown {
				t.Errorf("the %s part has the code after %d characters: %.160s", name, at, content)
			}
		}
	})
}

// A8.2: nothing is fetched, small, readable in the dark and on a phone.
func TestHTMLIsSelfContained(t *testing.T) {
	each(t, func(t *testing.T, _, locale string, p parsed) {
		for _, banned := range []string{"<script", "<img", "<link", "@import", "url(", "src=", "<iframe", "<form", "ZgotmplZ", "{{", "<no value>"} {
			if strings.Contains(p.html, banned) {
				t.Errorf("the HTML holds %s", banned)
			}
		}
		for _, wanted := range []string{`<html lang="` + locale + `"`, `dir="ltr"`, `name="color-scheme"`, `name="viewport"`, "prefers-color-scheme: dark", "<title>"} {
			if !strings.Contains(p.html, wanted) {
				t.Errorf("the HTML lacks %s", wanted)
			}
		}
		if !strings.HasPrefix(p.html, "<!DOCTYPE html>") || len(p.html) > 100<<10 {
			t.Errorf("%d bytes of HTML begin with %.20q", len(p.html), p.html)
		}
	})
}

// A8.4: whatever is said in English is said in every other language, in other
// words.
func TestNoTranslationIsMissing(t *testing.T) {
	r := newRenderer(t, "")
	each(t, func(t *testing.T, variant, locale string, p parsed) {
		if locale == "en" {
			return
		}
		rendered, err := r.Render(request(variant, "en"))
		if err != nil {
			t.Fatal(err)
		}
		english := parse(t, rendered.Body)
		subject, _ := p.header.Text("Subject")
		if other, _ := english.header.Text("Subject"); subject == other {
			t.Errorf("subject %q in both", subject)
		}
		for name, both := range map[string][2]string{"text": {p.text, english.text}, "html": {visible(p.html), visible(english.html)}} {
			for line := range strings.Lines(both[0]) {
				if line = strings.TrimSpace(line); len(line) > 25 && line != testLink && strings.Contains(both[1], line) {
					t.Errorf("the %s part says %q in both", name, line)
				}
			}
		}
	})
}

// A8.4: the locale asked for, or the nearest there is, or English.
func TestLocaleChoosesTheLanguage(t *testing.T) {
	r := newRenderer(t, "")
	for locale, want := range map[string]string{
		"": "Please confirm your e-mail address", "en": "Please confirm your e-mail address", "en-GB": "Please confirm your e-mail address",
		"de": "Bitte bestätigen Sie Ihre E-Mail-Adresse", "de-AT": "Bitte bestätigen Sie Ihre E-Mail-Adresse",
		"ja": "Please confirm your e-mail address", "no language\r\n": "Please confirm your e-mail address",
	} {
		rendered, err := r.Render(request(mail.VariantConfirm, locale))
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, rendered.Body)
		if subject, _ := p.header.Text("Subject"); subject != want {
			t.Errorf("%q is answered with %q, want %q", locale, subject, want)
		}
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
		if err != nil || !strings.Contains(parse(t, rendered.Body).text, "link works for "+want+".") {
			t.Errorf("%v is not said as %q (%v)", d, want, err)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Minute: "1 Minute", 15 * time.Minute: "15 Minuten", time.Hour: "1 Stunde", 72 * time.Hour: "72 Stunden", 168 * time.Hour: "7 Tage",
	} {
		request := request(mail.VariantConfirm, "de")
		request.CodeValidFor = d
		rendered, err := r.Render(request)
		if err != nil || !strings.Contains(parse(t, rendered.Body).text, "Code gilt "+want+".") {
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
		func(q *mail.Request) { q.Link = "" },
		func(q *mail.Request) { q.Code = "" },
		func(q *mail.Request) { q.Code = "<b>1234</b>" },
		func(q *mail.Request) { q.Code = "1234567" },
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
	write(t, dir, "confirm.txt", "Öffnen: {{.Link}} ({{.ValidFor}}) {{.Code}} ({{.CodeValidFor}})\n")
	write(t, dir, "README", "not a template")
	rendered, err := newRenderer(t, dir).Render(confirmRequest())
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, rendered.Body)
	if subject, _ := p.header.Text("Subject"); subject != "Bitte bestätigen" || p.text != "Öffnen: "+testLink+" (72 hours) "+testCode+" (15 minutes)\n" {
		t.Errorf("subject %q, text %q", subject, p.text)
	}
	if !strings.Contains(p.html, "Confirm my address") {
		t.Error("the embedded HTML is gone")
	}
}

// Languages are overridden and added like files.
func TestLanguagesAreOverriddenAndAdded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "de/welcome.subject", "Hereinspaziert\n")
	write(t, dir, "pictures/logo.svg", "not a language")
	units := `{"minute": {"one": "# minuta", "few": "# minuty", "other": "# minut"}, "hour": {"few": "# godziny", "other": "# godzin"}, "day": {"other": "# dni"}}`
	write(t, dir, "pl/units.json", units)
	for _, variant := range []string{"confirm", "already-registered", "sign-in", "welcome"} {
		write(t, dir, "pl/"+variant+".subject", variant+" po polsku")
		write(t, dir, "pl/"+variant+".txt", "{{.Link}} {{.ValidFor}} {{.Code}} {{.CodeValidFor}}")
		write(t, dir, "pl/"+variant+".html", `{{define "title"}}{{end}}{{define "preview"}}{{end}}{{define "footer"}}{{end}}{{define "body"}}{{.Link}} {{.ValidFor}} {{template "code" .}} {{.CodeValidFor}}{{end}}{{template "layout" .}}`)
	}
	r := newRenderer(t, dir)
	for _, want := range []struct{ variant, locale, subject, text string }{
		{"welcome", "de", "Hereinspaziert", "Guten Tag,"},
		{"confirm", "de-CH", "Bitte bestätigen Sie Ihre E-Mail-Adresse", "Guten Tag,"},
		{"confirm", "pl-PL", "confirm po polsku", testLink + " 3 godziny 042917 1 minuta"},
	} {
		request := request(want.variant, want.locale)
		request.ValidFor, request.CodeValidFor = 3*time.Hour, time.Minute
		rendered, err := r.Render(request)
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, rendered.Body)
		if subject, _ := p.header.Text("Subject"); subject != want.subject || !strings.HasPrefix(p.text, want.text) {
			t.Errorf("%s in %s: subject %q, text %q", want.variant, want.locale, subject, p.text)
		}
		if tag, _, _ := strings.Cut(want.locale, "-"); !strings.Contains(p.html, `lang="`+tag+`"`) || !strings.Contains(p.html, "prefers-color-scheme: dark") {
			t.Errorf("%s in %s: %.200s", want.variant, want.locale, p.html)
		}
	}
}

// A8.1: a template error fails the start, naming the file and the reason.
func TestTemplateFaultsFailTheLoad(t *testing.T) {
	const all = "{{.Link}} {{.ValidFor}} {{.Code}} {{.CodeValidFor}}"
	for name, tc := range map[string]struct{ file, source, want, blamed string }{
		"syntax":           {"confirm.txt", "{{.Link", "unclosed action", ""},
		"unknown field":    {"confirm.html", "<p>" + all + " {{.Name}}</p>", "Name", ""},
		"no link":          {"confirm.txt", "hello {{.ValidFor}}", "{{.Link}}", ""},
		"no duration":      {"confirm.html", `<a href="{{.Link}}">x</a>`, "{{.ValidFor}}", ""},
		"no code":          {"sign-in.txt", "{{.Link}} {{.ValidFor}}", "{{.Code}}", ""},
		"no code's time":   {"confirm.html", `{{.Link}} {{.ValidFor}} {{.Code}}`, "{{.CodeValidFor}}", ""},
		"empty subject":    {"confirm.subject", " \n", "one line", ""},
		"long subject":     {"confirm.subject", "a\nb", "one line", ""},
		"code in subject":  {"sign-in.subject", "{{.Code}} is your code", "anybody can read", ""},
		"link in subject":  {"welcome.subject", "go to {{.Link}}", "anybody can read", ""},
		"too long":         {"confirm.html", all + strings.Repeat("x", 110<<10), "too long", ""},
		"unheard-of":       {"welcom.txt", "hello", "no mail is called that", ""},
		"script context":   {"confirm.html", "<script>{{.Link}", "confirm.html", ""},
		"layout":           {"layout.html", "{{define", "layout.html", ""},
		"unknown define":   {"confirm.html", all + `{{template "nothing" .}}`, "nothing", ""},
		"another language": {"de/confirm.txt", "{{.Link}}", "{{.ValidFor}}", ""},
		"stranger there":   {"de/confirmed.txt", "hello", "no mail is called that", ""},
		"half a language":  {"fr/confirm.subject", "Bonjour", "this file is missing", "fr/welcome.html"},
		"no language":      {"german/confirm.txt", all, "de or pt-BR", "german"},
		"odd tag":          {"de_AT/confirm.txt", all, "de or pt-BR", "de_AT"},
		"English":          {"en/confirm.txt", all, "other than English", "en"},
		"units, no JSON":   {"units.json", "minutes", "JSON", ""},
		"units, no number": {"de/units.json", `{"minute": {"other": "Minuten"}}`, "#", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, tc.file, tc.source)
			_, err := mail.LoadTemplates(dir)
			blamed := filepath.Join(dir, filepath.FromSlash(cmp.Or(tc.blamed, tc.file))) + ":"
			if err == nil || !strings.Contains(err.Error(), blamed) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %s and %q", err, blamed, tc.want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := mail.LoadTemplates(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing directory: %v", err)
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRender(b *testing.B) {
	r := newRenderer(b, "")
	request := confirmRequest()
	request.Link = "https://signup.example.com/confirm/AZgVtB6KdKGHw0bq0c9kTQEBxN2nJ0fO8b1YVwqg2S1rTw"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Render(request); err != nil {
			b.Fatal(err)
		}
	}
}
