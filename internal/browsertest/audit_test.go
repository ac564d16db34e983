package browsertest

import (
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/audit.js
var auditor string

// The checks that need a wide screen or a narrow one, and those that need
// neither.
var (
	once   = []string{"structure", "labels", "errors", "traps", "scripts"}
	inEach = []string{"contrast"}
	byEach = []string{"overflow", "targets"}
)

const (
	wideScreen   = 1280
	narrowScreen = 320 // what is left of it at 400 % (WCAG 1.4.10)
)

// audit returns what is wrong with the page that a visitor looks at.
func (v *visitor) audit() (faults []string) {
	v.t.Helper()
	faults = v.checks()
	faults = append(faults, v.tabThrough()...)
	v.screen(wideScreen, "light")
	faults = append(faults, v.tabThrough()...)
	return append(faults, v.listen()...)
}

// checks are those that can be made by looking. The screen is narrow in the end.
func (v *visitor) checks() (faults []string) {
	v.t.Helper()
	v.screen(wideScreen, "light")
	faults = append(faults, v.check("", slices.Concat(once, inEach, byEach))...)
	v.screen(wideScreen, "dark")
	faults = append(faults, v.check("in the dark: ", inEach)...)
	return append(faults, v.auditWords()...)
}

// auditWords looks at what can be wrong in a language alone: words that are
// missing, or too long for a small screen.
func (v *visitor) auditWords() (faults []string) {
	v.t.Helper()
	v.screen(narrowScreen, "light")
	return v.check("on a small screen: ", slices.Concat(once, byEach))
}

// screen makes the browser's window so wide, by day or by night.
func (v *visitor) screen(width int64, scheme string) {
	v.t.Helper()
	call(v, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1})
	call(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// prepare brings the checks to the page.
func (v *visitor) prepare() {
	v.t.Helper()
	eval[bool](v, `globalThis.audit ??= `+auditor+`, true`)
}

// check runs some of the checks.
func (v *visitor) check(where string, names []string) (faults []string) {
	v.t.Helper()
	v.prepare()
	script := fmt.Sprintf(`audit.run(%s)`, quote(v.t, names))
	found := act(v, "check the page", chromedp.EvaluateAsDevTools[map[string][]string](script))
	for _, name := range names {
		for _, fault := range found[name] {
			faults = append(faults, where+name+": "+fault)
		}
	}
	return faults
}

// stop is an element that the Tab key has led to.
type stop struct {
	Number                   int // in the order of the page's source
	Name                     string
	Skip                     bool // lies over the page while it has the focus
	Left, Right, Top, Bottom float64
	Faults                   []string
}

// tabThrough goes through the page with the Tab key: everything that can be
// used is reached, in the order in which it is read, and is seen to have the
// focus.
func (v *visitor) tabThrough() (faults []string) {
	v.t.Helper()
	v.prepare()
	want := eval[[]string](v, `audit.rest()`)
	var got []string
	last := stop{Skip: true}
	for _, s := range v.tabs(3*len(want) + 20) {
		for _, fault := range s.Faults {
			faults = append(faults, "focus: "+s.Name+" "+fault)
		}
		if !last.Skip && !follows(s, last) {
			faults = append(faults, fmt.Sprintf("focus: %s comes after %s and is not right of it or below", s.Name, last.Name))
		}
		got, last = append(got, s.Name), s
	}
	if !slices.Equal(got, want) {
		faults = append(faults, fmt.Sprintf("focus: the Tab key leads to %q, want %q", got, want))
	}
	return faults
}

// tabs presses Tab until it has led through the whole page once, and returns
// where it stopped, from the start of the page on: a field may have had the
// focus at first.
func (v *visitor) tabs(most int) (stops []stop) {
	v.t.Helper()
	for range most {
		v.do("press Tab", chromedp.KeyEvent("\t"))
		s := eval[*stop](v, `audit.stop()`)
		switch n := len(stops); {
		case s == nil || n > 0 && s.Number == stops[n-1].Number: // out of the page, or within a frame
		case n > 0 && s.Number == stops[0].Number:
			start := slices.IndexFunc(stops, func(s stop) bool { return s.Number == slices.MinFunc(stops, byNumber).Number })
			return slices.Concat(stops[start:], stops[:start])
		default:
			stops = append(stops, *s)
		}
	}
	if len(stops) > 1 {
		v.t.Fatalf("Tab does not lead around the page: %+v", stops)
	}
	return stops
}

func byNumber(a, b stop) int { return a.Number - b.Number }

// follows tells whether a comes after b for somebody who reads.
func follows(a, b stop) bool {
	if a.Top >= b.Bottom-1 {
		return true
	}
	if within := a.Top >= b.Top && a.Bottom <= b.Bottom && a.Left >= b.Left && a.Right <= b.Right; within {
		return true
	}
	sameLine := a.Top < b.Bottom && b.Top < a.Bottom
	return sameLine && a.Left >= b.Right-1
}

// listen goes through the page as a screen reader does.
func (v *visitor) listen() (faults []string) {
	v.t.Helper()
	trap := v.inTrap()
	headings := 0
	for _, n := range call(v, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored {
			continue
		}
		role, name := said(n.Role), said(n.Name)
		if slices.Contains(trap, n.BackendDOMNodeID) {
			faults = append(faults, fmt.Sprintf("listening: the trap is read out: %s %q", role, name))
		}
		switch role {
		case "button", "link", "textbox", "navigation", "region", "Iframe", "heading", "RootWebArea":
			if strings.TrimSpace(name) == "" {
				faults = append(faults, fmt.Sprintf("listening: a %s without a name", role))
			}
		}
		if role == "heading" {
			headings++
		}
	}
	if headings == 0 {
		faults = append(faults, "listening: there is no heading")
	}
	return faults
}

func said(value *accessibility.Value) string {
	if value == nil {
		return ""
	}
	return strings.Trim(string(value.Value), `"`)
}

// inTrap are the nodes of the field that only robots fill in.
func (v *visitor) inTrap() (ids []cdp.BackendNodeID) {
	v.t.Helper()
	found := eval[*runtime.RemoteObject](v, `document.querySelector(".trap")`)
	if found.ObjectID == "" {
		return nil
	}
	depth := int64(-1)
	var walk func(n *cdp.Node)
	walk = func(n *cdp.Node) {
		ids = append(ids, n.BackendNodeID)
		for _, inside := range slices.Concat(n.Children, n.ShadowRoots) {
			walk(inside)
		}
	}
	walk(call(v, dom.DescribeNode, dom.DescribeNodeParams{ObjectID: found.ObjectID, Depth: &depth}).Node)
	return ids
}

// good is a page with nothing wrong. MAIN stands for what is tried.
const good = `<!doctype html><html lang="en"><head><title>Good</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 :root { color-scheme: light dark; } * { box-sizing: border-box; }
 a, button { display: inline-block; padding: 10px; } p a, li a { display: inline; padding: 0; }
 :focus-visible { outline: 3px solid #777; }
 input { border: 1px solid #777; min-height: 30px; color: black; background: white; }
 .trap { position: absolute; left: -100vw; width: 1px; height: 1px; overflow: hidden; }
</style></head><body><main><h1>Good</h1>MAIN</main></body></html>`

// TestAuditCatches breaks a good page in each way that the audit is there for.
func TestAuditCatches(t *testing.T) {
	t.Parallel()
	const field = `<form><label for="a">A</label><input id="a" autocomplete="name"><button>Go</button></form>`
	cases := []struct{ name, main, fault string }{
		{"nothing", field + `<p>Some <a href="/">words</a> more</p>`, ""},
		{"a trap", `<div class="trap" aria-hidden="true"><label for="w">W</label><input id="w" tabindex="-1"></div>`, ""},
		{"two h1", `<h1>Another</h1>`, "structure: 2 h1"},
		{"a level left out", `<h3>Deep</h3>`, "structure: h3"},
		{"an id twice", `<p id="x">a</p><p id="x">b</p>`, "structure: the id x"},
		{"a label's field", `<label for="gone">A</label>`, "structure: for of label"},
		{"a link into nothing", `<a href="#gone">There</a>`, "structure: a"},
		{"a form that cannot be sent", `<form><label for="a">A</label><input id="a" autocomplete="name"></form>`, "structure: form"},
		{"tabindex", `<a href="/">One</a><br><a href="/" tabindex="1">Two</a>`, "structure: a"},
		{"no label", `<input id="a" autocomplete="name">`, "labels: input#a has 0"},
		{"an empty label", `<label for="a"></label><input id="a" autocomplete="name">`, "labels: the label"},
		{"a label out of sight", `<label for="a" style="visibility:hidden">A</label><input id="a" autocomplete="name">`, "labels: the label"},
		{"no autocomplete", `<label for="a">A</label><input id="a">`, "labels: input#a does not say"},
		{"a button without a name", `<button></button>`, "labels: button"},
		{"a frame without a name", `<iframe></iframe>`, "labels: iframe"},
		{"a section without a name", `<section>a</section>`, "labels: section"},
		{"an error alone", `<p class="reason">Wrong</p>`, "errors: p.reason"},
		{"an error elsewhere", `<label for="a">A</label><input id="a" autocomplete="name" aria-invalid="true"><p class="reason" id="r">Wrong</p>`, "errors: input#a"},
		{"a trap to step into", `<div class="trap" aria-hidden="true"><label for="w">W</label><input id="w"></div>`, "traps: input#w"},
		{"a trap to be seen", `<div aria-hidden="true"><label for="w">W</label><input id="w" tabindex="-1"></div>`, "traps: div"},
		{"a trap that is read out", `<div class="trap"><label for="w">W</label><input id="w" tabindex="-1" autocomplete="off"></div>`, "listening: the trap"},
		{"a handler", `<p onclick="x()">a</p>`, "scripts: p"},
		{"a script", `<script>document.querySelector("h1").addEventListener("click", () => {})</script>`, "scripts: h1"},
		{"a script in a link", `<a href="javascript:x()">Go</a>`, "scripts: a"},
		{"grey text", `<p style="color:#777">a</p>`, "contrast: text of p"}, // 4.48 to 1
		{"faint text", `<p style="opacity:.5">a</p>`, "contrast: text of p"},
		{"text on a veil", `<p style="background:rgb(0 0 0/50%);color:#333">a</p>`, "contrast: text of p"},
		{"text for the day", `<p style="color:#222">a</p>`, "in the dark: contrast: text of p"},
		{"a field without a border", `<label for="a">A</label><input id="a" autocomplete="name" style="border:0">`, "contrast: border of input"},
		{"a wide block", `<p style="width:400px">a</p>`, "on a small screen: overflow: the page"},
		{"words cut off", `<p style="width:100px;overflow:hidden;white-space:nowrap">Some words that do not fit in there</p>`, "overflow: p"},
		{"a small button", `<button style="padding:0;height:20px">Go</button>`, "targets: button"},
		{"a small link", `<p><a href="/">Alone</a></p>`, "targets: a"},
		{"no focus to be seen", `<style>:focus-visible{outline:0}</style><a href="/">Go</a>`, "focus: a \"Go\" has the outline none"},
		{"a focus that changes nothing", `<style>a{outline:3px solid #777}</style><a href="/">Go</a>`, "focus: a \"Go\" looks"},
		{"a faint focus", `<style>:focus-visible{outline-color:#eee}</style><a href="/">Go</a>`, "focus: a \"Go\" has an outline"},
		{"another order", `<div style="display:flex;flex-direction:column-reverse"><a href="/">One</a><a href="/">Two</a></div>`, "focus: a \"Two\" comes after"},
		{"out of reach", `<a href="/">One</a><br><a href="/">Two</a><br><a href="/" tabindex="-1">Three</a>`, "focus: the Tab key"},
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, c := range cases {
			if c.name == r.URL.Query().Get("case") {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = io.WriteString(w, strings.Replace(good, "MAIN", c.main, 1))
			}
		}
	}))
	defer pages.Close()
	v := blank(t)
	for _, c := range cases {
		v.visit(pages.URL + "/?case=" + url.QueryEscape(c.name))
		audit := v.checks
		if kind, _, _ := strings.Cut(c.fault, ":"); kind == "" || kind == "focus" || kind == "listening" {
			audit = v.audit
		}
		faults := audit()
		// The style of the tried pages is their own affair.
		faults = slices.DeleteFunc(faults, func(f string) bool { return strings.Contains(f, "a style that the policy forbids") })
		found := slices.ContainsFunc(faults, func(f string) bool { return c.fault != "" && strings.HasPrefix(f, c.fault) })
		if found != (c.fault != "") || c.fault == "" && len(faults) > 0 {
			t.Errorf("%s: found %q, want %q", c.name, faults, c.fault)
		}
	}
}
