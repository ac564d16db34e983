package web_test

import (
	"fmt"
	"math"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// everyPage returns every page there is, as a browser gets it that asks for a
// language.
func everyPage(t *testing.T, language string) (*house, map[string]*httptest.ResponseRecorder) {
	h := newHouse(t, home, mails{{ID: "m1", To: "ada@example.com", Text: "x", HTML: "<p>"}})
	visitor := func() *visitor {
		v := h.visitor(t)
		v.language = language
		return v
	}
	all := map[string]*httptest.ResponseRecorder{}
	ada, eve := visitor(), visitor()
	all["signup"], all["signin"] = ada.get("/createUser"), ada.get("/signIn?next=/me")
	all["signup again"], all["signin again"] = ada.post("/createUser", url.Values{}), ada.post("/signIn", url.Values{})
	all["accepted"] = ada.signUp("Ada", "ada@example.com")
	all["status"], all["status for a code"], all["home pending"] = ada.get("/signup/status"), ada.get("/signup/status?code"), ada.get("/")
	link := h.letter(t)
	all["status at the end"] = ada.get("/signup/status")
	all["wrong code"] = ada.post("/signup/code", url.Values{"code": {"x"}})
	h.clock.advance(11 * time.Minute)
	all["resend"] = ada.get("/signup/status")
	all["confirm here"], all["confirm elsewhere"] = ada.get(link.path), eve.get(link.path)
	ada.submit(all["confirm here"], "#link-form", nil)
	all["used here"], all["used elsewhere"] = ada.get(link.path), eve.get(link.path)
	h.deliver(t)
	h.clock.advance(11 * time.Minute)
	eve.signUp("Eve", "ada@example.com")
	all["known"] = ada.get(h.letter(t).path)
	all["dead here"], all["dead elsewhere"], all["dead sign-in"] = eve.get("/confirm/x"), visitor().get("/confirm/x"), ada.get("/signIn/x")
	all["asked"] = eve.askSignIn("ada@example.com")
	all["asked, wrong code"] = eve.post("/signIn/code", url.Values{"code": {"x"}})
	signIn := h.letter(t)
	all["sign in here"], all["sign in elsewhere"] = eve.get(signIn.path), visitor().get(signIn.path)
	all["home"], all["me"], all["sessions"], all["delete"] = ada.get("/"), ada.get("/me"), ada.get("/me/sessions"), ada.get("/me/delete")
	all["mailbox"], all["mail"], all["problem"] = ada.get("/mailbox"), ada.get("/mailbox/m1"), ada.get("/nothing")
	all["goodbye"] = ada.submit(all["delete"], "#delete-form", nil)
	return h, all
}

// Pages need nothing but themselves and our stylesheet, say who they are, and
// can be used without eyes and without a mouse.
func TestPagesAreWellMade(t *testing.T) {
	for _, language := range []string{"en", "de"} {
		h, all := everyPage(t, language)
		loaded := map[string]bool{}
		for name, w := range all {
			name = language + " " + name
			doc := page(t, w)
			if doc.Find("html").AttrOr("lang", "") != language || doc.Find("meta[name=viewport]").Length() != 1 || doc.Find("main#main").Length() != 1 || doc.Find("h1").Length() != 1 {
				t.Errorf("%s: want lang, viewport, one main and one h1", name)
			}
			if title := doc.Find("title").Text(); !strings.HasSuffix(title, " · Bellhop") || strings.HasPrefix(title, " ") {
				t.Errorf("%s: title %q", name, title)
			}
			if found := inline.FindString(w.Body.String()); found != "" {
				t.Errorf("%s: the policy would block %q", name, found)
			}
			if strings.Contains(w.Body.String(), "ZgotmplZ") {
				t.Errorf("%s: a value in a place where it may not be", name)
			}
			if found := regexp.MustCompile(`\{[a-z]+\}`).FindString(doc.Find("body").Text()); found != "" {
				t.Errorf("%s: %s is not filled in", name, found)
			}
			checkNames(t, name, doc.Selection)
			doc.Find("[src], link[href]").Each(func(_ int, s *selection) { loaded[s.AttrOr("src", s.AttrOr("href", ""))] = true })
		}
		for ref := range loaded {
			if !strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, "//") {
				t.Errorf("a page loads %q", ref)
			} else if got := h.ask("GET", home+ref, ""); got.Code != 200 {
				t.Errorf("a page loads %q, which answers %d", ref, got.Code)
			}
		}
		if len(loaded) < 3 {
			t.Errorf("pages load only %v", loaded)
		}
	}
}

// inline is what a page's own policy does not let it have.
var inline = regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<script|<style|javascript:`)

// checkNames checks that what can be used has a name, and what is named is
// there.
func checkNames(t *testing.T, name string, doc *selection) {
	t.Helper()
	ids := map[string]bool{}
	doc.Find("[id]").Each(func(_ int, s *selection) {
		id := s.AttrOr("id", "")
		if ids[id] || id == "" {
			t.Errorf("%s: two elements %q", name, id)
		}
		ids[id] = true
	})
	for _, attribute := range []string{"aria-describedby", "aria-labelledby", "for"} {
		doc.Find("[" + attribute + "]").Each(func(_ int, s *selection) {
			for id := range strings.FieldsSeq(s.AttrOr(attribute, "")) {
				if !ids[id] {
					t.Errorf("%s: %s names %q, which is not there", name, attribute, id)
				}
			}
		})
	}
	doc.Find(`input[type!="hidden"]`).Each(func(_ int, s *selection) {
		if id := s.AttrOr("id", ""); doc.Find("label[for='"+id+"']").Length() != 1 {
			t.Errorf("%s: the field %q has no label", name, id)
		}
	})
	doc.Find("a, button, nav, iframe").Each(func(_ int, s *selection) {
		if strings.TrimSpace(s.Text()) == "" && s.AttrOr("aria-label", s.AttrOr("title", "")) == "" {
			t.Errorf("%s: a %s without a name", name, s.Nodes[0].Data)
		}
	})
	doc.Find("h2").Each(func(_ int, s *selection) {
		if s.PrevAllFiltered("h1").Length() == 0 && s.ParentsFiltered("section").PrevAllFiltered("h1").Length() == 0 {
			t.Errorf("%s: the heading %q comes before the first", name, s.Text())
		}
	})
	if doc.Find(`[tabindex]:not([tabindex="0"]):not(.trap [tabindex="-1"])`).Length() != 0 {
		t.Errorf("%s: the order of focus is not that of reading", name)
	}
}

// Everything that is read has a contrast of 4.5 or more, by day and by night
// (WCAG 2.2, 1.4.3); what merely shows where a field is has 3 (1.4.11).
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("assets/style.css")
	must(t, err)
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	day, night, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	colours := map[string]string{}
	for name, part := range map[string]string{"day": day, "night": night} {
		if name == "night" {
			part, _, _ = strings.Cut(part, "\n}\n")
		}
		for _, found := range variable.FindAllStringSubmatch(part, -1) {
			colours[name+" "+found[1]] = found[2]
		}
	}
	for _, pair := range []struct {
		text, on string
		least    float64
	}{
		{"ink", "paper", 4.5}, {"ink", "card", 4.5}, {"ink", "wash", 4.5}, {"ink", "good-wash", 4.5}, {"ink", "bad-wash", 4.5},
		{"soft", "paper", 4.5}, {"soft", "card", 4.5}, {"brass", "card", 4.5}, {"brass-deep", "wash", 4.5}, {"brass-deep", "card", 4.5},
		{"on-brass", "brass", 4.5}, {"on-brass", "brass-deep", 4.5}, {"bad", "card", 4.5}, {"bad", "bad-wash", 4.5}, {"card", "bad", 4.5},
		{"good", "good-wash", 4.5}, {"field", "card", 3}, {"brass", "wash", 3}, {"brass", "paper", 3},
	} {
		for _, time := range []string{"day ", "night "} {
			text, on := colours[time+pair.text], colours[time+pair.on]
			if got := contrast(t, text, on); got < pair.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", time, pair.text, pair.on, got, pair.least)
			}
		}
	}
}

// contrast is the ratio of two colours, from 1 to 21.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if len(colour) != 7 {
		t.Fatalf("colour %q", colour)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		must(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// Nothing a person typed is taken for HTML, wherever it is shown.
func TestNothingTypedIsHTML(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	const attack = `"><script>alert(1)</script>`
	for _, w := range []*httptest.ResponseRecorder{
		v.post("/createUser", url.Values{"first": {attack}, "last": {attack}, "email": {attack}, "key": {"k"}, "consent": {attack}, "stamp": {attack}}),
		v.post("/signIn", url.Values{"email": {attack}, "next": {attack}}),
		v.get("/signIn?next=" + url.QueryEscape(attack)),
		v.get("/signup/status?" + url.QueryEscape(attack)),
		v.get("/" + url.PathEscape(attack)), v.get("/confirm/" + url.PathEscape(attack)),
	} {
		if strings.Contains(w.Body.String(), "<script") {
			t.Errorf("a script in:\n%s", w.Body)
		}
	}
	member := h.member(t, attack[3:10], "ada@example.com")
	if got := page(t, member.get("/")).Find("h1").Text(); got != fmt.Sprintf("Hello, %s.", attack[3:10]) {
		t.Errorf("greeted with %q", got)
	}
}
