package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// signOut is POST /signOut: it ends the session that the request carries. A
// browser that has none any more is as signed out as it wants to be.
func (d *desk) signOut(c *gin.Context) error {
	in, err := readPost(c, noFields())
	if err != nil {
		return err
	}
	m, err := d.member(c)
	if noSession(err) && inBrowser(c) {
		return d.leave(c, in.next)
	}
	if err != nil {
		return err
	}
	err = d.People.EndSession(c.Request.Context(), m.account.ID, m.session.ID)
	if err != nil && !errors.Is(err, signup.ErrNotFound) {
		return fmt.Errorf("sign out: %w", err)
	}
	return d.leave(c, in.next)
}

// signOutEverywhere is POST /signOut/everywhere: it ends all sessions of the
// account.
func (d *desk) signOutEverywhere(c *gin.Context, m member) error {
	in, err := readPost(c, noFields())
	if err != nil {
		return err
	}
	if _, err := d.People.EndSessions(c.Request.Context(), m.account.ID); err != nil {
		return fmt.Errorf("sign out everywhere: %w", err)
	}
	return d.leave(c, in.next)
}

// leave answers whose session has ended. The browser forgets everything but
// that the account was signed in here before.
func (d *desk) leave(c *gin.Context, next string) error {
	if !inBrowser(c) {
		c.Status(http.StatusNoContent)
		return nil
	}
	d.forget(c)
	return goOn(c, next)
}

// forget takes away the cookies that are about who is signed in, or was about
// to be.
func (d *desk) forget(c *gin.Context) {
	for _, k := range []cookie{d.cookies.session, d.cookies.pending, d.cookies.typed, d.cookies.asking} {
		k.clear(c)
	}
}
