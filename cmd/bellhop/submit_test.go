package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/rogpeppe/go-internal/testscript"
)

// submit does what a browser does with a form: it gets the page, fills the form
// in, and sends it with all its hidden fields to where it goes.
func submit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: submit URL ACTION [-f name=value]...")
	}
	page, err := url.Parse(args[0])
	ts.Check(err)
	form := findForm(ts, page, args[1])
	values := url.Values{}
	form.Find("input[name]").Each(func(_ int, field *goquery.Selection) {
		values.Set(field.AttrOr("name", ""), field.AttrOr("value", ""))
	})
	for args = args[2:]; len(args) > 1 && args[0] == "-f"; args = args[2:] {
		name, value, _ := strings.Cut(args[1], "=")
		if !values.Has(name) {
			ts.Fatalf("the form has no field %s, but %v", name, values)
		}
		values.Set(name, value)
	}
	if len(args) > 0 {
		ts.Fatalf("what is %q?", args)
	}
	action, err := page.Parse(form.AttrOr("action", ""))
	ts.Check(err)
	o := &order{method: strings.ToUpper(form.AttrOr("method", "get")), url: action.String(), header: http.Header{}, browser: true, body: values.Encode()}
	o.header.Set("Accept", "text/html")
	o.header.Set("Content-Type", "application/x-www-form-urlencoded")
	o.header.Set("Origin", action.Scheme+"://"+action.Host)
	answer, err := o.send(ts)
	ts.Check(err)
	stageOf(ts).show(ts, answer)
}

// findForm gets a page and returns the form on it whose action matches.
func findForm(ts *testscript.TestScript, page *url.URL, action string) *goquery.Selection {
	o := &order{method: http.MethodGet, url: page.String(), header: http.Header{"Accept": {"text/html"}}, browser: true}
	answer, err := o.send(ts)
	ts.Check(err)
	_, body, _ := strings.Cut(answer, "\n\n")
	document, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	ts.Check(err)
	pattern, err := regexp.Compile(action)
	ts.Check(err)
	form := document.Find("form").FilterFunction(func(_ int, f *goquery.Selection) bool { return pattern.MatchString(f.AttrOr("action", "")) })
	if form.Length() != 1 {
		ts.Fatalf("%d forms go to %s on:\n%s", form.Length(), action, answer)
	}
	return form
}
