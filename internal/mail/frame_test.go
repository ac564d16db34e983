package mail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A frame gives what the template gives, also for one that does odd things
// with its link or its code, and for other facts after the first ones.
func TestFramesChangeNothing(t *testing.T) {
	odd := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(odd, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("confirm.txt", "{{.Link}} is {{len .Link}} long, valid {{.ValidFor}}, {{.Link}}, {{.Code}} {{.CodeValidFor}}")
	write("confirm.html", `<a href="{{.Link}}" title="{{.Link}}">{{.ValidFor}}</a><!-- {{.Link}} --><p>{{.Code}}{{.Link}}{{.Code}}</p><b style="color:#804251" title={{.Code}}>{{.CodeValidFor}}</b>`)
	write("sign-in.txt", "{{slice .Code 0 3}} {{slice .Code 3}} {{.Code}} {{.CodeValidFor}} {{.Link}} {{.ValidFor}}")
	write("sign-in.html", `<p>{{.ValidFor}}{{.Link}}{{.CodeValidFor}}{{.Code}}{{if eq .Code "804251"}}!{{end}}</p>`)
	write("welcome.txt", "804251 {{.Link}} 297306{{.Code}}")
	for _, dir := range []string{"", odd} {
		templates, err := LoadTemplates(dir)
		if err != nil {
			t.Fatal(err)
		}
		for variant, mail := range templates.editions[0].byVariant {
			for _, facts := range []Facts{
				{Link: "https://example.com/confirm/AbC-_9", ValidFor: "72 hours", Sender: "A & B", Site: "example.com"},
				{Link: "https://example.com/confirm/another.one", ValidFor: "72 hours", Sender: "A & B", Site: "example.com"},
				{Link: "https://example.com/confirm/x", ValidFor: "3 days", Sender: "<B>", Site: "example.com"},
				{Link: "https://example.com/?a=1&b=\"2\"", ValidFor: "3 days", Sender: "<B>", Site: "example.com"},
			} {
				for _, code := range []string{"042917", "804251", "297306", "<i>7</i>", ""} {
					facts.Code = code
					if code == "" && hasCode(variant) {
						continue // Render refuses that
					}
					for _, ending := range endings {
						checkFrame(t, mail, ending, facts)
					}
				}
			}
		}
	}
}

func checkFrame(t *testing.T, mail *template, ending string, facts Facts) {
	t.Helper()
	var want, got strings.Builder
	if err := mail.execute(&want, ending, facts); err != nil {
		t.Fatal(err)
	}
	if err := mail.write(&got, ending, facts); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("%s with %+v:\n got %q\nwant %q", ending, facts, got.String(), want.String())
	}
}

// The built-in mails are put together from frames: that is what makes them fast.
func TestBuiltInMailsHaveFrames(t *testing.T) {
	templates, err := LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range templates.editions {
		for variant, mail := range e.byVariant {
			for _, ending := range endings {
				facts := sample(variant, e.tag.String())
				if f, err := mail.frame(ending, facts); err != nil || f.pieces == nil {
					t.Errorf("%s %s%s has no frame, %v", e.tag, variant, ending, err)
				}
			}
		}
	}
}
