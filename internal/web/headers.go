package web

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// contentPolicy lets a page load our stylesheet and pictures and send our
// forms. Nothing else, and no script at all, can run in it or be framed.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// securityHeaders sets what every answer carries, errors included (B4.5).
// Handlers may replace Cache-Control, Content-Security-Policy and
// Referrer-Policy.
func securityHeaders(https bool) gin.HandlerFunc {
	// Shared by all answers: a header's values are replaced, never changed.
	always := http.Header{
		"Content-Security-Policy":      {contentPolicy},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=()"},
		"Cache-Control":                {"no-store"},
		"Vary":                         {"Accept, Accept-Language"},
	}
	if https {
		always["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return func(c *gin.Context) {
		h := c.Writer.Header()
		for name, values := range always {
			h[name] = values
		}
	}
}
