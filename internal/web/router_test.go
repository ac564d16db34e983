package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"bellhop/internal/web"
)

func TestHealth(t *testing.T) {
	h := newHouse(t, home, nil)
	w := h.ask("GET", "/health", "", "Accept: "+browser)
	wantStatus(t, w, http.StatusOK)
	if got := object[map[string]string](t, w); len(got) != 1 || got["message"] != "server is up and running." {
		t.Errorf("answer %v", got)
	}
}

func TestReadyz(t *testing.T) {
	h := newHouse(t, home, nil)
	for _, tt := range []struct {
		answer web.Ready
		status int
		body   string
	}{
		{web.Ready{}, 200, `{"status":"ready"}`},
		{web.Ready{Degraded: true, Reason: "the queue does not answer"}, 200, `{"status":"degraded","reason":"the queue does not answer"}`},
		{web.Ready{Unavailable: true, Reason: "draining"}, 503, `{"error":{"code":"not_ready","message":"draining"}}`},
		{web.Ready{Unavailable: true, Degraded: true, Reason: "both"}, 503, `{"error":{"code":"not_ready","message":"both"}}`},
	} {
		h.ready.answer = tt.answer
		w := h.ask("GET", "/readyz", "")
		wantStatus(t, w, tt.status)
		if got := w.Body.String(); got != tt.body {
			t.Errorf("answer %s, want %s", got, tt.body)
		}
	}
}

// The answers that every kind of client can get, of every status there is.
func everyAnswer(t *testing.T, publicURL string) map[string]*httptest.ResponseRecorder {
	h := newHouse(t, publicURL, mails{{ID: "m1", HTML: "<p>"}})
	broken := newHouse(t, publicURL, nil)
	broken.store.panics = "boom"
	const good = `{"first":"Ada","email":"ada@example.com"}`
	html := "Accept: " + browser
	host := func(target string) string { return "http://localhost" + target }
	return map[string]*httptest.ResponseRecorder{
		"200 page":     h.ask("GET", "/createUser", ""),
		"200 JSON":     h.ask("GET", "/health", ""),
		"200 mailbox":  h.ask("GET", host("/mailbox"), ""),
		"200 source":   h.ask("GET", host("/mailbox/m1/source"), ""),
		"202 JSON":     h.json(good),
		"202 page":     h.form(url.Values{"first": {"Ada"}, "email": {"ada@example.com"}}),
		"303":          h.ask("GET", "/", "", html),
		"400":          h.json("{"),
		"401":          h.ask("GET", "/", ""),
		"403":          h.json(good, "Sec-Fetch-Site: cross-site"),
		"404 JSON":     h.ask("GET", "/nothing", ""),
		"404 page":     h.ask("GET", "/nothing", "", html),
		"404 mail":     h.ask("GET", host("/mailbox/m2"), "", html),
		"405":          h.ask("DELETE", "/createUser", ""),
		"405 page":     h.ask("PUT", "/", "", html),
		"413":          h.json(strings.Repeat(" ", 16<<10+1)),
		"415":          h.ask("POST", "/createUser", "x"),
		"421":          h.ask("GET", "http://evil.example/mailbox", ""),
		"422 page":     h.form(url.Values{}),
		"500 JSON":     broken.json(good),
		"500 page":     broken.form(url.Values{"first": {"Ada"}, "email": {"ada@example.com"}}),
		"200 HEAD":     h.ask("HEAD", "/health", ""),
		"404 unrouted": h.ask("GET", "//evil.example/%2e%2e", ""),
	}
}

// B4.5: every answer carries the headers that protect whoever reads it.
func TestSecurityHeaders(t *testing.T) {
	for _, publicURL := range []string{"http://localhost:6969", "https://desk.example"} {
		for name, w := range everyAnswer(t, publicURL) {
			if !strings.HasPrefix(name, http.StatusText(w.Code)) && !strings.HasPrefix(name, strings.Fields(w.Result().Status)[0]) {
				t.Errorf("%s: status %s", name, w.Result().Status)
			}
			h := w.Header()
			for header, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": referrerPolicy(w), "Cross-Origin-Opener-Policy": "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Vary": "Accept, Accept-Language",
			} {
				if got := h.Get(header); got != want {
					t.Errorf("%s: %s is %q, want %q", name, header, got, want)
				}
			}
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script") || h.Get("Permissions-Policy") == "" {
				t.Errorf("%s: policies %q, %q", name, csp, h.Get("Permissions-Policy"))
			}
			if https := strings.HasPrefix(publicURL, "https"); (h.Get("Strict-Transport-Security") != "") != https {
				t.Errorf("%s: HSTS %q with %s", name, h.Get("Strict-Transport-Security"), publicURL)
			}
			if h["Server"] != nil || h["X-Powered-By"] != nil || h["Access-Control-Allow-Origin"] != nil {
				t.Errorf("%s: headers %v", name, h)
			}
		}
	}
}

// referrerPolicy is the one an answer must have: a page with a form has to let
// the browser say where the form came from, and nobody else learns more.
func referrerPolicy(w *httptest.ResponseRecorder) string {
	if strings.Contains(w.Body.String(), "<form ") {
		return "same-origin"
	}
	return "no-referrer"
}

// Errors are JSON in one form, and a page for browsers.
func TestErrorsHaveOneForm(t *testing.T) {
	for name, w := range everyAnswer(t, home) {
		if w.Code < 400 {
			continue
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			if page(t, w).Find("main h1").Text() == "" {
				t.Errorf("%s: a page without a heading", name)
			}
		} else if got := object[problem](t, w); got.Error.Code == "" || !strings.HasSuffix(got.Error.Message, ".") {
			t.Errorf("%s: answer %+v", name, got.Error)
		}
	}
}

func TestAssets(t *testing.T) {
	h := newHouse(t, home, nil)
	doc := page(t, h.ask("GET", "/createUser", ""))
	for selector, contentType := range map[string]string{"link[rel=stylesheet]": "text/css; charset=utf-8", "link[rel=icon]": "image/svg+xml"} {
		w := h.ask("GET", doc.Find(selector).AttrOr("href", ""), "")
		wantStatus(t, w, http.StatusOK)
		if got := w.Header().Get("Content-Type"); got != contentType {
			t.Errorf("%s: Content-Type %q", selector, got)
		}
		if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" || w.Header()["Vary"] != nil {
			t.Errorf("%s: Cache-Control %q", selector, got)
		}
	}
}

func TestMethods(t *testing.T) {
	h := newHouse(t, home, mails{{ID: "m1"}})
	for _, path := range []string{"/createUser", "/signIn", "/health", "/readyz", "/mailbox", "/mailbox/messages", "/mailbox/m1", "/mailbox/m1/html", "/mailbox/m1/source"} {
		target := "http://localhost" + path
		get, head := h.ask("GET", target, ""), h.ask("HEAD", target, "")
		if get.Code != http.StatusOK || head.Code != http.StatusOK || get.Header().Get("Content-Length") == "" {
			t.Errorf("%s: GET %d, HEAD %d", path, get.Code, head.Code)
		}
	}
	for _, tt := range []struct {
		method, path string
		allow        []string
	}{
		{"DELETE", "/createUser", []string{"GET", "HEAD", "POST"}},
		{"POST", "/health", []string{"GET", "HEAD"}},
		{"POST", "/mailbox/messages", []string{"GET", "HEAD"}},
	} {
		w := h.ask(tt.method, tt.path, "")
		wantStatus(t, w, http.StatusMethodNotAllowed)
		allow := strings.Split(w.Header().Get("Allow"), ", ")
		slices.Sort(allow)
		if !slices.Equal(allow, tt.allow) {
			t.Errorf("%s %s: Allow %v, want %v", tt.method, tt.path, allow, tt.allow)
		}
	}
	for _, path := range []string{"/createUser/", "/CREATEUSER", "/mailbox/", "//createUser", "/.."} {
		wantStatus(t, h.ask("GET", "http://localhost"+path, ""), http.StatusNotFound)
	}
}

// A route that takes forms and programs' requests alone says so to a program that
// asks for it otherwise, and shows a person the page that has the form. Nothing
// happens, and no session is needed to be told.
func TestRoutesWithoutAPageOfTheirOwn(t *testing.T) {
	h := newHouse(t, home, nil)
	pages := map[string]string{
		"/signup/resend": "/signup/status", "/signup/code": "/signup/status", "/signIn/code": "/signIn",
		"/signOut": "/", "/signOut/everywhere": "/me/sessions", "/me/sessions/:id/end": "/me/sessions",
		"/me/sessions/:id": "/me/sessions", "/token/refresh": "",
	}
	methods := map[string][]string{} // of each route there is
	for _, route := range h.routes.(interface{ Routes() gin.RoutesInfo }).Routes() {
		methods[route.Path] = append(methods[route.Path], route.Method)
	}
	v := h.member(t, "Ada", "ada@example.com")
	for path, allowed := range methods {
		if slices.Contains(allowed, "GET") && path != "/signIn/code" {
			continue
		}
		page, known := pages[path]
		if !known {
			t.Errorf("%s has no GET: say what a browser is shown there", path)
			continue
		}
		delete(pages, path)
		target := strings.Replace(path, ":id", "x", 1)
		allow := "POST"
		if path == "/me/sessions/:id" {
			allow = "DELETE"
		}
		for _, method := range []string{"GET", "HEAD"} {
			for _, accept := range []string{"Accept: application/json", "Accept: */*", "X: y"} {
				w := h.ask(method, target, "", accept)
				wantStatus(t, w, http.StatusMethodNotAllowed)
				if got := w.Header().Get("Allow"); got != allow || method == "GET" && object[problem](t, w).Error.Code != "method_not_allowed" {
					t.Errorf("%s %s: Allow %q, %s", method, target, got, w.Body)
				}
			}
			w := v.do(method, target, "")
			if want := http.StatusSeeOther; page != "" && w.Code != want || w.Header().Get("Location") != page {
				t.Errorf("%s %s in a browser: %d %s, want %s", method, target, w.Code, w.Header().Get("Location"), page)
			}
			if page == "" && (w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != allow) {
				t.Errorf("%s %s in a browser: %d, Allow %q", method, target, w.Code, w.Header().Get("Allow"))
			}
		}
		wantStatus(t, v.do("PUT", target, ""), http.StatusMethodNotAllowed)
	}
	for path := range pages {
		t.Errorf("%s is no such route", path)
	}
	wantStatus(t, v.get("/me"), http.StatusOK) // still signed in
}

// B4.2: another site's page cannot send our form; programs and our own can.
func TestCrossOrigin(t *testing.T) {
	h := newHouse(t, "https://desk.example", nil)
	const good = `{"first":"Ada","email":"ada@example.com"}`
	for _, tt := range []struct {
		name, headers string
		status        int
	}{
		{"no browser", "", 202},
		{"same origin", "Sec-Fetch-Site: same-origin", 202},
		{"typed address", "Sec-Fetch-Site: none", 202},
		{"cross-site", "Sec-Fetch-Site: cross-site", 403},
		{"sibling sub-domain", "Sec-Fetch-Site: same-site", 403},
		{"old browser, same host", "Origin: http://example.com", 202}, // httptest's Host
		{"old browser, public URL", "Origin: https://desk.example", 202},
		{"old browser, elsewhere", "Origin: https://evil.example", 403},
		{"null origin", "Origin: null", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := h.json(good, strings.Split(tt.headers, "\n")...)
			wantStatus(t, w, tt.status)
		})
	}
	wantStatus(t, h.ask("GET", "/createUser", "", "Sec-Fetch-Site: cross-site"), http.StatusOK)
}

// B6.3: a panic is answered without detail, logged, counted, and over.
func TestPanic(t *testing.T) {
	h := newHouse(t, home, nil)
	h.store.panics = errors.New("canary in the cage")
	w := h.json(`{"first":"Ada","email":"ada@example.com"}`)
	wantStatus(t, w, http.StatusInternalServerError)
	if got := object[problem](t, w); got.Error.Code != "internal" || strings.Contains(w.Body.String(), "canary") {
		t.Errorf("answer %s", w.Body)
	}
	if log := h.log.String(); !strings.Contains(log, "handler panicked") || !strings.Contains(log, "desk_test.go") || strings.Contains(log, "canary") {
		t.Errorf("want a record with the stack and without the value:\n%s", log)
	}
	if h.metrics.panics != 1 || !slices.Contains(h.metrics.requests, "/createUser Internal Server Error") {
		t.Errorf("counted %d panics, requests %v", h.metrics.panics, h.metrics.requests)
	}
	h.store.panics = nil
	wantStatus(t, h.json(`{"first":"Ada","email":"ada@example.com"}`), http.StatusAccepted)
}

// http.ErrAbortHandler is how a handler drops a connection.
func TestAbortPassesThrough(t *testing.T) {
	h := newHouse(t, home, nil)
	h.store.panics = http.ErrAbortHandler
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v", v)
		}
	}()
	h.json(`{"first":"Ada","email":"ada@example.com"}`)
	t.Error("no panic")
}

// Errors of ours are logged once, and their text is shown to nobody.
func TestUnknownErrorIsInternal(t *testing.T) {
	h := newHouse(t, home, nil)
	h.store.fail = errors.New("disk on fire")
	w := h.json(`{"first":"Ada","email":"ada@example.com"}`)
	wantStatus(t, w, http.StatusInternalServerError)
	if strings.Contains(w.Body.String(), "fire") || strings.Count(h.log.String(), "disk on fire") != 1 {
		t.Errorf("answer %s, log:\n%s", w.Body, h.log)
	}
	if !slices.Equal(h.metrics.results, []string{"failed"}) {
		t.Errorf("counted %v", h.metrics.results)
	}
}

func TestNewRefusesPublicURLWithoutHost(t *testing.T) {
	if _, err := web.New(web.Config{PublicURL: &url.URL{Path: "/desk"}}); err == nil {
		t.Error("a public URL of a path alone was taken")
	}
}

func TestRequestsAreCountedByPattern(t *testing.T) {
	h := newHouse(t, home, nil)
	h.ask("GET", "/confirm/secret", "")
	h.ask("GET", "/secret", "")
	if want := []string{"/confirm/:token Gone", "none Not Found"}; !slices.Equal(h.metrics.requests, want) {
		t.Errorf("counted %v, want %v", h.metrics.requests, want)
	}
}
