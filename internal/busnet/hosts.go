package busnet

import (
	"crypto/x509"
	"net/netip"
	"strings"
)

// KnownHosts makes a function that tells whether HTTP requests for a host are
// to be answered. A page in a browser whose DNS name was pointed here (DNS
// rebinding) asks for its own name and must not be.
//
// Known are localhost and loopback addresses, names, what the certificate is for (nil
// for none), and listen, the host that was bound: if that stands for every
// address, every address is known, since no DNS name could be pointed at one. A
// host has no port and no brackets; its case and a dot at its end do not
// matter.
func KnownHosts(listen string, leaf *x509.Certificate, hosts ...string) func(host string) bool {
	known := map[string]bool{"localhost": true, canonical(listen): true}
	for _, host := range hosts {
		known[canonical(host)] = true
	}
	everywhere := EveryAddress(listen)
	return func(host string) bool {
		host = canonical(host)
		if ip, err := netip.ParseAddr(host); err == nil && (ip.IsLoopback() || everywhere) {
			return true
		}
		return host != "" && (known[host] || leaf != nil && leaf.VerifyHostname(host) == nil)
	}
}

// EveryAddress tells whether a host that is listened on stands for every address
// of the machine.
func EveryAddress(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// canonical is a host as it is compared.
func canonical(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
