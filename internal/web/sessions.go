package web

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// sessionJSON is one of the answer of GET /me/sessions.
type sessionJSON struct {
	ID       string             `json:"id"`
	Kind     signup.SessionKind `json:"kind"` // browser or api
	OpenedAt time.Time          `json:"openedAt"`
	SeenAt   time.Time          `json:"seenAt"`
	EndsAt   time.Time          `json:"endsAt"`
	Current  bool               `json:"current"` // the one that asks
}

// sessions is GET /me/sessions, newest first.
func (d *desk) sessions(c *gin.Context, m member) error {
	list, err := d.People.Sessions(c.Request.Context(), m.account.ID)
	if err != nil {
		return err
	}
	view := make([]sessionJSON, 0, len(list)) // [] and not null
	for _, s := range list {
		view = append(view, sessionJSON{s.ID, s.Kind, s.Opened.UTC(), s.Seen.UTC(), s.Ends.UTC(), s.ID == m.session.ID})
	}
	if wantsPage(c) {
		return d.pages.render(c, http.StatusOK, "sessions", view)
	}
	return writeAs(c, view)
}

// endSession is DELETE /me/sessions/:id.
func (d *desk) endSession(c *gin.Context, m member) error {
	if err := d.end(c, m); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// endSessionForm is POST /me/sessions/:id/end.
func (d *desk) endSessionForm(c *gin.Context, m member) error {
	if _, err := readPost(c, noFields()); err != nil {
		return err
	}
	if err := d.end(c, m); err != nil {
		return err
	}
	if c.Param("id") == m.session.ID {
		return d.leave(c, "/")
	}
	c.Redirect(http.StatusSeeOther, "/me/sessions")
	return nil
}

func (d *desk) end(c *gin.Context, m member) error {
	if err := d.People.EndSession(c.Request.Context(), m.account.ID, c.Param("id")); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}
