package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"regexp"

	"github.com/gin-gonic/gin"
)

//go:embed pages
var pageFiles embed.FS

// pageNames are the pages, each a file that fills in layout.html.
var pageNames = []string{"accepted", "confirm", "home", "mail", "mailbox", "problem", "signup"}

// pages are the parsed templates by name.
type pages map[string]*template.Template

// problemView is the error page's data.
type problemView struct {
	Status  int
	Message string
}

// parsePages parses every page once, with the paths of the assets.
func parsePages(assets map[string]asset) (pages, error) {
	links := make(map[string]string, len(assets))
	for full := range assets {
		links[path.Ext(full)] = full
	}
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"asset":      func(ext string) string { return links[ext] },
		"linked":     linked,
		"statusText": http.StatusText,
	}).ParseFS(pageFiles, "pages/layout.html")
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	all := make(pages, len(pageNames))
	for _, name := range pageNames {
		page, err := template.Must(layout.Clone()).ParseFS(pageFiles, "pages/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		all[name] = page
	}
	return all, nil
}

// render writes a page. It goes into a buffer first, so that a page that fails
// half-way is an error and not half a page.
func (p pages) render(c *gin.Context, status int, name string, data any) error {
	var buf bytes.Buffer
	if err := p[name].Execute(&buf, data); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
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
