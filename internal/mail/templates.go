package mail

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
	"time"
)

//go:embed templates
var embedded embed.FS

// The variants of mails there are.
const (
	// VariantConfirm asks the owner of an address to confirm it. It holds no
	// word that the person who signed up has typed.
	VariantConfirm = "confirm"
)

// variants names every variant: each has three files, in this order of
// endings.
var (
	variants = []string{VariantConfirm}
	endings  = []string{".subject", ".txt", ".html"}
)

// maxHTML is the largest HTML part: some providers clip what is longer.
const maxHTML = 100 << 10

// Facts is what a template may say.
type Facts struct {
	// Link is the one link of the mail.
	Link string
	// ValidFor is how long the link works, in words: "72 hours". A duration,
	// never a clock time, so that a second copy says nothing wrong.
	ValidFor string
	// Sender is the name mails come from.
	Sender string
	// Site is the host people signed up at.
	Site string
}

// Templates are all variants, compiled. They may be used by many goroutines.
type Templates struct {
	byVariant map[string]*template
}

type template struct {
	subject, text *texttemplate.Template
	html          *htmltemplate.Template

	// frames holds the latest [frame] of each part, by ending.
	frames sync.Map
}

// LoadTemplates compiles and executes the templates of every variant: the
// embedded ones, each replaced by the file of the same name in dir where there
// is one (confirm.subject, confirm.txt, confirm.html). dir may be empty. All
// faults are reported at once, each with its file and what is wrong with it;
// a file whose name fits no template is a fault too.
func LoadTemplates(dir string) (*Templates, error) {
	defaults, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, fmt.Errorf("load mail templates: %w", err)
	}
	t := &Templates{byVariant: make(map[string]*template)}
	faults := []error{checkNames(dir)}
	for _, variant := range variants {
		loaded, err := load(defaults, dir, variant)
		t.byVariant[variant] = loaded
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("load mail templates: %w", err)
	}
	return t, nil
}

// checkNames finds files in dir that look like templates and would be ignored.
func checkNames(dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var faults []error
	for _, entry := range entries {
		name := entry.Name()
		ending := filepath.Ext(name)
		if slices.Contains(endings, ending) && !slices.Contains(variants, strings.TrimSuffix(name, ending)) {
			faults = append(faults, fmt.Errorf("%s: no mail is called that; there are %s", filepath.Join(dir, name), strings.Join(variants, ", ")))
		}
	}
	return errors.Join(faults...)
}

// load compiles one variant and tries it out.
func load(defaults fs.FS, dir, variant string) (*template, error) {
	t := &template{}
	var faults []error
	for _, ending := range endings {
		path, source, err := read(defaults, dir, variant+ending)
		if err == nil {
			err = t.compile(ending, source)
		}
		if err == nil {
			err = t.try(ending)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
		}
	}
	return t, errors.Join(faults...)
}

// read returns a template's source, and the name to blame it by.
func read(defaults fs.FS, dir, name string) (path, source string, err error) {
	if dir != "" {
		path = filepath.Join(dir, name)
		own, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, string(own), err
		}
	}
	builtin, err := fs.ReadFile(defaults, name)
	return name, string(builtin), err
}

func (t *template) compile(ending, source string) (err error) {
	switch ending {
	case ".subject":
		t.subject, err = texttemplate.New("subject").Option("missingkey=error").Parse(source)
	case ".txt":
		t.text, err = texttemplate.New("text").Option("missingkey=error").Parse(source)
	default:
		t.html, err = htmltemplate.New("html").Option("missingkey=error").Parse(source)
	}
	return err
}

// try executes one part with sample facts and looks at what comes out.
func (t *template) try(ending string) error {
	sample := Facts{
		Link: "https://example.com/confirm/sample?a=1&b=2", ValidFor: "72 hours", Sender: "Sample & Sons", Site: "example.com",
	}
	var out strings.Builder
	if err := t.execute(&out, ending, sample); err != nil {
		return err
	}
	switch {
	case ending == ".subject":
		return checkSubject(out.String())
	case !strings.Contains(htmlUnescape(out.String()), sample.Link):
		return errors.New("the link is missing: write {{.Link}}")
	case !strings.Contains(out.String(), sample.ValidFor):
		return errors.New("how long the link works is missing: write {{.ValidFor}}")
	case out.Len() > maxHTML:
		return fmt.Errorf("too long: %d bytes, at most %d are shown everywhere", out.Len(), maxHTML)
	}
	return nil
}

func checkSubject(subject string) error {
	subject = strings.TrimSpace(subject)
	if subject == "" || strings.ContainsAny(subject, "\r\n") {
		return errors.New("a subject must be one line with something in it")
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

// inWords is a duration as people say it, rounded down: a link must not die
// before its time.
func inWords(d time.Duration) string {
	n, unit := int(d/time.Minute), "minute"
	switch {
	case d >= 96*time.Hour && d%(24*time.Hour) == 0:
		n, unit = int(d/(24*time.Hour)), "day"
	case d >= time.Hour && d%time.Hour == 0, d >= 6*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	}
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
