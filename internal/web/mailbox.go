package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

const (
	// framePolicy lets a mail's HTML style itself and open its links in a new
	// window; it runs nothing, loads nothing and is of no origin.
	framePolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
	// mailPolicy is contentPolicy for the page around that frame.
	mailPolicy = contentPolicy + "; frame-src 'self'"

	mailsPerPage = 50
)

// mailboxView is one page of the list.
type mailboxView struct {
	Mails        []Mail
	Total        int
	Newer, Older int // the pages beside this one, 0 for none
}

func (d *desk) mailbox(c *gin.Context) error {
	mails, err := d.Mailbox.List(c.Request.Context())
	if err != nil {
		return fmt.Errorf("list mails: %w", err)
	}
	last := max(1, (len(mails)+mailsPerPage-1)/mailsPerPage)
	page, err := strconv.Atoi(c.DefaultQuery("page", "1"))
	if err != nil || page < 1 || page > last {
		return errNoPage
	}
	view := mailboxView{Total: len(mails), Newer: page - 1}
	start := (page - 1) * mailsPerPage
	end := min(start+mailsPerPage, len(mails))
	view.Mails = mails[start:end]
	if page < last {
		view.Older = page + 1
	}
	return d.pages.render(c, http.StatusOK, "mailbox", view)
}

// messages lists the mails as JSON, newest first.
func (d *desk) messages(c *gin.Context) error {
	ctx := c.Request.Context()
	list, err := d.Mailbox.List(ctx)
	if err != nil {
		return fmt.Errorf("list mails: %w", err)
	}
	mails := make([]Mail, 0, len(list)) // [] and not null
	for _, listed := range list {
		mail, err := d.Mailbox.Get(ctx, listed.ID)
		if errors.Is(err, ErrNoMail) {
			continue // made room for a newer one just now
		}
		if err != nil {
			return fmt.Errorf("get mail: %w", err)
		}
		mails = append(mails, mail)
	}
	return writeAs(c, mails)
}

func (d *desk) mail(c *gin.Context) error {
	mail, err := d.Mailbox.Get(c.Request.Context(), c.Param("id"))
	if err != nil {
		return fmt.Errorf("get mail: %w", err)
	}
	c.Header("Content-Security-Policy", mailPolicy)
	return d.pages.render(c, http.StatusOK, "mail", mail)
}

// mailHTML is the HTML part alone, for the frame on the mail's page.
func (d *desk) mailHTML(c *gin.Context) error {
	mail, err := d.Mailbox.Get(c.Request.Context(), c.Param("id"))
	if err != nil {
		return fmt.Errorf("get mail: %w", err)
	}
	c.Header("Content-Security-Policy", framePolicy)
	write(c, http.StatusOK, htmlType, []byte(openLinksOutside(mail.HTML)))
	return nil
}

// openLinksOutside makes links open a window of their own: our pages refuse to
// be framed.
func openLinksOutside(page string) string {
	const base = `<base target="_blank">`
	head := strings.Index(strings.ToLower(page), "<head>")
	if head < 0 {
		return base + page
	}
	head += len("<head>")
	return page[:head] + base + page[head:]
}

func (d *desk) mailSource(c *gin.Context) error {
	mail, err := d.Mailbox.Get(c.Request.Context(), c.Param("id"))
	if err != nil {
		return fmt.Errorf("get mail: %w", err)
	}
	write(c, http.StatusOK, plainType, mail.Source)
	return nil
}
