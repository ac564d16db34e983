package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// cookieName is the session cookie's. The __Host- prefix makes browsers hold
// us to Secure, Path=/ and no Domain, so that no sub-domain can set it; over
// plain HTTP they would drop such a cookie.
func cookieName(secure bool) string {
	if secure {
		return "__Host-session"
	}
	return "session"
}

// setSession gives the browser its session. Lax, not Strict, so that it is
// there when a person arrives from the link in the mail (B4.1).
func (d *desk) setSession(c *gin.Context, made string) {
	http.SetCookie(c.Writer, &http.Cookie{
		Name: d.cookie, Value: made, Path: "/", MaxAge: int(token.Lifetime.Seconds()),
		Secure: d.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// visitor returns whose session the request carries, as a bearer token or as
// the cookie. The error is errNoSession or errBadSession if it is nobody's.
func (d *desk) visitor(c *gin.Context) (signup.Person, error) {
	made, ok := bearer(c.Request.Header.Get("Authorization"))
	if !ok {
		cookie, err := c.Request.Cookie(d.cookie)
		if err != nil {
			return signup.Person{}, errNoSession
		}
		made = cookie.Value
	}
	id, err := d.Sessions.Verify(made)
	if err != nil {
		return signup.Person{}, errBadSession
	}
	person, err := d.SignUps.Person(c.Request.Context(), id)
	if errors.Is(err, signup.ErrNotFound) {
		return signup.Person{}, errBadSession
	}
	return person, err
}

// bearer reads the token of an Authorization header (RFC 6750 section 2.1).
// A token in a query string is never looked for.
func bearer(authorization string) (string, bool) {
	scheme, made, ok := strings.Cut(authorization, " ")
	return strings.TrimSpace(made), ok && strings.EqualFold(scheme, "Bearer")
}
