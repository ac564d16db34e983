package web

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// Refreshes exchange refresh tokens. Its method is called concurrently.
type Refreshes interface {
	// Rotate exchanges the secret with a number and hash for the next one.
	// [signup.ErrNotFound], [signup.ErrReused].
	Rotate(ctx context.Context, id string, number int, hash, next [32]byte) (signup.Session, error)
}

// AccessTokens are what API clients carry. Its methods are called concurrently.
type AccessTokens interface {
	// Issue returns a new token for a session of an account, and how long it is
	// good for.
	Issue(account, session string) (made string, life time.Duration, err error)
	// Verify returns what a valid token says, or an error that wraps
	// [token.ErrInvalid].
	Verify(made string) (token.Claims, error)
	// JWKS returns the keys to verify with, and how long they may be cached.
	JWKS() (body []byte, maxAge time.Duration)
}

// refresh is POST /token/refresh.
func (d *desk) refresh(c *gin.Context) error { return errNoPage }

// jwks is GET /.well-known/jwks.json.
func (d *desk) jwks(c *gin.Context) error { return errNoPage }
