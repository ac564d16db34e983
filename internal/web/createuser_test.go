package web_test

import (
	"bytes"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/signup"
)

const home = "http://localhost:6969"

// acceptedAnswer is the JSON of an accepted sign-up.
type acceptedAnswer struct{ ID, Status, Message, Token string }

func TestCreateUserJSON(t *testing.T) {
	h := newHouse(t, home, nil)
	w := h.json(`{"first":" Ada ","last":"King","email":"Ada@Example.com"}`)
	wantStatus(t, w, http.StatusAccepted)
	got := object[acceptedAnswer](t, w)
	if names := slices.Sorted(maps.Keys(object[map[string]string](t, w))); !slices.Equal(names, []string{"id", "message", "status", "token"}) {
		t.Errorf("names %v", names)
	}
	p := h.store.only(t)
	if p.First != "Ada" || p.Last != "King" || p.Address.Sendable() != "Ada@example.com" {
		t.Errorf("stored %q %q %q", p.First, p.Last, p.Address.Sendable())
	}
	if got.ID != p.ID || got.Status != "pending" || got.Message == "" {
		t.Errorf("answer %+v, stored id %s", got, p.ID)
	}
	if id, err := h.tokens.Verify(got.Token); err != nil || id != p.ID {
		t.Errorf("token is for %q, %v", id, err)
	}
	if w.Header()["Set-Cookie"] != nil {
		t.Error("an API client got a cookie")
	}
	if !slices.Equal(h.metrics.results, []string{"accepted"}) {
		t.Errorf("counted %v", h.metrics.results)
	}
}

func TestCreateUserForm(t *testing.T) {
	for _, tt := range []struct{ publicURL, cookie string }{
		{"http://localhost:6969", "pending"},
		{"https://desk.example", "__Host-pending"},
	} {
		h := newHouse(t, tt.publicURL, nil)
		w := h.form(url.Values{"first": {"Ada"}, "last": {""}, "email": {"ada@Bücher.example"}, "key": {"k"}})
		wantStatus(t, w, http.StatusAccepted)
		doc := page(t, w)
		if got := doc.Find("main h1").Text(); got != "Check your mail" {
			t.Errorf("heading %q", got)
		}
		if got := doc.Find(".address").Text(); got != "ada@Bücher.example" {
			t.Errorf("the page shows the address as %q", got)
		}
		wantSession(t, w, tt.cookie, h)
	}
}

// wantSession checks the cookies of a stored sign-up (B4.1).
func wantSession(t *testing.T, w *httptest.ResponseRecorder, name string, h *house) {
	t.Helper()
	pending := wantCookie(t, w, name, 72*time.Hour)
	if id, err := h.tokens.Verify(pending); err != nil || id != h.store.only(t).ID {
		t.Errorf("the cookie's token is for %q, %v", id, err)
	}
	wantCookie(t, w, strings.Replace(name, "pending", "typed", 1), 72*time.Hour)
	if n := len(w.Result().Cookies()); n != 2 {
		t.Errorf("%d cookies, want 2", n)
	}
}

// wantCookie returns the value of an answer's cookie, which must be kept from
// scripts, other sites and other names, and last so long (B4.1).
func wantCookie(t *testing.T, w *httptest.ResponseRecorder, name string, life time.Duration) string {
	t.Helper()
	for _, c := range w.Result().Cookies() {
		if c.Name != name {
			continue
		}
		secure := strings.HasPrefix(name, "__Host-")
		if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != int(life.Seconds()) {
			t.Errorf("cookie %v, want one for %v", c, life)
		}
		return c.Value
	}
	t.Fatalf("no cookie %s in %v", name, w.Header()["Set-Cookie"])
	return ""
}

func TestCreateUserMultipart(t *testing.T) {
	h := newHouse(t, home, nil)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"first": "Ada", "last": "König", "email": "ada@example.com"} {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	form.Close()
	w := h.ask("POST", "/createUser", body.String(), "Content-Type: "+form.FormDataContentType())
	wantStatus(t, w, http.StatusAccepted)
	if p := h.store.only(t); p.First != "Ada" || p.Last != "König" || object[acceptedAnswer](t, w).ID != p.ID {
		t.Errorf("stored %q %q", p.First, p.Last)
	}
}

// With the dev mailbox the page leads to it, without it does not.
func TestAcceptedPageLinksMailbox(t *testing.T) {
	for _, box := range []mails{nil, {}} {
		h := newHouse(t, home, nil)
		if box != nil {
			h = newHouse(t, home, box)
		}
		doc := page(t, h.form(url.Values{"first": {"Ada"}, "email": {"ada@example.com"}}))
		if linked := doc.Find(`a[href="/mailbox"]`).Length() > 0; linked != (box != nil) {
			t.Errorf("mailbox %v: linked %t", box != nil, linked)
		}
	}
}

// B6.1, B6.2, B4.3: what is refused, and that nothing is stored then.
func TestCreateUserRefuses(t *testing.T) {
	const good = `{"first":"Ada","email":"ada@example.com"}`
	huge := `{"first":"` + strings.Repeat("a", 16<<10) + `"}`
	const formType, jsonType = "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	for _, tt := range []struct {
		name, body string
		headers    []string
		status     int
		code       string
		fields     []string
		result     string
	}{
		{"no JSON", "{", []string{jsonType}, 400, "malformed", nil, "malformed"},
		{"no body", "", []string{jsonType}, 400, "malformed", nil, "malformed"},
		{"wrong type", `{"first":1}`, []string{jsonType}, 400, "malformed", []string{"first"}, "malformed"},
		{"unknown field", `{"admin":true}`, []string{jsonType}, 400, "malformed", []string{"admin"}, "malformed"},
		{"field twice in a form", "first=a&first=b", []string{formType}, 400, "malformed", nil, "malformed"},
		{"no boundary", "x", []string{"Content-Type: multipart/form-data"}, 400, "malformed", nil, "malformed"},
		{"values", `{"first":" ","last":"evil.com","email":"ada"}`, []string{jsonType}, 422, "invalid", []string{"email", "first", "last"}, "invalid"},
		{"values in a form", "first=Ada&email=", []string{formType}, 422, "invalid", []string{"email"}, "invalid"},
		{"lost surrogate", `{"first":"\ud800","email":"ada@example.com"}`, []string{jsonType}, 422, "invalid", []string{"first"}, "invalid"},
		{"key with spaces", good, []string{jsonType, "Idempotency-Key: a b"}, 422, "invalid", []string{"Idempotency-Key"}, "invalid"},
		{"empty key", good, []string{jsonType, "Idempotency-Key: "}, 422, "invalid", []string{"Idempotency-Key"}, "invalid"},
		{"two keys", good, []string{jsonType, "Idempotency-Key: a", "Idempotency-Key: b"}, 422, "invalid", []string{"Idempotency-Key"}, "invalid"},
		{"long key", good, []string{jsonType, "Idempotency-Key: " + strings.Repeat("k", 256)}, 422, "invalid", []string{"Idempotency-Key"}, "invalid"},
		{"large", huge, []string{jsonType}, 413, "too_large", nil, "malformed"},
		{"large form", "first=" + huge, []string{formType}, 413, "too_large", nil, "malformed"},
		{"no type", good, nil, 415, "unsupported_media_type", nil, "malformed"},
		{"plain text", good, []string{"Content-Type: text/plain"}, 415, "unsupported_media_type", nil, "malformed"},
		{"JSON of another kind", good, []string{"Content-Type: application/json-patch+json"}, 415, "unsupported_media_type", nil, "malformed"},
		{"broken type", good, []string{"Content-Type: application/json;;charset"}, 415, "unsupported_media_type", nil, "malformed"},
		{"latin-1", good, []string{"Content-Type: application/json; charset=iso-8859-1"}, 415, "unsupported_media_type", nil, "malformed"},
		{"latin-1 form", "first=a", []string{formType + "; charset=iso-8859-1"}, 415, "unsupported_media_type", nil, "malformed"},
		{"gzip", good, []string{jsonType, "Content-Encoding: gzip"}, 415, "unsupported_media_type", nil, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, home, nil)
			w := h.ask("POST", "/createUser", tt.body, tt.headers...)
			wantStatus(t, w, tt.status)
			got := object[problem](t, w)
			var fields []string
			for field, reason := range got.Error.Fields {
				if !strings.HasSuffix(reason, ".") {
					t.Errorf("%s: reason %q is no sentence", field, reason)
				}
				fields = append(fields, field)
			}
			slices.Sort(fields)
			if got.Error.Code != tt.code || got.Error.Message == "" || !slices.Equal(fields, tt.fields) {
				t.Errorf("answer %+v", got.Error)
			}
			h.store.empty(t)
			if !slices.Equal(h.metrics.results, []string{tt.result}) {
				t.Errorf("counted %v, want %s", h.metrics.results, tt.result)
			}
		})
	}
}

func TestCreateUserAcceptsSpellingsOfTypes(t *testing.T) {
	for _, contentType := range []string{
		"application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json; profile=x",
	} {
		h := newHouse(t, home, nil)
		w := h.ask("POST", "/createUser", `{"first":"Ada","email":"ada@example.com"}`,
			"Content-Type: "+contentType, "Content-Encoding: identity")
		wantStatus(t, w, http.StatusAccepted)
	}
}

// A body that does not say how long it is, is still bounded.
func TestCreateUserBoundsChunkedBodies(t *testing.T) {
	h := newHouse(t, home, nil)
	r := httptest.NewRequest("POST", "/createUser", io.MultiReader(strings.NewReader(`{"first":"`), strings.NewReader(strings.Repeat("a", 16<<10))))
	r.ContentLength = -1
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	wantStatus(t, w, http.StatusRequestEntityTooLarge)
	if w.Header().Get("Connection") != "close" {
		t.Error("the connection stays open for the rest of the body")
	}
}

// What was typed stays, each reason is beside its field, and a screen reader
// is told which belongs to which.
func TestFormIsShownAgain(t *testing.T) {
	h := newHouse(t, home, nil)
	w := h.form(url.Values{"first": {`<b>"Ada"`}, "last": {"evil.com"}, "email": {"ada@"}, "key": {"ABCDEFGHIJKLMNOPQRSTUVWXYZ"}})
	wantStatus(t, w, http.StatusUnprocessableEntity)
	doc := page(t, w)
	for id, want := range map[string]struct {
		value string
		bad   bool
	}{"first": {`<b>"Ada"`, false}, "last": {"evil.com", true}, "email": {"ada@", true}} {
		field := doc.Find("input#" + id)
		if got := field.AttrOr("value", ""); got != want.value {
			t.Errorf("%s holds %q, want %q", id, got, want.value)
		}
		if _, bad := field.Attr("aria-invalid"); bad != want.bad {
			t.Errorf("%s: aria-invalid %t", id, bad)
		}
		reason := doc.Find("#" + id + "-error").Text()
		described := strings.Fields(field.AttrOr("aria-describedby", ""))
		if (reason != "") != want.bad || slices.Contains(described, id+"-error") != want.bad {
			t.Errorf("%s: reason %q, described by %v", id, reason, described)
		}
		if want.bad && doc.Find(`[role=alert] a[href="#`+id+`"]`).Length() != 1 {
			t.Errorf("%s: no link in the summary", id)
		}
	}
	if key := doc.Find("input[name=key]").AttrOr("value", ""); key != "ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t.Errorf("the key became %q", key)
	}
	if w.Header()["Set-Cookie"] != nil {
		t.Error("a refused form got a session")
	}
	h.store.empty(t)
}

func TestSignUpPage(t *testing.T) {
	h := newHouse(t, home, nil)
	keys := map[string]bool{}
	for range 3 {
		doc := page(t, h.ask("GET", "/createUser", ""))
		keys[doc.Find("input[type=hidden][name=key]").AttrOr("value", "")] = true
		form := doc.Find(`form[method=post][action="/createUser"]`)
		for _, name := range []string{"first", "last", "email"} {
			if form.Find("input[name="+name+"][autocomplete]").Length() != 1 || form.Find("label[for="+name+"]").Length() != 1 {
				t.Errorf("%s: want a labelled field", name)
			}
		}
	}
	if len(keys) != 3 || keys[""] {
		t.Errorf("keys of three pages: %v", keys)
	}
}

// B1.7: the same key and form is one sign-up, with the same answer.
func TestIdempotencyKey(t *testing.T) {
	h := newHouse(t, home, nil)
	const body = `{"first":"Ada","email":"ada@example.com"}`
	first := h.json(body, "Idempotency-Key: k1")
	again := h.json(` {"email":" ada@example.com", "first":"Ada", "last":""} `, "Idempotency-Key: k1")
	wantStatus(t, first, http.StatusAccepted)
	wantStatus(t, again, http.StatusAccepted)
	if first.Body.String() != again.Body.String() {
		t.Errorf("answers differ:\n%s\n%s", first.Body, again.Body)
	}
	h.store.only(t)

	other := h.json(`{"first":"Bea","email":"ada@example.com"}`, "Idempotency-Key: k1")
	wantStatus(t, other, http.StatusUnprocessableEntity)
	if got := object[problem](t, other); got.Error.Code != "key_reused" {
		t.Errorf("answer %+v", got.Error)
	}
	wantStatus(t, h.json(body, "Idempotency-Key: k2"), http.StatusAccepted)
	wantStatus(t, h.json(body), http.StatusAccepted)
	wantStatus(t, h.json(body), http.StatusAccepted)
	if h.store.count() != 4 {
		t.Errorf("%d sign-ups, want 4", h.store.count())
	}
	if want := []string{"accepted", "repeated", "conflict", "accepted", "accepted", "accepted"}; !slices.Equal(h.metrics.results, want) {
		t.Errorf("counted %v, want %v", h.metrics.results, want)
	}
}

// B1.7: a form sent twice is one sign-up, a form corrected after Back another.
func TestFormKey(t *testing.T) {
	h := newHouse(t, home, nil)
	key := page(t, h.ask("GET", "/createUser", "")).Find("input[name=key]").AttrOr("value", "")
	typed := url.Values{"first": {"Ada"}, "last": {"x"}, "email": {"ada@exmaple.com"}, "key": {key}}
	first, again := h.form(typed), h.form(typed)
	if first.Body.String() != again.Body.String() || !slices.Equal(first.Header()["Set-Cookie"], again.Header()["Set-Cookie"]) {
		t.Error("sending the form again got another answer")
	}
	h.store.only(t)

	typed.Set("email", "ada@example.com")
	wantStatus(t, h.form(typed), http.StatusAccepted)
	typed.Set("first", "Adax") // the same text, cut elsewhere
	typed.Set("last", "")
	wantStatus(t, h.form(typed), http.StatusAccepted)
	if h.store.count() != 3 {
		t.Errorf("%d sign-ups, want 3", h.store.count())
	}
	typed.Set("key", "")
	h.form(typed)
	h.form(typed)
	if h.store.count() != 5 {
		t.Errorf("without a key: %d sign-ups, want 5", h.store.count())
	}
}

// B1.1: nobody learns from the answer whether an address is known.
func TestAnswerIsTheSameForKnownAddress(t *testing.T) {
	h := newHouse(t, home, nil)
	first := h.form(url.Values{"first": {"Ada"}, "email": {"ada@example.com"}})
	again := h.form(url.Values{"first": {"Eve"}, "email": {"ada@example.com"}})
	if first.Code != again.Code || first.Body.String() != again.Body.String() {
		t.Error("the pages differ")
	}
	first.Header().Del("Set-Cookie")
	again.Header().Del("Set-Cookie")
	if a, b := headerText(first.Header()), headerText(again.Header()); a != b {
		t.Errorf("the headers differ:\n%s\n%s", a, b)
	}
}

func headerText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

func TestStoreUnavailable(t *testing.T) {
	h := newHouse(t, home, nil)
	h.store.fail = signup.ErrUnavailable
	seen := map[string]bool{}
	for range 100 {
		w := h.json(`{"first":"Ada","email":"ada@example.com"}`)
		wantStatus(t, w, http.StatusServiceUnavailable)
		if got := object[problem](t, w); got.Error.Code != "unavailable" {
			t.Fatalf("answer %+v", got.Error)
		}
		seen[w.Header().Get("Retry-After")] = true
	}
	for after := range seen {
		if strings.Trim(after, "0123456789") != "" || after == "" || after == "0" {
			t.Errorf("Retry-After %q", after)
		}
	}
	if len(seen) < 2 {
		t.Error("everybody is told to come back at the same moment")
	}
	w := h.form(url.Values{"first": {"Ada"}, "email": {"ada@example.com"}})
	wantStatus(t, w, http.StatusServiceUnavailable)
	if page(t, w).Find("main h1").Text() == "" || w.Header().Get("Retry-After") == "" {
		t.Error("a browser gets no page, or no Retry-After")
	}
}

// A browser that gets an error page keeps a way back.
func TestMalformedFormGetsPage(t *testing.T) {
	h := newHouse(t, home, nil)
	w := h.ask("POST", "/createUser", "first=%zz", "Content-Type: application/x-www-form-urlencoded", "Accept: "+browser)
	wantStatus(t, w, http.StatusBadRequest)
	doc := page(t, w)
	if doc.Find("main .status").Text() != "400" || doc.Find(`main a[href="/"]`).Length() != 1 {
		t.Errorf("page:\n%s", w.Body)
	}
}
