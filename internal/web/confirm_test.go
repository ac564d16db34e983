package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// tokensAnswer is the JSON of a redemption.
type tokensAnswer struct {
	AccessToken  string         `json:"access_token"`
	TokenType    string         `json:"token_type"`
	ExpiresIn    int            `json:"expires_in"`
	RefreshToken string         `json:"refresh_token"`
	Account      *accountAnswer `json:"account"`
	Confirmed    *bool          `json:"confirmed"`
}

type accountAnswer struct {
	ID, Status, First, Last, Email string
	SignedUpAt, ConfirmedAt        time.Time
}

// bothLinks returns a letter to confirm and one to sign in, to Bob and to Ada.
func bothLinks(t *testing.T, h *house) (confirm, signIn letter) {
	t.Helper()
	h.member(t, "Ada", "ada@example.com")
	h.visitor(t).askSignIn("ada@example.com")
	signIn = h.letter(t)
	h.visitor(t).signUp("Bob", "bob@example.com")
	return h.letter(t), signIn
}

// B2.2, I8: whoever follows a link changes nothing, however often; the button
// works once.
func TestB2_2_FollowingALinkChangesNothing(t *testing.T) {
	h := newHouse(t, home, nil)
	confirm, signIn := bothLinks(t, h)
	for _, l := range []letter{confirm, signIn} {
		for range 500 {
			for _, method := range []string{"GET", "HEAD"} {
				scanner := h.visitor(t)
				w := scanner.do(method, l.path, "")
				wantStatus(t, w, http.StatusOK)
				if len(scanner.jar) != 0 {
					t.Fatalf("%s left cookies %v", method, scanner.jar)
				}
			}
		}
		v := h.visitor(t)
		v.redirects(v.submit(v.get(l.path), "#link-form", nil), "/")
		wantStatus(t, v.post(l.path, nil), http.StatusConflict)
	}
}

// B2.3: of many who press the button at once, one has a session.
func TestB2_3_OneOfManyPressesOpensASession(t *testing.T) {
	h := newHouse(t, home, nil)
	confirm, signIn := bothLinks(t, h)
	for _, l := range []letter{confirm, signIn} {
		answers := make([]*httptest.ResponseRecorder, 100)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				if i%2 == 0 {
					answers[i] = h.ask("POST", l.path, "{}", "Content-Type: application/json")
				} else {
					answers[i] = h.ask("POST", l.path, "", "Content-Type: application/x-www-form-urlencoded", "Accept: "+browser)
				}
			})
		}
		all.Wait()
		opened := 0
		for _, w := range answers {
			switch w.Code {
			case http.StatusOK, http.StatusSeeOther:
				opened++
			case http.StatusConflict:
				if len(w.Result().Cookies()) != 0 || strings.Contains(w.Body.String(), "access_token") {
					t.Errorf("a late press got something: %v", w.Header())
				}
			default:
				t.Errorf("status %d", w.Code)
			}
		}
		if opened != 1 {
			t.Errorf("%s: %d sessions, want 1", l.id, opened)
		}
	}
}

// B2.4: a link of one kind is refused at the endpoint of the other, and each
// has its time.
func TestB2_4_LinksHaveAPurposeAndAnEnd(t *testing.T) {
	h := newHouse(t, home, nil)
	confirm, signIn := bothLinks(t, h)
	v := h.visitor(t)
	wrong := []string{"/signIn/" + confirm.token(), "/confirm/" + signIn.token(), "/confirm/x", "/signIn/x", "/confirm/" + strings.Repeat("A", 60)}
	for _, path := range wrong {
		for _, w := range []*httptest.ResponseRecorder{v.get(path), v.post(path, nil)} {
			wantStatus(t, w, http.StatusGone)
			if page(t, w).Find("main a.button").Length() != 1 {
				t.Errorf("%s: the page shows no way on", path)
			}
		}
		w := h.ask("POST", path, "{}", "Content-Type: application/json")
		wantStatus(t, w, http.StatusGone)
		if got := object[problem](t, w); got.Error.Code != "link-dead" {
			t.Errorf("%s: code %q", path, got.Error.Code)
		}
	}
	policy := onboarding.DefaultPolicy()
	for _, end := range []struct {
		letter
		life time.Duration
	}{{signIn, policy.SignInExpiry}, {confirm, policy.Expiry}} {
		wantStatus(t, v.get(end.path), http.StatusOK)
		h.clock.advance(end.life)
		wantStatus(t, v.get(end.path), http.StatusGone)
		wantStatus(t, v.post(end.path, nil), http.StatusGone)
	}
}

// B2.5: in the browser that asked it is one click; in another the page shows
// the address and asks; and it says whom the browser would stop to be.
func TestB2_5_AnotherBrowserIsAsked(t *testing.T) {
	h := newHouse(t, home, nil)
	asked := h.visitor(t)
	asked.signUp("Ada", "Ada@example.com")
	link := h.letter(t)
	other, member := h.visitor(t), h.member(t, "Bob", "bob@example.com")
	for _, tt := range []struct {
		name    string
		who     *visitor
		own     bool
		leaving string
	}{{"own", asked, true, ""}, {"other", other, false, ""}, {"member", member, false, "bob@example.com"}} {
		doc := page(t, tt.who.get(link.path))
		if got := doc.Find("#link-address").Text(); got != "Ada@example.com" {
			t.Errorf("%s: address %q", tt.name, got)
		}
		if asks := doc.Find("#link-warning").Length() == 1; asks == tt.own {
			t.Errorf("%s: asks %t", tt.name, asks)
		}
		if got := doc.Find("#link-leaving bdi").Text(); got != tt.leaving {
			t.Errorf("%s: leaving %q, want %q", tt.name, got, tt.leaving)
		}
	}
	// The same for a mail to sign in.
	member.jar = map[string]string{}
	member.askSignIn("bob@example.com")
	link = h.letter(t)
	if page(t, member.get(link.path)).Find("#link-warning").Length() != 0 || page(t, other.get(link.path)).Find("#link-warning").Length() != 1 {
		t.Error("a mail to sign in: want the warning in the browser that did not ask, and only there")
	}
}

// B1.4: who is about to confirm sees what the account would be called, for a
// stranger may have typed it, and is told what to do then; and sees nothing of
// the sort where there is an account, which keeps its name.
func TestB1_4_TheNameIsShownBeforeItCounts(t *testing.T) {
	h := newHouse(t, home, nil)
	mallory, victim := h.visitor(t), h.visitor(t)
	typed := url.Values{"first": {`<b>Mallory</b>`}, "last": {"ליו & Co."}, "email": {"victim@example.com"}}
	wantStatus(t, mallory.submit(mallory.get("/createUser"), "#sign-up-form", typed), http.StatusAccepted)
	trap := h.letter(t)
	for name, tt := range map[string]struct {
		who      *visitor
		language string
		says     string
		asks     int
	}{
		"a foreign browser": {victim, "en", "The account will be in the name of <b>Mallory</b> ליו & Co..", 1},
		"in German":         {victim, "de", "Das Konto wird auf den Namen <b>Mallory</b> ליו & Co. lauten.", 1},
		"the one that did":  {mallory, "en", "The account will be in the name of <b>Mallory</b> ליו & Co..", 0},
	} {
		tt.who.language = tt.language
		doc := page(t, tt.who.get(trap.path))
		if got := doc.Find("#link-name").Text(); got != tt.says || doc.Find("#link-name bdi").Text() != "<b>Mallory</b> ליו & Co." {
			t.Errorf("%s: the page says %q, want %q with the name isolated", name, got, tt.says)
		}
		if hint := doc.Find("#link-not-your-name"); hint.Length() != tt.asks || hint.Find(`a[href="/createUser"]`).Length() != tt.asks {
			t.Errorf("%s: what to do if that is not you: %q", name, hint.Text())
		}
		for id := range strings.FieldsSeq(doc.Find("#link-button").AttrOr("aria-describedby", "")) {
			if doc.Find("#"+id).Length() != 1 {
				t.Errorf("%s: the button is described by %s, which is not there", name, id)
			}
		}
	}
	// The victim does as the page says, and the name in the other link is
	// nobody's any more, though its mail was sent to an address without account.
	victim.language = "en"
	h.clock.advance(11 * time.Minute)
	victim.signUp("Victoria", "victim@example.com")
	mine := h.letter(t)
	victim.redirects(victim.submit(victim.get(mine.path), "#link-form", nil), "/")
	w := victim.get(trap.path)
	if doc := page(t, w); doc.Find("h1").Text() != "You have an account already." || doc.Find("#link-name, #link-not-your-name").Length() != 0 {
		t.Errorf("the page of a link that signs in to an account:\n%s", w.Body)
	}
	if strings.Contains(w.Body.String(), "Mallory") {
		t.Error("the stranger's name is shown where it counts for nothing")
	}
	h.visitor(t).askSignIn("victim@example.com")
	for _, l := range h.deliver(t) {
		if l.variant == onboarding.SignInLink && page(t, victim.get(l.path)).Find("#link-name").Length() != 0 {
			t.Error("the page of a link to sign in talks of a new name")
		}
	}
}

// B2.5: a stranger's link that is followed in somebody's browser does nothing
// by itself, cannot be pressed from another site, and says whose it is.
func TestB2_5_LoginCSRF(t *testing.T) {
	h := newHouse(t, "https://desk.example", nil)
	victim := h.member(t, "Victim", "victim@example.com")
	h.member(t, "Mallory", "mallory@example.com")
	h.visitor(t).askSignIn("mallory@example.com")
	trap := h.letter(t)
	mine := victim.jar["__Host-session"]

	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
		w := victim.do("POST", trap.path, "", "Content-Type: application/x-www-form-urlencoded", header)
		wantStatus(t, w, http.StatusForbidden)
	}
	w := victim.do("GET", trap.path, "", "Sec-Fetch-Site: cross-site")
	wantStatus(t, w, http.StatusOK)
	doc := page(t, w)
	if doc.Find("#link-address").Text() != "mallory@example.com" || doc.Find("#link-leaving bdi").Text() != "victim@example.com" {
		t.Errorf("the page does not say whose link it is:\n%s", w.Body)
	}
	if victim.jar["__Host-session"] != mine || page(t, victim.get("/")).Find("h1").Text() != "Hello, Victim." {
		t.Error("following the link has changed who is signed in")
	}
}

// B2.6: nothing outside learns the link, and it is kept nowhere.
func TestB2_6_LinkPagesTellNobody(t *testing.T) {
	h := newHouse(t, home, nil)
	confirm, signIn := bothLinks(t, h)
	v := h.visitor(t)
	for _, l := range []letter{confirm, signIn} {
		over := strings.TrimSuffix(l.path, l.token()) + "x"
		for _, w := range []*httptest.ResponseRecorder{v.get(l.path), v.do("HEAD", l.path, ""), v.get(over), v.post(over, nil)} {
			for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", l.id, name, got, want)
				}
			}
		}
		w := v.get(l.path)
		doc := page(t, w)
		doc.Find("head link").Each(func(_ int, s *selection) {
			if s.AttrOr("referrerpolicy", "") != "no-referrer" || !strings.HasPrefix(s.AttrOr("href", ""), "/") {
				t.Errorf("%s: loads %s", l.id, s.AttrOr("href", ""))
			}
		})
		// The form may say which site it is of, and no more: after everything the page loads.
		body := w.Body.String()
		if at := strings.Index(body, `<meta name="referrer" content="strict-origin">`); at < strings.LastIndex(body, "<link ") {
			t.Errorf("%s: the form would be sent with Origin: null", l.id)
		}
		v.redirects(v.submit(w, "#link-form", nil), "/") // a clean address
	}
}

// B2.7: nothing on a link's page presses the button, not even with scripts.
func TestB2_7_NothingSubmitsByItself(t *testing.T) {
	h := newHouse(t, home, nil)
	confirm, signIn := bothLinks(t, h)
	for _, l := range []letter{confirm, signIn} {
		w := h.visitor(t).get(l.path)
		if doc := page(t, w); doc.Find("script, meta[http-equiv], [autofocus], [onload], iframe, object, embed").Length() != 0 {
			t.Errorf("%s: something on the page acts by itself", l.id)
		}
		if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "script-src") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: scripts may run: %s", l.id, csp)
		}
	}
}

// Confirming in a browser: a session, a known device, and nothing pending.
func TestConfirmInABrowser(t *testing.T) {
	for _, prefix := range []string{"", "__Host-"} {
		public := map[string]string{"": home, "__Host-": "https://desk.example"}[prefix]
		h := newHouse(t, public, nil)
		v := h.visitor(t)
		v.signUp("Ada <3", "ada@example.com")
		link := h.letter(t)
		if link.variant != onboarding.Confirm {
			t.Fatalf("variant %s", link.variant)
		}
		w := v.submit(v.get(link.path), "#link-form", nil)
		wantCookie(t, w, prefix+"session", 30*24*time.Hour)
		wantCookie(t, w, prefix+"device", signup.DeviceLife)
		if v.jar[prefix+"pending"] != "" || v.jar[prefix+"typed"] != "" {
			t.Errorf("what was pending is still there: %v", v.jar)
		}
		doc := page(t, v.redirects(w, "/"))
		if doc.Find("h1").Text() != "Hello, Ada <3." || doc.Find("#account-status").Text() != "confirmed" {
			t.Errorf("home greets with %q, %q", doc.Find("h1").Text(), doc.Find("#account-status").Text())
		}
		if welcome := h.letter(t); welcome.variant != onboarding.Welcomed {
			t.Errorf("then %s was sent", welcome.variant)
		}
		if !slices.Equal(h.metrics.doors, []string{"sign-up link confirmed"}) {
			t.Errorf("counted %v", h.metrics.doors)
		}
	}
}

// A program that redeems a link gets tokens, and no cookie.
func TestConfirmAsAProgram(t *testing.T) {
	h := newHouse(t, home, nil)
	arrive(t, h)
	link := h.letter(t)
	w := h.ask("POST", link.path, "", "Content-Type: application/json")
	wantStatus(t, w, http.StatusOK)
	got := object[tokensAnswer](t, w)
	if got.TokenType != "Bearer" || got.ExpiresIn != 900 || got.RefreshToken == "" || got.Confirmed == nil || !*got.Confirmed {
		t.Errorf("answer %+v", got)
	}
	p := h.store.only(t)
	if a := got.Account; a == nil || a.ID != p.ID || a.Status != "confirmed" || a.First != "Ada <3" || a.Last != "King" || a.Email != "ada@example.com" ||
		!a.SignedUpAt.Equal(p.Accepted) || !a.ConfirmedAt.Equal(p.Confirmed) {
		t.Errorf("account %+v of %v", got.Account, p.ID)
	}
	if len(w.Result().Cookies()) != 0 {
		t.Error("a program got a cookie")
	}
	hello := object[map[string]string](t, h.ask("GET", "/", "", "Authorization: Bearer "+got.AccessToken))
	if hello["first"] != "Ada <3" || hello["status"] != "confirmed" || len(hello) != 2 {
		t.Errorf("greeted with %v", hello)
	}
	again := h.ask("POST", link.path, "", "Content-Type: application/json")
	wantStatus(t, again, http.StatusConflict)
	if got := object[problem](t, again); got.Error.Code != "already-used" {
		t.Errorf("second use: %+v", got.Error)
	}
	// B4.3: without JSON, or a form, nothing is redeemed.
	wantStatus(t, h.ask("POST", link.path, ""), http.StatusUnsupportedMediaType)
	wantStatus(t, h.ask("POST", link.path, "{}", "Content-Type: text/plain"), http.StatusUnsupportedMediaType)
	wantStatus(t, h.ask("POST", link.path, `{"a":"b"}`, "Content-Type: application/json"), http.StatusBadRequest)
}

// The second use of a link is answered kindly, whoever uses it.
func TestUsedLinkIsKind(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	link := h.letter(t)
	v.redirects(v.submit(v.get(link.path), "#link-form", nil), "/")
	for _, tt := range []struct {
		who  *visitor
		next string
	}{{v, "/"}, {h.visitor(t), "/signIn"}} {
		for _, w := range []*httptest.ResponseRecorder{tt.who.get(link.path), tt.who.post(link.path, nil)} {
			wantStatus(t, w, http.StatusConflict)
			doc := page(t, w)
			if doc.Find("h1").Text() != "Already confirmed" || doc.Find("main a.button").AttrOr("href", "") != tt.next {
				t.Errorf("page:\n%s", w.Body)
			}
		}
	}
}

// A dead link shows where to get a new one: on the page of the mail, if this
// browser has signed up.
func TestDeadLinkShowsTheWay(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	for _, tt := range []struct {
		who      *visitor
		path, to string
	}{{v, "/confirm/x", "/signup/status"}, {h.visitor(t), "/confirm/x", "/signIn"}, {v, "/signIn/x", "/signIn"}} {
		doc := page(t, tt.who.get(tt.path))
		if got := doc.Find("main a.button").AttrOr("href", ""); got != tt.to {
			t.Errorf("%s leads to %q, want %q", tt.path, got, tt.to)
		}
	}
}

// Of a sign-up's mails each has a link that works, until one is used: whoever
// asked twice may read either (I5).
func TestEveryMailsLinkWorksUntilOneIsUsed(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	first := h.letter(t)
	h.clock.advance(11 * time.Minute)
	v.redirects(v.submit(v.get("/signup/status"), "#resend-form", nil), "/signup/status")
	second := h.letter(t)
	if first.path == second.path {
		t.Fatal("the same link again")
	}
	for _, path := range []string{first.path, second.path} {
		wantStatus(t, v.get(path), http.StatusOK)
	}
	v.redirects(v.submit(v.get(first.path), "#link-form", nil), "/")
	wantStatus(t, v.get(second.path), http.StatusConflict)
}

// If the store is away, the link is not used up, and nothing says it is dead.
func TestLinkWithoutStore(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	link := h.letter(t)
	h.store.fail = signup.ErrUnavailable
	wantStatus(t, v.get(link.path), http.StatusServiceUnavailable)
	wantStatus(t, v.post(link.path, url.Values{}), http.StatusServiceUnavailable)
	h.store.fail = nil
	v.redirects(v.submit(v.get(link.path), "#link-form", nil), "/")
}
