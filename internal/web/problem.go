package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// problem is an error together with its answer. Its text is meant for whoever
// sent the request.
type problem struct {
	status  int
	code    string
	message string
	fields  map[string]string // a sentence for each field at fault
}

func (p *problem) Error() string { return p.code }

// The problems that are always the same.
var (
	errNoPage      = &problem{status: http.StatusNotFound, code: "not_found", message: "There is nothing at this address."}
	errMethod      = &problem{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "This address does not take that method. The Allow header says which it takes."}
	errCrossOrigin = &problem{status: http.StatusForbidden, code: "cross_origin", message: "This request came from another site's page and was refused."}
	errHost        = &problem{status: http.StatusMisdirectedRequest, code: "wrong_host", message: "The mailbox is shown under this machine's own name and the public URL only."}
	errTooLarge    = &problem{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "The request is larger than 16 KiB."}
	errTooSlow     = &problem{status: http.StatusRequestTimeout, code: "too_slow", message: "The request took too long to arrive."}
	errCutShort    = &problem{status: http.StatusBadRequest, code: "malformed", message: "The request's body did not arrive whole."}
	errNoSession   = &problem{status: http.StatusUnauthorized, code: "unauthorized", message: "Sign up first, then send the token as \"Authorization: Bearer\"."}
	errBadSession  = &problem{status: http.StatusUnauthorized, code: "unauthorized", message: "This token is not valid, or not any more."}
	errInternal    = &problem{status: http.StatusInternalServerError, code: "internal", message: "Something broke on our side. It has been noted."}
	errUnavailable = &problem{status: http.StatusServiceUnavailable, code: "unavailable", message: "Sign-ups cannot be stored right now. Nothing is lost: please try again in a moment."}
	errKeyReused   = &problem{status: http.StatusUnprocessableEntity, code: "key_reused", message: "This Idempotency-Key was used for another sign-up."}
)

// problemOf is the one table from errors to answers.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if invalid, ok := errors.AsType[*signup.Invalid](err); ok {
		return invalidForm(invalid)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	switch {
	case errors.Is(err, signup.ErrConflict):
		return errKeyReused
	case errors.Is(err, signup.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnavailable
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTooSlow
	case errors.Is(err, ErrNoMail):
		return errNoPage
	}
	return errInternal
}

func invalidForm(invalid *signup.Invalid) *problem {
	p := &problem{
		status: http.StatusUnprocessableEntity, code: "invalid", message: "Some fields cannot be used as they are.",
		fields: make(map[string]string, len(invalid.Fields)),
	}
	for field, refused := range invalid.Fields {
		p.fields[field] = refused.Message
	}
	return p
}

// fail answers for an error: a page for browsers, JSON for everybody else.
func (d *desk) fail(c *gin.Context, err error) {
	p := problemOf(err)
	if p == errInternal && !errors.Is(err, errPanic) { // a panic was logged where it was caught
		d.Log.LogAttrs(c.Request.Context(), slog.LevelError, "request failed",
			slog.String("route", c.FullPath()), slog.Any("error", err))
	}
	p.setHeaders(c.Writer.Header())
	if wantsPage(c) && d.pages.render(c, p.status, "problem", problemView{Status: p.status, Message: p.message}) == nil {
		return
	}
	writeProblem(c, p)
}

func (p *problem) setHeaders(h http.Header) {
	switch p.status {
	case http.StatusServiceUnavailable:
		// Spread out, so that those who were turned away do not come back all
		// at once.
		h.Set("Retry-After", strconv.Itoa(2+rand.IntN(6)))
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		h.Set("Connection", "close") // the rest of the body is not worth reading
	case http.StatusUnauthorized:
		if challenge := "Bearer"; p == errBadSession {
			h.Set("WWW-Authenticate", challenge+` error="invalid_token"`) // RFC 6750 section 3.1
		} else {
			h.Set("WWW-Authenticate", challenge)
		}
	}
}

// writeProblem writes the JSON form of a problem.
func writeProblem(c *gin.Context, p *problem) {
	type body struct {
		Code    string            `json:"code"`
		Message string            `json:"message"`
		Fields  map[string]string `json:"fields,omitempty"`
	}
	encoded, err := json.Marshal(map[string]body{"error": {p.code, p.message, p.fields}})
	if err != nil { // strings always encode
		panic(err)
	}
	writeJSON(c, p.status, encoded)
}

// The values of Content-Type, shared by all answers.
var (
	jsonType  = []string{"application/json; charset=utf-8"}
	htmlType  = []string{"text/html; charset=utf-8"}
	plainType = []string{"text/plain; charset=utf-8"}
)

func writeJSON(c *gin.Context, status int, body []byte) { write(c, status, jsonType, body) }

func write(c *gin.Context, status int, contentType []string, body []byte) {
	h := c.Writer.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.Status(status)
	_, _ = c.Writer.Write(body) // whoever asked has left; there is nobody to tell
}
