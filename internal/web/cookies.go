package web

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// cookies are those that browsers get.
type cookies struct {
	session cookie // the secret of an account's session
	pending cookie // tokens of this browser's own sign-ups, newest first
	typed   cookie // the address of the newest of them, base64url
	asking  cookie // the token of its request to sign in, and where to go on
	device  cookie // says that the account was signed in here before
}

func newCookies(secure bool) cookies {
	// The __Host- prefix makes browsers hold us to Secure, Path=/ and no Domain,
	// so that no sub-domain can set it; over plain HTTP they would drop such a
	// cookie.
	prefix := ""
	if secure {
		prefix = "__Host-"
	}
	named := func(name string) cookie { return cookie{name: prefix + name, secure: secure} }
	return cookies{named("session"), named("pending"), named("typed"), named("asking"), named("device")}
}

// cookie is one of them.
type cookie struct {
	name   string
	secure bool
}

// read returns the cookie's value where a page is asked for or a form was
// posted, and nowhere else: a program's request carries its token itself, so
// that no other site's page can send it in a visitor's name (B4.1).
func (k cookie) read(c *gin.Context) (value string, ok bool) {
	if !inBrowser(c) {
		return "", false
	}
	found, err := c.Request.Cookie(k.name)
	if err != nil || found.Value == "" {
		return "", false
	}
	return found.Value, true
}

// set gives the browser the cookie for some time. Lax, not Strict, so that it
// is there when a person arrives from the link in the mail.
func (k cookie) set(c *gin.Context, value string, life time.Duration) {
	k.write(c, value, int(life.Seconds()))
}

// clear takes the cookie away, if the browser has it.
func (k cookie) clear(c *gin.Context) {
	if _, err := c.Request.Cookie(k.name); err == nil {
		k.write(c, "", -1)
	}
}

func (k cookie) write(c *gin.Context, value string, maxAge int) {
	http.SetCookie(c.Writer, &http.Cookie{
		Name: k.name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: k.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
