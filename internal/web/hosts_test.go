package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// forged are headers by which some programs let a request say where it came in,
// or what it really asks for.
func forged() []string {
	return []string{
		"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: gopher", "X-Forwarded-Scheme: gopher", "X-Forwarded-Port: 666",
		"X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil.example", "X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6",
		"X-Host: evil.example", "X-Original-Host: evil.example", "X-Original-URL: /evil", "X-Rewrite-URL: /evil",
		"X-HTTP-Method-Override: DELETE", "Forwarded: for=6.6.6.6;host=evil.example;proto=gopher", "Front-End-Https: on",
	}
}

// B4.7: no route's answer to a browser depends on what the request says about
// the host: no status, no redirect, no cookie and nothing on the page.
func TestForgedHostChangesNothing(t *testing.T) {
	for _, publicURL := range []string{"http://desk.example", "https://desk.example"} {
		h := newHouse(t, publicURL, nil)
		redirects := 0
		for _, route := range h.routes.(interface{ Routes() gin.RoutesInfo }).Routes() {
			if route.Method == http.MethodHead {
				continue
			}
			ask := func(host string, more ...string) *httptest.ResponseRecorder {
				headers := append([]string{"Accept: " + browser}, more...)
				body := ""
				if route.Method == http.MethodPost {
					headers = append(headers, "Content-Type: application/x-www-form-urlencoded")
					body = url.Values{"first": {"Ada"}, "email": {"ada@example.com"}, "next": {"//evil.example"}}.Encode()
				}
				r := request(route.Method, fillIn(route.Path), body, headers...)
				r.Host = host
				return serve(h, r)
			}
			want := outline(ask("desk.example"))
			for _, host := range []string{"evil.example", "desk.example.evil.example", "desk.example:666", "[::1]", "", "evil.example/x?y#z@desk.example"} {
				w := ask(host, forged()...)
				if got := outline(w); got != want {
					t.Errorf("%s %s as %q:\n%s\nwant\n%s", route.Method, route.Path, host, got, want)
				}
				if strings.Contains(w.Body.String(), "evil") {
					t.Errorf("%s %s as %q: a page that says evil:\n%s", route.Method, route.Path, host, w.Body)
				}
			}
			if strings.Contains(want, "Location") {
				redirects++
			}
		}
		if redirects < 8 {
			t.Errorf("only %d redirects looked at", redirects)
		}
	}
}

// outline is all of an answer that is the same for the same request: not its
// body, and not its cookies' values.
func outline(w *httptest.ResponseRecorder) string {
	h := w.Header().Clone()
	h.Del("Retry-After")
	cookies := ""
	for _, cookie := range w.Result().Cookies() {
		cookies += fmt.Sprintln(cookie.Name, len(cookie.Value), cookie.Domain, cookie.Path, cookie.MaxAge, cookie.Secure, cookie.HttpOnly, cookie.SameSite)
	}
	h.Del("Set-Cookie")
	return fmt.Sprintln(w.Code, h, cookies)
}
