package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// standingAnswer is the JSON of GET /signup/status.
type standingAnswer struct {
	Mail        string
	ResendIn    int
	ResendsLeft int
}

// end makes the one mail that is due end some way.
func (h *house) end(t *testing.T, result onboarding.Result) {
	t.Helper()
	must(t, h.store.Heartbeat(t.Context(), "postman"))
	due, _, err := h.store.DueMails(t.Context(), onboarding.Urgent, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d mails due, %v", len(due), err)
	}
	claim := onboarding.Claim{Ref: due[0], Holder: "postman", Op: uuid.NewString()}
	_, err = h.store.Claim(t.Context(), claim)
	must(t, err)
	_, err = h.store.Record(t.Context(), claim, result)
	must(t, err)
}

// The page says where the mail is, refreshes while that can change, and has the
// code's field once the mail has left.
func TestStatusPage(t *testing.T) {
	for _, tt := range []struct {
		status  string
		refresh string
		code    bool
		happens func(*testing.T, *house)
	}{
		{"accepted", "5;url=/signup/status", false, func(*testing.T, *house) {}},
		{"accepted", "5;url=/signup/status", false, func(t *testing.T, h *house) { h.deliver(t) }},
		{"waiting", "15;url=/signup/status", false, func(t *testing.T, h *house) {
			h.end(t, onboarding.Result{To: onboarding.Due, After: time.Hour, Counts: true})
			h.clock.advance(time.Minute)
		}},
		{"waiting", "15;url=/signup/status", false, func(_ *testing.T, h *house) { h.clock.advance(time.Minute) }},
		{"handed-over", "", true, func(t *testing.T, h *house) {
			h.deliver(t)
			h.clock.advance(time.Minute)
		}},
		{"given-up", "", false, func(t *testing.T, h *house) { h.end(t, onboarding.Result{To: onboarding.Failed, Counts: true}) }},
	} {
		h := newHouse(t, home, nil)
		v := h.visitor(t)
		v.signUp("Ada", "Ada@Example.com")
		tt.happens(t, h)
		w := v.get("/signup/status")
		wantStatus(t, w, http.StatusOK)
		doc := page(t, w)
		if got := doc.Find("#mail-status").AttrOr("data-status", ""); got != tt.status {
			t.Errorf("status %q, want %q", got, tt.status)
		}
		if doc.Find(".address").Text() != "Ada@Example.com" || doc.Find("#mail-status .stage").Text() == "" {
			t.Errorf("%s: page:\n%s", tt.status, w.Body)
		}
		if got := doc.Find("meta[http-equiv=refresh]").AttrOr("content", ""); got != tt.refresh {
			t.Errorf("%s: refresh %q, want %q", tt.status, got, tt.refresh)
		}
		if got := doc.Find("#code").Length() == 1; got != tt.code || doc.Find("#has-code").Length() == 1 != (tt.refresh != "") {
			t.Errorf("%s: field for the code: %t, want %t", tt.status, got, tt.code)
		}
		// With the field on it the page never refreshes: a code that is half
		// typed is safe.
		if doc = page(t, v.get("/signup/status?code")); doc.Find("#code").Length() != 1 || doc.Find("meta[http-equiv]").Length() != 0 {
			t.Errorf("%s: a page for the code that refreshes, or has no field", tt.status)
		}
	}
}

// The page of a mail that was given up says so, all over, whatever the address
// is (I7), and leads to another one.
func TestGivenUpPageIsHonest(t *testing.T) {
	var first string
	for name, before := range map[string]func(*testing.T, *house){
		"new":     func(*testing.T, *house) {},
		"pending": func(t *testing.T, h *house) { h.visitor(t).signUp("Eve", "ada@example.com"); h.deliver(t) },
		"account": func(t *testing.T, h *house) { h.member(t, "Ada", "ada@example.com") },
	} {
		h := newHouse(t, home, nil)
		before(t, h)
		h.clock.advance(11 * time.Minute) // what is over its budget is not tried, and not given up
		v := h.visitor(t)
		v.signUp("Mallory", "ada@example.com")
		h.end(t, onboarding.Result{To: onboarding.Failed, Counts: true})
		w := v.get("/signup/status")
		doc := page(t, w)
		if got := doc.Find("h1").Text(); got != "Your mail did not get through" || doc.Find("title").Text() == "" {
			t.Errorf("%s: heading %q", name, got)
		}
		for _, untrue := range []string{"We are sending", "Check your mail", "Follow the link", "Six digits", "spam"} {
			if strings.Contains(w.Body.String(), untrue) {
				t.Errorf("%s: the page says %q", name, untrue)
			}
		}
		if doc.Find("#code, #has-code, #refreshing").Length() != 0 || doc.Find(`main a[href="/createUser"]`).Length() != 1 || doc.Find("#resend-wait").Length() != 1 {
			t.Errorf("%s: page:\n%s", name, w.Body)
		}
		if first == "" {
			first = w.Body.String()
		}
		if w.Body.String() != first {
			t.Errorf("%s: the pages differ", name)
		}
		v.jar["typed"] = ""
		if doc := page(t, v.get("/signup/status")); doc.Find(".address").Length() != 0 || !strings.Contains(doc.Find(".lead").Text(), "There was to be") {
			t.Errorf("%s: without the address: %q", name, doc.Find(".lead").Text())
		}
	}
}

// The page that answers the form leads to the one that follows the mail.
func TestAcceptedPageFollowsTheMail(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	doc := page(t, v.signUp("Ada", "ada@example.com"))
	if doc.Find("#mail-status").AttrOr("data-status", "") != "accepted" || doc.Find("meta[http-equiv=refresh]").AttrOr("content", "") != "5;url=/signup/status" {
		t.Error("the page does not look again")
	}
}

// The code's field is one that phones fill in by themselves.
func TestCodeField(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	for _, w := range []*httptest.ResponseRecorder{v.get("/signup/status?code"), v.askSignIn("ada@example.com")} {
		doc := page(t, w)
		field := doc.Find("#code")
		if field.AttrOr("inputmode", "") != "numeric" || field.AttrOr("autocomplete", "") != "one-time-code" || doc.Find("label[for=code]").Length() != 1 {
			t.Errorf("field %v", field.Nodes[0].Attr)
		}
	}
}

func TestConfirmByCode(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	letter := h.letter(t)
	wrong := v.submit(v.get("/signup/status?code"), "#code-form", url.Values{"code": {"no code"}})
	wantStatus(t, wrong, http.StatusUnprocessableEntity)
	doc := page(t, wrong)
	if field := doc.Find("#code"); field.AttrOr("aria-invalid", "") != "true" || !strings.Contains(field.AttrOr("aria-describedby", ""), "code-error") ||
		doc.Find("#code-error").Text() == "" || doc.Find(".address").Text() != "ada@example.com" {
		t.Errorf("page:\n%s", wrong.Body)
	}
	typed := letter.code[:3] + " " + letter.code[3:]
	w := v.submit(wrong, "#code-form", url.Values{"code": {typed}})
	if doc := page(t, v.redirects(w, "/")); doc.Find("#account-status").Text() != "confirmed" {
		t.Error("not confirmed")
	}
	if want := "[sign-up code wrong sign-up code confirmed]"; fmt.Sprint(h.metrics.doors) != want {
		t.Errorf("counted %v, want %s", h.metrics.doors, want)
	}
}

func TestConfirmByCodeAsAProgram(t *testing.T) {
	h := newHouse(t, home, nil)
	bearer := "Authorization: Bearer " + arrive(t, h)
	letter := h.letter(t)
	code := func(code string, headers ...string) *httptest.ResponseRecorder {
		return h.ask("POST", "/signup/code", `{"code":"`+code+`"}`, append(headers, "Content-Type: application/json")...)
	}
	wantStatus(t, code(letter.code), http.StatusUnauthorized)
	wantStatus(t, h.ask("POST", "/signup/code", "code="+letter.code, bearer), http.StatusUnsupportedMediaType)
	w := code("12345x", bearer)
	wantStatus(t, w, http.StatusUnprocessableEntity)
	if got := object[problem](t, w); got.Error.Code != "code" {
		t.Errorf("answer %+v", got.Error)
	}
	w = code(letter.code, bearer)
	wantStatus(t, w, http.StatusOK)
	if got := object[tokensAnswer](t, w); !*got.Confirmed || got.Account.Email != "ada@example.com" {
		t.Errorf("answer %+v", got)
	}
}

// A wrong, a late and a spent code, and one too many, have one answer.
func TestCodeTellsNothing(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	letter := h.letter(t)
	wrong := func(c string) string {
		w := v.post("/signup/code", url.Values{"code": {c}})
		wantStatus(t, w, http.StatusUnprocessableEntity)
		return w.Body.String()
	}
	first := wrong("no digits")
	guess := "000000"
	if letter.code == guess {
		guess = "000001"
	}
	for range 5 {
		if wrong(guess) != first {
			t.Fatal("another answer")
		}
	}
	if wrong(letter.code) != first { // right, but after five tries
		t.Error("another answer to a spent one")
	}
	late := h.visitor(t)
	late.signUp("Eve", "eve@example.com")
	letter = h.letter(t)
	h.clock.advance(onboarding.DefaultPolicy().CodeLife)
	wantStatus(t, late.post("/signup/code", url.Values{"code": {letter.code}}), http.StatusUnprocessableEntity)
}

// Without a pending session there is nothing to look at, resend or type.
func TestStandingNeedsItsOwnSession(t *testing.T) {
	h := newHouse(t, home, nil)
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/signup/status", ""}, {"POST", "/signup/resend", "{}"}, {"POST", "/signup/code", `{"code":"123456"}`},
	} {
		v := h.visitor(t)
		w := v.do(tt.method, tt.path, "code=123456", "Content-Type: application/x-www-form-urlencoded")
		wantStatus(t, w, http.StatusSeeOther)
		if got := w.Header().Get("Location"); got != "/createUser" {
			t.Errorf("%s: Location %q", tt.path, got)
		}
		for _, header := range []string{"X: y", "Authorization: Bearer x"} {
			wantStatus(t, h.ask(tt.method, tt.path, tt.body, "Content-Type: application/json", header), http.StatusUnauthorized)
		}
	}
	gone := h.tokens.Issue("01900000-0000-7000-8000-000000000000", h.clock.now())
	wantStatus(t, h.ask("GET", "/signup/status", "", "Authorization: Bearer "+gone), http.StatusUnauthorized)
}

// The countdown is honest: what it promises is kept, and before its end
// nothing is sent.
func TestResend(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	h.letter(t)
	doc := page(t, v.get("/signup/status"))
	if got := doc.Find("#resend-wait").Text(); got != "You can ask for another mail in 11 minutes." || doc.Find("#resend-form").Length() != 0 {
		t.Errorf("countdown %q", got)
	}
	v.redirects(v.post("/signup/resend", url.Values{}), "/signup/status") // nothing happens
	if sent := h.deliver(t); len(sent) != 0 {
		t.Errorf("%d mails before the time", len(sent))
	}
	h.clock.advance(9*time.Minute + 20*time.Second)
	if got := page(t, v.get("/signup/status")).Find("#resend-wait").Text(); got != "You can ask for another mail in 1 minute." {
		t.Errorf("countdown %q", got)
	}
	h.clock.advance(time.Minute)
	after := v.redirects(v.submit(v.get("/signup/status"), "#resend-form", nil), "/signup/status")
	if got := page(t, after).Find("#mail-status").AttrOr("data-status", ""); got != "accepted" {
		t.Errorf("status %q after a resend", got)
	}
	h.letter(t)
	for range 3 {
		h.clock.advance(24 * time.Hour)
		v.jar["pending"] = h.tokens.Issue(h.store.only(t).ID, h.clock.now())
		v.post("/signup/resend", url.Values{})
		h.letter(t)
	}
	doc = page(t, v.get("/signup/status"))
	if doc.Find("#resend-none").Length() != 1 || doc.Find("#resend-form, #resend-wait").Length() != 0 {
		t.Error("the last mail was not the last")
	}
}

func TestStatusAndResendAsAProgram(t *testing.T) {
	h := newHouse(t, home, nil)
	bearer := "Authorization: Bearer " + arrive(t, h)
	got := object[standingAnswer](t, h.ask("GET", "/signup/status", "", bearer))
	if got.Mail != "accepted" || got.ResendIn < 600 || got.ResendIn > 615 || got.ResendsLeft != 4 {
		t.Errorf("answer %+v", got)
	}
	h.letter(t)
	h.clock.advance(11 * time.Minute)
	for _, headers := range [][]string{{bearer}, {bearer, "Content-Type: application/json"}} { // the second changes nothing
		w := h.ask("POST", "/signup/resend", "", headers...)
		wantStatus(t, w, http.StatusAccepted)
		got := object[standingAnswer](t, w)
		if got.Mail != "accepted" || got.ResendIn < 600 || got.ResendsLeft != 3 {
			t.Errorf("answer %+v", got)
		}
	}
}

// B1.1, B1.6: what becomes of the address, and of the sign-up itself, is
// nothing that its page tells.
func TestB1_6_StatusIsTheSameWhateverTheAddressIs(t *testing.T) {
	var first string
	for name, before := range map[string]func(*testing.T, *house){
		"new":     func(*testing.T, *house) {},
		"pending": func(t *testing.T, h *house) { h.visitor(t).signUp("Eve", "ada@example.com"); h.deliver(t) },
		"account": func(t *testing.T, h *house) { h.member(t, "Ada", "ada@example.com") },
		"erased": func(t *testing.T, h *house) {
			v := h.member(t, "Ada", "ada@example.com")
			v.submit(v.get("/me/delete"), "#delete-form", nil)
		},
	} {
		h := newHouse(t, home, nil)
		before(t, h)
		v := h.visitor(t)
		answers := v.signUp("Mallory", "ada@example.com").Body.String()
		answers += v.get("/signup/status").Body.String()
		h.deliver(t)
		answers += v.get("/signup/status").Body.String()
		answers += v.post("/signup/code", url.Values{"code": {"x"}}).Body.String()
		// And if its owner takes everything away meanwhile.
		people, err := h.people.Find(t.Context(), "ada@example.com")
		must(t, err)
		for _, p := range people {
			must(t, h.people.Erase(t.Context(), p.ID))
		}
		answers += v.get("/signup/status").Body.String()
		answers += v.post("/signup/code", url.Values{"code": {"x"}}).Body.String()
		if first == "" {
			first = answers
		}
		if answers != first {
			t.Errorf("%s: the pages differ", name)
		}
	}
}

// A browser remembers its last five sign-ups, the newest first, and a code of
// any of them for the same address works.
func TestBrowserRemembersItsSignUps(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	letter := h.letter(t)
	v.signUp("Ada", "ada@example.com")
	if got := strings.Count(v.jar["pending"], "~"); got != 1 {
		t.Fatalf("%d more sign-ups in the cookie, want 1", got)
	}
	v.redirects(v.post("/signup/code", url.Values{"code": {letter.code}}), "/")

	v = h.visitor(t)
	for i := range 7 {
		v.signUp("Ada", fmt.Sprintf("ada%d@example.com", i))
	}
	tokens := strings.Split(v.jar["pending"], "~")
	if len(tokens) != 5 {
		t.Fatalf("%d sign-ups in the cookie, want 5", len(tokens))
	}
	for i, made := range tokens {
		id, err := h.tokens.Verify(made)
		must(t, err)
		p, err := h.people.Person(t.Context(), id)
		if want := fmt.Sprintf("ada%d@example.com", 6-i); err != nil || p.Address.Typed() != want {
			t.Errorf("token %d is of %s, %v; want %s", i, p.Address.Typed(), err, want)
		}
	}
	v.jar["pending"] = "x~" + tokens[2] + "~" + tokens[2] + "~y~z~" + tokens[0]
	wantStatus(t, v.get("/signup/status"), http.StatusOK) // what is no good is passed over
	v.jar["typed"] = "!"
	if page(t, v.get("/signup/status")).Find(".address").Length() != 0 {
		t.Error("an address out of nothing")
	}
}

// A store that is down does not lose anybody's place.
func TestStatusWithoutStore(t *testing.T) {
	h := newHouse(t, home, nil)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	h.store.fail = signup.ErrUnavailable
	wantStatus(t, v.get("/signup/status"), http.StatusServiceUnavailable)
	wantStatus(t, v.get("/"), http.StatusServiceUnavailable)
}
