package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

//go:embed pages
var pageFiles embed.FS

// pageNames are the pages, each a file that fills in layout.html.
var pageNames = []string{
	"account", "check", "delete", "goodbye", "home", "link", "link-dead", "link-used", "mail", "mailbox", "problem",
	"sessions", "signin", "signin-check", "signup",
}

// pages are the parsed pages, by language and name.
type pages struct {
	catalogue *catalogue
	byName    map[*texts]map[string]*template.Template
}

// problemView is the error page's data.
type problemView struct {
	Status         int
	Title, Message string
}

// loadPages parses every page in every language, with the paths of the assets.
func loadPages(assets map[string]asset) (*pages, error) {
	c, err := loadCatalogue()
	if err != nil {
		return nil, err
	}
	all := &pages{catalogue: c, byName: make(map[*texts]map[string]*template.Template, len(c.languages))}
	for _, t := range c.languages {
		if all.byName[t], err = parsePages(t, assets); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parsePages parses every page in one language.
func parsePages(t *texts, assets map[string]asset) (map[string]*template.Template, error) {
	layout, err := template.New("layout.html").Funcs(pageFuncs(t, assets)).ParseFS(pageFiles, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	all := make(map[string]*template.Template, len(pageNames))
	for _, name := range pageNames {
		page, err := template.Must(layout.Clone()).ParseFS(pageFiles, "pages/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		all[name] = page
	}
	return all, nil
}

// referrerPolicy is what the browser may tell of a page's address. Under
// "no-referrer" it sends a form with "Origin: null", and over plain HTTP, where
// it sends no Sec-Fetch-Site either, nothing would tell our form from another
// site's. So a page with a form tells where it is, to ourselves alone. One that
// has a secret in its own address has an element for that, after everything it
// loads, which lets the form tell the site and not the page: proxies log it.
func referrerPolicy(page []byte) string {
	if bytes.Contains(page, []byte("<form ")) && !bytes.Contains(page, []byte(`<meta name="referrer"`)) {
		return "same-origin"
	}
	return "no-referrer"
}

// pageFuncs are what pages can call: the texts of a language, above all.
func pageFuncs(t *texts, assets map[string]asset) template.FuncMap {
	links := make(map[string]string, len(assets))
	for full := range assets {
		links[path.Ext(full)] = full
	}
	return template.FuncMap{
		"asset": func(ext string) string { return links[ext] },
		"lang":  t.name,
		"t":     t.html,
		"count": t.count,
		"bdi":   func(s string) template.HTML { return template.HTML("<bdi>" + template.HTMLEscapeString(s) + "</bdi>") },
		"link": func(to, key string) template.HTML {
			return `<a href="` + template.HTML(to) + `">` + t.html(key) + `</a>`
		},
		"linked": linked,
		"moment": func(at time.Time) moment { return moment{at.UTC()} },
	}
}

// moment is a time as pages show it, the same in every language.
type moment struct{ at time.Time }

// Machine is the time for the datetime attribute.
func (m moment) Machine() string { return m.at.Format(time.RFC3339) }

// Text is the time for people.
func (m moment) Text() string { return m.at.Format("2006-01-02 15:04 MST") }

// language picks the language of the answer to a request. asked is false if the
// browser asks for none that we have.
func (p *pages) language(r *http.Request) (t *texts, asked bool) {
	return p.catalogue.choose(strings.Join(r.Header["Accept-Language"], ","))
}

// render writes a page in the visitor's language. It goes into a buffer first,
// so that a page that fails half-way is an error and not half a page.
func (p *pages) render(c *gin.Context, status int, name string, data any) error {
	t, _ := p.language(c.Request)
	var buf bytes.Buffer
	if err := p.byName[t][name].Execute(&buf, data); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	h := c.Writer.Header()
	h.Set("Content-Language", t.name())
	h.Set("Referrer-Policy", referrerPolicy(buf.Bytes()))
	write(c, status, htmlType, buf.Bytes())
	return nil
}

// textRun is a stretch of text, which may be a web address.
type textRun struct {
	Text string
	Link bool
}

var webAddress = regexp.MustCompile(`https?://[^\s<>"]+`)

// linked cuts text into runs that are web addresses and runs that are not.
func linked(text string) []textRun {
	var runs []textRun
	done := 0
	for _, at := range webAddress.FindAllStringIndex(text, -1) {
		runs = append(runs, textRun{Text: text[done:at[0]]}, textRun{Text: text[at[0]:at[1]], Link: true})
		done = at[1]
	}
	return append(runs, textRun{Text: text[done:]})
}
