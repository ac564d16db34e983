package web

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"
)

// sameOriginOnly refuses requests by which another site's page would change
// something in a visitor's name (B4.2). Requests that no browser sent pass, and
// scripts of the origins that may use the API.
func sameOriginOnly(public *url.URL, shared *cors) (handlerFunc, error) {
	protection := http.NewCrossOriginProtection()
	// Behind a proxy that rewrites Host, older browsers are told by this.
	if err := protection.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return nil, fmt.Errorf("public URL: want scheme and host: %w", err)
	}
	return func(c *gin.Context) error {
		refused := protection.Check(c.Request) != nil
		if isUnsafe(c.Request.Method) && len(c.Request.Header["Origin"]) > 1 {
			refused = true // no browser says that; which one is checked must not be a matter of taste
		}
		if refused && !shared.admits(c) {
			return errCrossOrigin
		}
		return nil
	}, nil
}

// isUnsafe tells whether a method may change something (RFC 9110 section 9.2.1).
func isUnsafe(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}
