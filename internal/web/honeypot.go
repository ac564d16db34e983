package web

import "github.com/gin-gonic/gin"

// Why a form is muted: it is answered and stored as any other, and none of its
// mails is sent (B5.6). The reason ends up in the ledger.
const (
	mutedHoneypot = "honeypot"
	mutedFormTime = "form-time"
)

// muted tells what gave a form's sender away as a program; "" for nothing. Our
// pages' forms have a field that people do not see and robots fill in, and the
// time at which they were shown. A program that sends JSON pretends nothing and
// needs neither.
func (d *desk) muted(c *gin.Context, in input) (reason string) {
	if kind, _, _ := kindOf(c.Request.Header); kind == jsonBody {
		return ""
	}
	switch {
	case in.website != "":
		reason = mutedHoneypot
	case !d.timely(in.stamp):
		reason = mutedFormTime
	default:
		return ""
	}
	d.Metrics.Muted(reason)
	return reason
}
