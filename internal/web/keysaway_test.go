package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"bellhop/internal/signup"
	"bellhop/internal/token"
	"bellhop/internal/web"
)

// keyShelf keeps the signing keys apart from all else, so that they alone can be
// away.
type keyShelf struct {
	mu      sync.Mutex
	value   []byte
	version int64
	fail    error
}

func (k *keyShelf) away(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

func (k *keyShelf) Document(context.Context, string) ([]byte, int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.version, k.fail
}

func (k *keyShelf) SetDocument(_ context.Context, _ string, value []byte, version int64) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil || version != k.version {
		return false, k.fail
	}
	k.value, k.version = value, version+1
	return true, nil
}

// keyedHouse is a house whose signing keys can be away, and have a clock of
// their own.
func keyedHouse(t *testing.T) (h *house, keys *keyShelf, time *clock) {
	keys, time = new(keyShelf), new(clock)
	h = houseWith(t, home, nil, func(c *web.Config) {
		var err error
		c.Access, err = token.NewAccess(t.Context(), keys, token.AccessConfig{Issuer: home, Audience: home}, time.now)
		must(t, err)
	})
	return h, keys, time
}

// What is good for one session is not used up where its tokens cannot be made:
// links and codes of both kinds, tries, and refresh tokens.
func TestNothingIsUsedUpWithoutSigningKeys(t *testing.T) {
	h, keys, theirs := keyedHouse(t)
	post := func(path, body, bearer string) func() *httptest.ResponseRecorder {
		return func() *httptest.ResponseRecorder {
			return h.ask("POST", path, body, "Content-Type: application/json", "Authorization: Bearer "+bearer)
		}
	}
	refresh := h.program(t, "refresh@example.com").RefreshToken
	h.member(t, "Ada", "ada@example.com")
	h.member(t, "Eve", "eve@example.com")
	asks := map[string]func() *httptest.ResponseRecorder{
		"refresh": post("/token/refresh", `{"refresh_token":"`+refresh+`"}`, ""),
	}
	w := h.json(`{"first":"Bob","email":"bob@example.com"}`)
	asks["a code to confirm"] = post("/signup/code", `{"code":"`+h.letter(t).code+`"}`, object[struct{ ID, Status, Message, Token string }](t, w).Token)
	h.json(`{"first":"Cleo","email":"cleo@example.com"}`)
	asks["a link to confirm"] = post(h.letter(t).path, "{}", "")
	w = h.ask("POST", "/signIn", `{"email":"ada@example.com"}`, "Content-Type: application/json")
	asks["a code to sign in"] = post("/signIn/code", `{"code":"`+h.letter(t).code+`"}`, object[struct{ Status, Message, Token string }](t, w).Token)
	h.ask("POST", "/signIn", `{"email":"eve@example.com"}`, "Content-Type: application/json")
	asks["a link to sign in"] = post(h.letter(t).path, "{}", "")

	counted := len(h.metrics.doors)
	keys.away(signup.ErrUnavailable)
	theirs.advance(11 * time.Minute) // since then the keys were not read
	for name, ask := range asks {
		for range 6 { // more often than there are tries
			w := ask()
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Errorf("%s without keys: %d %s", name, w.Code, w.Body)
			}
		}
	}
	for _, door := range h.metrics.doors[counted:] {
		if door != "refresh failed" {
			t.Errorf("counted %q", door)
		}
	}
	keys.away(nil)
	for name, ask := range asks {
		if w := ask(); w.Code != http.StatusOK || object[tokensAnswer](t, w).AccessToken == "" {
			t.Errorf("%s when the keys are back: %d %s", name, w.Code, w.Body)
		}
	}
}

// A browser's session needs no signing key.
func TestBrowsersNeedNoSigningKeys(t *testing.T) {
	h, keys, theirs := keyedHouse(t)
	v := h.visitor(t)
	v.signUp("Ada", "ada@example.com")
	keys.away(signup.ErrUnavailable)
	theirs.advance(11 * time.Minute)
	v.redirects(v.submit(v.get(h.letter(t).path), "#link-form", nil), "/")
}

// judge is access tokens whose verification comes to what a test says.
type judge struct {
	web.AccessTokens
	err error
}

func (j *judge) Verify(made string) (token.Claims, error) {
	if j.err != nil {
		return token.Claims{}, j.err
	}
	return j.AccessTokens.Verify(made)
}

// Who cannot be judged now is not turned away as nobody: 503 for a token of keys
// we do not know while we cannot read them, and without a store. A session that
// is not there is nobody's: 401, or the way to sign in.
func TestWhoCannotBeJudged(t *testing.T) {
	access := new(judge)
	h := houseWith(t, home, nil, func(c *web.Config) { access.AccessTokens, c.Access = c.Access, access })
	bearer := "Authorization: Bearer " + h.program(t, "bob@example.com").AccessToken
	v := h.member(t, "Ada", "ada@example.com")
	for _, tt := range []struct {
		name            string
		verify, store   error
		program, window int
	}{
		{"keys away", fmt.Errorf("verify: %w", token.ErrUnavailable), nil, http.StatusServiceUnavailable, 0},
		{"a bad token", fmt.Errorf("verify: %w", token.ErrInvalid), nil, http.StatusUnauthorized, 0},
		{"store away", nil, signup.ErrUnavailable, http.StatusServiceUnavailable, http.StatusServiceUnavailable},
		{"no such session", nil, signup.ErrNotFound, http.StatusUnauthorized, http.StatusSeeOther},
	} {
		access.err, h.store.fail = tt.verify, tt.store
		for _, route := range memberRoutes() {
			w := h.ask(route.method, route.path, "", bearer, "Content-Type: application/json")
			if w.Code != tt.program {
				t.Errorf("%s, %s %s: a program gets %d, want %d", tt.name, route.method, route.path, w.Code, tt.program)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge == `Bearer error="invalid_token"`) != (tt.program == http.StatusUnauthorized) {
				t.Errorf("%s, %s %s: WWW-Authenticate %q", tt.name, route.method, route.path, challenge)
			}
			if tt.window == 0 { // a cookie is no access token
				continue
			}
			browser := &visitor{house: h, t: t, jar: map[string]string{"session": v.jar["session"]}}
			w = browser.do(route.method, route.path, "", "Content-Type: application/x-www-form-urlencoded")
			if w.Code != tt.window || w.Code == http.StatusServiceUnavailable && browser.jar["session"] == "" {
				t.Errorf("%s, %s %s: a browser gets %d, want %d; cookies %v", tt.name, route.method, route.path, w.Code, tt.window, browser.jar)
			}
		}
	}
	access.err, h.store.fail = nil, nil
	wantStatus(t, v.get("/me"), http.StatusOK)
	wantStatus(t, h.ask("GET", "/me", "", bearer), http.StatusOK)
}
