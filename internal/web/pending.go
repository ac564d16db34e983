package web

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"bellhop/internal/token"
)

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

// maxPending is how many sign-ups of its own a browser remembers.
const maxPending = 5

// pendingSeparator stands between tokens in the cookie: they are base64url and
// dots.
const pendingSeparator = "~"

// ownSignUps returns the sign-ups that the request's browser or program has
// made itself, newest first, by their pending tokens. The error is errNoSession
// or errBadSession if there are none.
func (d *desk) ownSignUps(c *gin.Context) ([]string, error) {
	carried, err := carriedTokens(c, d.cookies.pending)
	if err != nil {
		return nil, err
	}
	return verified(d.SignUpTokens, carried)
}

// ownRequest returns the request to sign in that the request's browser or
// program has made itself, as ownSignUps does.
func (d *desk) ownRequest(c *gin.Context) ([]string, error) {
	carried, err := carriedTokens(c, d.cookies.asking)
	if err != nil {
		return nil, err
	}
	return verified(d.SignInTokens, carried[:1])
}

// carriedTokens returns the bearer token, or those of a cookie.
func carriedTokens(c *gin.Context, from cookie) ([]string, error) {
	if made, ok := bearer(c.Request.Header.Get("Authorization")); ok {
		return []string{made}, nil
	}
	value, ok := from.read(c)
	if !ok {
		return nil, errNoSession
	}
	return strings.SplitN(value, pendingSeparator, maxPending+1), nil
}

// verified returns what the first tokens are of, passing over those that are
// good for nothing, or not any more.
func verified(tokens PendingTokens, carried []string) (ids []string, err error) {
	for _, made := range carried[:min(len(carried), maxPending)] {
		if id, err := tokens.Verify(made); err == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil, errBadSession
	}
	return ids, nil
}

// remember gives the browser the token of a sign-up, beside those it has of
// earlier ones, and the address that was typed, for its own pages: whatever
// becomes of the sign-up, they show the same.
func (d *desk) remember(c *gin.Context, id, made, typed string) {
	tokens := []string{made}
	if value, ok := d.cookies.pending.read(c); ok {
		for _, earlier := range strings.SplitN(value, pendingSeparator, maxPending+1) {
			if other, err := d.SignUpTokens.Verify(earlier); err == nil && other != id && len(tokens) < maxPending {
				tokens = append(tokens, earlier)
			}
		}
	}
	d.cookies.pending.set(c, strings.Join(tokens, pendingSeparator), token.Lifetime)
	d.cookies.typed.set(c, base64.RawURLEncoding.EncodeToString([]byte(typed)), token.Lifetime)
}

// maxTyped is the longest address that is shown back.
const maxTyped = 254

// typed returns the address that this browser signed up with, "" if it does not
// say.
func (d *desk) typed(c *gin.Context) string {
	value, _ := d.cookies.typed.read(c)
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(text) > maxTyped || !utf8.Valid(text) {
		return ""
	}
	return string(text)
}
