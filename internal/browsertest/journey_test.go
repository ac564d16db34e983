package browsertest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// words is what a journey reads in a language.
type words struct {
	check, confirm, hello, here, goodbye string
	pleaseConfirm, welcome, signIn       string // how the subjects of mails begin
}

var (
	english = words{
		"Check your mail", "One click, and you are in.", "Hello, Ada.", "this one", "Your account is deleted.",
		"Please confirm", "Welcome to", "Sign in to",
	}
	german = words{
		"Gleich haben Sie Post", "Ein Klick, und Sie sind drin.", "Guten Tag, Ada.", "diese hier", "Ihr Konto ist gelöscht.",
		"Bitte bestätigen", "Willkommen bei", "Anmelden bei",
	}
)

const ada = "ada@example.com"

// TestJourney goes all the way: from the form to home, out, in again by a code,
// and to goodbye. Nothing on the way needs JavaScript.
func TestJourney(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name   string
		words  words
		habits []habit
		follow func(*visitor, message) *visitor // the link in a mail
	}{
		{"with JavaScript", english, nil, (*visitor).followButton},
		{"without JavaScript", english, []habit{withoutScripts}, (*visitor).followText},
		{"German", german, []habit{speaking("de-CH, de;q=0.9, en;q=0.5")}, (*visitor).followText},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			v := d.visitor(t, way.habits...)
			signUpAndSee(v, way.words)
			v = way.follow(v, d.mail(ada, 1))
			v.expect(pathOf(t, d.mail(ada, 1).link(t)), 200, way.words.confirm)
			v.press("#link-button")
			v.expect("/", 200, way.words.hello)
			if welcome := d.mail(ada, 2); !strings.HasPrefix(welcome.Subject, way.words.welcome) {
				t.Errorf("the second mail is %q", welcome.Subject)
			}
			outAndInAgain(v, way.words)
			lookAtSessions(v, way.words)
			takeDataAlong(v)
			leaveForGood(v, way.words)
			d.run("verify")
		})
	}
}

// signUpAndSee fills in the form and waits, doing nothing, until the page says
// that the mail has left.
func signUpAndSee(v *visitor, w words) {
	v.t.Helper()
	v.patient = true
	v.signUp("Ada", ada)
	v.expect("/createUser", 202, w.check)
	if got := v.says(".address"); got != ada {
		v.t.Errorf("the page names %q", got)
	}
	v.until("the page says that the mail has left", func() bool {
		return eval[string](v, `document.querySelector("#mail-status")?.dataset.status ?? ""`) == "handed-over"
	})
	v.patient = false
	v.press("#open-mailbox")
	if m := v.desk.mail(ada, 1); !strings.HasPrefix(m.Subject, w.pleaseConfirm) || v.says(".mails .subject") != m.Subject {
		v.t.Errorf("the mailbox says %q of the mail %q", v.says(".mails .subject"), m.Subject)
	}
}

// signUp fills in the form and sends it.
func (v *visitor) signUp(first, email string) {
	v.t.Helper()
	v.visit("/createUser")
	v.fill("#first", first)
	v.fill("#last", "Lovelace")
	v.fill("#email", email)
	v.press("#sign-up-form button")
}

// followText opens a mail in the mailbox and clicks on the link in its text.
func (v *visitor) followText(m message) *visitor {
	v.t.Helper()
	v.visit("/mailbox/" + m.ID)
	v.press(`pre.text a[href="` + m.link(v.t) + `"]`)
	return v
}

// followButton does so with the keyboard in the mail as it is shown to people:
// its button opens a window, where the visitor goes on.
func (v *visitor) followButton(m message) *visitor {
	v.t.Helper()
	return v.newTab(func() {
		v.visit("/mailbox/" + m.ID)
		eval[chromedp.Void](v, `document.querySelector("main a[href='/mailbox']").focus()`)
		v.do("tab into the frame", chromedp.KeyEvent("\t"))
		v.do("press Enter", chromedp.KeyEvent("\r"))
	}, pathOf(v.t, m.link(v.t)))
}

// outAndInAgain signs out, and in with a code that is read in another tab.
func outAndInAgain(v *visitor, w words) {
	v.t.Helper()
	v.press("#sign-out")
	v.expect("/createUser", 200, v.says("h1"))
	v.visit("/me")
	if v.path() != "/signIn?next=%2Fme" {
		v.t.Fatalf("somebody who has signed out is sent to %s", v.path())
	}
	v.fill("#email", strings.ToUpper(ada))
	v.press("#sign-in-form button")
	v.expect("/signIn", 202, v.says("h1"))
	m := v.desk.mail(ada, 3)
	if !strings.HasPrefix(m.Subject, w.signIn) {
		v.t.Errorf("the mail to sign in is %q", m.Subject)
	}
	v.fill("#code", "000000")
	if m.code(v.t) != "000000" {
		v.press("#code-form button")
		v.expect("/signIn/code", 422, v.says("h1"))
	}
	v.fill("#code", readCode(v, m))
	v.press("#code-form button")
	v.expect("/me", 200, v.says("h1"))
	if got := v.says("#account-email"); got != ada {
		v.t.Errorf("the account is that of %q", got)
	}
}

// readCode reads the code of a mail in another tab.
func readCode(v *visitor, m message) string {
	v.t.Helper()
	tab := v.tab()
	tab.visit("/mailbox/" + m.ID)
	code := sixth.FindString(tab.says("pre.text"))
	if code == "" || code != m.code(v.t) {
		v.t.Fatalf("the mail's page shows the code %q", code)
	}
	return code
}

// lookAtSessions expects this one marked, and another one that can be ended.
func lookAtSessions(v *visitor, w words) {
	v.t.Helper()
	var asked struct{ Token string }
	v.desk.post("/signIn", "", map[string]string{"email": ada}, 202, &asked)
	v.desk.post("/signIn/code", asked.Token, map[string]string{"code": v.desk.mail(ada, 4).code(v.t)}, 200, nil)
	v.press(`.nav a[href="/me/sessions"]`)
	v.expect("/me/sessions", 200, v.says("h1"))
	if n, current := v.count("#sessions > li"), v.says("#sessions .current .kind"); n != 2 || !strings.Contains(current, w.here) || v.count("#sessions .current") != 1 {
		v.t.Fatalf("%d sessions, of which this is %q; want 2 and %q", n, current, w.here)
	}
	v.press("#sessions li:not(.current) button")
	v.expect("/me/sessions", 200, v.says("h1"))
	if v.count("#sessions > li") != 1 || v.count("#sessions .current") != 1 {
		v.t.Fatalf("after the other one was ended: %s", v.says("#sessions"))
	}
}

// takeDataAlong downloads what is held.
func takeDataAlong(v *visitor) {
	v.t.Helper()
	dir := v.t.TempDir()
	v.press(`.nav a[href="/me"]`)
	callBrowser(v, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: v.cookieJar, DownloadPath: dir,
	})
	v.do("click on the link", v.click("#export"))
	path := filepath.Join(dir, "bellhop-export.json")
	v.until("the file is there", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	raw, err := os.ReadFile(path)
	if err != nil {
		v.t.Fatal(err)
	}
	var held struct {
		Account  struct{ Email, First string }
		Sessions []struct{ Kind string }
	}
	if err := json.Unmarshal(raw, &held); err != nil {
		v.t.Fatalf("%v in:\n%s", err, raw)
	}
	if held.Account.Email != ada || held.Account.First != "Ada" || len(held.Sessions) != 1 || held.Sessions[0].Kind != "browser" {
		v.t.Errorf("the file says %+v", held)
	}
}

// leaveForGood deletes the account. After that nothing is left of it, and the
// address is anybody's.
func leaveForGood(v *visitor, w words) {
	v.t.Helper()
	v.press("#delete-account")
	v.expect("/me/delete", 200, v.says("h1"))
	v.press("#delete-form button")
	v.expect("/me/delete", 200, w.goodbye)
	if left := v.desk.mails(""); len(left) != 0 {
		v.t.Errorf("%d mails are left in the mailbox", len(left))
	}
	if left := v.cookies(); len(left) != 0 {
		v.t.Errorf("the browser keeps %v", left)
	}
	v.visit("/me")
	if v.path() != "/signIn?next=%2Fme" {
		v.t.Errorf("/me of who has left leads to %s", v.path())
	}
	v.signUp("Ada", ada)
	v.expect("/createUser", 202, w.check)
	v.visit(v.desk.mail(ada, 1).link(v.t))
	v.expect(v.path(), 200, w.confirm)
	v.press("#link-button")
	v.expect("/", 200, w.hello)
}
