package web

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
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

// signInForm is GET /signIn.
func (d *desk) signInForm(c *gin.Context) error { return errNoPage }

// askSignIn is POST /signIn.
func (d *desk) askSignIn(c *gin.Context) error { return errNoPage }

// signInCode is POST /signIn/code.
func (d *desk) signInCode(c *gin.Context) error { return errNoPage }

// signInPage is GET /signIn/:token.
func (d *desk) signInPage(c *gin.Context) error { return errNoPage }

// signInLink is POST /signIn/:token.
func (d *desk) signInLink(c *gin.Context) error { return errNoPage }
