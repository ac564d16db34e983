package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"bellhop/internal/onboarding"
)

// visitor is somebody's browser: it keeps cookies, asks for pages and sends
// forms as they stand on the page.
type visitor struct {
	*house
	t        *testing.T
	jar      map[string]string
	language string // Accept-Language, "" for none
}

func (h *house) visitor(t *testing.T) *visitor {
	return &visitor{house: h, t: t, jar: map[string]string{}}
}

// do sends a request and keeps the cookies of the answer.
func (v *visitor) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	v.t.Helper()
	headers = append(headers, "Accept: "+browser)
	if v.language != "" {
		headers = append(headers, "Accept-Language: "+v.language)
	}
	r := request(method, v.public+target, body, headers...)
	for _, name := range slices.Sorted(maps.Keys(v.jar)) {
		r.AddCookie(&http.Cookie{Name: name, Value: v.jar[name]})
	}
	w := serve(v.house, r)
	for _, c := range w.Result().Cookies() {
		v.jar[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(v.jar, c.Name)
		}
	}
	return w
}

func (v *visitor) get(target string) *httptest.ResponseRecorder {
	v.t.Helper()
	return v.do("GET", target, "")
}

func (v *visitor) post(target string, values url.Values) *httptest.ResponseRecorder {
	v.t.Helper()
	return v.do("POST", target, values.Encode(), "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin")
}

// submit sends the form that an answer's page has, with what is typed into it.
func (v *visitor) submit(w *httptest.ResponseRecorder, form string, typed url.Values) *httptest.ResponseRecorder {
	v.t.Helper()
	found := page(v.t, w).Find(form)
	if found.Length() != 1 || found.AttrOr("method", "") != "post" {
		v.t.Fatalf("%d forms %s that post, want 1, in:\n%s", found.Length(), form, w.Body)
	}
	values := url.Values{}
	found.Find("input").Each(func(_ int, input *selection) {
		values.Set(input.AttrOr("name", ""), input.AttrOr("value", ""))
	})
	for name, list := range typed {
		if _, ok := values[name]; !ok {
			v.t.Fatalf("the form %s has no field %s", form, name)
		}
		values[name] = list
	}
	return v.post(found.AttrOr("action", ""), values)
}

// redirects checks that an answer sends the browser on, and follows it.
func (v *visitor) redirects(w *httptest.ResponseRecorder, to string) *httptest.ResponseRecorder {
	v.t.Helper()
	wantStatus(v.t, w, http.StatusSeeOther)
	if got := w.Header().Get("Location"); got != to {
		v.t.Fatalf("Location %q, want %q", got, to)
	}
	return v.get(to)
}

// signUp signs up through the page, and returns the page after it.
func (v *visitor) signUp(first, email string) *httptest.ResponseRecorder {
	v.t.Helper()
	w := v.submit(v.get("/createUser"), "#sign-up-form", url.Values{"first": {first}, "email": {email}})
	wantStatus(v.t, w, http.StatusAccepted)
	return w
}

// askSignIn asks for a mail to sign in through the page, and returns the page
// after it.
func (v *visitor) askSignIn(email string) *httptest.ResponseRecorder {
	v.t.Helper()
	w := v.submit(v.get("/signIn"), "#sign-in-form", url.Values{"email": {email}})
	wantStatus(v.t, w, http.StatusAccepted)
	return w
}

// member returns a browser that has signed up, confirmed, and is signed in.
func (h *house) member(t *testing.T, first, email string) *visitor {
	t.Helper()
	h.deliver(t) // what is not for this one
	v := h.visitor(t)
	v.signUp(first, email)
	v.redirects(v.submit(v.get(h.letter(t).path), "#link-form", nil), "/")
	h.deliver(t) // the welcome
	return v
}

// letter is a mail that has reached somebody.
type letter struct {
	id         onboarding.MailID
	variant    onboarding.Variant
	locale     string
	path, code string // path is of the link, below the public URL
}

// token is the last part of a letter's link.
func (l letter) token() string { return l.path[strings.LastIndexByte(l.path, '/')+1:] }

// deliver sends every mail that is due, as a sender does, and returns those that
// were not ended instead.
func (h *house) deliver(t *testing.T) (sent []letter) {
	t.Helper()
	must(t, h.store.Heartbeat(t.Context(), "postman"))
	for _, lane := range onboarding.Lanes() {
		due, _, err := h.store.DueMails(t.Context(), lane, 100)
		must(t, err)
		for _, ref := range due {
			held, err := h.store.Claim(t.Context(), onboarding.Claim{Ref: ref, Holder: "postman", Op: uuid.NewString()})
			must(t, err)
			if held.State == onboarding.Sending {
				sent = append(sent, h.send(t, held))
			}
		}
	}
	return sent
}

func (h *house) send(t *testing.T, held onboarding.Held) letter {
	t.Helper()
	id, mint := held.Claim.Mail, held.NextMint()
	must(t, h.store.Committing(t.Context(), held.Claim, onboarding.Rendered{Mint: mint}))
	_, err := h.store.Record(t.Context(), held.Claim, onboarding.Result{To: onboarding.Sent})
	must(t, err)
	link, err := h.links.Link(id, mint)
	must(t, err)
	return letter{id, held.Variant, held.Locale, strings.TrimPrefix(link, h.public), h.links.Code(id, mint)}
}

// letter delivers the one mail that is due.
func (h *house) letter(t *testing.T) letter {
	t.Helper()
	sent := h.deliver(t)
	if len(sent) != 1 {
		t.Fatalf("%d mails were sent, want 1", len(sent))
	}
	return sent[0]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
