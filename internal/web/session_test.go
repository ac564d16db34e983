package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"bellhop/internal/onboarding"
)

// program returns the tokens of a program that has signed up and confirmed.
func (h *house) program(t *testing.T, email string) tokensAnswer {
	t.Helper()
	h.deliver(t) // what is not for this one
	wantStatus(t, h.json(`{"first":"Pro","last":"Gram","email":"`+email+`"}`), http.StatusAccepted)
	w := h.ask("POST", h.letter(t).path, "", "Content-Type: application/json")
	wantStatus(t, w, http.StatusOK)
	h.deliver(t) // the welcome
	return object[tokensAnswer](t, w)
}

// memberRoutes are those that only an account's session opens.
func memberRoutes() []struct{ method, path string } {
	return []struct{ method, path string }{
		{"GET", "/me"}, {"GET", "/me/export"}, {"GET", "/me/sessions"}, {"DELETE", "/me/sessions/x"},
		{"POST", "/signOut"}, {"POST", "/signOut/everywhere"}, {"DELETE", "/me"},
	}
}

// B1.2: a pending session opens nothing of an account, whoever's the address
// is; and an account's token is no pending one.
func TestB1_2_PendingOpensNothing(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	pending := "Authorization: Bearer " + arrive(t, h)
	asking := "Authorization: Bearer " + object[struct{ Status, Message, Token string }](t,
		h.ask("POST", "/signIn", `{"email":"ada@example.com"}`, "Content-Type: application/json")).Token
	for _, route := range memberRoutes() {
		for _, bearer := range []string{pending, asking, "X: y"} {
			w := h.ask(route.method, route.path, "", bearer, "Content-Type: application/json")
			wantStatus(t, w, http.StatusUnauthorized)
		}
		v := h.visitor(t)
		v.signUp("Mallory", "ada@example.com")
		v.askSignIn("ada@example.com")
		v.jar["session"] = v.jar["pending"]
		w := v.do(route.method, route.path, "", "Content-Type: application/x-www-form-urlencoded")
		if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || strings.HasPrefix(to, "/me") {
			t.Errorf("%s %s: %d %s", route.method, route.path, w.Code, to)
		}
	}
	account := "Authorization: Bearer " + h.program(t, "bob@example.com").AccessToken
	wantStatus(t, h.ask("GET", "/signup/status", "", account), http.StatusUnauthorized)
	wantStatus(t, h.ask("POST", "/signup/resend", "", account), http.StatusUnauthorized)
	for _, path := range []string{"/signup/code", "/signIn/code"} {
		wantStatus(t, h.ask("POST", path, `{"code":"123456"}`, account, "Content-Type: application/json"), http.StatusUnauthorized)
	}
}

// B1.3: no answer but that to a mailed link or code opens a session.
func TestB1_3_OnlyAMailOpensASession(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	v := h.visitor(t)
	answers := []*httptest.ResponseRecorder{
		v.signUp("Ada", "ada@example.com"), v.askSignIn("ada@example.com"), v.get("/"), v.get("/signup/status"),
		v.post("/signup/resend", url.Values{}), v.post("/signup/code", url.Values{"code": {"000000"}}),
		v.post("/signIn/code", url.Values{"code": {"000000"}}), v.post("/confirm/x", nil), v.post("/signIn/x", nil),
	}
	for _, w := range answers {
		for _, c := range w.Result().Cookies() {
			if c.Name == "session" || c.Name == "device" {
				t.Errorf("a cookie %s out of nothing", c.Name)
			}
		}
	}
}

// B1.4: who signs up with somebody's address first has nothing of them
// afterwards: no account, no code that works, and no sign of what has happened.
func TestB1_4_PreHijack(t *testing.T) {
	h := newHouse(t, home, nil)
	mallory := h.visitor(t)
	mallory.signUp("Mallory", "victim@example.com")
	trap := h.letter(t) // which the victim gets, and leaves alone
	h.clock.advance(11 * time.Minute)
	victim := h.visitor(t)
	victim.signUp("Victoria", "victim@example.com")
	mine := h.letter(t)
	before := mallory.get("/signup/status").Body.String()
	homeBefore := mallory.get("/").Body.String()

	victim.redirects(victim.submit(victim.get(mine.path), "#link-form", nil), "/")
	h.deliver(t)
	if got := mallory.get("/signup/status").Body.String(); got != before {
		t.Error("the stranger's page tells that the address was confirmed")
	}
	if got := mallory.get("/").Body.String(); got != homeBefore || page(t, mallory.get("/")).Find("#account-status").Text() != "pending" {
		t.Error("the stranger's home tells that the address was confirmed")
	}
	wantStatus(t, mallory.post("/signup/code", url.Values{"code": {trap.code}}), http.StatusUnprocessableEntity)
	wantStatus(t, mallory.post("/signup/code", url.Values{"code": {mine.code}}), http.StatusUnprocessableEntity)
	if w := mallory.get("/me"); w.Code != http.StatusSeeOther {
		t.Errorf("the stranger's /me answers %d", w.Code)
	}

	// The victim presses the button in the other mail, too: it signs in to the
	// victim's account, and the stranger's name is nobody's.
	other := h.visitor(t)
	w := other.redirects(other.submit(other.get(trap.path), "#link-form", nil), "/")
	if got := page(t, w).Find("h1").Text(); got != "Hello, Victoria." {
		t.Errorf("greeted with %q", got)
	}
	if got := mallory.get("/signup/status").Body.String(); got != before {
		t.Error("the stranger's page tells that the link was used")
	}
	if w := other.get("/me"); strings.Contains(w.Body.String(), "Mallory") {
		t.Error("the stranger's name is in the account")
	}
}

// B1.4: the mail to who has an account already says so; its link signs in.
func TestB1_4_AlreadyRegistered(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	h.clock.advance(11 * time.Minute)
	again := h.visitor(t)
	again.signUp("Not Ada", "ada@example.com")
	letter := h.letter(t)
	if letter.variant != onboarding.AlreadyRegistered {
		t.Fatalf("variant %s", letter.variant)
	}
	wantStatus(t, again.post("/signup/code", url.Values{"code": {letter.code}}), http.StatusUnprocessableEntity) // there is no code
	w := again.get(letter.path)
	if got := page(t, w).Find("h1").Text(); got != "You have an account already." {
		t.Errorf("heading %q", got)
	}
	if got := page(t, again.redirects(again.submit(w, "#link-form", nil), "/")).Find("h1").Text(); got != "Hello, Ada." {
		t.Errorf("greeted with %q", got)
	}
}

// B4.1: a cookie is for pages, a bearer for programs, and a query string for
// neither.
func TestB4_1_CookieOrBearer(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	bob := h.program(t, "bob@example.com")
	cookie := "Cookie: session=" + v.jar["session"]
	for _, route := range memberRoutes() {
		for _, headers := range [][]string{
			{cookie}, {cookie, "Accept: */*"}, {cookie, "Accept: application/json"},
			{cookie, "Content-Type: application/json", "Accept: " + browser},
			{"Cookie: session=" + bob.RefreshToken, "Accept: application/json"},
			{"Cookie: session=" + bob.AccessToken},
			{"Authorization: Bearer " + v.jar["session"]}, {"Authorization: Bearer " + bob.RefreshToken},
			{"Authorization: Basic " + bob.AccessToken},
		} {
			w := h.ask(route.method, route.path, "", append(headers, "Content-Type: application/json")...)
			wantStatus(t, w, http.StatusUnauthorized)
		}
		for _, query := range []string{"?access_token=", "?token=", "?session=", "?Authorization=Bearer%20"} {
			w := h.ask(route.method, route.path+query+bob.AccessToken, "", "Content-Type: application/json")
			wantStatus(t, w, http.StatusUnauthorized)
		}
	}
	// A bearer that is no good is not made good by a cookie.
	w := v.do("GET", "/me", "", "Authorization: Bearer x")
	if w.Code == http.StatusOK {
		t.Error("the cookie spoke for a bad bearer")
	}
	wantStatus(t, v.get("/me"), http.StatusOK)
	wantStatus(t, h.ask("GET", "/me", "", "Authorization: Bearer "+bob.AccessToken), http.StatusOK)
}

// B4.1, V7: who authenticates gets a session that nobody knew before, and the
// one the browser had is over.
func TestB4_1_SessionFixation(t *testing.T) {
	h := newHouse(t, home, nil)
	mallory := h.member(t, "Mallory", "mallory@example.com")
	victim := h.visitor(t)
	victim.signUp("Victoria", "victim@example.com")
	planted := mallory.jar["session"]
	victim.jar["session"] = planted
	link := h.letter(t)
	w := victim.submit(victim.get(link.path), "#link-form", nil)
	if made := wantCookie(t, w, "session", 30*24*time.Hour); made == planted {
		t.Fatal("the planted session has become the victim's")
	}
	if got := page(t, victim.redirects(w, "/")).Find("h1").Text(); got != "Hello, Victoria." {
		t.Errorf("greeted with %q", got)
	}
	if got := mallory.get("/me").Code; got != http.StatusSeeOther {
		t.Errorf("the planted session still opens something: %d", got)
	}
}

// A cookie that was made up, or altered, opens nothing.
func TestForgedSessionCookie(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	good := v.jar["session"]
	for _, forged := range []string{"x", good + "A", good[:len(good)-4] + "AAAA", strings.ToUpper(good), "A" + good, good + "~" + good} {
		v.jar["session"] = forged
		if w := v.get("/me"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/signIn?next=%2Fme" {
			t.Errorf("%.20q: %d %s", forged, w.Code, w.Header().Get("Location"))
		}
	}
}

// A session ends when nobody has used it for a week, and after a month at the
// latest.
func TestSessionEnds(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	for i := range 4 {
		h.clock.advance(6 * 24 * time.Hour)
		if w := v.get("/me"); w.Code != http.StatusOK {
			t.Fatalf("day %d: status %d", 6*(i+1), w.Code)
		}
		must(t, h.store.Ping(t.Context())) // the store has marked it as used
	}
	h.clock.advance(6*24*time.Hour + time.Minute) // 30 days
	wantStatus(t, v.get("/me"), http.StatusSeeOther)
	idle := h.member(t, "Bob", "bob@example.com")
	h.clock.advance(7*24*time.Hour + time.Minute)
	wantStatus(t, idle.get("/me"), http.StatusSeeOther)
}

// refresh asks for new tokens.
func (h *house) refresh(refreshToken string) *httptest.ResponseRecorder {
	body, _ := json.Marshal(map[string]string{"refresh_token": refreshToken})
	return h.ask("POST", "/token/refresh", string(body), "Content-Type: application/json")
}

// B3.5: refresh tokens rotate; within the grace a repeat gets the same
// successor, and later it ends the session.
func TestB3_5_Refresh(t *testing.T) {
	h := newHouse(t, home, nil)
	first := h.program(t, "ada@example.com")
	w := h.refresh(first.RefreshToken)
	wantStatus(t, w, http.StatusOK)
	second := object[tokensAnswer](t, w)
	if second.TokenType != "Bearer" || second.ExpiresIn != 900 || second.RefreshToken == first.RefreshToken || second.Account != nil || second.Confirmed != nil {
		t.Errorf("answer %+v", second)
	}
	if again := object[tokensAnswer](t, h.refresh(first.RefreshToken)); again.RefreshToken != second.RefreshToken {
		t.Error("a repeat got another successor")
	}
	wantStatus(t, h.ask("GET", "/me", "", "Authorization: Bearer "+second.AccessToken), http.StatusOK)
	third := object[tokensAnswer](t, h.refresh(second.RefreshToken))
	h.clock.advance(time.Minute)
	w = h.refresh(first.RefreshToken)
	wantStatus(t, w, http.StatusUnauthorized)
	if got := object[problem](t, w); got.Error.Code != "refresh-reused" {
		t.Errorf("answer %+v", got.Error)
	}
	wantStatus(t, h.refresh(third.RefreshToken), http.StatusUnauthorized) // the family is over
	wantStatus(t, h.ask("GET", "/me", "", "Authorization: Bearer "+third.AccessToken), http.StatusUnauthorized)
	if !strings.Contains(h.log.String(), "came twice") || strings.Contains(h.log.String(), first.RefreshToken) {
		t.Errorf("logged %s", h.log)
	}
}

func TestRefreshRefuses(t *testing.T) {
	h := newHouse(t, home, nil)
	made := h.program(t, "ada@example.com")
	v := h.member(t, "Bob", "bob@example.com")
	for _, refused := range []string{"", "x", made.AccessToken, v.jar["session"], made.RefreshToken + "A"} {
		w := h.refresh(refused)
		wantStatus(t, w, http.StatusUnauthorized)
		if got := object[problem](t, w); got.Error.Code != "unauthorized" {
			t.Errorf("%.10q: %+v", refused, got.Error)
		}
	}
	for contentType, want := range map[string]int{"application/x-www-form-urlencoded": 415, "text/plain": 415, "": 415, "multipart/form-data; boundary=x": 415} {
		w := h.ask("POST", "/token/refresh", "refresh_token="+made.RefreshToken, "Content-Type: "+contentType)
		wantStatus(t, w, want)
	}
	wantStatus(t, h.ask("POST", "/token/refresh", `{"refresh_token":"a","grant_type":"b"}`, "Content-Type: application/json"), http.StatusBadRequest)
	h.clock.advance(31 * 24 * time.Hour)
	wantStatus(t, h.refresh(made.RefreshToken), http.StatusUnauthorized)
}

func TestJWKS(t *testing.T) {
	h := newHouse(t, home, nil)
	w := h.ask("GET", "/.well-known/jwks.json", "", "Accept: "+browser)
	wantStatus(t, w, http.StatusOK)
	var set struct{ Keys []map[string]string }
	must(t, json.Unmarshal(w.Body.Bytes(), &set))
	if len(set.Keys) < 1 || set.Keys[0]["kty"] != "EC" || set.Keys[0]["d"] != "" {
		t.Errorf("keys %v", set.Keys)
	}
	if got := w.Header().Get("Content-Type"); got != "application/jwk-set+json" {
		t.Errorf("Content-Type %q", got)
	}
	if got := w.Header().Get("Cache-Control"); got != "public, max-age=600" {
		t.Errorf("Cache-Control %q", got)
	}
}

func TestSignOut(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	stolen := h.visitor(t)
	stolen.jar["session"] = v.jar["session"]
	v.signUp("Eve", "eve@example.com")
	v.askSignIn("eve@example.com")
	w := v.submit(v.get("/me"), ".nav form", nil)
	if got := v.redirects(w, "/"); got.Header().Get("Location") != "/createUser" {
		t.Errorf("home answers %d", got.Code)
	}
	for _, name := range []string{"session", "pending", "typed", "asking"} {
		if v.jar[name] != "" {
			t.Errorf("the browser keeps %s", name)
		}
	}
	wantStatus(t, stolen.get("/me"), http.StatusSeeOther) // the session is over, not only the cookie
	v.redirects(v.post("/signOut", url.Values{}), "/")    // twice is fine

	program := h.program(t, "bob@example.com")
	bearer := "Authorization: Bearer " + program.AccessToken
	wantStatus(t, h.ask("POST", "/signOut", "", bearer), http.StatusNoContent)
	wantStatus(t, h.ask("POST", "/signOut", "", bearer), http.StatusUnauthorized)
	wantStatus(t, h.refresh(program.RefreshToken), http.StatusUnauthorized)
	wantStatus(t, h.ask("POST", "/signOut", ""), http.StatusUnsupportedMediaType)
}

func TestSignOutEverywhere(t *testing.T) {
	h := newHouse(t, home, nil)
	for _, byProgram := range []bool{false, true} {
		email := map[bool]string{false: "ada@example.com", true: "bob@example.com"}[byProgram]
		program := h.program(t, email)
		v := h.visitor(t)
		v.askSignIn(email)
		v.redirects(v.submit(v.get(h.letter(t).path), "#link-form", nil), "/")
		if byProgram {
			wantStatus(t, h.ask("POST", "/signOut/everywhere", "", "Authorization: Bearer "+program.AccessToken), http.StatusNoContent)
		} else {
			v.redirects(v.submit(v.get("/me/sessions"), "#sign-out-everywhere", nil), "/")
		}
		wantStatus(t, v.get("/me"), http.StatusSeeOther)
		wantStatus(t, h.refresh(program.RefreshToken), http.StatusUnauthorized)
		wantStatus(t, h.ask("GET", "/me", "", "Authorization: Bearer "+program.AccessToken), http.StatusUnauthorized)
	}
}
