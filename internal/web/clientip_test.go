package web_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"bellhop/internal/web"
)

// B5.1: the client is the peer, unless that is a proxy of ours; then it is
// whoever our proxies say, and nobody else is believed.
func TestClientIP(t *testing.T) {
	const nobody, ours, home, both = "", "10.0.0.0/8,fd00::/8", "192.0.2.7/32", "10.0.0.0/8,192.0.2.0/24"
	for _, tt := range []struct {
		name, trusted, peer string
		forwarded           []string
		want                string
	}{
		{"no proxy", nobody, "192.0.2.1:1234", nil, "192.0.2.1"},
		{"IPv6", nobody, "[2001:db8::1]:1234", nil, "2001:db8::1"},
		{"nobody is trusted", nobody, "192.0.2.1:1234", []string{"198.51.100.1"}, "192.0.2.1"},
		{"nobody is trusted, not even loopback", nobody, "127.0.0.1:1234", []string{"198.51.100.1"}, "127.0.0.1"},
		{"the peer is a stranger", ours, "192.0.2.1:1234", []string{"198.51.100.1"}, "192.0.2.1"},
		{"one proxy", ours, "10.1.2.3:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"one proxy, that says nothing", ours, "10.1.2.3:1234", nil, "10.1.2.3"},
		{"one address is trusted", home, "192.0.2.7:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"its neighbour is not", home, "192.0.2.8:1", []string{"198.51.100.1"}, "192.0.2.8"},
		{"what the client made up stands left", ours, "10.1.2.3:1234", []string{"127.0.0.1, 203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		{"a made up proxy of ours stands left, too", ours, "10.1.2.3:1234", []string{"203.0.113.9, 10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", ours, "10.1.2.3:1234", []string{"203.0.113.9, 198.51.100.1, 10.4.5.6"}, "198.51.100.1"},
		{"two networks", both, "10.1.2.3:1234", []string{"198.51.100.1, 192.0.2.1"}, "198.51.100.1"},
		{"all are ours", ours, "10.1.2.3:1234", []string{"10.7.7.7, 10.4.5.6"}, "10.7.7.7"},
		{"several lines are one list", ours, "10.1.2.3:1234", []string{"203.0.113.9", "198.51.100.1", "10.4.5.6"}, "198.51.100.1"},
		{"lines of lists", ours, "10.1.2.3:1234", []string{"203.0.113.9, 198.51.100.1", "10.4.5.6,10.4.5.7"}, "198.51.100.1"},
		{"empty elements are none", ours, "10.1.2.3:1234", []string{" , 198.51.100.1,, ", ""}, "198.51.100.1"},
		{"no space, and too many", ours, "10.1.2.3:1234", []string{"203.0.113.9,\t198.51.100.1   "}, "198.51.100.1"},
		{"garbage", ours, "10.1.2.3:1234", []string{"unknown"}, "10.1.2.3"},
		{"garbage behind a proxy", ours, "10.1.2.3:1234", []string{"198.51.100.1, _hidden, 10.4.5.6"}, "10.4.5.6"},
		{"garbage left of the client", ours, "10.1.2.3:1234", []string{"<script>, 198.51.100.1"}, "198.51.100.1"},
		{"a name", ours, "10.1.2.3:1234", []string{"desk.example"}, "10.1.2.3"},
		{"too many numbers", ours, "10.1.2.3:1234", []string{"198.51.100.1.7"}, "10.1.2.3"},
		{"leading zeros could be octal", ours, "10.1.2.3:1234", []string{"198.51.100.010"}, "10.1.2.3"},
		{"a port", ours, "10.1.2.3:1234", []string{"198.51.100.1:5678"}, "198.51.100.1"},
		{"IPv6 with a port", ours, "10.1.2.3:1234", []string{"[2001:db8::1]:5678"}, "2001:db8::1"},
		{"IPv6 in brackets", ours, "10.1.2.3:1234", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 bare", ours, "10.1.2.3:1234", []string{"2001:db8::1"}, "2001:db8::1"},
		{"a zone", ours, "10.1.2.3:1234", []string{"fe80::1%eth0"}, "fe80::1"},
		{"a peer with a zone", nobody, "[fe80::1%eth0]:1234", nil, "fe80::1"},
		{"IPv4 in IPv6", ours, "[::ffff:10.1.2.3]:1234", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"a trusted IPv6 peer", ours, "[fd00::1]:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"the header may be in any case", ours, "10.1.2.3:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"no address at all", ours, "@", []string{"198.51.100.1"}, ""},
		{"endless", ours, "10.1.2.3:1234", []string{"198.51.100.1" + strings.Repeat(", 10.0.0.1", 10_000)}, "10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request("POST", "/", "")
			r.RemoteAddr = tt.peer
			for _, line := range tt.forwarded {
				r.Header.Add("x-forwarded-FOR", line)
			}
			var want netip.Addr
			if tt.want != "" {
				want = netip.MustParseAddr(tt.want)
			}
			if got := web.ClientIP(r, networks(tt.trusted)); got != want {
				t.Errorf("client %v, want %v", got, want)
			}
		})
	}
}

func networks(list string) (parsed []netip.Prefix) {
	for text := range strings.SplitSeq(list, ",") {
		if text != "" {
			parsed = append(parsed, netip.MustParsePrefix(text))
		}
	}
	return parsed
}

// FuzzForwardedFor: whatever a header says, the client is the peer or an
// address in it, a stranger is believed nothing, and no address has two forms.
func FuzzForwardedFor(f *testing.F) {
	f.Add("10.1.2.3:1234", "203.0.113.9, 198.51.100.1", "10.4.5.6")
	f.Add("192.0.2.1:1234", "127.0.0.1", "")
	f.Add("[fe80::1%eth0]:1", "[::1]:80, ::ffff:10.0.0.1", "_x,unknown,,")
	trusted := networks("10.0.0.0/8,fd00::/8")
	f.Fuzz(func(t *testing.T, peer, first, second string) {
		alone := &http.Request{RemoteAddr: peer}
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {first, second}}}
		sender, client := web.ClientIP(alone, trusted), web.ClientIP(r, trusted)
		if client.Is4In6() || client.Zone() != "" {
			t.Errorf("%v has another form", client)
		}
		ours := func(ip netip.Addr) bool { return trusted[0].Contains(ip) || trusted[1].Contains(ip) }
		if !ours(sender) && client != sender {
			t.Errorf("%v was believed that it is %v", sender, client)
		}
		if again := (&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {first + "," + second}}}); web.ClientIP(again, trusted) != client {
			t.Errorf("two lines are another list than one")
		}
		if made := (&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {"1.2.3.4", first, second}}}); !ours(client) && web.ClientIP(made, trusted) != client {
			t.Errorf("what stands left of %v changes it", client)
		}
	})
}
