package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

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

// member is who carries an account's session.
type member struct {
	session signup.Session
	account signup.Person
}

// member returns whose session the request carries: an access token, or where a
// page is asked for the cookie (B4.1). The error is errNoSession or
// errBadSession if it is nobody's, or nobody's any more.
func (d *desk) member(c *gin.Context) (m member, err error) {
	ctx := c.Request.Context()
	if made, ok := bearer(c.Request.Header.Get("Authorization")); ok {
		claims, invalid := d.Access.Verify(made)
		switch {
		case errors.Is(invalid, token.ErrUnavailable):
			return member{}, errUnavailable
		case invalid != nil:
			return member{}, errBadSession
		}
		m.session, m.account, err = d.People.SessionOf(ctx, claims.Session, claims.Account)
	} else {
		secret, ok := d.cookies.session.read(c)
		if !ok {
			return member{}, errNoSession
		}
		id, _, hash, invalid := d.Secrets.Open(string(signup.Browser), secret)
		if invalid != nil {
			return member{}, errBadSession
		}
		m.session, m.account, err = d.People.Session(ctx, id, hash)
	}
	return m, gone(err)
}

// newSession is a session to be opened, with all that its answer takes.
type newSession struct {
	signup.NewSession
	secret string      // what will carry it
	issue  token.Issue // nil for a browser
}

// newSession prepares the session that a request asks for. Nothing that comes
// after a redemption can fail then, or who redeemed would have nothing for it.
// The session's id is new: who authenticates has one that nobody knew before.
func (d *desk) newSession(c *gin.Context) (s newSession, err error) {
	s.Kind = sessionKind(c)
	if s.Kind == signup.API {
		if s.issue, err = d.Access.Prepare(c.Request.Context()); err != nil {
			return newSession{}, fmt.Errorf("open a session: %w", err)
		}
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return newSession{}, fmt.Errorf("make a session's id: %w", err)
	}
	s.ID = id.String()
	s.secret, s.Hash = d.Secrets.Make(string(s.Kind), s.ID, 0)
	return s, nil
}

// noSession tells whether an error says that the request carries no session
// that is any good.
func noSession(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && p.status == http.StatusUnauthorized
}

// bearer reads the token of an Authorization header (RFC 6750 section 2.1).
// A token in a query string is never looked for.
func bearer(authorization string) (string, bool) {
	scheme, made, ok := strings.Cut(authorization, " ")
	return strings.TrimSpace(made), ok && strings.EqualFold(scheme, "Bearer")
}

// gone makes an error of the domain that of a token whose bearer is not there
// any more.
func gone(err error) error {
	if errors.Is(err, signup.ErrNotFound) {
		return errBadSession
	}
	return err
}
