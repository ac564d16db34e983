package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// Sessions are those of accounts. Its methods are called concurrently, and
// return [signup.ErrNotFound] for a session that is not there, or not any more.
type Sessions interface {
	// Session returns the browser session of that id whose secret has that
	// hash, and its account, and marks it as used.
	Session(ctx context.Context, id string, hash [32]byte) (signup.Session, signup.Person, error)
	// SessionOf returns the session that an access token names, and its account,
	// and marks it as used. It must be the account's.
	SessionOf(ctx context.Context, id, account string) (signup.Session, signup.Person, error)
	// Sessions lists an account's sessions, newest first.
	Sessions(ctx context.Context, account string) ([]signup.Session, error)
	// EndSession ends one session of an account.
	EndSession(ctx context.Context, account, id string) error
	// EndSessions ends all sessions of an account, and returns how many there
	// were.
	EndSessions(ctx context.Context, account string) (int, error)
}

// SessionSecrets carry sessions: the cookies of browsers and the refresh tokens
// of API clients. Its methods are called concurrently.
type SessionSecrets interface {
	// Make returns the secret of a session (a UUID) with a number, and the hash
	// to store. The kind is that of the session.
	Make(kind, session string, number int) (secret string, hash [32]byte)
	// Open takes a secret of a kind apart. The error wraps [token.ErrInvalid]
	// for anything that Make did not make.
	Open(kind, secret string) (session string, number int, hash [32]byte, err error)
}

// PendingTokens are the tokens of sign-ups, or of requests to sign in, whose
// mail was not used yet. Its methods are called concurrently.
type PendingTokens interface {
	// Issue returns the token of an id. It is the same for the same id and
	// second.
	Issue(id string, issuedAt time.Time) string
	// Verify returns what a token was issued for, or an error that wraps
	// [token.ErrInvalid].
	Verify(token string) (id string, err error)
}

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
	id, err := d.SignUpTokens.Verify(made)
	if err != nil {
		return signup.Person{}, errBadSession
	}
	person, err := d.People.Person(c.Request.Context(), id)
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
