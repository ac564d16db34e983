package web

import (
	"net/http"
	"net/netip"
	"time"
)

// ClientIP is whom a request counts for when those networks are trusted.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr { return clientIP(r, trusted) }

// Description is openapi.yaml as it is served.
func Description() []byte { return description() }

// RetryAfter is what somebody is told who must wait so long.
func RetryAfter(wait time.Duration) int { return retryAfter(wait) }

// CheckOrigin tells whether an origin can be listed.
func CheckOrigin(origin string) error { return checkOrigin(origin) }
