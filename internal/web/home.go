package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"bellhop/internal/signup"
)

// homeView is what a visitor with a session is told, in JSON and on the page.
type homeView struct {
	First  string        `json:"first"` // "" for a pending one
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

// greeting is the view for whoever asks. A pending session is told "pending",
// and no name, whatever has become of its sign-up since: that the address has an
// account, or had one, is for its owner to know.
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
	if _, err := d.People.Standing(c.Request.Context(), ids[0]); err != nil {
		return homeView{}, gone(err)
	}
	return homeView{"", signup.Pending}, nil
}
