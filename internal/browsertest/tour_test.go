package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"bellhop/internal/mail/smtptest"
)

// screenshots names a directory, by its whole path, that gets a picture of every
// page: on a wide screen and on a narrow one, by day and by night.
const screenshots = "BROWSERTEST_SCREENSHOTS"

// TestPages looks at every page there is, in each state, and finds nothing to
// complain about. The pages are named "kind" or "kind: state"; pages of different
// kinds have different titles.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"en", "de"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			g := &guide{t: t, language: language, kinds: map[string]string{}}
			g.desk = open(t)
			g.desk.language = language
			g.signUp()
			g.confirm()
			g.signIn()
			g.account()
			g.mailbox()
			g.problems()
			g.mailServer()
			g.goodbye()
		})
	}
}

// guide leads through the pages in one language.
type guide struct {
	t        *testing.T
	desk     *desk
	language string
	kinds    map[string]string // by title

	ada   *visitor // who signs up
	other *visitor // a browser of nobody yet
}

func (g *guide) visitor(d *desk) *visitor {
	g.t.Helper()
	return d.visitor(g.t, speaking(g.language))
}

// look holds the page that a visitor has come to against all that is asked of
// pages.
func (g *guide) look(v *visitor, name string, status int) {
	g.t.Helper()
	if v.status != status {
		g.t.Errorf("%s: status %d, want %d", name, v.status, status)
	}
	kind, _, _ := strings.Cut(name, ":")
	title := eval[string](v, `document.title`)
	if known, is := g.kinds[title]; is && known != kind {
		g.t.Errorf("%s: has the title %q, and so has %s", name, title, known)
	}
	g.kinds[title] = kind
	if lang := eval[string](v, `document.documentElement.lang`); lang != g.language {
		g.t.Errorf("%s: is in %q", name, lang)
	}
	audit := v.audit
	if g.language != "en" {
		audit = v.auditWords
	}
	for _, fault := range audit() {
		g.t.Errorf("%s: %s", name, fault)
	}
	g.picture(v, name)
}

// picture keeps what the page looks like, if somebody wants to know.
func (g *guide) picture(v *visitor, name string) {
	g.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		g.t.Fatal(err)
	}
	beyond := true
	eval[chromedp.Void](v, `document.activeElement.blur()`)
	defer v.screen(wideScreen, "light")
	for _, width := range []int64{wideScreen, narrowScreen} {
		for _, scheme := range []string{"light", "dark"} {
			v.screen(width, scheme)
			png := act(v, "take a picture", func(ctx context.Context, tab *chromedp.Target) ([]byte, error) {
				got, err := cdp.Call(ctx, tab, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond})
				return got.Data, err
			})
			file := fmt.Sprintf("%s %s %d %s.png", g.language, strings.ReplaceAll(name, ":", ""), width, scheme)
			if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(file, " ", "-")), png, 0o600); err != nil {
				g.t.Fatal(err)
			}
		}
	}
}

// signUp is from the form to the pages that wait for a mail.
func (g *guide) signUp() {
	d, v := g.desk, g.visitor(g.desk)
	g.ada, g.other = v, g.visitor(d)
	v.visit("/mailbox")
	g.look(v, "mailbox: empty", 200)
	v.visit("/createUser")
	g.look(v, "sign up", 200)
	v.fill("#first", "www.example.com")
	v.fill("#last", strings.Repeat("L", 65))
	v.fill("#email", "ada")
	v.press("#sign-up-form button")
	g.look(v, "sign up again: all wrong", 422)
	v.fill("#first", "Ada")
	v.fill("#last", strings.Repeat("Long", 16))
	v.press("#sign-up-form button")
	g.look(v, "sign up again: the address", 422)
	v.fill("#email", ada)
	v.press("#sign-up-form button")
	g.look(v, "check: accepted", 202)
	d.mail(ada, 1)
	d.age(settled)
	v.visit("/signup/status")
	g.look(v, "check: handed over", 200)
	v.fill("#code", wrong(d.mail(ada, 1).code(g.t)))
	v.press("#code-form button")
	g.look(v, "check: wrong code", 422)
	v.visit("/")
	g.look(v, "home: pending", 200)
	d.age(time.Hour)
	v.visit("/signup/status")
	g.look(v, "check: resend", 200)
	for sent := 2; sent <= 5; sent++ {
		v.press("#resend-form button")
		d.mail(ada, sent)
		d.age(time.Hour)
		v.visit("/signup/status")
	}
	g.look(v, "check: no more", 200)
}

// confirm is where the links of a sign-up lead.
func (g *guide) confirm() {
	d, v := g.desk, g.ada
	link := d.mail(ada, 5).link(g.t)
	v.visit(link)
	g.look(v, "confirm: own browser", 200)
	g.other.visit(link)
	g.look(g.other, "confirm: another browser", 200)
	v.visit("/confirm/nothing")
	g.look(v, "dead link: pending", 410)
	g.other.visit("/confirm/nothing")
	g.look(g.other, "dead link", 410)
	g.other.visit("/signIn/nothing")
	g.look(g.other, "dead link: sign in", 410)
	v.visit(link)
	v.press("#link-button")
	g.look(v, "home", 200)
	v.visit(link)
	g.look(v, "already confirmed: signed in", 409)
	g.other.visit(link)
	g.look(g.other, "already confirmed", 409)
	d.mail(ada, 6) // the welcome
	d.post("/createUser", "", map[string]string{"first": "Ada", "email": ada}, 202, nil)
	g.other.visit(d.mail(ada, 7).link(g.t))
	g.look(g.other, "you have an account", 200)
}

// signIn is the way back in.
func (g *guide) signIn() {
	d, v := g.desk, g.other
	v.visit("/signIn")
	g.look(v, "sign in", 200)
	v.fill("#email", "ada")
	v.press("#sign-in-form button")
	g.look(v, "sign in: wrong", 422)
	v.fill("#email", ada)
	v.press("#sign-in-form button")
	g.look(v, "asked", 202)
	m := d.mail(ada, 8)
	v.fill("#code", wrong(m.code(g.t)))
	v.press("#code-form button")
	g.look(v, "asked: wrong code", 422)
	v.visit(m.link(g.t))
	g.look(v, "sign in by a link: own browser", 200)

	// Somebody else is signed in there.
	d.post("/createUser", "", map[string]string{"first": "Eve", "email": "eve@example.com"}, 202, nil)
	eve := g.visitor(d)
	eve.visit(d.mail("eve@example.com", 1).link(g.t))
	eve.press("#link-button")
	eve.visit(m.link(g.t))
	g.look(eve, "sign in by a link: leaving another account", 200)
	v.press("#link-button")
	v.visit(m.link(g.t))
	g.look(v, "already used: signed in", 409)
	eve.visit("/")
	eve.press("#sign-out")
	eve.visit(m.link(g.t))
	g.look(eve, "already used", 409)
}

// account is what members see.
func (g *guide) account() {
	d, v := g.desk, g.ada
	v.visit("/me")
	g.look(v, "account", 200)
	var asked struct{ Token string }
	d.post("/signIn", "", map[string]string{"email": ada}, 202, &asked)
	d.post("/signIn/code", asked.Token, map[string]string{"code": d.mail(ada, 9).code(g.t)}, 200, nil)
	v.visit("/me/sessions")
	g.look(v, "sessions", 200)
	v.visit("/me/delete")
	g.look(v, "delete", 200)
}

// mailbox is the list, and a mail of each variant.
func (g *guide) mailbox() {
	d, v := g.desk, g.ada
	v.visit("/mailbox")
	g.look(v, "mailbox: some", 200)
	seen := map[string]bool{}
	for _, m := range d.mails(ada) {
		if seen[m.Subject] {
			continue
		}
		seen[m.Subject] = true
		v.visit("/mailbox/" + m.ID)
		name := fmt.Sprint("mail ", len(seen))
		g.look(v, name, 200)
		g.mailItself(v, m, name+" itself")
	}
	if len(seen) != 4 {
		g.t.Errorf("saw the mails %v, want one of each variant", seen)
	}
	for n := range 51 {
		d.post("/createUser", "", map[string]string{"first": "Many", "email": fmt.Sprintf("many%d@example.com", n)}, 202, nil)
	}
	d.until("all have come", func() bool { return len(d.mails("")) > 51 })
	v.visit("/mailbox?page=2")
	g.look(v, "mailbox: second page", 200)
}

// mailItself looks at the page within a mail, which mail programs show.
func (g *guide) mailItself(v *visitor, m message, name string) {
	v.visit("/mailbox/" + m.ID + "/html")
	for _, scheme := range []string{"light", "dark"} {
		v.screen(narrowScreen, scheme)
		for _, fault := range v.check("", []string{"contrast", "overflow", "targets"}) {
			g.t.Errorf("%s, %s: %s", name, scheme, fault)
		}
	}
	g.picture(v, name)
}

// problems are the pages that nobody wants to see.
func (g *guide) problems() {
	d, v := g.desk, g.other
	v.visit("/nothing")
	g.look(v, "not found", 404)
	v.visit("/token/refresh")
	g.look(v, "wrong method", 405)
	v.visit("/createUser")
	v.fill("#first", strings.Repeat("A", 17<<10))
	v.press("#sign-up-form button")
	g.look(v, "too large", 413)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<form method="post" action="` + d.url + `/signOut"><button>Go</button></form>`))
	}))
	defer elsewhere.Close()
	v.visit(elsewhere.URL)
	v.press("button")
	g.look(v, "another site", 403)

	v.desk = open(g.t, "--limit-ip", "1/24h")
	for range 2 {
		v.visit("/signIn")
		v.fill("#email", ada)
		v.press("#sign-in-form button")
	}
	g.look(v, "too many", 429)
}

// mailServer is what people see with a mail server in place of the mailbox.
func (g *guide) mailServer() {
	server := smtptest.Start(g.t, smtptest.Options{})
	server.SetScript(smtptest.First(
		smtptest.For("waits@example.com", smtptest.At(smtptest.RcptTo, smtptest.Fault{Reply: "451 4.3.0 later"})),
		smtptest.For("gone@example.com", smtptest.At(smtptest.RcptTo, smtptest.Fault{Reply: "550 5.1.1 nobody"})),
	))
	d := open(g.t, "--smtp", server.URL())
	v := g.visitor(d)
	for _, state := range []struct{ email, mail string }{
		{"waits@example.com", "waiting"}, {"gone@example.com", "given-up"}, {"there@example.com", "handed-over"},
	} {
		v.visit("/createUser")
		v.fill("#first", "Ada")
		v.fill("#email", state.email)
		v.press("#sign-up-form button")
		d.age(settled)
		d.until("the mail is "+state.mail, func() bool {
			v.visit("/signup/status")
			return eval[string](v, `document.querySelector("#mail-status").dataset.status`) == state.mail
		})
		g.look(v, "check: by a mail server, "+state.mail, 200)
		if v.sees("#open-mailbox") {
			g.t.Error("a mailbox is offered that is not there")
		}
		if state.mail == "waiting" {
			v.press("#has-code")
			g.look(v, "check: has the code", 200)
		}
	}
}

// goodbye is the last of them.
func (g *guide) goodbye() {
	g.ada.visit("/me/delete")
	g.ada.press("#delete-form button")
	g.look(g.ada, "goodbye", 200)
}
