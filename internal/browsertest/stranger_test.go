package browsertest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestCodeWhereSignedUp types the code on the page that says to check the mail,
// in the browser that signed up. B2.5: nothing is asked there.
func TestCodeWhereSignedUp(t *testing.T) {
	t.Parallel()
	d := open(t)
	v := d.visitor(t)
	v.signUp("Ada", ada)
	code := d.mail(ada, 1).code(t)
	v.press("#has-code")
	v.expect("/signup/status?code", 200, english.check)
	v.fill("#code", wrong(code))
	v.press("#code-form button")
	v.expect("/signup/code", 422, english.check)
	if got := eval[string](v, `document.activeElement.id`); got != "code" {
		t.Errorf("after a wrong code the focus is on %q", got)
	}
	v.fill("#code", code[:3]+" "+code[3:]) // as people write it
	v.press("#code-form button")
	v.expect("/", 200, english.hello)
}

// wrong is a code that is another one.
func wrong(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// TestLinkInAnotherBrowser opens the link where nobody signed up. B2.5: the page
// names the address, says what is odd, and asks in so many words.
func TestLinkInAnotherBrowser(t *testing.T) {
	t.Parallel()
	d := open(t)
	desktop := d.visitor(t)
	desktop.signUp("Ada", ada)
	link := d.mail(ada, 1).link(t)
	phone := d.visitor(t)
	phone.visit(link)
	phone.expect(pathOf(t, link), 200, "Is this your address?")
	if got := phone.says("#link-address"); got != ada {
		t.Errorf("the page names %q", got)
	}
	if !phone.sees("#link-warning") {
		t.Error("nothing is said of another browser")
	}
	if got := phone.says("#link-name"); got != "The account will be in the name of Ada Lovelace." || !phone.sees("#link-not-your-name") {
		t.Errorf("of the name the page says %q", got)
	}
	if got := phone.says("#link-button"); got != "Yes, confirm it and sign me in here" {
		t.Errorf("the button says %q", got)
	}
	desktop.visit(link)
	desktop.expect(pathOf(t, link), 200, english.confirm)
	if desktop.sees("#link-warning") {
		t.Error("the browser that signed up is warned of itself")
	}
	phone.press("#link-button")
	phone.expect("/", 200, english.hello)
	phone.visit(link)
	phone.expect(pathOf(t, link), 409, "Already confirmed")
	desktop.visit(link)
	desktop.expect(pathOf(t, link), 409, "Already confirmed")
	desktop.visit("/me")
	if desktop.path() != "/signIn?next=%2Fme" {
		t.Errorf("the browser that only signed up is let in to %s", desktop.path())
	}
}

// TestStranger signs up with somebody else's address before they do (B1.2, B1.3,
// B1.4). Once the owner has confirmed, the stranger has no session, by any page,
// and what the stranger sees is what somebody sees whose address nobody has
// confirmed.
func TestStranger(t *testing.T) {
	t.Parallel()
	d := open(t)
	stranger, control, owner := d.visitor(t), d.visitor(t), d.visitor(t)
	stranger.signUp("Mallory", ada)
	strangers := d.mail(ada, 1)
	control.signUp("Mallory", "eve@example.com")
	d.mail("eve@example.com", 1)
	owner.signUp("Ada", ada)
	owner.visit(d.mail(ada, 2).link(t))
	owner.press("#link-button")
	owner.expect("/", 200, english.hello)
	d.mail(ada, 3) // the welcome

	// What is said of a mail is a matter of time, and the two visitors are
	// seconds apart.
	quiet := func() {
		t.Helper()
		d.until("the mails are settled", d.settled)
		d.age(settled)
	}
	same := func(what string) {
		t.Helper()
		if got, want := looks(stranger), looks(control); got != want {
			t.Errorf("%s: the stranger sees\n%s\nand somebody with an unconfirmed address\n%s", what, got, want)
		}
	}
	quiet()
	for _, path := range []string{
		"/", "/signup/status", "/signup/status?code", "/me", "/me/sessions", "/me/export", "/me/delete", "/signIn", "/createUser",
	} {
		stranger.visit(path)
		control.visit(path)
		same(path)
		if text := stranger.says("body"); strings.Contains(text, "Ada") {
			t.Errorf("%s tells the stranger of the owner:\n%s", path, text)
		}
		if path == "/" && stranger.says("#account-status") != "pending" {
			t.Errorf("/ tells the stranger that the sign-up is %s", stranger.says("#account-status"))
		}
	}
	if got := stranger.cookies(); got["session"] != "" {
		t.Error("the stranger has a session")
	}
	// Not even a code that was guessed right works now.
	for _, v := range []*visitor{stranger, control} {
		v.visit("/signup/status?code")
		v.fill("#code", strangers.code(t))
		v.press("#code-form button")
		v.expect("/signup/code", 422, english.check)
	}
	same("a code")
	d.age(time.Hour)
	for _, v := range []*visitor{stranger, control} {
		v.visit("/signup/status")
		v.press("#resend-form button")
		v.expect("/signup/status", 200, english.check)
	}
	// The owner is told that there is an account, and only there.
	if m := d.mail(ada, 4); m.Subject != "You already have an account" {
		t.Errorf("the stranger's resend made %q", m.Subject)
	}
	d.mail("eve@example.com", 2)
	quiet()
	for _, v := range []*visitor{stranger, control} {
		v.visit("/signup/status")
	}
	same("after a resend")
	owner.visit("/me/sessions")
	if n := owner.count("#sessions > li"); n != 1 {
		t.Errorf("the owner has %d sessions", n)
	}
}

var (
	somebodys = regexp.MustCompile(`(ada|eve)@example\.com`)
	// What is drawn at random for each form, and when it was shown.
	hidden = regexp.MustCompile(`name="(key|stamp)" value="[^"]*"`)
	// How long it is until another mail may be asked for, and whether it is time,
	// by the visitor's own sign-up: those of two visitors are seconds apart, or
	// more on a busy machine.
	resend = regexp.MustCompile(`<p id="resend-wait">.*?</p>|<form id="resend-form".*?</form>`)
)

// looks is all that a page is, less the address that its visitor typed.
func looks(v *visitor) string {
	v.t.Helper()
	page := eval[string](v, `location.pathname + location.search + "\n" + document.documentElement.outerHTML`)
	page = resend.ReplaceAllString(page, "another mail, now or in a while")
	return hidden.ReplaceAllString(somebodys.ReplaceAllString(page, "somebody@example.com"), "")
}

// TestFormTime sends the form sooner than people can (B5.6), and once when it
// has been open for long enough: the page says the same, and only then does a
// mail come.
func TestFormTime(t *testing.T) {
	t.Parallel()
	const least = time.Second
	send := func(d *desk, email string, wait time.Duration) string {
		v := d.visitor(t)
		v.visit("/createUser")
		shown := time.Now()
		v.fill("#first", "Ada")
		v.fill("#email", email)
		<-time.After(wait - time.Since(shown)) // that time passes is what this is about
		v.press("#sign-up-form button")
		v.expect("/createUser", 202, english.check)
		return strings.ReplaceAll(looks(v), email, "")
	}
	strict, lenient := open(t, "--form-min", "1h"), open(t, "--form-min", least.String())
	soon := send(strict, "robot@example.com", 0)
	late := send(lenient, "person@example.com", least+100*time.Millisecond)
	if soon != late {
		t.Errorf("who was too fast can tell:\n%s\nand who was not:\n%s", soon, late)
	}
	lenient.mail("person@example.com", 1)
	strict.until("the mail is settled", strict.settled)
	if state := strict.stateOf("robot@example.com"); state != "suppressed" {
		t.Errorf("the mail of who was too fast is %s", state)
	}
}

// stateOf is what became of the only mail owed to an address.
func (d *desk) stateOf(address string) string {
	d.t.Helper()
	var held struct {
		People []struct{ Mails []struct{ State string } }
	}
	if err := json.Unmarshal([]byte(d.run("export", address)), &held); err != nil {
		d.t.Fatal(err)
	}
	if len(held.People) != 1 || len(held.People[0].Mails) != 1 {
		d.t.Fatalf("%+v is held, want one mail", held)
	}
	return held.People[0].Mails[0].State
}

func quote(t *testing.T, text any) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

// TestOtherSites has pages of other sites post to ours from the browser of
// somebody who is signed in (B4.2), as sites do that want to sign people out, in
// as somebody else, or away. Sites elsewhere and neighbours under one name are
// refused.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	d := open(t)
	v := d.visitor(t)
	v.signUp("Ada", ada)
	v.visit(d.mail(ada, 1).link(t))
	v.press("#link-button")
	v.expect("/", 200, english.hello)
	d.post("/createUser", "", map[string]string{"first": "Eve", "email": "eve@example.com"}, 202, nil)
	eves := d.mail("eve@example.com", 1).link(t)

	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><form method="post" action="` + r.URL.Query().Get("to") + `"><button>Win a bell</button></form>`))
	}))
	defer evil.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(evil.URL, "http://"), ":")
	for _, site := range []string{"http://evil.test:" + port, "http://localhost:" + port} {
		for _, to := range []string{d.url + "/signOut", d.url + "/signOut/everywhere", d.url + "/me/delete", d.url + "/createUser", eves} {
			v.visit(site + "/?to=" + to)
			v.press("button")
			v.expect(pathOf(t, to), http.StatusForbidden, "Not from there")
		}
	}
	v.visit("/")
	v.expect("/", 200, english.hello)
	if got := d.mails("eve@example.com"); len(got) != 1 {
		t.Errorf("Eve has %d mails: another site confirmed her address", len(got))
	}
}

// TestPlainName reaches Bellhop over http by a name that is not localhost, as
// people do who try it in their own network. Browsers tell less about themselves
// there: no Sec-Fetch-Site.
func TestPlainName(t *testing.T) {
	t.Parallel()
	d := open(t, "--public-url", "http://bellhop.test", "--smtp", "mailbox", "--mailbox-public")
	_, port, _ := strings.Cut(strings.TrimPrefix(d.listen, "http://"), ":")
	d.url = "http://bellhop.test:" + port
	v := d.visitor(t)
	v.signUp("Ada", ada)
	v.expect("/createUser", 202, english.check)
	v.visit(pathOf(t, d.mail(ada, 1).link(t)))
	v.press("#link-button")
	v.expect("/", 200, english.hello)
	v.press("#sign-out")
	v.expect("/createUser", 200, v.says("h1"))
}
