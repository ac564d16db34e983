package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Front says how people and apps reach the web role from outside, and what
// stands in between.
type Front struct {
	PublicURL    string   `name:"public-url" var:"BELLHOP_PUBLIC_URL" placeholder:"URL" group:"listening" help:"How people reach Bellhop from outside. Every link in a mail begins with it, whatever name a browser used. Cookies and access tokens are for it, too; with https cookies are sent over TLS only." fallback:"http://localhost: and the port of --listen"`
	TrustedProxy Networks `name:"trusted-proxy" var:"BELLHOP_TRUSTED_PROXY" placeholder:"CIDR" group:"listening" help:"A proxy in front of Bellhop, or the network of several, such as 10.0.0.0/8: what it adds to X-Forwarded-For is believed, so that limits count the people behind it and not the proxy. Repeat it for more; in the variable put commas between them." fallback:"nobody is believed"`
	CORSOrigin   Origins  `name:"cors-origin" var:"BELLHOP_CORS_ORIGIN" placeholder:"URL" group:"listening" help:"A web app elsewhere whose scripts may use the JSON API with a bearer token, such as https://app.example.com. Repeat it for more; in the variable put commas between them." fallback:"none"`
}

// Networks are blocks of IP addresses.
type Networks []netip.Prefix

// Origins are what browsers send in the header Origin: a scheme, a host, and a
// port where it is not the scheme's own.
type Origins []string

const (
	networkExample = "write for example 10.0.0.0/8, fd00::/8, or one address"
	originExample  = "write for example https://app.example.com"
)

// parseNetwork takes a block, or one address for a block of its own.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, &badValue{fmt.Sprintf("%q is not a block of IP addresses", text), networkExample}
	case p.Addr().Is4In6():
		return p, &badValue{fmt.Sprintf("%q is a block of IPv4 in IPv6", text), "write it as one of IPv4, such as 10.0.0.0/8"}
	case p != p.Masked():
		return p, &badValue{fmt.Sprintf("%q names an address inside of the block", text), "write " + p.Masked().String() + " for the block, or the address alone"}
	}
	return p, nil
}

// parseOrigin takes what a browser would send, and nothing that is merely like
// it: origins are compared letter by letter.
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()) {
		return "", &badValue{fmt.Sprintf("%q is not an http or https origin", text), originExample + "; each one is named, * is none"}
	}
	exact := u.Scheme + "://" + strings.ToLower(u.Host)
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		exact = strings.TrimSuffix(exact, ":"+port)
	}
	if text != exact {
		return "", &badValue{fmt.Sprintf("%q is not how browsers write an origin: the scheme, the host in lower case, and a port that is not the usual one", text), "write " + exact}
	}
	return exact, nil
}

func (front *Front) check(f *Faults) {
	if front.PublicURL == "" {
		return
	}
	u, err := url.Parse(front.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()) {
		f.add("public-url", fmt.Sprintf("%q is not an http or https URL", front.PublicURL), "write for example https://signup.example.com")
	} else if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		f.add("public-url", "nothing may stand in it but the scheme, the host and a port", "write for example https://signup.example.com")
	}
}

// advise warns of a front that works, and does not do what was meant.
func (f *Front) advise() (warnings []string) {
	if u, err := url.Parse(f.PublicURL); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		warnings = append(warnings, "--public-url is http: whoever is on the way can read links and cookies, and take over accounts; put TLS in front, and write https")
	}
	for _, network := range f.TrustedProxy {
		if network.Bits() == 0 {
			warnings = append(warnings, "--trusted-proxy "+network.String()+" is everybody: anyone can then claim any address in X-Forwarded-For, and be limited by none; name the proxies alone")
		}
	}
	for _, origin := range f.CORSOrigin {
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
			warnings = append(warnings, "--cors-origin "+origin+" is http: whoever is on the way to it can use what it may use")
		}
	}
	return warnings
}

// adviseProxy warns when there must be a proxy in front and none is believed:
// everybody would share its limit.
func (s *Serve) adviseProxy() []string {
	u, err := url.Parse(s.PublicURL)
	behind := err == nil && (u.Scheme == "https" || u.Hostname() != "" && !loopback(u.Hostname()) && s.Loopback())
	if !behind || len(s.TrustedProxy) > 0 || s.LimitIP == (Limit{}) || !s.Roles.Has(Web) {
		return nil
	}
	return []string{"--public-url says that something stands in front of Bellhop, and --trusted-proxy does not name it: everybody then seems to have its address, and shares one --limit-ip; name it"}
}
