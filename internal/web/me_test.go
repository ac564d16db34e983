package web_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/web"
)

// sessionAnswer is one of the answer of GET /me/sessions.
type sessionAnswer struct {
	ID, Kind                 string
	OpenedAt, SeenAt, EndsAt time.Time
	Current                  bool
}

func TestMe(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada <3", "Ada@Example.com")
	p := h.store.only(t)
	doc := page(t, v.get("/me"))
	if doc.Find("#account-email").Text() != "Ada@Example.com" || !strings.Contains(doc.Find(".facts").Text(), "Ada <3") {
		t.Errorf("page: %s", doc.Find("main").Text())
	}
	program := h.program(t, "bob@example.com")
	w := h.ask("GET", "/me", "", "Authorization: Bearer "+program.AccessToken)
	wantStatus(t, w, http.StatusOK)
	if got := object[accountAnswer](t, w); got != *program.Account || got.Email != "bob@example.com" {
		t.Errorf("answer %+v, redeemed %+v", got, program.Account)
	}
	if p.Status != signup.Confirmed {
		t.Errorf("status %s", p.Status)
	}
}

// Who is not signed in is sent to sign in, and comes back.
func TestMembersComeBack(t *testing.T) {
	h := newHouse(t, home, nil)
	h.member(t, "Ada", "ada@example.com")
	for path, next := range map[string]string{"/me": "/me", "/me/delete": "/me/delete", "/me/sessions": "/", "/me/export": "/"} {
		v := h.visitor(t)
		w := v.get(path)
		wantStatus(t, w, http.StatusSeeOther)
		to := w.Header().Get("Location")
		if got := page(t, v.get(to)).Find("input[name=next]").AttrOr("value", ""); got != next {
			t.Errorf("%s leads to %s, and from there to %q, want %q", path, to, got, next)
		}
	}
}

// B7.6: everything that is held, as one JSON, for nobody else.
func TestB7_6_Export(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "Ada@Example.com")
	h.member(t, "Bob", "bob@example.com")
	v.signUp("Ada again", "ada@example.com")
	v.askSignIn("ada@example.com")
	h.deliver(t)
	w := v.get("/me/export")
	wantStatus(t, w, http.StatusOK)
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="bellhop-export.json"` {
		t.Errorf("Content-Disposition %q", got)
	}
	if strings.Contains(w.Body.String(), "bob") {
		t.Error("the export holds somebody else")
	}
	got := object[struct {
		Account  map[string]any
		SignUps  []map[string]any
		Mails    []map[string]any
		Sessions []map[string]any
		SignIns  []map[string]any
		Charged  map[string][]time.Time
	}](t, w)
	consent, _ := got.Account["consent"].(map[string]any)
	text, _ := consent["text"].(string)
	if got.Account["first"] != "Ada" || got.Account["email"] != "Ada@Example.com" || got.Account["sentTo"] != "Ada@example.com" || !strings.HasPrefix(text, "en.") {
		t.Errorf("account %v", got.Account)
	}
	var mails []string
	for _, m := range got.Mails {
		mails = append(mails, m["state"].(string)+" "+m["variant"].(string))
	}
	slices.Sort(mails)
	if len(got.SignUps) != 1 || len(got.Sessions) != 1 || len(got.SignIns) != 1 || len(got.Charged["sign-up"]) != 1 || len(got.Charged["device"]) != 1 {
		t.Errorf("export %s", w.Body)
	}
	if want := []string{"sent confirm", "sent sign-in", "sent welcome", "suppressed "}; !slices.Equal(mails, want) {
		t.Errorf("mails %v, want %v", mails, want)
	}
}

// An export of nothing has lists, and no nulls.
func TestEmptyDossier(t *testing.T) {
	body, err := web.EncodeDossier(signup.Dossier{})
	must(t, err)
	if strings.Contains(string(body), "null") || !json.Valid(body) {
		t.Errorf("export %s", body)
	}
}

// What is kept of a consent, and what a mail server said, are in it.
func TestDossierHasItAll(t *testing.T) {
	body, err := web.EncodeDossier(signup.Dossier{
		Person:  signup.Person{Consent: signup.Consent{Text: "en.0123abcd", Origin: [16]byte{0xab}}},
		SignUps: []signup.Person{{First: "Stranger", Consent: signup.Consent{Text: "de.0123abcd", Origin: [16]byte{0xcd}}}},
		Mails:   []signup.MailRecord{{Reason: "refused", Reply: onboarding.Reply{Phase: "RCPT", Code: 550, Enhanced: "5.1.1", Text: "no"}}},
	})
	must(t, err)
	for _, want := range []string{`"origin": "ab000000000000000000000000000000"`, `"text": "en.0123abcd"`, `"text": "de.0123abcd"`, `"code": 550`, `"enhanced": "5.1.1"`, `"reason": "refused"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	// Who else typed the address, and from where, is not its owner's to know.
	if got := strings.Count(string(body), `"origin"`); got != 1 {
		t.Errorf("%d origins in %s, want the account's own", got, body)
	}
}

func TestSessionsPage(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	other := h.visitor(t)
	other.askSignIn("ada@example.com")
	other.redirects(other.submit(other.get(h.letter(t).path), "#link-form", nil), "/")
	w := v.get("/me/sessions")
	rows := page(t, w).Find("#sessions li")
	if rows.Length() != 2 || rows.Filter(".current").Length() != 1 || !strings.Contains(rows.Filter(".current").Text(), "this one") {
		t.Fatalf("page:\n%s", w.Body)
	}
	wantStatus(t, other.get("/me"), http.StatusOK)
	ending := "#" + rows.Not(".current").AttrOr("id", "") + " form"
	v.redirects(v.submit(w, ending, nil), "/me/sessions")
	wantStatus(t, other.get("/me"), http.StatusSeeOther)
	w = v.get("/me/sessions")
	if page(t, w).Find("#sessions li").Length() != 1 {
		t.Error("the session is still listed")
	}
	// Ending the one that one has is signing out.
	v.redirects(v.submit(w, "#sessions li.current form", nil), "/")
	if v.jar["session"] != "" {
		t.Error("the browser keeps its cookie")
	}
}

func TestSessionsAsAProgram(t *testing.T) {
	h := newHouse(t, home, nil)
	ada, bob := h.program(t, "ada@example.com"), h.program(t, "bob@example.com")
	list := func(made tokensAnswer) (list []sessionAnswer) {
		w := h.ask("GET", "/me/sessions", "", "Authorization: Bearer "+made.AccessToken)
		wantStatus(t, w, http.StatusOK)
		must(t, json.Unmarshal(w.Body.Bytes(), &list))
		return list
	}
	all := list(ada)
	if len(all) != 1 || !all[0].Current || all[0].Kind != "api" || !all[0].EndsAt.After(all[0].OpenedAt.Add(29*24*time.Hour)) {
		t.Fatalf("sessions %+v", all)
	}
	end := func(made tokensAnswer, id string) int {
		return h.ask("DELETE", "/me/sessions/"+id, "", "Authorization: Bearer "+made.AccessToken).Code
	}
	// Somebody else's session is not there.
	if got := []int{end(bob, all[0].ID), end(bob, "x"), end(ada, all[0].ID), end(ada, all[0].ID)}; !slices.Equal(got, []int{404, 404, 204, 401}) {
		t.Errorf("statuses %v", got)
	}
	if len(list(bob)) != 1 {
		t.Error("the wrong session was ended")
	}
}

func TestDeletePage(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	other := h.visitor(t)
	other.signUp("Ada", "ada@example.com")
	doc := page(t, v.get("/me/delete"))
	if doc.Find(".address").Text() != "ada@example.com" || doc.Find(`a[href="/me"]`).Length() == 0 {
		t.Errorf("page: %s", doc.Find("main").Text())
	}
	w := v.submit(v.get("/me/delete"), "#delete-form", nil)
	wantStatus(t, w, http.StatusOK)
	if page(t, w).Find("h1").Text() != "Your account is deleted." || len(v.jar) != 0 {
		t.Errorf("the browser keeps %v", v.jar)
	}
	if people, err := h.people.Find(t.Context(), "ada@example.com"); err == nil {
		t.Errorf("%d people are still there", len(people))
	}
	if sent := h.deliver(t); len(sent) != 0 {
		t.Errorf("%d mails after that", len(sent))
	}
	wantStatus(t, v.get("/me"), http.StatusSeeOther)
	if !slices.Contains(h.metrics.doors, "erasure") {
		t.Error("not counted")
	}
	h.clock.advance(11 * time.Minute)     // what was charged to its budget stays
	h.member(t, "Ada", "ada@example.com") // the address is free
}

// B3.6: deleting makes every token of an account fail.
func TestB3_6_DeleteAsAProgram(t *testing.T) {
	h := newHouse(t, home, nil)
	pending := arrive(t, h) // of the same address, not confirmed
	h.deliver(t)
	h.clock.advance(11 * time.Minute)
	program := h.program(t, "ada@example.com")
	bearer := "Authorization: Bearer " + program.AccessToken
	wantStatus(t, h.ask("DELETE", "/me", "", bearer), http.StatusNoContent)
	for _, route := range memberRoutes() {
		wantStatus(t, h.ask(route.method, route.path, "", bearer), http.StatusUnauthorized)
	}
	wantStatus(t, h.ask("GET", "/", "", bearer), http.StatusUnauthorized)
	if got := h.ask("GET", "/", "", "Authorization: Bearer "+pending).Body.String(); got != `{"first":"","status":"pending"}` {
		t.Errorf("a pending session, which may be a stranger's, is told %s", got) // I7
	}
	wantStatus(t, h.refresh(program.RefreshToken), http.StatusUnauthorized)
}

// B4.2: none of the buttons can be pressed from another site's page.
func TestB4_2_ButtonsAreOurs(t *testing.T) {
	h := newHouse(t, "https://desk.example", nil)
	v := h.member(t, "Ada", "ada@example.com")
	v.signUp("Ada", "ada@example.com")
	for _, path := range []string{"/me/delete", "/signOut", "/signOut/everywhere", "/me/sessions/x/end", "/signup/resend", "/signup/code", "/signIn", "/signIn/code", "/createUser"} {
		for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
			w := v.do("POST", path, "email=ada%40example.com", "Content-Type: application/x-www-form-urlencoded", header)
			wantStatus(t, w, http.StatusForbidden)
		}
	}
	wantStatus(t, v.get("/me"), http.StatusOK)
}

// What is personal is kept in no cache.
func TestPersonalPagesAreNotKept(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.member(t, "Ada", "ada@example.com")
	for _, path := range []string{"/", "/me", "/me/export", "/me/sessions", "/me/delete", "/signIn", "/createUser", "/signup/status"} {
		if got := v.get(path).Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
	if got := v.post("/me/delete", url.Values{}).Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("goodbye: Cache-Control %q", got)
	}
}
