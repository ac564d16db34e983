package web

import (
	"context"
	"fmt"
	"net/http"
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

func accountOf(p signup.Person) accountJSON {
	return accountJSON{p.ID, signup.Confirmed, p.First, p.Last, p.Address.Typed(), p.Accepted.UTC(), p.Confirmed.UTC()}
}

// forMembers makes a handler of one for accounts only. A browser without a
// session is sent to sign in.
func (d *desk) forMembers(h func(*gin.Context, member) error) handlerFunc {
	return func(c *gin.Context) error {
		m, err := d.member(c)
		if noSession(err) && inBrowser(c) {
			return signInFirst(c)
		}
		if err != nil {
			return err
		}
		return h(c, m)
	}
}

// me is GET /me.
func (d *desk) me(c *gin.Context, m member) error {
	account := accountOf(m.account)
	if wantsPage(c) {
		return d.pages.render(c, http.StatusOK, "account", account)
	}
	return writeAs(c, account)
}

// export is GET /me/export: a file, for who follows the link on the page.
func (d *desk) export(c *gin.Context, m member) error {
	dossier, err := d.People.Export(c.Request.Context(), m.account.ID)
	if err != nil {
		return gone(err)
	}
	body, err := EncodeDossier(dossier)
	if err != nil {
		return err
	}
	c.Header("Content-Disposition", `attachment; filename="bellhop-export.json"`)
	writeJSON(c, http.StatusOK, body)
	return nil
}

// erase is DELETE /me.
func (d *desk) erase(c *gin.Context, m member) error {
	if err := d.eraseAccount(c, m); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// eraseAccount erases the account, and what the browser keeps of it.
func (d *desk) eraseAccount(c *gin.Context, m member) error {
	if err := d.People.Erase(c.Request.Context(), m.account.ID); err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	d.Metrics.Erasure()
	if inBrowser(c) {
		d.forget(c)
		d.cookies.device.clear(c)
	}
	return nil
}

// erasePage is GET /me/delete.
func (d *desk) erasePage(c *gin.Context, m member) error {
	return d.pages.render(c, http.StatusOK, "delete", accountOf(m.account))
}

// eraseForm is POST /me/delete.
func (d *desk) eraseForm(c *gin.Context, m member) error {
	if _, err := readPost(c, noFields()); err != nil {
		return err
	}
	if err := d.eraseAccount(c, m); err != nil {
		return err
	}
	return d.pages.render(c, http.StatusOK, "goodbye", nil)
}
