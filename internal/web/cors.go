package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// api are the routes that programs use, and with which methods. Scripts of the
// listed origins may use these and no others. HEAD goes with GET.
var api = map[string][]string{
	"/":                      {"GET"},
	"/createUser":            {"POST"},
	"/signup/status":         {"GET"},
	"/signup/resend":         {"POST"},
	"/signup/code":           {"POST"},
	"/confirm/:token":        {"POST"},
	"/signIn":                {"POST"},
	"/signIn/code":           {"POST"},
	"/signIn/:token":         {"POST"},
	"/signOut":               {"POST"},
	"/signOut/everywhere":    {"POST"},
	"/token/refresh":         {"POST"},
	"/.well-known/jwks.json": {"GET"},
	"/me":                    {"GET", "DELETE"},
	"/me/export":             {"GET"},
	"/me/sessions":           {"GET"},
	"/me/sessions/:id":       {"DELETE"},
	"/openapi.yaml":          {"GET"},
}

// What a script may send, may read, and for how many seconds a browser may
// remember that.
const (
	sharedRequestHeaders = "Authorization, Content-Type, Idempotency-Key"
	sharedAnswerHeaders  = "Retry-After, WWW-Authenticate"
	preflightSeconds     = "600"
)

// cors are the origins whose scripts may use the API (B4.4), each letter by
// letter as browsers write it. There is no pattern, and no cookie: a script
// brings a bearer token.
type cors struct{ origins map[string]bool }

func newCORS(origins []string) (*cors, error) {
	x := &cors{origins: make(map[string]bool, len(origins))}
	for _, origin := range origins {
		if err := checkOrigin(origin); err != nil {
			return nil, err
		}
		x.origins[origin] = true
	}
	return x, nil
}

// checkOrigin refuses what no browser would send (RFC 6454 section 6.2), so
// that a listed origin that never matches is noticed.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		origin != u.Scheme+"://"+strings.ToLower(u.Host) || strings.Contains(u.Host, "*") ||
		u.Port() == "" && strings.HasSuffix(u.Host, ":") ||
		u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return fmt.Errorf("origin %q: want it as browsers write it, such as https://app.example.com", origin)
	}
	return nil
}

// listed returns the origin of a request, if that is one we know.
func (x *cors) listed(r *http.Request) (origin string, ok bool) {
	sent := r.Header["Origin"]
	if len(sent) != 1 {
		return "", false
	}
	return sent[0], x.origins[sent[0]]
}

// share lets scripts of the listed origins read the answer.
func (x *cors) share(c *gin.Context) error {
	if len(x.origins) == 0 {
		return nil
	}
	h := c.Writer.Header()
	h["Vary"] = append(slices.Clip(h["Vary"]), "Origin") // whether it is shared or not
	if origin, ok := x.listed(c.Request); ok && x.isAPI(c) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", sharedAnswerHeaders)
	}
	return nil
}

func (x *cors) isAPI(c *gin.Context) bool {
	method := c.Request.Method
	switch method {
	case http.MethodHead:
		method = http.MethodGet
	case http.MethodOptions:
		return api[c.FullPath()] != nil
	}
	return slices.Contains(api[c.FullPath()], method)
}

// admits tells whether a request that changes something is a listed origin's
// script using the API: one that a form could not have sent, and that no cookie
// speaks for.
func (x *cors) admits(c *gin.Context) bool {
	_, ok := x.listed(c.Request)
	return ok && x.isAPI(c) && !inBrowser(c) && !couldBeForm(c.Request.Header)
}

// couldBeForm tells whether a browser might send this without asking first: it
// asks (a preflight) before it sends JSON or an Authorization header.
func couldBeForm(h http.Header) bool {
	if len(h["Content-Type"]) == 0 {
		_, ok := bearer(h.Get("Authorization"))
		return !ok
	}
	kind, _, _ := kindOf(h)
	return kind != jsonBody
}

// route lets browsers ask what a script may do.
func (x *cors) route(r *gin.Engine, handle func(handlerFunc) gin.HandlerFunc) {
	if len(x.origins) == 0 {
		return
	}
	for path := range api {
		r.OPTIONS(path, handle(x.preflight))
	}
}

// preflight answers what a script of a listed origin may do with a route, and
// nothing to anybody else.
func (x *cors) preflight(c *gin.Context) error {
	h, methods := c.Writer.Header(), strings.Join(api[c.FullPath()], ", ")
	if c.Request.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Allow", methods+", OPTIONS")
		return errMethod
	}
	if _, ok := x.listed(c.Request); !ok {
		return errCrossOrigin
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", sharedRequestHeaders)
	h.Set("Access-Control-Max-Age", preflightSeconds)
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}
