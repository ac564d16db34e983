package web

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"
)

// sameOriginOnly refuses requests by which another site's page would change
// something in a visitor's name (B4.2). Requests that no browser sent pass.
func sameOriginOnly(public *url.URL) (handlerFunc, error) {
	protection := http.NewCrossOriginProtection()
	// Behind a proxy that rewrites Host, older browsers are told by this.
	if err := protection.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return nil, fmt.Errorf("public URL: want scheme and host: %w", err)
	}
	return func(c *gin.Context) error {
		if protection.Check(c.Request) != nil {
			return errCrossOrigin
		}
		return nil
	}, nil
}
