package web

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// homeView is what a visitor with a session is told, in JSON and on the page.
type homeView struct {
	First  string        `json:"first"`
	Status signup.Status `json:"status"`
}

// home greets a visitor with a session. Without one a browser goes to the
// sign-up page, and an API client is told what is missing.
func (d *desk) home(c *gin.Context) error {
	person, err := d.visitor(c)
	if p, ok := errors.AsType[*problem](err); ok && p.status == http.StatusUnauthorized && wantsPage(c) {
		c.Redirect(http.StatusSeeOther, "/createUser")
		return nil
	}
	if err != nil {
		return err
	}
	view := homeView{First: person.First, Status: person.Status}
	if wantsPage(c) {
		return d.pages.render(c, http.StatusOK, "home", view)
	}
	return writeAs(c, view)
}

// confirm shows where a mail's link leads. It changes nothing, whoever follows
// the link: scanners do before people.
func (d *desk) confirm(c *gin.Context) error {
	c.Header("X-Robots-Tag", "noindex")
	return d.pages.render(c, http.StatusOK, "confirm", nil)
}
