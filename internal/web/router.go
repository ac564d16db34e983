package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// desk is what the handlers share. All of it is immutable.
type desk struct {
	Config
	pages   *pages
	assets  map[string]asset
	cookies cookies
	door    *doorkeeper
}

// New returns the handler of everything Bellhop serves to the public.
func New(c Config) (http.Handler, error) {
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.SessionLife == 0 {
		c.SessionLife = 30 * 24 * time.Hour
	}
	d := &desk{Config: c, cookies: newCookies(c.secure()), assets: loadAssets()}
	var err error
	if d.pages, err = loadPages(d.assets); err != nil {
		return nil, err
	}
	shared, err := newCORS(c.CORSOrigins)
	if err != nil {
		return nil, err
	}
	sameOrigin, err := sameOriginOnly(c.PublicURL, shared)
	if err != nil {
		return nil, err
	}
	if d.door, err = newDoorkeeper(&d.Config); err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	if err := r.SetTrustedProxies(nil); err != nil {
		return nil, fmt.Errorf("trust no proxy: %w", err)
	}
	// A redirect to a path that was merely like it would be built from headers
	// of the request.
	r.RedirectTrailingSlash = false
	r.HandleMethodNotAllowed = true
	r.Use(d.observe, securityHeaders(c.secure()), d.recoverPanics,
		d.handle(shared.share), d.handle(sameOrigin), d.handle(d.door.admit))
	r.NoRoute(d.handle(func(*gin.Context) error { return errNoPage }))
	r.NoMethod(d.handle(wrongMethod))
	d.route(r)
	shared.route(r, d.handle)
	return r, nil
}

// Probes returns the handler of /health and /readyz alone, for a listener that
// only operators and their tools reach.
func Probes(readiness Readiness, log *slog.Logger) (http.Handler, error) {
	d := &desk{Config: Config{Readiness: readiness, Log: log}}
	var err error
	if d.pages, err = loadPages(loadAssets()); err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/health", d.handle(d.health))
	r.GET("/readyz", d.handle(d.readyz))
	return r, nil
}

func (d *desk) route(r *gin.Engine) {
	read := func(path string, h handlerFunc) {
		r.GET(path, d.handle(h))
		r.HEAD(path, d.handle(h))
	}
	post := func(path string, h handlerFunc) { r.POST(path, d.handle(h)) }
	read("/", d.home)
	read("/createUser", d.signUpForm)
	post("/createUser", d.createUser)
	read("/signup/status", d.signUpStatus)
	post("/signup/resend", d.resend)
	post("/signup/code", d.signUpCode)
	read("/confirm/:token", d.confirm)
	post("/confirm/:token", d.confirmLink)
	read("/signIn", d.signInForm)
	post("/signIn", d.askSignIn)
	post("/signIn/code", d.signInCode)
	read("/signIn/code", wrongMethod) // which is no link of a mail
	read("/signIn/:token", d.signInPage)
	post("/signIn/:token", d.signInLink)
	post("/signOut", d.signOut)
	post("/signOut/everywhere", d.forMembers(d.signOutEverywhere))
	post("/token/refresh", d.refresh)
	read("/.well-known/jwks.json", d.jwks)
	read("/me", d.forMembers(d.me))
	r.DELETE("/me", d.handle(d.forMembers(d.erase)))
	read("/me/export", d.forMembers(d.export))
	read("/me/delete", d.forMembers(d.erasePage))
	post("/me/delete", d.forMembers(d.eraseForm))
	read("/me/sessions", d.forMembers(d.sessions))
	r.DELETE("/me/sessions/:id", d.handle(d.forMembers(d.endSession)))
	post("/me/sessions/:id/end", d.forMembers(d.endSessionForm))
	read("/openapi.yaml", d.openAPI)
	read("/health", d.health)
	read("/readyz", d.readyz)
	for path := range d.assets {
		read(path, d.asset)
	}
	if d.Mailbox != nil {
		private := onlyHosts(d.PublicURL)
		mailbox := func(path string, h handlerFunc) {
			read(path, func(c *gin.Context) error {
				if err := private(c); err != nil {
					return err
				}
				return h(c)
			})
		}
		mailbox("/mailbox", d.mailbox)
		mailbox("/mailbox/messages", d.messages)
		mailbox("/mailbox/:id", d.mail)
		mailbox("/mailbox/:id/html", d.mailHTML)
		mailbox("/mailbox/:id/source", d.mailSource)
	}
}

// wrongMethod answers for a method that a route does not take. Who comes to see
// a page where a form goes to, by the address in the window or a bookmark, is
// shown the page that has the form.
func wrongMethod(c *gin.Context) error {
	m := c.Request.Method
	if page := pageOf(c.Request.URL.Path); page != "" && wantsPage(c) && (m == http.MethodGet || m == http.MethodHead) {
		c.Redirect(http.StatusSeeOther, page)
		return nil
	}
	if h := c.Writer.Header(); h.Get("Allow") == "" {
		h.Set("Allow", http.MethodPost)
	}
	return errMethod
}

// pageOf is where the form is that goes to a path, "" for none.
func pageOf(path string) string {
	switch path {
	case "/signup/resend", "/signup/code":
		return "/signup/status"
	case "/signIn/code":
		return "/signIn"
	case "/signOut":
		return "/"
	case "/signOut/everywhere":
		return "/me/sessions"
	}
	if strings.HasPrefix(path, "/me/sessions/") {
		return "/me/sessions"
	}
	return ""
}

// handlerFunc answers a request, or returns why it did not.
type handlerFunc func(*gin.Context) error

// handle makes a gin handler, or a middleware, of h.
func (d *desk) handle(h handlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			c.Abort()
			d.fail(c, err)
		}
	}
}
