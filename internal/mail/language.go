package mail

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

//go:embed templates
var embedded embed.FS

// Files that a language has beside its mails: what the HTML parts share, and
// how durations are said. A language without a layout shares the English one.
const (
	layoutFile = "layout.html"
	unitsFile  = "units.json"
)

// Templates are all mails in all languages, compiled. They may be used by many
// goroutines.
type Templates struct {
	editions []*edition // English is the first
	matcher  language.Matcher
	byTag    map[string]*edition
}

// edition is all mails in one language.
type edition struct {
	tag       language.Tag
	units     units
	byVariant map[string]*template
}

// LoadTemplates compiles and executes the templates of every mail in every
// language: the embedded ones, each replaced by the file of the same name in dir
// where there is one. English is in dir itself (confirm.subject, confirm.txt,
// confirm.html and so on), other languages in folders that are named by their
// tag (de/confirm.subject); a new language needs all files but the layout. dir
// may be empty. All faults are reported at once, each with its file and what is
// wrong with it; a file whose name fits no template is a fault too.
func LoadTemplates(dir string) (*Templates, error) {
	src := sources{own: dir}
	tags, err := src.languages()
	faults := []error{err}
	t := &Templates{byTag: make(map[string]*edition)}
	for _, tag := range tags {
		e, err := src.load(tag)
		faults = append(faults, err)
		t.editions = append(t.editions, e)
		t.byTag[tag.String()] = e
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("load mail templates: %w", err)
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

// Languages lists the languages there are mails in, as BCP 47 tags. English is
// the first, and what is used for a language there are none in.
func (t *Templates) Languages() (tags []string) {
	for _, e := range t.editions {
		tags = append(tags, e.tag.String())
	}
	return tags
}

// edition is the one that fits a locale best.
func (t *Templates) edition(locale string) *edition {
	if e, ok := t.byTag[locale]; ok {
		return e
	}
	tag, err := language.Parse(locale)
	if err != nil {
		return t.editions[0]
	}
	_, best, _ := t.matcher.Match(tag) // the first, if none fits
	return t.editions[best]
}

// sources are where templates are read from: the embedded ones, and the folder
// of somebody's own, "" for none.
type sources struct {
	own string
}

// languages lists the languages there are, English first, and finds files that
// look like templates and would be ignored.
func (s sources) languages() ([]language.Tag, error) {
	tags, fault := s.scan(os.DirFS(s.own), s.own != "")
	builtin, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	more, err := s.scan(builtin, true)
	for _, tag := range more {
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	slices.SortFunc(tags, func(a, b language.Tag) int { return strings.Compare(a.String(), b.String()) })
	return append([]language.Tag{language.English}, tags...), errors.Join(fault, err)
}

// scan lists the languages that have a folder in root, and its faults.
func (s sources) scan(root fs.FS, there bool) (tags []language.Tag, err error) {
	if !there {
		return nil, nil
	}
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.own, err)
	}
	faults := []error{s.strangers(entries, "")}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		inside, err := fs.ReadDir(root, entry.Name())
		if err != nil || !slices.ContainsFunc(inside, isTemplate) {
			faults = append(faults, err)
			continue
		}
		tag, err := language.Parse(entry.Name())
		if err != nil || tag.String() != entry.Name() || tag == language.English {
			faults = append(faults, fmt.Errorf("%s: expected a folder named by a language other than English, such as de or pt-BR", s.blame(entry.Name())))
			continue
		}
		tags = append(tags, tag)
		faults = append(faults, s.strangers(inside, entry.Name()))
	}
	return tags, errors.Join(faults...)
}

// isTemplate tells whether a file looks like a template.
func isTemplate(entry fs.DirEntry) bool {
	return !entry.IsDir() && slices.Contains(endings, path.Ext(entry.Name()))
}

// strangers finds files that look like templates and are none.
func (s sources) strangers(entries []fs.DirEntry, folder string) error {
	var faults []error
	for _, entry := range entries {
		name := entry.Name()
		if isTemplate(entry) && name != layoutFile && !slices.Contains(variants, strings.TrimSuffix(name, path.Ext(name))) {
			faults = append(faults, fmt.Errorf("%s: no mail is called that; there are %s", s.blame(path.Join(folder, name)), strings.Join(variants, ", ")))
		}
	}
	return errors.Join(faults...)
}

// blame is what a file is called in a fault.
func (s sources) blame(name string) string { return filepath.Join(s.own, filepath.FromSlash(name)) }

// load compiles all mails in one language, and tries them out.
func (s sources) load(tag language.Tag) (*edition, error) {
	folder := tag.String()
	if tag == language.English {
		folder = ""
	}
	e := &edition{tag: tag, byVariant: make(map[string]*template)}
	layout, err := s.layout(folder)
	if err != nil {
		return nil, err
	}
	var fault error
	e.units, fault = s.units(folder)
	faults := []error{fault}
	for _, variant := range variants {
		t := new(template)
		for _, ending := range endings {
			name := path.Join(folder, variant+ending)
			source, err := s.read(name)
			if err == nil {
				err = t.compile(ending, source, layout)
			}
			if err == nil {
				err = t.try(ending, sample(variant, tag.String()))
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", s.blame(name), err))
			}
		}
		e.byVariant[variant] = t
	}
	return e, errors.Join(faults...)
}

// layout is what the HTML parts of a language share.
func (s sources) layout(folder string) (string, error) {
	name := path.Join(folder, layoutFile)
	source, err := s.read(name)
	if errors.Is(err, errMissing) {
		name = layoutFile
		source, err = s.read(name)
	}
	if err == nil {
		_, err = htmltemplate.New("layout").Parse(source)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.blame(name), err)
	}
	return source, nil
}

func (s sources) units(folder string) (units, error) {
	name := path.Join(folder, unitsFile)
	source, err := s.read(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.blame(name), err)
	}
	u, err := parseUnits(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.blame(name), err)
	}
	return u, nil
}

var errMissing = errors.New("this file is missing: a language needs every mail and units.json")

// read returns a file's content. [errMissing] if it is nowhere.
func (s sources) read(name string) (string, error) {
	if s.own != "" {
		own, err := os.ReadFile(s.blame(name))
		if !errors.Is(err, fs.ErrNotExist) {
			return string(own), err
		}
	}
	builtin, err := embedded.ReadFile(path.Join("templates", name))
	if errors.Is(err, fs.ErrNotExist) {
		err = errMissing
	}
	return string(builtin), err
}
