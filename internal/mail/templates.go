package mail

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	"sync"
	texttemplate "text/template"
)

// The variants of mails there are. None holds a word that a person has typed:
// most go to people who have not asked for anything yet.
const (
	// VariantConfirm asks the owner of an address to confirm it.
	VariantConfirm = "confirm"
	// VariantAlreadyRegistered tells the owner of an account that somebody
	// signed up with its address.
	VariantAlreadyRegistered = "already-registered"
	// VariantSignIn lets the owner of an account sign in.
	VariantSignIn = "sign-in"
	// VariantWelcome greets the owner of a new account.
	VariantWelcome = "welcome"
)

// A variant has three files in each language, with these endings in this order.
var endings = []string{".subject", ".txt", ".html"}

// variants names every variant.
var variants = []string{VariantConfirm, VariantAlreadyRegistered, VariantSignIn, VariantWelcome}

// expires tells whether the link of a variant works for a time only; hasCode
// whether there is a code beside it.
func expires(variant string) bool { return variant != VariantWelcome }
func hasCode(variant string) bool { return variant == VariantConfirm || variant == VariantSignIn }

// maxHTML is the largest HTML part: some providers clip what is longer.
const maxHTML = 100 << 10

// Facts is what a template may say.
type Facts struct {
	// Link is the one link of the mail.
	Link string
	// ValidFor is how long the link works, in words: "72 hours". A duration,
	// never a clock time, so that a second copy says nothing wrong.
	ValidFor string
	// Code is six digits that do what the link does, typed on the page that
	// waits for them; "" in mails without one.
	Code string
	// CodeValidFor is how long the code works, in words.
	CodeValidFor string
	// Sender is the name mails come from.
	Sender string
	// Site is the host people signed up at.
	Site string
	// Language is the mail's, a BCP 47 tag.
	Language string
}

// template is one variant in one language.
type template struct {
	subject, text *texttemplate.Template
	html          *htmltemplate.Template

	// frames holds the latest [frame] of each part, by ending.
	frames sync.Map
}

// compile reads the source of one part. An HTML part may use what layout
// defines.
func (t *template) compile(ending, source, layout string) (err error) {
	const strict = "missingkey=error"
	switch ending {
	case ".subject":
		t.subject, err = texttemplate.New("subject").Option(strict).Parse(source)
	case ".txt":
		t.text, err = texttemplate.New("text").Option(strict).Parse(source)
	default:
		if t.html, err = htmltemplate.New("html").Option(strict).Parse(layout); err == nil {
			t.html, err = t.html.Parse(source)
		}
	}
	return err
}

// sample is what a mail is tried out with.
func sample(variant, language string) Facts {
	facts := Facts{Link: "https://example.com/confirm/sample?a=1&b=2", Sender: "Sample & Sons", Site: "example.com", Language: language}
	if expires(variant) {
		facts.ValidFor = "72 sample hours"
	}
	if hasCode(variant) {
		facts.Code, facts.CodeValidFor = "804251", "15 sample minutes"
	}
	return facts
}

// try executes one part with sample facts and looks at what comes out.
func (t *template) try(ending string, facts Facts) error {
	var out strings.Builder
	if err := t.execute(&out, ending, facts); err != nil {
		return err
	}
	if ending == ".subject" {
		return checkSubject(out.String(), facts)
	}
	plain := htmlUnescape(out.String())
	for _, wanted := range []struct{ fact, missing string }{
		{facts.Link, "the link is missing: write {{.Link}}"},
		{facts.ValidFor, "how long the link works is missing: write {{.ValidFor}}"},
		{facts.Code, "the code is missing: write {{.Code}}"},
		{facts.CodeValidFor, "how long the code works is missing: write {{.CodeValidFor}}"},
	} {
		if !strings.Contains(plain, wanted.fact) {
			return errors.New(wanted.missing)
		}
	}
	if out.Len() > maxHTML {
		return fmt.Errorf("too long: %d bytes, at most %d are shown everywhere", out.Len(), maxHTML)
	}
	return nil
}

func checkSubject(subject string, facts Facts) error {
	subject = strings.TrimSpace(subject)
	if subject == "" || strings.ContainsAny(subject, "\r\n") {
		return errors.New("a subject must be one line with something in it")
	}
	if facts.Code != "" && strings.Contains(subject, facts.Code) || strings.Contains(subject, facts.Link) {
		return errors.New("a subject is shown where anybody can read it: leave {{.Link}} and {{.Code}} out")
	}
	return nil
}

// htmlUnescape undoes what html/template does to an "&" in a link.
func htmlUnescape(s string) string { return strings.ReplaceAll(s, "&amp;", "&") }

func (t *template) execute(w io.Writer, ending string, facts Facts) error {
	switch ending {
	case ".subject":
		return t.subject.Execute(w, facts)
	case ".txt":
		return t.text.Execute(w, facts)
	}
	return t.html.Execute(w, facts)
}
