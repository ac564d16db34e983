package web

import (
	"context"
	"math"
	"net/http"

	"github.com/gin-gonic/gin"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// Standings tell a sign-up's own browser where its mail is. Its methods are
// called concurrently. They return [signup.ErrNotFound] if there never was such
// a sign-up.
type Standings interface {
	// Standing tells how the latest mail of a sign-up is getting on.
	Standing(ctx context.Context, signUpID string) (signup.Standing, error)
	// Resend owes a sign-up one more mail if it may have one now, and returns
	// how it stands then.
	Resend(ctx context.Context, signUpID string) (signup.Standing, error)
}

// standingJSON is the answer of GET /signup/status and POST /signup/resend.
type standingJSON struct {
	Mail        signup.MailStatus `json:"mail"`
	ResendIn    int               `json:"resendIn"` // seconds until another mail can be asked for
	ResendsLeft int               `json:"resendsLeft"`
}

func standingOf(s signup.Standing) standingJSON {
	return standingJSON{s.Mail, int(math.Ceil(s.ResendIn.Seconds())), s.ResendsLeft}
}

// checkView is the "check your mail" page's data. It depends on what this
// browser typed and on this one sign-up's mail, and on nothing else.
type checkView struct {
	Email   string // as it was typed; "" if the browser does not say
	Mail    signup.MailStatus
	Mailbox bool // mails can be read at /mailbox
	// Refresh is after how many seconds the page looks again; 0 for not at all.
	Refresh int
	// Code is the form for the code, nil while the page refreshes: nobody is
	// to lose what is half typed. Nil, too, for a mail that was given up, unless
	// the visitor asks for it: an earlier mail may have brought one.
	Code *codeView
	// Resend is about another mail, nil where it is too soon to speak of one.
	Resend *resendView
}

// resendView says in how many minutes another mail can be asked for, and how
// many there can be.
type resendView struct{ In, Left int }

// How soon the page looks again: what is said of a mail changes 10 seconds after
// it was owed; when the mail server is away, it will be for a while.
const (
	refreshAccepted = 5
	refreshWaiting  = 15
)

// acceptedPage is the answer to a form that was just stored. It says what is
// certain, and looks up nothing.
func (d *desk) acceptedPage(c *gin.Context, typed string) error {
	return d.pages.render(c, http.StatusAccepted, "check",
		checkView{Email: typed, Mail: signup.MailAccepted, Mailbox: d.Mailbox != nil, Refresh: refreshAccepted})
}

// checkPage shows where a sign-up's mail is. While that can still change, the
// page refreshes; where the code can be typed it never does: that is once the
// mail has left, or when the visitor says so. No code is asked for that cannot
// come.
func (d *desk) checkPage(c *gin.Context, status int, id string, code *codeView) error {
	s, err := d.People.Standing(c.Request.Context(), id)
	if err != nil {
		return gone(err)
	}
	view := checkView{
		Email: d.typed(c), Mail: s.Mail, Mailbox: d.Mailbox != nil, Code: code,
		Resend: &resendView{int(math.Ceil(s.ResendIn.Minutes())), s.ResendsLeft},
	}
	switch {
	case code != nil:
	case s.Mail == signup.MailAccepted:
		view.Refresh = refreshAccepted
	case s.Mail == signup.MailWaiting:
		view.Refresh = refreshWaiting
	case s.Mail == signup.MailGivenUp:
	default:
		view.Code = signUpCodeForm(false)
	}
	return d.pages.render(c, status, "check", view)
}

func signUpCodeForm(wrong bool) *codeView { return &codeView{Action: "/signup/code", Wrong: wrong} }

// signUpStatus is GET /signup/status: a page, or with the pending bearer JSON.
// With "?code" the page waits for a code and does not refresh.
func (d *desk) signUpStatus(c *gin.Context) error {
	ids, err := d.ownSignUps(c)
	if noSession(err) && wantsPage(c) {
		c.Redirect(http.StatusSeeOther, "/createUser")
		return nil
	}
	if err != nil {
		return err
	}
	if !wantsPage(c) {
		s, err := d.People.Standing(c.Request.Context(), ids[0])
		if err != nil {
			return gone(err)
		}
		return writeAs(c, standingOf(s))
	}
	var code *codeView
	if c.Request.URL.Query().Has("code") {
		code = signUpCodeForm(false)
	}
	return d.checkPage(c, http.StatusOK, ids[0], code)
}

// resend is POST /signup/resend. Whether another mail was made or not, the
// answer is how things stand.
func (d *desk) resend(c *gin.Context) error {
	if _, err := readPost(c, noFields()); err != nil {
		return err
	}
	ids, err := d.ownSignUps(c)
	if noSession(err) && inBrowser(c) {
		c.Redirect(http.StatusSeeOther, "/createUser")
		return nil
	}
	if err != nil {
		return err
	}
	s, err := d.People.Resend(c.Request.Context(), ids[0])
	if err != nil {
		return gone(err)
	}
	if inBrowser(c) {
		c.Redirect(http.StatusSeeOther, "/signup/status")
		return nil
	}
	return writeStatusAs(c, http.StatusAccepted, standingOf(s))
}

// signUpCode is POST /signup/code.
func (d *desk) signUpCode(c *gin.Context) error {
	in, err := readPost(c, codeFields())
	if err != nil {
		return err
	}
	ids, err := d.ownSignUps(c)
	if noSession(err) && inBrowser(c) {
		c.Redirect(http.StatusSeeOther, "/createUser")
		return nil
	}
	if err != nil {
		return err
	}
	err = d.redeemCode(c, onboarding.SignUp, in, ids)
	if wrongCode(c, err) {
		return d.checkPage(c, errCode.status, ids[0], signUpCodeForm(true))
	}
	return err
}
