package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// SignIns take requests to sign in. Its method is called concurrently.
type SignIns interface {
	// AskSignIn stores somebody's wish to sign in, whoever they are, and returns
	// the request's id and when that was. [*signup.Invalid] for an address that
	// cannot be one.
	AskSignIn(ctx context.Context, f signup.SignInForm) (requestID string, asked time.Time, err error)
}

// askedJSON is the answer of POST /signIn.
type askedJSON struct {
	Status  signup.Status `json:"status"` // pending
	Message string        `json:"message"`
	Token   string        `json:"token"` // for POST /signIn/code
}

// signInView is the sign-in page's data.
type signInView struct {
	Email, Next, Stamp string
	Wrong              string // what is wrong with the address, "" for nothing
}

// askedView is the page after it.
type askedView struct {
	Email   string
	Mailbox bool
	Code    codeView
}

// signInForm is GET /signIn.
func (d *desk) signInForm(c *gin.Context) error {
	return d.pages.render(c, http.StatusOK, "signin", signInView{Next: askedNext(c.Request), Stamp: d.Stamps.Make()})
}

// askSignIn is POST /signIn. The answer is the same for everybody: whether the
// address has an account is looked up when the mail is sent, or not.
func (d *desk) askSignIn(c *gin.Context) error {
	in, err := readPost(c, signInFields())
	if err != nil {
		return err
	}
	device, _ := d.cookies.device.read(c)
	id, asked, err := d.People.AskSignIn(c.Request.Context(),
		signup.SignInForm{Email: in.email, Locale: d.locale(c.Request), Muted: d.muted(c, in), Device: device})
	if invalid, ok := errors.AsType[*signup.Invalid](err); ok && inBrowser(c) {
		p := invalidForm(invalid)
		t, _ := d.pages.language(c.Request)
		view := signInView{Email: in.email, Next: nextPage(in.next), Stamp: d.stampAgain(in.stamp), Wrong: t.sayMessage(p.fields["email"])}
		return d.pages.render(c, p.status, "signin", view)
	}
	if err != nil {
		return err
	}
	made := d.SignInTokens.Issue(id, asked)
	if !inBrowser(c) {
		const message = "Check your mail: if the address has an account, we are sending a link and a code to sign in."
		return writeStatusAs(c, http.StatusAccepted, askedJSON{signup.Pending, message, made})
	}
	d.cookies.asking.set(c, withNext(made, in.next), token.SignInLifetime)
	return d.askedPage(c, http.StatusAccepted, in, false)
}

// askedPage says to check the mail, and takes the code.
func (d *desk) askedPage(c *gin.Context, status int, in input, wrong bool) error {
	email := strings.TrimSpace(in.email)
	return d.pages.render(c, status, "signin-check", askedView{
		Email: email, Mailbox: d.Mailbox != nil,
		Code: codeView{Action: "/signIn/code", Email: email, Next: nextPage(in.next), Wrong: wrong},
	})
}

// signInCode is POST /signIn/code.
func (d *desk) signInCode(c *gin.Context) error {
	in, err := readPost(c, codeFields())
	if err != nil {
		return err
	}
	requests, err := d.ownRequest(c)
	if noSession(err) && inBrowser(c) {
		c.Redirect(http.StatusSeeOther, "/signIn")
		return nil
	}
	if err != nil {
		return err
	}
	err = d.redeemCode(c, onboarding.SignIn, in, requests)
	if wrongCode(c, err) {
		return d.askedPage(c, errCode.status, in, true)
	}
	return err
}

// signInPage is GET /signIn/:token.
func (d *desk) signInPage(c *gin.Context) error {
	return d.linkPage(c, onboarding.SignIn, d.ownRequest)
}

// signInLink is POST /signIn/:token.
func (d *desk) signInLink(c *gin.Context) error { return d.redeemLink(c, onboarding.SignIn) }

// withNext is what a browser's cookie keeps of a request to sign in: its token,
// and the page to go on to when the mail's link is pressed in that very browser.
// The link itself, which is for every browser, names no page.
func withNext(made, next string) string {
	if next = nextPage(next); next == "/" {
		return made
	}
	return made + pendingSeparator + next
}

// keptNext is the page that the cookie keeps, "/" if it keeps none.
func (d *desk) keptNext(c *gin.Context) string {
	kept, _ := d.cookies.asking.read(c)
	_, next, _ := strings.Cut(kept, pendingSeparator)
	return nextPage(next)
}
