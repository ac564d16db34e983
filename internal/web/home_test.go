package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"bellhop/internal/signup"
)

// arrive signs Ada up and returns her token.
func arrive(t *testing.T, h *house) string {
	t.Helper()
	w := h.json(`{"first":"Ada <3","last":"King","email":"ada@example.com"}`)
	wantStatus(t, w, http.StatusAccepted)
	return object[acceptedAnswer](t, w).Token
}

func TestHomeWithSession(t *testing.T) {
	for _, tt := range []struct{ publicURL, cookie string }{
		{"http://localhost:6969", "pending"},
		{"https://desk.example", "__Host-pending"},
	} {
		h := newHouse(t, tt.publicURL, nil)
		made := arrive(t, h)
		for _, carried := range []string{"Authorization: Bearer " + made, "Authorization: bearer  " + made, "Cookie: " + tt.cookie + "=" + made} {
			if !strings.HasPrefix(carried, "Cookie") { // a cookie is for pages (B4.1)
				w := h.ask("GET", "/", "", carried)
				wantStatus(t, w, http.StatusOK)
				if got := object[map[string]string](t, w); len(got) != 2 || got["first"] != "" || got["status"] != "pending" {
					t.Errorf("answer %v", got)
				}
			}
			doc := page(t, h.ask("GET", "/", "", carried, "Accept: "+browser))
			if got := doc.Find("main h1").Text(); got != "Hello." {
				t.Errorf("heading %q", got)
			}
			if got := doc.Find(".pill").Text(); got != "pending" {
				t.Errorf("status %q", got)
			}
		}
	}
}

func TestHomeWithoutSession(t *testing.T) {
	h := newHouse(t, home, nil)
	made := arrive(t, h)
	gone := h.tokens.Issue("01900000-0000-7000-8000-000000000000", h.clock.now())
	head, signature := made[:strings.LastIndexByte(made, '.')+1], made[strings.LastIndexByte(made, '.')+1:]
	forged := head + strings.ToUpper(signature[:20]) + strings.ToLower(signature[20:])
	const bare, invalid = "Bearer", `Bearer error="invalid_token"`
	for _, tt := range []struct {
		name, target, header, challenge string
	}{
		{"nothing", "/", "X: y", bare},
		{"another scheme", "/", "Authorization: Basic " + made, bare},
		{"no scheme", "/", "Authorization: " + made, bare},
		{"empty bearer", "/", "Authorization: Bearer ", invalid},
		{"another cookie", "/", "Cookie: __Host-pending=" + made, bare},
		{"a cookie without a page", "/", "Cookie: pending=" + made, bare},
		{"token in the query", "/?access_token=" + made + "&token=" + made, "X: y", bare},
		{"forged", "/", "Authorization: Bearer " + forged, invalid},
		{"forged cookie", "/", "Cookie: session=x; pending=x", bare},
		{"expired", "/", "Authorization: Bearer " + h.tokens.Issue("01900000-0000-7000-8000-000000000000", h.clock.now().Add(-80*time.Hour)), invalid},
		{"sign-up is gone", "/", "Authorization: Bearer " + gone, invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := h.ask("GET", tt.target, "", tt.header)
			wantStatus(t, w, http.StatusUnauthorized)
			if got := w.Header().Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate %q, want %q", got, tt.challenge)
			}
			if got := object[problem](t, w); got.Error.Code != "unauthorized" {
				t.Errorf("answer %+v", got.Error)
			}
			if tt.name == "a cookie without a page" {
				return
			}
			w = h.ask("GET", tt.target, "", tt.header, "Accept: "+browser)
			wantStatus(t, w, http.StatusSeeOther)
			if got := w.Header().Get("Location"); got != "/createUser" {
				t.Errorf("Location %q", got)
			}
		})
	}
}

// A store that is down is no reason to send a person away to sign up again.
func TestHomeStoreUnavailable(t *testing.T) {
	h := newHouse(t, home, nil)
	made := arrive(t, h)
	h.store.fail = signup.ErrUnavailable
	wantStatus(t, h.ask("GET", "/", "", "Authorization: Bearer "+made, "Accept: "+browser), http.StatusServiceUnavailable)
}
