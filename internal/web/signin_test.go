package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

func TestSignInByLink(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	v := h.visitor(t)
	doc := page(t, v.askSignIn(" ADA@example.com "))
	if doc.Find("h1").Text() != "Check your mail" || doc.Find(".address").Text() != "ADA@example.com" {
		t.Errorf("page: %s, %s", doc.Find("h1").Text(), doc.Find(".address").Text())
	}
	link := h.letter(t)
	if link.variant != onboarding.SignInLink || !strings.HasPrefix(link.path, "/signIn/") {
		t.Fatalf("letter %+v", link)
	}
	w := v.submit(v.get(link.path), "#link-form", nil)
	wantCookie(t, w, "session", 30*24*time.Hour)
	wantCookie(t, w, "device", signup.DeviceLife)
	if v.jar["asking"] != "" {
		t.Error("the browser still asks to sign in")
	}
	if doc := page(t, v.redirects(w, "/")); doc.Find("h1").Text() != "Hello, Ada." {
		t.Errorf("home greets with %q", doc.Find("h1").Text())
	}
	if sent := h.deliver(t); len(sent) != 0 {
		t.Errorf("then %v", sent)
	}
}

func TestSignInByCode(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	v := h.visitor(t)
	asked := v.submit(v.get("/signIn?next=/me"), "#sign-in-form", url.Values{"email": {"ada@example.com"}})
	wantCookie(t, asked, "asking", time.Hour)
	letter := h.letter(t)
	wrong := v.submit(asked, "#code-form", url.Values{"code": {"12345"}})
	wantStatus(t, wrong, http.StatusUnprocessableEntity)
	if doc := page(t, wrong); doc.Find("#code-error").Length() != 1 || doc.Find(".address").Text() != "ada@example.com" {
		t.Errorf("page:\n%s", wrong.Body)
	}
	w := v.submit(wrong, "#code-form", url.Values{"code": {letter.code}})
	if doc := page(t, v.redirects(w, "/me")); doc.Find("#account-email").Text() != "ada@example.com" {
		t.Error("not signed in")
	}
	// Another browser's request is not this one's.
	other := h.visitor(t)
	other.askSignIn("bob@example.com")
	wantStatus(t, other.post("/signIn/code", url.Values{"code": {letter.code}}), http.StatusUnprocessableEntity)
	if w := h.visitor(t).post("/signIn/code", url.Values{"code": {letter.code}}); w.Header().Get("Location") != "/signIn" {
		t.Errorf("without having asked: %d %s", w.Code, w.Header().Get("Location"))
	}
}

// B1.6: nobody learns whether an address has an account, and who has none gets
// no mail.
func TestB1_6_SignInIsTheSameForEverybody(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	h.visitor(t).signUp("Bob", "bob@example.com") // pending
	h.deliver(t)
	var pages, answers []string
	for _, who := range []string{"ada", "bob", "eve"} {
		v := h.visitor(t)
		w := v.askSignIn(who + "@example.com")
		pages = append(pages, strings.ReplaceAll(w.Body.String(), who, "who"))
		w = h.ask("POST", "/signIn", `{"email":"`+who+`@example.com"}`, "Content-Type: application/json")
		wantStatus(t, w, http.StatusAccepted)
		got := object[struct{ Status, Message, Token string }](t, w)
		answers = append(answers, fmt.Sprint(got.Status, got.Message, len(got.Token), w.Header()))
		wantStatus(t, v.post("/signIn/code", url.Values{"code": {"000000"}}), http.StatusUnprocessableEntity)
	}
	for i := range pages {
		if pages[i] != pages[0] || answers[i] != answers[0] {
			t.Errorf("answers differ:\n%s\n%s", answers[i], answers[0])
		}
	}
	if sent := h.deliver(t); len(sent) != 2 { // Ada's two
		t.Errorf("%d mails, want 2", len(sent))
	}
}

func TestSignInAsAProgram(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	made := object[struct{ Status, Message, Token string }](t,
		h.ask("POST", "/signIn", `{"email":"ada@example.com"}`, "Content-Type: application/json")).Token
	letter := h.letter(t)
	// A pending token of one kind is refused as the other.
	for path, bearer := range map[string]string{"/signup/code": made, "/signIn/code": arrive(t, h)} {
		w := h.ask("POST", path, `{"code":"`+letter.code+`"}`, "Content-Type: application/json", "Authorization: Bearer "+bearer)
		wantStatus(t, w, http.StatusUnauthorized)
	}
	w := h.ask("POST", "/signIn/code", `{"code":"`+letter.code+`"}`, "Content-Type: application/json", "Authorization: Bearer "+made)
	wantStatus(t, w, http.StatusOK)
	if got := object[tokensAnswer](t, w); got.AccessToken == "" || *got.Confirmed || got.Account.First != "Ada" {
		t.Errorf("answer %+v", got)
	}
	for body, want := range map[string]int{`{"email":"x"}`: 422, `{"email":1}`: 400, `{"next":"/"}`: 400, `{`: 400} {
		wantStatus(t, h.ask("POST", "/signIn", body, "Content-Type: application/json"), want)
	}
	wantStatus(t, h.ask("POST", "/signIn", ""), http.StatusUnsupportedMediaType)
}

func TestSignInFormAgain(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	w := v.submit(v.get("/signIn?next=/me/delete"), "#sign-in-form", url.Values{"email": {`"><b>`}})
	wantStatus(t, w, http.StatusUnprocessableEntity)
	doc := page(t, w)
	field := doc.Find("#email")
	if field.AttrOr("value", "") != `"><b>` || field.AttrOr("aria-invalid", "") != "true" || doc.Find("#email-error").Text() == "" {
		t.Errorf("page:\n%s", w.Body)
	}
	if got := doc.Find("input[name=next]").AttrOr("value", ""); got != "/me/delete" {
		t.Errorf("next is %q now", got)
	}
}

// B5.5: a browser that was signed in before is not shut out by strangers who
// ask for mails to the same address.
func TestB5_5_KnownBrowserHasItsOwnBudget(t *testing.T) {
	h := newHouse(t, home, nil)
	known := h.member(t, "Ada", "ada@example.com")
	known.post("/signOut", url.Values{})
	if known.jar["device"] == "" {
		t.Fatal("signing out has forgotten the device")
	}
	stranger := h.visitor(t)
	for range 10 {
		stranger.askSignIn("ada@example.com")
	}
	if sent := h.deliver(t); len(sent) != 3 {
		t.Errorf("strangers had %d mails sent, want 3", len(sent))
	}
	known.askSignIn("ada@example.com")
	h.letter(t)
}

// B4.6: a link goes on to where the browser wanted to go that asked for it, and
// home in every other one.
func TestB4_6_LinkGoesOn(t *testing.T) {
	h := newHouse(t, home, nil)
	for i, tt := range []struct{ asked, elsewhere, want string }{
		{"/signIn?next=/me/delete", "", "/me/delete"},
		{"/signIn", "", "/"},
		{"/signIn?next=//evil", "", "/"},
		{"/signIn?next=/me", "phone", "/"},
	} {
		v, email := h.visitor(t), fmt.Sprintf("ada%d@example.com", i)
		h.member(t, "Ada", email)
		v.submit(v.get(tt.asked), "#sign-in-form", url.Values{"email": {email}})
		path := h.letter(t).path
		if tt.elsewhere != "" {
			v = h.visitor(t)
		}
		v.redirects(v.submit(v.get(path), "#link-form", nil), tt.want)
		if v.jar["asking"] != "" {
			t.Errorf("%s: the cookie outlives the link", tt.asked)
		}
	}
	// What is in the cookie is looked at again: it may be somebody else's.
	h.member(t, "Ada", "ada@example.com")
	v := h.visitor(t)
	v.submit(v.get("/signIn?next=/me"), "#sign-in-form", url.Values{"email": {"ada@example.com"}})
	v.jar["asking"] = strings.Replace(v.jar["asking"], "~/me", "~//evil.example", 1)
	if !strings.HasSuffix(v.jar["asking"], "~//evil.example") {
		t.Fatalf("the cookie is %q", v.jar["asking"])
	}
	v.redirects(v.submit(v.get(h.letter(t).path), "#link-form", nil), "/")
}

// B4.6: "next" names one of our pages, or is passed over.
func TestB4_6_OpenRedirects(t *testing.T) {
	h := newHouse(t, home, nil)
	refused := []string{
		"//evil", "//evil.example/me", `/\evil`, `\/evil`, "/\tevil", "\t//evil", "/%09/evil", "/%2f%2fevil", "https:evil", "https://evil.example/",
		"http://localhost:6969/me", "javascript:alert(1)", "data:text/html,x", "/me/", "/me?x", "/me#x", "/ME", "me", "", "/createUser", "/signOut",
		"/me//evil", "/../me", "/me\r\nSet-Cookie: a=b", "/me\x00", " /me", "/me@evil", "//localhost:6969/me", "/mailbox/../..//evil",
	}
	for i, next := range refused {
		v := h.visitor(t)
		doc := page(t, v.get("/signIn?next="+url.QueryEscape(next)))
		if got := doc.Find("input[name=next]").AttrOr("value", ""); got != "/" {
			t.Errorf("%q: the form carries %q", next, got)
		}
		if i%8 == 0 {
			email := fmt.Sprintf("ada%d@example.com", i)
			h.member(t, "Ada", email)
			v.askSignIn(email)
			w := v.post("/signIn/code", url.Values{"code": {h.letter(t).code}, "next": {next}})
			if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/" {
				t.Errorf("%q: redirected to %q with %d", next, got, w.Code)
			}
		}
		w := v.post("/signOut", url.Values{"next": {next}})
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/" {
			t.Errorf("%q: signed out to %q with %d", next, got, w.Code)
		}
	}
	v := h.visitor(t)
	for _, query := range []string{"next=/me&next=//evil", "next=//evil&next=/me", "next=/me&next=/me", "Next=/me", "next%5B%5D=/me"} {
		if got := page(t, v.get("/signIn?"+query)).Find("input[name=next]").AttrOr("value", ""); got != "/" {
			t.Errorf("%s: the form carries %q", query, got)
		}
	}
	wantStatus(t, v.post("/signOut", url.Values{"next": {"/me", "//evil"}}), http.StatusBadRequest)
	for _, next := range []string{"/", "/me", "/me/delete", "/mailbox"} {
		if got := page(t, v.get("/signIn?next="+next)).Find("input[name=next]").AttrOr("value", ""); got != next {
			t.Errorf("%s: the form carries %q", next, got)
		}
		if got := v.post("/signOut", url.Values{"next": {next}}).Header().Get("Location"); got != next {
			t.Errorf("%s: redirected to %q", next, got)
		}
	}
}

// B4.7: no link and no redirect is made from what the request says its host is.
func TestB4_7_ForgedHost(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	forged := []string{"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=evil.example", "X-Original-URL: //evil.example", "X-Host: evil.example"}
	for _, path := range []string{"/", "/me", "/me/sessions", "/me/delete", "/signIn", "/createUser", "/nothing", "/signup/status", "/confirm/x"} {
		for _, who := range []*visitor{v, h.visitor(t)} {
			r := request("GET", path, "", append(forged, "Accept: "+browser)...)
			r.Host = "evil.example"
			if made := who.jar["session"]; made != "" {
				r.AddCookie(&http.Cookie{Name: "session", Value: made})
			}
			w := serve(h, r)
			if strings.Contains(w.Body.String()+headerText(w.Header()), "evil.example") {
				t.Errorf("%s: the host of the request is in the answer:\n%s\n%s", path, headerText(w.Header()), w.Body)
			}
			if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
				t.Errorf("%s: redirected to %q", path, to)
			}
		}
	}
	// A mail's link is the public URL's, whatever the request said.
	r := request("POST", "/signIn", "email=ada%40example.com", append(forged, "Content-Type: application/x-www-form-urlencoded", "Accept: "+browser)...)
	r.Host = "evil.example"
	wantStatus(t, serve(h, r), http.StatusAccepted)
	if link := h.letter(t); !strings.HasPrefix(link.path, "/signIn/") { // below the public URL
		t.Errorf("link %s", link.path)
	}
}
