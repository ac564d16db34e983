package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// Redemptions exchange what mails carry for sessions. Its methods are called
// concurrently.
type Redemptions interface {
	// Look tells what a link of a purpose invites to. It changes nothing.
	// [signup.ErrLinkDead].
	Look(ctx context.Context, p onboarding.Purpose, token string) (signup.Invitation, error)
	// Redeem exchanges a link for a session. [signup.ErrLinkDead],
	// [signup.ErrUsed].
	Redeem(ctx context.Context, p onboarding.Purpose, token string, s signup.NewSession) (signup.Redeemed, error)
	// RedeemCode exchanges a typed code for a session. The subjects are what
	// this browser asked for itself, newest first. [signup.ErrCode].
	RedeemCode(ctx context.Context, p onboarding.Purpose, subjects []string, typed string, s signup.NewSession) (signup.Redeemed, error)
	// Device is what a browser keeps to be known as one in which the account was
	// signed in.
	Device(account signup.Person) string
}

// linkView is the page a mail's link leads to.
type linkView struct {
	Action string // where the button posts to
	SignIn bool   // a link of a mail to sign in
	Known  bool   // the address has an account, which the link signs in to
	Own    bool   // this very browser asked for the mail
	Email  string
	// Name is what the account would be called that the button makes, "" if it
	// makes none. Who reads the mail may not be who filled in the form, and the
	// first to confirm decides: so it is shown before that.
	Name string
	// Leaving is the address of another account that this browser is signed in
	// to, "" for none.
	Leaving string
}

// usedView and deadView are the pages of links that do nothing any more.
type (
	usedView struct{ SignIn, Member bool }
	deadView struct{ SignIn, Pending bool }
)

// confirm is GET /confirm/:token.
func (d *desk) confirm(c *gin.Context) error { return d.linkPage(c, onboarding.SignUp, d.ownSignUps) }

// confirmLink is POST /confirm/:token.
func (d *desk) confirmLink(c *gin.Context) error { return d.redeemLink(c, onboarding.SignUp) }

// linkPage shows where a mail's link leads, and a button. It changes nothing,
// whoever follows the link: scanners do before people, some of them with
// scripts (B2.2, B2.7). In the browser that asked for the mail it is one click;
// elsewhere the page asks whether this is really whom to become, because a
// stranger may have sent the link (B2.5).
func (d *desk) linkPage(c *gin.Context, p onboarding.Purpose, own func(*gin.Context) ([]string, error)) error {
	c.Header("X-Robots-Tag", "noindex")
	invitation, err := d.People.Look(c.Request.Context(), p, c.Param("token"))
	if err == nil && invitation.Used {
		err = errLinkUsed
	}
	if err != nil {
		return d.linkOver(c, p, err)
	}
	view := linkView{
		Action: c.Request.URL.Path,
		SignIn: p == onboarding.SignIn,
		Known:  invitation.Known,
		Email:  invitation.Address.Typed(),
		Name:   strings.TrimSpace(invitation.First + " " + invitation.Last),
	}
	subjects, _ := own(c) // none is an answer, too
	view.Own = slices.Contains(subjects, invitation.Subject)
	if m, err := d.member(c); err == nil && m.account.Address.Key() != invitation.Address.Key() {
		view.Leaving = m.account.Address.Typed()
	}
	return d.pages.render(c, http.StatusOK, "link", view)
}

// redeemLink exchanges a link for a session.
func (d *desk) redeemLink(c *gin.Context, p onboarding.Purpose) error {
	c.Header("X-Robots-Tag", "noindex")
	in, err := readPost(c, noFields())
	if err != nil {
		return err
	}
	session, err := d.newSession(c)
	if err != nil {
		return err
	}
	redeemed, err := d.People.Redeem(c.Request.Context(), p, c.Param("token"), session.NewSession)
	d.Metrics.Redemption(string(p), "link", redemptionResult(redeemed, err))
	if err != nil {
		return d.linkOver(c, p, err)
	}
	next := in.next
	if p == onboarding.SignIn && next == "" {
		next = d.keptNext(c)
	}
	return d.admit(c, admission{p, next, redeemed, session})
}

// linkOver answers for a link that does nothing any more: a page that is kind
// about it and shows the way on.
func (d *desk) linkOver(c *gin.Context, p onboarding.Purpose, err error) error {
	problem, signIn := problemOf(err), p == onboarding.SignIn
	if !inBrowser(c) || problem != errLinkUsed && problem != errLinkDead {
		return err
	}
	if problem == errLinkUsed {
		_, err := d.member(c)
		return d.pages.render(c, problem.status, "link-used", usedView{signIn, err == nil})
	}
	_, err = d.ownSignUps(c)
	return d.pages.render(c, problem.status, "link-dead", deadView{signIn, err == nil})
}

// redeemCode exchanges a typed code for a session of one of the subjects. The
// answer is the same whatever is wrong with it.
func (d *desk) redeemCode(c *gin.Context, p onboarding.Purpose, in input, subjects []string) error {
	session, err := d.newSession(c)
	if err != nil {
		return err
	}
	redeemed, err := d.People.RedeemCode(c.Request.Context(), p, subjects, in.code, session.NewSession)
	d.Metrics.Redemption(string(p), "code", redemptionResult(redeemed, err))
	if err != nil {
		return err
	}
	return d.admit(c, admission{p, in.next, redeemed, session})
}

// redemptionResult is what a redemption counts as.
func redemptionResult(r signup.Redeemed, err error) string {
	switch {
	case err == nil && r.Confirmed:
		return "confirmed"
	case err == nil:
		return "signed-in"
	}
	switch problemOf(err) {
	case errLinkUsed:
		return "used"
	case errLinkDead:
		return "dead"
	case errCode:
		return "wrong"
	}
	return "failed"
}

// sessionKind is how the session will be carried that a request asks for.
func sessionKind(c *gin.Context) signup.SessionKind {
	if inBrowser(c) {
		return signup.Browser
	}
	return signup.API
}

// admission is what came of a redemption.
type admission struct {
	purpose  onboarding.Purpose
	next     string
	redeemed signup.Redeemed
	session  newSession
}

// admit hands out the session: to a browser as a cookie, on its way to a clean
// address, to a program as tokens.
func (d *desk) admit(c *gin.Context, a admission) error {
	if a.session.Kind == signup.API {
		made, err := tokensOf(a.session.issue, a.redeemed.Account.ID, a.session.ID, a.session.secret)
		if err != nil {
			return err
		}
		account := accountOf(a.redeemed.Account)
		made.Account, made.Confirmed = &account, &a.redeemed.Confirmed
		return writeAs(c, made)
	}
	if former, err := d.member(c); err == nil {
		// Nobody has its cookie any more. If it cannot be ended, time will.
		_ = d.People.EndSession(c.Request.Context(), former.account.ID, former.session.ID)
	}
	d.cookies.session.set(c, a.session.secret, d.SessionLife)
	d.cookies.device.set(c, d.People.Device(a.redeemed.Account), signup.DeviceLife)
	if a.purpose == onboarding.SignIn {
		d.cookies.asking.clear(c)
	} else {
		d.cookies.pending.clear(c)
		d.cookies.typed.clear(c)
	}
	return goOn(c, a.next)
}

// readPost reads the body of a POST, which a program that shows a bearer token
// can leave out where no field is needed.
func readPost(c *gin.Context, fields []string) (input, error) {
	r := c.Request
	if _, ok := bearer(r.Header.Get("Authorization")); ok && len(fields) == 0 && r.ContentLength == 0 && r.Header["Content-Type"] == nil {
		return input{}, nil
	}
	in, _, err := readInput(c.Writer, r, fields)
	return in, err
}

// codeView is the form for a code.
type codeView struct {
	Action string
	Email  string // carried along, to be shown again
	Next   string
	Wrong  bool
}

// wrongCode tells whether an error is about a typed code, in a browser, so that
// the form is to be shown again.
func wrongCode(c *gin.Context, err error) bool {
	return errors.Is(err, signup.ErrCode) && inBrowser(c)
}
