package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// homeView is what a visitor with a session is told, in JSON and on the page.
type homeView struct {
	First  string        `json:"first"`
	Status signup.Status `json:"status"`
}

// home greets a visitor with a session, be it an account's or pending. Without
// one a browser goes to the sign-up page, and an API client is told what is
// missing.
func (d *desk) home(c *gin.Context) error {
	view, err := d.greeting(c)
	if noSession(err) && inBrowser(c) {
		c.Redirect(http.StatusSeeOther, "/createUser")
		return nil
	}
	if err != nil {
		return err
	}
	if wantsPage(c) {
		return d.pages.render(c, http.StatusOK, "home", view)
	}
	return writeAs(c, view)
}

// greeting is the view for whoever asks. A pending session is told "pending"
// whoever has confirmed since: that the address has an account is for its owner
// to know.
func (d *desk) greeting(c *gin.Context) (homeView, error) {
	m, err := d.member(c)
	if err == nil {
		return homeView{m.account.First, signup.Confirmed}, nil
	}
	if !noSession(err) {
		return homeView{}, err
	}
	ids, err := d.ownSignUps(c)
	if err != nil {
		return homeView{}, err
	}
	person, err := d.People.Person(c.Request.Context(), ids[0])
	if err != nil {
		return homeView{}, gone(err)
	}
	return homeView{person.First, signup.Pending}, nil
}
