package web_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"bellhop/internal/web"
)

const listed = "https://app.example.com"

func sharingHouse(t testing.TB) *house {
	return houseWith(t, "https://desk.example", nil, func(c *web.Config) {
		c.CORSOrigins = []string{listed, "http://localhost:5173"}
	})
}

// strangers are origins that are not listed, however like it they are.
func strangers() map[string][]string {
	return map[string][]string{
		"somebody else":       {"https://evil.com"},
		"ours in front":       {"https://app.example.com.evil.com"},
		"ours at the end":     {"https://evilapp.example.com"},
		"a sub-domain":        {"https://x.app.example.com"},
		"the domain above":    {"https://example.com"},
		"plain http":          {"http://app.example.com"},
		"another port":        {"https://app.example.com:8443"},
		"the usual port":      {"https://app.example.com:443"},
		"a slash":             {"https://app.example.com/"},
		"a path":              {"https://app.example.com/x"},
		"upper case":          {"HTTPS://APP.EXAMPLE.COM"},
		"upper case host":     {"https://APP.example.com"},
		"a dot at the end":    {"https://app.example.com."},
		"a user":              {"https://app.example.com@evil.com"},
		"null":                {"null"},
		"a star":              {"*"},
		"nothing":             {""},
		"no host":             {"https://"},
		"ours and another":    {"https://app.example.com https://evil.com"},
		"a list":              {"https://app.example.com, https://evil.com"},
		"two headers":         {listed, "https://evil.com"},
		"two headers, turned": {"https://evil.com", listed},
		"twice":               {listed, listed},
		"a space":             {" https://app.example.com"},
		"another scheme":      {"file://app.example.com"},
	}
}

func originHeaders(origins []string, more ...string) []string {
	for _, origin := range origins {
		more = append(more, "Origin: "+origin)
	}
	return more
}

// wantShared checks every header by which an answer is shared with scripts.
func wantShared(t *testing.T, h http.Header, origin string) {
	t.Helper()
	if got := h["Access-Control-Allow-Origin"]; origin == "" && got != nil || origin != "" && (len(got) != 1 || got[0] != origin) {
		t.Errorf("Access-Control-Allow-Origin %q, want %q", got, origin)
	}
	if h["Access-Control-Allow-Credentials"] != nil {
		t.Error("credentials are allowed")
	}
	if vary := strings.Join(h["Vary"], ", "); !strings.Contains(vary, "Origin") || !strings.HasPrefix(vary, "Accept") {
		t.Errorf("Vary %q", vary)
	}
}

// B4.4: a script of a listed origin may use the API with a bearer token. Nobody
// else's may, however like a listed origin theirs is.
func TestCORSOrigins(t *testing.T) {
	const good = `{"first":"Ada","email":"ada@example.com"}`
	post := func(h *house, origins ...string) *http.Response {
		return h.ask("POST", "/createUser", good, originHeaders(origins, "Content-Type: application/json", "Sec-Fetch-Site: cross-site")...).Result()
	}
	preflight := func(h *house, origins ...string) *http.Response {
		return h.ask("OPTIONS", "/createUser", "", originHeaders(origins, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")...).Result()
	}
	h := sharingHouse(t)
	for name, origins := range strangers() {
		t.Run(name, func(t *testing.T) { wantStranger(t, h, post(h, origins...), preflight(h, origins...), origins) })
	}
	h.store.empty(t)
	for _, origin := range []string{listed, "http://localhost:5173"} {
		answer := post(h, origin)
		wantShared(t, answer.Header, origin)
		if answer.StatusCode != http.StatusAccepted || answer.Header.Get("Access-Control-Expose-Headers") == "" {
			t.Errorf("%s: status %d, headers %v", origin, answer.StatusCode, answer.Header)
		}
		asked := preflight(h, origin)
		wantShared(t, asked.Header, origin)
		if asked.StatusCode != http.StatusNoContent || asked.Header.Get("Access-Control-Allow-Methods") != "POST" ||
			asked.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, Idempotency-Key" || asked.Header.Get("Access-Control-Max-Age") != "600" {
			t.Errorf("%s: preflight %d %v", origin, asked.StatusCode, asked.Header)
		}
	}
}

// wantStranger checks that an origin which is not listed gets nowhere.
func wantStranger(t *testing.T, h *house, answer, asked *http.Response, origins []string) {
	t.Helper()
	wantShared(t, answer.Header, "")
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", answer.StatusCode)
	}
	wantShared(t, asked.Header, "")
	if asked.StatusCode < 400 {
		t.Errorf("preflight: status %d", asked.StatusCode)
	}
	for header := range asked.Header {
		if strings.HasPrefix(header, "Access-Control-") {
			t.Errorf("preflight: %s: %s", header, asked.Header.Get(header))
		}
	}
	wantShared(t, h.ask("GET", "/", "", originHeaders(origins)...).Header(), "")
}

// Scripts can read errors, too.
func TestCORSErrors(t *testing.T) {
	h := sharingHouse(t)
	for _, w := range []http.Header{
		h.ask("GET", "/", "", "Origin: "+listed).Header(),
		h.ask("GET", "/me", "", "Origin: "+listed).Header(),
		h.json("{", "Origin: "+listed, "Sec-Fetch-Site: cross-site").Header(),
		h.json(`{"first":""}`, "Origin: "+listed, "Sec-Fetch-Site: cross-site").Header(),
	} {
		wantShared(t, w, listed)
	}
}

// Without origins there is no sign of it (the default).
func TestCORSIsOff(t *testing.T) {
	h := newHouse(t, "https://desk.example", nil)
	for _, w := range []http.Header{
		h.ask("GET", "/", "", "Origin: "+listed).Header(),
		h.ask("OPTIONS", "/createUser", "", "Origin: "+listed, "Access-Control-Request-Method: POST").Header(),
		h.json(`{"first":"Ada","email":"ada@example.com"}`, "Origin: "+listed).Header(),
	} {
		for header := range w {
			if strings.HasPrefix(header, "Access-Control-") || header == "Vary" && strings.Contains(strings.Join(w[header], ","), "Origin") {
				t.Errorf("%s: %s", header, w.Get(header))
			}
		}
	}
}

// An OPTIONS that asks for nothing is told which methods there are.
func TestOptionsWithoutQuestion(t *testing.T) {
	w := sharingHouse(t).ask("OPTIONS", "/me", "", "Origin: "+listed)
	wantStatus(t, w, http.StatusMethodNotAllowed)
	if w.Header().Get("Allow") == "" {
		t.Error("no Allow")
	}
}

func TestOriginsAreCheckedAtStart(t *testing.T) {
	for _, origin := range []string{
		"", "*", "null", "https://", "app.example.com", "//app.example.com", "file://app.example.com", "https://*",
		"HTTPS://app.example.com", "https://APP.example.com", " https://app.example.com", "https://app.example.com ",
		"https://app.example.com/", "https://app.example.com/x", "https://app.example.com?x", "https://app.example.com#x",
		"https://app.example.com:443", "http://app.example.com:80", "https://app.example.com:", "https://user@app.example.com",
		"https://app.example.com, https://evil.com", "https://app.example.com https://evil.com",
	} {
		if web.CheckOrigin(origin) == nil {
			t.Errorf("%q was taken as an origin", origin)
		}
	}
	for _, origin := range []string{listed, "http://localhost:5173", "https://app.example.com:8443", "http://[::1]:3000", "https://xn--bcher-kva.example"} {
		if err := web.CheckOrigin(origin); err != nil {
			t.Errorf("%q: %v", origin, err)
		}
	}
	if _, err := build(t, "https://desk.example", nil, func(c *web.Config) { c.CORSOrigins = []string{listed, "*"} }); err == nil {
		t.Error("a front desk was made with an origin that is none")
	}
}

// unsafeRoutes are those of the router with a method that may change something.
func unsafeRoutes(t *testing.T, h *house) (routes []gin.RouteInfo) {
	t.Helper()
	router, ok := h.routes.(interface{ Routes() gin.RoutesInfo })
	if !ok {
		t.Fatalf("a %T has no routes", h.Handler)
	}
	for _, route := range router.Routes() {
		if route.Method != "GET" && route.Method != "HEAD" && route.Method != "OPTIONS" {
			routes = append(routes, route)
		}
	}
	if len(routes) < 14 {
		t.Fatalf("only %d routes change something", len(routes))
	}
	return routes
}

// fillIn fills in the parameters of a route.
func fillIn(route string) string {
	return strings.NewReplacer(":token", "x", ":id", "x").Replace(route)
}

// B4.2: no route that changes something can be used by another site's page: not
// by a form, of a listed origin neither, and not by a script that is not
// listed.
func TestNoRouteIsCrossOrigin(t *testing.T) {
	h := sharingHouse(t)
	for _, route := range unsafeRoutes(t, h) {
		target := fillIn(route.Path)
		for name, headers := range map[string]string{
			"a form elsewhere":          "Sec-Fetch-Site: cross-site\nOrigin: https://evil.com\nContent-Type: application/x-www-form-urlencoded",
			"a form on a sub-domain":    "Sec-Fetch-Site: same-site\nOrigin: https://x.desk.example\nContent-Type: application/x-www-form-urlencoded",
			"a form in a sandbox":       "Sec-Fetch-Site: cross-site\nOrigin: null\nContent-Type: multipart/form-data; boundary=x",
			"an old browser":            "Origin: https://evil.com\nContent-Type: application/x-www-form-urlencoded",
			"plain text":                "Sec-Fetch-Site: cross-site\nOrigin: https://evil.com\nContent-Type: text/plain",
			"a script elsewhere":        "Sec-Fetch-Site: cross-site\nOrigin: https://evil.com\nContent-Type: application/json\nAuthorization: Bearer x",
			"a listed one's form":       "Sec-Fetch-Site: cross-site\nOrigin: " + listed + "\nContent-Type: application/x-www-form-urlencoded",
			"a listed one's upload":     "Sec-Fetch-Site: cross-site\nOrigin: " + listed + "\nContent-Type: multipart/form-data; boundary=x",
			"a listed one's plain text": "Sec-Fetch-Site: cross-site\nOrigin: " + listed + "\nContent-Type: text/plain",
			"a listed one's empty post": "Sec-Fetch-Site: same-site\nOrigin: " + listed,
		} {
			w := h.ask(route.Method, target, "", strings.Split(headers, "\n")...)
			if w.Code != http.StatusForbidden {
				t.Errorf("%s %s by %s: status %d, want 403", route.Method, target, name, w.Code)
			}
		}
	}
}

// Two origins are none, whichever of them is looked at first.
func TestTwoOrigins(t *testing.T) {
	h := sharingHouse(t)
	for _, origins := range [][]string{{"https://desk.example", "https://evil.com"}, {"http://example.com", "http://example.com"}} {
		w := h.json(`{"first":"Ada","email":"ada@example.com"}`, originHeaders(origins)...)
		wantStatus(t, w, http.StatusForbidden)
		wantStatus(t, h.ask("GET", "/createUser", "", originHeaders(origins)...), http.StatusOK)
	}
	h.store.empty(t)
}

// A listed origin's script reaches every route of the API, and no other.
func TestCORSRoutes(t *testing.T) {
	h := sharingHouse(t)
	reached := 0
	for _, route := range unsafeRoutes(t, h) {
		target := fillIn(route.Path)
		w := h.ask(route.Method, target, "{}", "Sec-Fetch-Site: cross-site", "Origin: "+listed, "Content-Type: application/json", "Authorization: Bearer x")
		asked := h.ask("OPTIONS", target, "", "Origin: "+listed, "Access-Control-Request-Method: "+route.Method)
		page := route.Path == "/me/delete" || route.Path == "/me/sessions/:id/end"
		if (w.Code == http.StatusForbidden) != page || (asked.Code == http.StatusNoContent) == page {
			t.Errorf("%s %s: status %d, preflight %d", route.Method, route.Path, w.Code, asked.Code)
		}
		if !page {
			reached++
			wantShared(t, w.Header(), listed)
			if methods := asked.Header().Get("Access-Control-Allow-Methods"); !strings.Contains(methods, route.Method) {
				t.Errorf("%s %s: may do %s", route.Method, route.Path, methods)
			}
		}
	}
	if reached < 12 {
		t.Errorf("only %d routes reached", reached)
	}
}

// Pages are nobody's to read, and the mailbox least of all.
func TestCORSLeavesPagesAlone(t *testing.T) {
	h := houseWith(t, "https://desk.example", mails{{ID: "m1"}}, func(c *web.Config) { c.CORSOrigins = []string{listed} })
	for _, target := range []string{"/createUser", "/signIn", "/confirm/x", "/me/delete", "/mailbox", "/mailbox/messages", "/mailbox/m1", "/health", "/nothing"} {
		w := h.ask("GET", "http://localhost"+target, "", "Origin: "+listed)
		wantShared(t, w.Header(), "")
	}
}

// B3.3, B4.4: the keys are the same in every language and for every kind of
// client, so a cache may keep one copy; for each origin only where origins are
// told apart.
func TestKeysVaryByOriginAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		h    *house
		want []string
	}{"shared": {sharingHouse(t), []string{"Origin"}}, "not shared": {newHouse(t, home, nil), nil}} {
		for _, origin := range []string{listed, "https://evil.com"} {
			h := tt.h.ask("GET", "/.well-known/jwks.json", "", "Origin: "+origin).Result().Header
			if got := h["Vary"]; !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: Vary %q, want %q", name, origin, got, tt.want)
			}
			if got, want := h.Get("Access-Control-Allow-Origin") == listed, name == "shared" && origin == listed; got != want {
				t.Errorf("%s, %s: shared %t, want %t", name, origin, got, want)
			}
		}
	}
}
