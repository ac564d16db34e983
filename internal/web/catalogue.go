package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed texts
var textFiles embed.FS

// english is the language of JSON, and of pages for whoever asks for no
// language that we have.
const english = "en"

// catalogue is all that pages and problems say, in every language there is a
// file for. It is immutable.
type catalogue struct {
	languages []*texts // English first
	matcher   language.Matcher
}

// texts are those of one language by their keys. A text may hold {names} of
// values. One that depends on a number has a key for each plural form of the
// language (CLDR): "mailbox.count.one" and "mailbox.count.other" in English.
type texts struct {
	tag   language.Tag
	texts map[string]string
}

// loadCatalogue reads the files of texts/, each named for its language.
func loadCatalogue() (*catalogue, error) {
	entries, err := textFiles.ReadDir("texts")
	if err != nil {
		return nil, fmt.Errorf("list languages: %w", err)
	}
	c := new(catalogue)
	var tags []language.Tag
	for _, entry := range entries {
		t, err := loadTexts(entry.Name())
		if err != nil {
			return nil, err
		}
		at := len(tags)
		if t.name() == english {
			at = 0 // what the matcher falls back to
		}
		c.languages, tags = slices.Insert(c.languages, at, t), slices.Insert(tags, at, t.tag)
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

func loadTexts(file string) (*texts, error) {
	tag, err := language.Parse(strings.TrimSuffix(file, path.Ext(file)))
	if err != nil {
		return nil, fmt.Errorf("texts/%s: want a file named LANGUAGE.json: %w", file, err)
	}
	raw, err := textFiles.ReadFile("texts/" + file)
	if err != nil {
		return nil, fmt.Errorf("read texts: %w", err)
	}
	t := &texts{tag: tag}
	if err := json.Unmarshal(raw, &t.texts); err != nil {
		return nil, fmt.Errorf("texts/%s: want one object of strings: %w", file, err)
	}
	return t, nil
}

// english returns the texts that JSON is written with.
func (c *catalogue) english() *texts { return c.languages[0] }

// maxAcceptLanguage is more than a browser sends.
const maxAcceptLanguage = 512

// choose picks the language for an Accept-Language header (RFC 9110 section
// 12.5.4). asked is false if it names none that we have.
func (c *catalogue) choose(accept string) (t *texts, asked bool) {
	if accept == "" || len(accept) > maxAcceptLanguage {
		return c.english(), false
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return c.english(), false
	}
	_, i, confidence := c.matcher.Match(wanted...)
	return c.languages[i], confidence > language.No
}

// name is the language's tag (BCP 47).
func (t *texts) name() string { return t.tag.String() }

// has tells whether there is a text.
func (t *texts) has(key string) bool { return t.texts[key] != "" }

// say returns a text with its values filled in, given as name, value and so on.
func (t *texts) say(key string, values ...any) string {
	return fill(t.texts[key], values, func(v any) string { return fmt.Sprint(v) })
}

// html is say for a page: what is not HTML already is escaped.
func (t *texts) html(key string, values ...any) template.HTML {
	filled := fill(template.HTMLEscapeString(t.texts[key]), values, func(v any) string {
		if ready, ok := v.(template.HTML); ok {
			return string(ready)
		}
		return template.HTMLEscaper(v)
	})
	return template.HTML(filled)
}

// count is html for a text that depends on how many there are, which is its
// value n.
func (t *texts) count(key string, n int, values ...any) template.HTML {
	return t.html(key+"."+t.form(n), append([]any{"n", n}, values...)...)
}

// form is the plural form for a number.
func (t *texts) form(n int) string {
	switch plural.Cardinal.MatchPlural(t.tag, n, 0, 0, 0, 0) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	}
	return "other"
}

// fill puts values where text names them.
func fill(text string, values []any, write func(any) string) string {
	if len(values) == 0 {
		return text
	}
	pairs := make([]string, 0, len(values))
	for i := 0; i+1 < len(values); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(values[i])+"}", write(values[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
