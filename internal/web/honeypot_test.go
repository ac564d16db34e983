package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"bellhop/internal/signup"
	"bellhop/internal/web"
)

// ages are stamps that say how old they are.
type ages struct{}

func (ages) Make() string { return "0s" }

func (ages) Age(stamp string) (time.Duration, error) {
	if stamp == "" {
		return 0, errors.New("no stamp")
	}
	return time.ParseDuration(stamp)
}

// ears are people who remember what they were told.
type ears struct {
	web.People
	mu    sync.Mutex
	muted []string
	forms []signup.Form
}

func (e *ears) Accept(ctx context.Context, f signup.Form) (signup.Accepted, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.muted, e.forms = append(e.muted, f.Muted), append(e.forms, f)
	return e.People.Accept(ctx, f)
}

func (e *ears) AskSignIn(_ context.Context, f signup.SignInForm) (string, time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.muted = append(e.muted, f.Muted)
	if !strings.Contains(f.Email, "@") {
		return "", time.Time{}, &signup.Invalid{Fields: map[string]signup.FieldError{"email": {Code: "form", Message: "No."}}}
	}
	return "01900000-0000-7000-8000-000000000001", accepted, nil
}

// listening is a house whose forms must be between two seconds and twelve hours
// old.
func listening(t *testing.T, change func(*web.Config)) (*house, *ears) {
	heard := new(ears)
	h := houseWith(t, home, nil, func(c *web.Config) {
		heard.People, c.People = c.People, heard
		c.Stamps = ages{}
		c.Guard.FormMin, c.Guard.FormMax = 2*time.Second, 12*time.Hour
		if change != nil {
			change(c)
		}
	})
	return h, heard
}

// B5.6: a form that no person sent is told by its trap or its time, and answered
// as any other.
func TestMutedForms(t *testing.T) {
	h, heard := listening(t, nil)
	for _, tt := range []struct{ name, website, stamp, want string }{
		{"a person", "", "30s", ""},
		{"a quick person", "", "2s", ""},
		{"a slow person", "", "12h", ""},
		{"a robot that fills in everything", "https://spam.example", "30s", "honeypot"},
		{"a space is something, too", " ", "30s", "honeypot"},
		{"a robot that is quick", "", "1.9s", "form-time"},
		{"a form that was kept", "", "12h0m1s", "form-time"},
		{"a stamp that was made up", "", "tomorrow", "form-time"},
		{"no stamp", "", "", "form-time"},
		{"both", "x", "", "honeypot"},
	} {
		for _, route := range []string{"/createUser", "/signIn"} {
			t.Run(tt.name+route, func(t *testing.T) {
				heard.muted, h.metrics.muted = nil, nil
				send := func(website, stamp string) *httptest.ResponseRecorder {
					values := url.Values{"first": {"Ada"}, "email": {"ada@example.com"}, "website": {website}, "stamp": {stamp}}
					return h.ask("POST", route, values.Encode(), "Content-Type: application/x-www-form-urlencoded", "Accept: "+browser)
				}
				caught, person := send(tt.website, tt.stamp), send("", "30s")
				if want := []string{tt.want, ""}; !slices.Equal(heard.muted, want) {
					t.Errorf("muted %q, want %q", heard.muted, want)
				}
				var counted []string
				if tt.want != "" {
					counted = []string{tt.want}
				}
				if !slices.Equal(h.metrics.muted, counted) {
					t.Errorf("counted %q, want %q", h.metrics.muted, counted)
				}
				if shape(caught) != shape(person) || caught.Code != 202 {
					t.Errorf("caught:\n%s\na person:\n%s", shape(caught), shape(person))
				}
			})
		}
	}
}

// shape is an answer without the values of its cookies.
func shape(w *httptest.ResponseRecorder) string {
	h := w.Header().Clone()
	for i, cookie := range h["Set-Cookie"] {
		name, rest, _ := strings.Cut(cookie, "=")
		value, attributes, _ := strings.Cut(rest, ";")
		h["Set-Cookie"][i] = fmt.Sprint(name, " ", len(value), attributes)
	}
	return fmt.Sprint(w.Code, "\n", h, "\n", w.Body)
}

// Programs pretend nothing: their JSON needs no stamp.
func TestJSONIsNeverMuted(t *testing.T) {
	h, heard := listening(t, nil)
	wantStatus(t, h.json(`{"first":"Ada","email":"ada@example.com"}`), 202)
	wantStatus(t, h.ask("POST", "/createUser", `{"first":"Ada","email":"ada@example.com"}`, "Content-Type: application/json; charset=utf-8"), 202)
	wantStatus(t, h.ask("POST", "/signIn", `{"email":"ada@example.com"}`, "Content-Type: application/json"), 202)
	if want := []string{"", "", ""}; !slices.Equal(heard.muted, want) {
		t.Errorf("muted %q", heard.muted)
	}
}

// Each bound can be switched off, and with both there is no need for a stamp.
func TestFormTimeBounds(t *testing.T) {
	for _, tt := range []struct {
		min, max time.Duration
		stamp    string
		muted    bool
	}{
		{0, 0, "", false},
		{0, time.Hour, "-1s", false}, // another process's clock
		{0, time.Hour, "0s", false},
		{0, time.Hour, "61m", true},
		{0, time.Hour, "", true},
		{time.Second, 0, "1000h", false},
		{time.Second, 0, "0s", true},
		{time.Second, 0, "", true},
	} {
		h, heard := listening(t, func(c *web.Config) { c.Guard.FormMin, c.Guard.FormMax = tt.min, tt.max })
		h.form(url.Values{"first": {"Ada"}, "email": {"ada@example.com"}, "stamp": {tt.stamp}})
		if got := heard.muted[0] != ""; got != tt.muted {
			t.Errorf("%v to %v, stamp %q: muted %v", tt.min, tt.max, tt.stamp, got)
		}
	}
}

// The forms on our pages have a stamp, and a trap that people do not meet: not
// by eye, not by keyboard, not by ear, not by what their browser fills in.
func TestFormsHaveStampAndTrap(t *testing.T) {
	h, _ := listening(t, nil)
	for _, target := range []string{"/createUser", "/signIn"} {
		doc := page(t, h.ask("GET", target, ""))
		form := doc.Find("main form[method=post][action='" + target + "']")
		if stamp := form.Find("input[type=hidden][name=stamp]"); stamp.Length() != 1 || stamp.AttrOr("value", "") != "0s" {
			t.Errorf("%s: no stamp", target)
		}
		trap := form.Find("input[name=website]")
		if trap.Length() != 1 || trap.AttrOr("autocomplete", "") != "off" || trap.AttrOr("tabindex", "") != "-1" || trap.AttrOr("value", "") != "" {
			t.Errorf("%s: no trap as it should be", target)
		}
		if kind := trap.AttrOr("type", "text"); kind == "hidden" {
			t.Errorf("%s: robots know a field of type hidden", target)
		}
		hidden := trap.Closest("[aria-hidden=true]")
		if hidden.Length() != 1 || hidden.Find("label[for='"+trap.AttrOr("id", "none")+"']").Length() != 1 {
			t.Errorf("%s: the trap can be heard, or does not say what it is", target)
		}
		class := "." + hidden.AttrOr("class", "none")
		if rule := styleOf(t, h, doc, class); !strings.Contains(rule, "position:") && !strings.Contains(rule, "clip") {
			t.Errorf("%s: the style of %s does not take it out of sight: %q", target, class, rule)
		}
	}
}

// styleOf returns the declarations of a class in a page's stylesheet.
func styleOf(t *testing.T, h *house, doc *goquery.Document, class string) string {
	t.Helper()
	sheet := h.ask("GET", doc.Find("link[rel=stylesheet]").AttrOr("href", ""), "").Body.String()
	_, rule, _ := strings.Cut(sheet, class+" {")
	rule, _, _ = strings.Cut(rule, "}")
	return rule
}

// Whoever corrects a letter sends the form again within a moment, and is a
// person still.
func TestCorrectingAFormIsNoRobot(t *testing.T) {
	h, _ := listening(t, nil)
	for _, tt := range []struct{ sent, shown string }{
		{"30s", "30s"}, {"6h", "6h"}, {"7h", "0s"}, {"13h", "0s"}, {"tomorrow", "0s"}, {"", "0s"},
	} {
		for _, route := range []string{"/createUser", "/signIn"} {
			values := url.Values{"first": {"Ada"}, "email": {"ada at example.com"}, "stamp": {tt.sent}}
			w := h.ask("POST", route, values.Encode(), "Content-Type: application/x-www-form-urlencoded", "Accept: "+browser)
			wantStatus(t, w, 422)
			if got := page(t, w).Find("input[name=stamp]").AttrOr("value", ""); got != tt.shown {
				t.Errorf("%s: sent with the stamp %q, shown again with %q, want %q", route, tt.sent, got, tt.shown)
			}
		}
	}
}

// B7.9: an app names the text that it has shown, and is told when that is no
// name. The page's own is taken from the page alone.
func TestB7_9_ConsentOfAnApp(t *testing.T) {
	longest := strings.Repeat("~", 64)
	for _, tt := range []struct{ sent, kept string }{
		{`"app-2026-11.en"`, "app-2026-11.en"}, {`"!"`, "!"}, {`"` + longest + `"`, longest}, {`""`, ""}, {"null", ""},
	} {
		h, heard := listening(t, nil)
		w := h.json(`{"first":"Ada","email":"ada@example.com","consent":` + tt.sent + `}`)
		wantStatus(t, w, 202)
		if got := heard.forms[0].Consent.Text; got != tt.kept {
			t.Errorf("%s: kept %q, want %q", tt.sent, got, tt.kept)
		}
	}
	for _, sent := range []string{longest + "!", "2026 11", "fassung-ä", `a\u0000`, `a\n`, " ", `\u200b`} {
		h, heard := listening(t, nil)
		w := h.json(`{"first":"Ada","email":"ada@example.com","consent":"` + sent + `"}`)
		wantStatus(t, w, 422)
		if body := w.Body.String(); !strings.Contains(body, `"fields":{"consent":"The version of a text is`) || len(heard.forms) != 0 {
			t.Errorf("%q: %s, %d forms", sent, body, len(heard.forms))
		}
	}
}

// B7.9: the evidence of a consent has a stand-in for the address it came from,
// the same for the same address and for nobody without the secret.
func TestConsentOrigin(t *testing.T) {
	origin := func(peer, secret string) [16]byte {
		h, heard := listening(t, func(c *web.Config) { c.Guard.Secret = []byte(secret) })
		serve(h, from(peer, adaJSON(1)))
		return heard.forms[0].Consent.Origin
	}
	one := origin("192.0.2.1", "secret")
	if one == [16]byte{} || one != origin("192.0.2.1", "secret") || one == origin("192.0.2.2", "secret") || one == origin("192.0.2.1", "another") {
		t.Error("want one stand-in for one address and secret, and others for others")
	}
	if origin("2001:db8::1", "secret") == origin("2001:db8::2", "secret") {
		t.Error("two addresses of one network have one stand-in")
	}
	if origin("192.0.2.1", "") != [16]byte{} {
		t.Error("a stand-in without a secret")
	}
}
