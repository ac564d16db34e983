package sessions

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// contextKey is the key of the claims in a context.
type contextKey struct{}

// NewContext returns a context with claims in it: for tests of handlers, and for
// who verifies without the middleware.
func NewContext(ctx context.Context, c Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the claims that [Verifier.Middleware] put there. ok is
// false if there are none.
func FromContext(ctx context.Context) (c Claims, ok bool) {
	c, ok = ctx.Value(contextKey{}).(Claims)
	return c, ok
}

// Middleware lets requests with a valid token through to next, with the
// [Claims] in their context. The token is taken from the Authorization header
// (RFC 6750 section 2.1) and from nowhere else: in a query string it would be
// logged, and a cookie would be sent by any page.
//
// Any other request is answered with 401 and what is wanted (RFC 6750 section
// 3), 400 if it has more than one Authorization header, or 503 while the
// issuer's keys cannot be had.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header.Values("Authorization")) > 1 {
			refuse(w, http.StatusBadRequest, `Bearer error="invalid_request"`)
			return
		}
		token, ok := bearer(r.Header.Get("Authorization"))
		if !ok { // no error code for who did not try (RFC 6750 section 3.1)
			refuse(w, http.StatusUnauthorized, "Bearer")
			return
		}
		c, err := v.Verify(r.Context(), token)
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), c)))
		case errors.Is(err, ErrUnavailable):
			v.log.Debug("cannot judge a token", "error", err)
			w.Header().Set("Retry-After", "2")
			refuse(w, http.StatusServiceUnavailable, "")
		default:
			v.log.Debug("refuse a token", "error", err)
			refuse(w, http.StatusUnauthorized, `Bearer error="invalid_token"`)
		}
	})
}

// bearer reads the token of an Authorization header.
func bearer(authorization string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(authorization, " ")
	return strings.TrimLeft(token, " "), ok && strings.EqualFold(scheme, "Bearer")
}

func refuse(w http.ResponseWriter, status int, challenge string) {
	if challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	http.Error(w, http.StatusText(status), status)
}
