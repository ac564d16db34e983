package web

import (
	"context"

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

// confirmLink is POST /confirm/:token.
func (d *desk) confirmLink(c *gin.Context) error { return errNoPage }
