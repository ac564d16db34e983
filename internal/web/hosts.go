package web

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"
)

// onlyHosts answers requests for this machine's own names and for the public
// URL's host. A page whose DNS name was pointed at a loopback address (DNS
// rebinding) asks for its own name, and must not read mails.
func onlyHosts(public *url.URL) handlerFunc {
	return func(c *gin.Context) error {
		host := hostname(c.Request.Host)
		if strings.EqualFold(host, public.Hostname()) || isLoopback(host) {
			return nil
		}
		return errHost
	}
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// hostname is a Host header without its port and brackets.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}
