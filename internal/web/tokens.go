package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
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
	// Prepare returns what makes a token, and has made sure that it will: what
	// is exchanged for the token is used up after that. The error wraps
	// [token.ErrUnavailable] when the keys are not to be had.
	Prepare(ctx context.Context) (token.Issue, error)
	// Verify returns what a valid token says, or an error that wraps
	// [token.ErrInvalid]; or [token.ErrUnavailable] when the keys are not to be
	// had.
	Verify(made string) (token.Claims, error)
	// JWKS returns the keys to verify with, and how long they may be cached.
	JWKS() (body []byte, maxAge time.Duration)
}

// tokensJSON is the answer of a redemption and of POST /token/refresh, with the
// names of RFC 6749 section 5.1. The last two are there after a redemption only.
type tokensJSON struct {
	AccessToken  string       `json:"access_token"`
	TokenType    string       `json:"token_type"` // Bearer
	ExpiresIn    int          `json:"expires_in"` // seconds
	RefreshToken string       `json:"refresh_token"`
	Account      *accountJSON `json:"account,omitempty"`
	// Confirmed tells whether this redemption made the account.
	Confirmed *bool `json:"confirmed,omitempty"`
}

// tokensOf are what an API session is carried by.
func tokensOf(issue token.Issue, account, session, refresh string) (tokensJSON, error) {
	access, life, err := issue(account, session)
	if err != nil {
		return tokensJSON{}, fmt.Errorf("issue access token: %w", err)
	}
	return tokensJSON{AccessToken: access, TokenType: "Bearer", ExpiresIn: int(life.Seconds()), RefreshToken: refresh}, nil
}

// refresh is POST /token/refresh. A token that was exchanged before ends its
// session, because two hold it; who comes back within the grace gets the same
// successor.
func (d *desk) refresh(c *gin.Context) error {
	in, kind, err := readInput(c.Writer, c.Request, refreshFields())
	if kind != "" && kind != jsonBody {
		return unsupported("problem.json-only")
	}
	if err != nil {
		return err
	}
	session, issue, err := d.rotate(c.Request.Context(), in.refreshToken)
	d.Metrics.Refresh(refreshResult(err))
	if err != nil {
		return err
	}
	secret, _ := d.Secrets.Make(string(signup.API), session.ID, session.Number)
	made, err := tokensOf(issue, session.Account, session.ID, secret)
	if err != nil {
		return err
	}
	return writeAs(c, made)
}

// rotate exchanges a refresh token for the next one of its session, once the
// access token that goes with it is sure to be had.
func (d *desk) rotate(ctx context.Context, refresh string) (signup.Session, token.Issue, error) {
	id, number, hash, err := d.Secrets.Open(string(signup.API), refresh)
	if err != nil {
		return signup.Session{}, nil, errBadSession
	}
	issue, err := d.Access.Prepare(ctx)
	if err != nil {
		return signup.Session{}, nil, fmt.Errorf("refresh: %w", err)
	}
	_, next := d.Secrets.Make(string(signup.API), id, number+1)
	session, err := d.People.Rotate(ctx, id, number, hash, next)
	if errors.Is(err, signup.ErrReused) {
		d.Log.LogAttrs(ctx, slog.LevelWarn, "a refresh token came twice: its session was ended", slog.String("session", id))
	}
	return session, issue, gone(err)
}

// refreshResult is what a refresh token counts as.
func refreshResult(err error) string {
	if err == nil {
		return "refreshed"
	}
	switch problemOf(err) {
	case errReused:
		return "reused"
	case errBadSession:
		return "refused"
	}
	return "failed"
}

// jwks is GET /.well-known/jwks.json: what others verify access tokens with
// (RFC 7517).
func (d *desk) jwks(c *gin.Context) error {
	body, maxAge := d.Access.JWKS()
	h := c.Writer.Header()
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge.Seconds())))
	// The keys are the same in every language; who may read them is not.
	if h["Vary"] = slices.DeleteFunc(slices.Clone(h["Vary"]), func(v string) bool { return v != "Origin" }); len(h["Vary"]) == 0 {
		h.Del("Vary")
	}
	write(c, http.StatusOK, jwksType, body)
	return nil
}
