package sessions_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bellhop/sessions"
)

func TestMiddleware(t *testing.T) {
	d := newDesk()
	good := d.token(0)
	const invalid = `Bearer error="invalid_token"`
	for _, tt := range []struct {
		name      string
		header    []string
		target    string
		status    int
		challenge string
	}{
		{"a token", []string{"Bearer " + good}, "/", 200, ""},
		{"another way to write it", []string{"bearer   " + good}, "/", 200, ""},
		{"nothing", nil, "/", 401, "Bearer"},
		{"another scheme", []string{"Basic YWRhOmh1bnRlcjI="}, "/", 401, "Bearer"},
		{"no scheme", []string{good}, "/", 401, "Bearer"},
		{"no token", []string{"Bearer "}, "/", 401, invalid},
		{"no token, but text", []string{"Bearer x"}, "/", 401, invalid},
		{"two tokens", []string{"Bearer " + good + " " + good}, "/", 401, invalid},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, "/", 400, `Bearer error="invalid_request"`},
		{"in the query string", nil, "/?access_token=" + good, 401, "Bearer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var inside bool
			handler := d.verifier(t).Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, ok := sessions.FromContext(r.Context())
				inside = ok && c.Account == account && c.Session == session
			}))
			r := httptest.NewRequest(http.MethodGet, tt.target, nil)
			r.Header["Authorization"] = tt.header
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge || inside != (tt.status == 200) {
				t.Errorf("%d, WWW-Authenticate %q, let in %v; want %d, %q", w.Code, w.Header().Get("WWW-Authenticate"), inside, tt.status, tt.challenge)
			}
			if strings.Contains(w.Body.String(), "token") || strings.Contains(w.Body.String(), "eyJ") {
				t.Errorf("the answer says too much: %s", w.Body)
			}
		})
	}
}

// Neither a cookie nor a form carries a token.
func TestMiddlewareLooksNowhereElse(t *testing.T) {
	d := newDesk()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("access_token="+d.token(0)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: "session", Value: d.token(0)})
	w := httptest.NewRecorder()
	d.verifier(t).Middleware(http.NotFoundHandler()).ServeHTTP(w, r)
	if body, err := io.ReadAll(r.Body); w.Code != 401 || len(body) == 0 || err != nil {
		t.Errorf("%d, and %d bytes of the form are left; want 401 and all", w.Code, len(body))
	}
}

func TestMiddlewareWithoutKeys(t *testing.T) {
	d := newDesk()
	d.err = errors.New("no route to host")
	var log bytes.Buffer
	v, err := sessions.New(issuer, audience, &sessions.Options{
		Client: &http.Client{Transport: d}, Now: d.Now,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+d.token(0))
	w := httptest.NewRecorder()
	v.Middleware(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d, %v; want 503 with Retry-After alone", w.Code, w.Header())
	}
	if got := log.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "no route to host") || strings.Contains(got, "eyJ") {
		t.Errorf("logged %s", got)
	}
}

// B7.1: what is logged of a refused token is why, and nothing out of it.
func TestMiddlewareLogsWhy(t *testing.T) {
	d := newDesk()
	var log bytes.Buffer
	v, err := sessions.New(issuer, "somebody-else", &sessions.Options{
		Client: &http.Client{Transport: d}, Now: d.Now,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+d.token(0))
	v.Middleware(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if got := log.String(); !strings.Contains(got, "invalid audience") || strings.Contains(got, account) || strings.Contains(got, "eyJ") {
		t.Errorf("logged %s", got)
	}
}

func TestContext(t *testing.T) {
	if c, ok := sessions.FromContext(t.Context()); ok || c != (sessions.Claims{}) {
		t.Errorf("claims %v in an empty context", c)
	}
	want := sessions.Claims{Account: account}
	if c, ok := sessions.FromContext(sessions.NewContext(t.Context(), want)); !ok || c != want {
		t.Errorf("FromContext = %v, %v", c, ok)
	}
}
