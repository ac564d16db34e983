package web

import (
	"context"

	"github.com/gin-gonic/gin"

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

// signUpStatus is GET /signup/status: a page, or with the pending bearer JSON.
func (d *desk) signUpStatus(c *gin.Context) error { return errNoPage }

// resend is POST /signup/resend.
func (d *desk) resend(c *gin.Context) error { return errNoPage }

// signUpCode is POST /signup/code.
func (d *desk) signUpCode(c *gin.Context) error { return errNoPage }
