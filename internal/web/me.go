package web

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// Accounts give out what is held about an account, and take it out. Its methods
// are called concurrently.
type Accounts interface {
	// Export returns everything that is held. [signup.ErrNotFound].
	Export(ctx context.Context, id string) (signup.Dossier, error)
	// Erase takes everything personal out and calls off the mails.
	Erase(ctx context.Context, id string) error
}

// accountJSON is an account as its owner sees it: the answer of GET /me.
type accountJSON struct {
	ID          string        `json:"id"`
	Status      signup.Status `json:"status"` // confirmed
	First       string        `json:"first"`
	Last        string        `json:"last"`
	Email       string        `json:"email"`
	SignedUpAt  time.Time     `json:"signedUpAt"`
	ConfirmedAt time.Time     `json:"confirmedAt"`
}

// sessionJSON is one of the answer of GET /me/sessions.
type sessionJSON struct {
	ID       string             `json:"id"`
	Kind     signup.SessionKind `json:"kind"` // browser or api
	OpenedAt time.Time          `json:"openedAt"`
	SeenAt   time.Time          `json:"seenAt"`
	EndsAt   time.Time          `json:"endsAt"`
	Current  bool               `json:"current"` // the one that asks
}

// me is GET /me.
func (d *desk) me(c *gin.Context) error { return errNoPage }

// export is GET /me/export.
func (d *desk) export(c *gin.Context) error { return errNoPage }

// erase is DELETE /me.
func (d *desk) erase(c *gin.Context) error { return errNoPage }

// erasePage is GET /me/delete.
func (d *desk) erasePage(c *gin.Context) error { return errNoPage }

// eraseForm is POST /me/delete.
func (d *desk) eraseForm(c *gin.Context) error { return errNoPage }

// sessions is GET /me/sessions.
func (d *desk) sessions(c *gin.Context) error { return errNoPage }

// endSession is DELETE /me/sessions/:id.
func (d *desk) endSession(c *gin.Context) error { return errNoPage }

// endSessionForm is POST /me/sessions/:id/end.
func (d *desk) endSessionForm(c *gin.Context) error { return errNoPage }
