package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/gin-gonic/gin"
)

// nextPages are the only places that "next" can name (B4.6). They are compared
// whole, so that there is nothing to parse and nothing to get wrong.
func nextPages() []string { return []string{"/", "/me", "/me/delete", "/mailbox"} }

// nextPage is where to go on, the home page unless next is one of those.
func nextPage(next string) string {
	if slices.Contains(nextPages(), next) {
		return next
	}
	return "/"
}

// askedNext is the page that a request's query names, once; "/" for any other.
func askedNext(r *http.Request) string {
	if given := r.URL.Query()["next"]; len(given) == 1 {
		return nextPage(given[0])
	}
	return "/"
}

// goOn answers a posted form: the browser gets a clean address, and its reload
// posts nothing again.
func goOn(c *gin.Context, next string) error {
	c.Redirect(http.StatusSeeOther, nextPage(next))
	return nil
}

// signInFirst sends a browser to the sign-in page, and from there back here.
func signInFirst(c *gin.Context) error {
	to := "/signIn"
	if next := nextPage(c.Request.URL.Path); next != "/" {
		to += "?next=" + url.QueryEscape(next)
	}
	c.Redirect(http.StatusSeeOther, to)
	return nil
}
