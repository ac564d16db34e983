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
	"strings"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// problem is an error together with its answer. Its text is meant for whoever
// sent the request.
type problem struct {
	status int
	code   string
	text   message
	fields map[string]message // why a field is at fault
}

func (p *problem) Error() string { return p.code }

// message is a text of the catalogue with its values.
type message struct {
	key    string
	values []any
	// sentence, if not empty, is what the domain says in English: for JSON, and
	// for pages when the catalogue has no such key.
	sentence string
}

// say writes a message in a language.
func (t *texts) sayMessage(m message) string {
	if m.sentence != "" && !t.has(m.key) {
		return m.sentence
	}
	return t.say(m.key, m.values...)
}

// refusal makes a problem that is always the same. Its text has the key
// "problem." and the code, with "-" for "_".
func refusal(status int, code string) *problem {
	return &problem{status: status, code: code, text: message{key: "problem." + strings.ReplaceAll(code, "_", "-")}}
}

// The problems that are always the same.
var (
	errNoPage      = refusal(http.StatusNotFound, "not_found")
	errMethod      = refusal(http.StatusMethodNotAllowed, "method_not_allowed")
	errCrossOrigin = refusal(http.StatusForbidden, "cross_origin")
	errHost        = refusal(http.StatusMisdirectedRequest, "wrong_host")
	errTooLarge    = refusal(http.StatusRequestEntityTooLarge, "too_large")
	errTooSlow     = refusal(http.StatusRequestTimeout, "too_slow")
	errCutShort    = malformed("", "problem.cut-short")
	errNoSession   = &problem{status: http.StatusUnauthorized, code: "unauthorized", text: message{key: "problem.no-session"}}
	errBadSession  = &problem{status: http.StatusUnauthorized, code: "unauthorized", text: message{key: "problem.bad-session"}}
	errReused      = refusal(http.StatusUnauthorized, "refresh-reused")
	errLinkDead    = refusal(http.StatusGone, "link-dead")
	errLinkUsed    = refusal(http.StatusConflict, "already-used")
	errCode        = refusal(http.StatusUnprocessableEntity, "code")
	errInternal    = refusal(http.StatusInternalServerError, "internal")
	errUnavailable = refusal(http.StatusServiceUnavailable, "unavailable")
	errKeyReused   = refusal(http.StatusUnprocessableEntity, "key_reused")
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
	case errors.Is(err, signup.ErrLinkDead):
		return errLinkDead
	case errors.Is(err, signup.ErrUsed):
		return errLinkUsed
	case errors.Is(err, signup.ErrCode):
		return errCode
	case errors.Is(err, signup.ErrReused):
		return errReused
	case errors.Is(err, signup.ErrUnavailable), errors.Is(err, token.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnavailable
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTooSlow
	case errors.Is(err, ErrNoMail), errors.Is(err, signup.ErrNotFound):
		return errNoPage
	}
	return errInternal
}

func invalidForm(invalid *signup.Invalid) *problem {
	p := refusal(http.StatusUnprocessableEntity, "invalid")
	p.fields = make(map[string]message, len(invalid.Fields))
	for field, refused := range invalid.Fields {
		p.fields[field] = message{key: "field." + field + "." + refused.Code, sentence: refused.Message}
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
	if wantsPage(c) && d.problemPage(c, p) == nil {
		return
	}
	d.writeProblem(c, p)
}

func (d *desk) problemPage(c *gin.Context, p *problem) error {
	t, _ := d.pages.language(c.Request)
	view := problemView{Status: p.status, Title: t.say("title." + strconv.Itoa(p.status)), Message: t.sayMessage(p.text)}
	return d.pages.render(c, p.status, "problem", view)
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
		if challenge := "Bearer"; p != errNoSession {
			h.Set("WWW-Authenticate", challenge+` error="invalid_token"`) // RFC 6750 section 3.1
		} else {
			h.Set("WWW-Authenticate", challenge)
		}
	}
}

// writeProblem writes the JSON form of a problem, which is in English.
func (d *desk) writeProblem(c *gin.Context, p *problem) {
	type body struct {
		Code    string            `json:"code"`
		Message string            `json:"message"`
		Fields  map[string]string `json:"fields,omitempty"`
	}
	t := d.pages.catalogue.english()
	fields := make(map[string]string, len(p.fields))
	for field, m := range p.fields {
		if m.sentence == "" {
			m.sentence = t.sayMessage(m)
		}
		fields[field] = m.sentence
	}
	encoded, err := json.Marshal(map[string]body{"error": {p.code, t.sayMessage(p.text), fields}})
	if err != nil { // strings always encode
		panic(err)
	}
	writeJSON(c, p.status, encoded)
}

// The values of Content-Type, shared by all answers.
var (
	jsonType  = []string{"application/json; charset=utf-8"}
	htmlType  = []string{"text/html; charset=utf-8"}
	jwksType  = []string{"application/jwk-set+json"}
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
