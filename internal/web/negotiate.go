package web

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// wantsPage tells whether the answer is for a browser's window: its Accept
// names text/html, and it did not send JSON. A program that takes */* gets
// JSON.
func wantsPage(c *gin.Context) bool {
	h := c.Request.Header
	return acceptsHTML(h["Accept"]) && !strings.HasPrefix(h.Get("Content-Type"), string(jsonBody))
}

// inBrowser tells whether the request comes from a browser's window: it asks
// for a page, or posts a form.
func inBrowser(c *gin.Context) bool { return wantsPage(c) || postsForm(c.Request) }

// postsForm tells whether a request's body is what a form sends.
func postsForm(r *http.Request) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind := bodyKind(strings.ToLower(strings.TrimSpace(media)))
	return r.Method == http.MethodPost && (kind == urlencodedBody || kind == multipartBody)
}

// acceptsHTML tells whether text/html is among the media ranges of Accept
// (RFC 9110 section 12.5.1), and not at quality 0.
func acceptsHTML(accept []string) bool {
	for _, line := range accept {
		for mediaRange := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(mediaRange, ";")
			if strings.EqualFold(strings.TrimSpace(media), "text/html") {
				return !refuses(params)
			}
		}
	}
	return false
}

// refuses tells whether a media range's parameters say q=0.
func refuses(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			return strings.Trim(value, "0.") == ""
		}
	}
	return false
}
