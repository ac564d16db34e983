package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops is how many entries of X-Forwarded-For are looked at. No request
// comes through so many proxies of one owner.
const maxHops = 32

// clientIP is whom a request counts for (B5.1): the peer, unless that is a proxy
// of ours. Each proxy adds to the end of X-Forwarded-For who sent it the
// request, so it is read from there, as far as our own proxies wrote it: the
// first entry that is no proxy of ours is the client, and whatever stands before
// it the client may have made up. An entry that is no address ends the reading
// at the one after it. The zero Addr is a peer without an IP address.
func clientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	client, _ := parseHop(r.RemoteAddr)
	lines := r.Header["X-Forwarded-For"]
	left := maxHops
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var hop string
			rest, hop, more = cutLast(rest)
			if hop == "" { // an empty element of a list is none (RFC 9110 section 5.6.1)
				continue
			}
			if left--; left < 0 || !contains(trusted, client) {
				return client
			}
			ip, ok := parseHop(hop)
			if !ok {
				return client
			}
			client = ip
		}
	}
	return client
}

// cutLast cuts the last element off a list.
func cutLast(list string) (rest, last string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	last = strings.Trim(list[comma+1:], " \t")
	return list[:max(comma, 0)], last, comma >= 0
}

// parseHop reads an IP address, with or without a port. An IPv4 address in IPv6
// is the IPv4 address, and a zone means nothing beyond one link.
func parseHop(s string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		s = strings.TrimSuffix(inner, "]")
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = withPort.Addr()
	}
	return ip.WithZone("").Unmap(), true
}

func contains(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(ip) })
}
