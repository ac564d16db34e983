package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// SignUps accepts forms. Its methods are called concurrently.
type SignUps interface {
	// Accept stores a sign-up. It returns [*signup.Invalid],
	// [signup.ErrConflict] or [signup.ErrUnavailable].
	Accept(ctx context.Context, f signup.Form) (signup.Accepted, error)
}

// Stamps say when a form was shown. Their methods are called concurrently.
type Stamps interface {
	// Make returns the stamp of this moment.
	Make() string
	// Age returns how long ago a stamp was made, or an error if we made none
	// such.
	Age(stamp string) (time.Duration, error)
}

// formView is the sign-up page's data: what was typed, and what is wrong
// with it.
type formView struct {
	First, Last, Email  string
	Key, Stamp, Consent string
	Errors              map[string]string
}

// signUpForm is GET /createUser.
func (d *desk) signUpForm(c *gin.Context) error {
	return d.showForm(c, http.StatusOK, formView{Key: rand.Text()})
}

// showForm writes the page with the form, as it is shown now.
func (d *desk) showForm(c *gin.Context, status int, view formView) error {
	t, _ := d.pages.language(c.Request)
	view.Stamp, view.Consent = d.stampAgain(view.Stamp), consentVersion(t)
	return d.pages.render(c, status, "signup", view)
}

// consentVersion names the text that a person agrees to by sending the form:
// its language, and what tells it from what it was before.
func consentVersion(t *texts) string {
	sum := sha256.Sum256([]byte(t.say("signup.consent")))
	return t.name() + "." + hex.EncodeToString(sum[:4])
}

// consentForm is what consentVersion looks like, of whatever text: the one that
// was shown may have been another program's.
var consentForm = regexp.MustCompile(`^[A-Za-z0-9-]{2,35}\.[0-9a-f]{8}$`)

// shownByApp is how an app can name the text that it has shown itself: by as
// many visible characters as fit on a line, so that it stays evidence and
// becomes no place to keep things.
var shownByApp = regexp.MustCompile(`^[!-~]{1,64}$`)

// consentTo is the version of the text that was agreed to, "" if none is named.
// The page's field says nothing when somebody else has filled it in; an app is
// told, because it would miss its evidence only when it needs it (B7.9).
func consentTo(in input, kind bodyKind) (string, error) {
	switch {
	case kind == jsonBody && in.consent != "" && !shownByApp.MatchString(in.consent):
		return "", &signup.Invalid{Fields: map[string]signup.FieldError{
			"consent": {Code: "version", Message: "The version of a text is 1 to 64 visible ASCII characters."},
		}}
	case kind == jsonBody || consentForm.MatchString(in.consent):
		return in.consent, nil
	}
	return "", nil
}

// locale is the language that mails to who asks are written in, "" for the
// default.
func (d *desk) locale(r *http.Request) string {
	if t, asked := d.pages.language(r); asked {
		return t.name()
	}
	return ""
}

// createUser is POST /createUser: it stores a sign-up and answers 202. The
// answer tells nothing about who is known already.
func (d *desk) createUser(c *gin.Context) error {
	in, kind, err := readInput(c.Writer, c.Request, signUpFields())
	if err != nil {
		d.Metrics.SignUp(ResultMalformed)
		return err
	}
	var accepted signup.Accepted
	form, err := d.form(c, in, kind)
	if err == nil {
		accepted, err = d.People.Accept(c.Request.Context(), form)
	}
	d.Metrics.SignUp(resultOf(accepted, err))
	if invalid, ok := errors.AsType[*signup.Invalid](err); ok && wantsPage(c) {
		return d.redisplay(c, in, invalidForm(invalid))
	}
	if err != nil {
		return err
	}
	return d.welcome(c, in, accepted)
}

// form is what the domain is told of a request.
func (d *desk) form(c *gin.Context, in input, kind bodyKind) (signup.Form, error) {
	key, err := idempotencyKey(c.Request.Header, in, kind)
	if err != nil {
		return signup.Form{}, err
	}
	consent, err := consentTo(in, kind)
	if err != nil {
		return signup.Form{}, err
	}
	return signup.Form{
		First: in.first, Last: in.last, Email: in.email, IdempotencyKey: key,
		Locale: d.locale(c.Request), Muted: d.muted(c, in), Consent: signup.Consent{Text: consent, Origin: d.door.origin(c)},
	}, nil
}

// welcome answers for a stored sign-up.
func (d *desk) welcome(c *gin.Context, in input, a signup.Accepted) error {
	ctx := c.Request.Context()
	if d.Log.Enabled(ctx, slog.LevelDebug) {
		d.Log.LogAttrs(ctx, slog.LevelDebug, "sign-up accepted", slog.String("id", a.ID))
	}
	made := d.SignUpTokens.Issue(a.ID, a.At)
	if !wantsPage(c) {
		writeJSON(c, http.StatusAccepted, acceptedJSON(a.ID, made))
		return nil
	}
	typed := strings.TrimSpace(in.email)
	d.remember(c, a.ID, made, typed)
	return d.acceptedPage(c, typed)
}

// acceptedJSON writes the answer by hand, for it is written for every sign-up:
// an id and a token need no escaping. The status is that of a form which was
// just sent, also when it was sent again, and its mail was used meanwhile.
func acceptedJSON(id, made string) []byte {
	const message = "Check your mail: we are sending a link to confirm the address."
	b := make([]byte, 0, 192+len(made))
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	b = append(b, `","status":"`...)
	b = append(b, signup.Pending...)
	b = append(b, `","message":"`+message+`","token":"`...)
	b = append(b, made...)
	return append(b, `"}`...)
}

// redisplay shows the form again, with what was typed and why it was refused.
// Nothing was stored, so the key is as good as new.
func (d *desk) redisplay(c *gin.Context, in input, p *problem) error {
	if in.key == "" || len(in.key) > len(rand.Text()) {
		in.key = rand.Text()
	}
	t, _ := d.pages.language(c.Request)
	view := formView{
		First: in.first, Last: in.last, Email: in.email,
		Key: in.key, Stamp: in.stamp, Errors: make(map[string]string, len(p.fields)),
	}
	for field, m := range p.fields {
		view.Errors[field] = t.sayMessage(m)
	}
	return d.showForm(c, p.status, view)
}

// idempotencyKey returns the key of a request, "" for none: the header's, or
// else the page's hidden one. That is combined with the fields, so that a form
// corrected after the browser's Back is another sign-up.
func idempotencyKey(h http.Header, in input, kind bodyKind) (string, error) {
	if values, ok := h[signup.KeyField]; ok {
		if len(values) != 1 || values[0] == "" {
			return "", signup.InvalidKey()
		}
		return values[0], nil
	}
	if in.key == "" || kind == jsonBody {
		return "", nil
	}
	var text []byte
	for _, part := range []string{in.key, in.first, in.last, in.email} {
		text = binary.AppendUvarint(text, uint64(len(part))) // so that no two forms make one text
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return "form:" + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// resultOf is what a form counts as.
func resultOf(a signup.Accepted, err error) string {
	switch {
	case err == nil && a.Repeated:
		return ResultRepeated
	case err == nil:
		return ResultAccepted
	}
	switch p := problemOf(err); {
	case p == errKeyReused:
		return ResultConflict
	case p == errUnavailable:
		return ResultUnavailable
	case p.status == http.StatusUnprocessableEntity:
		return ResultInvalid
	}
	return ResultFailed
}
