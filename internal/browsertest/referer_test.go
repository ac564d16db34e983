package browsertest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// utterance is what a browser says of itself in a request.
type utterance struct{ method, path, referer, origin string }

// overhear stands in front of the desk as a proxy does that logs, and returns a
// function for what browsers have said since it was last asked.
func (d *desk) overhear(t *testing.T, host string) func() []utterance {
	t.Helper()
	to, err := url.Parse(d.listen)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var heard []utterance
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, utterance{r.In.Method, r.In.URL.Path, r.In.Header.Get("Referer"), r.In.Header.Get("Origin")})
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	d.url = "http://" + host + ":" + port
	return func() []utterance {
		mu.Lock()
		defer mu.Unlock()
		out := heard
		heard = nil
		return out
	}
}

// TestB2_6_NoReferer follows a mail's link, what its page links to, and its
// button. B2.6: no request tells the link's token to anybody who logs the header
// Referer, us included; and the button's still tells where it comes from, also
// where browsers have nothing else that tells our form from another site's.
func TestB2_6_NoReferer(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "bellhop.test"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			d := open(t, "--public-url", "http://"+host, "--smtp", "mailbox", "--mailbox-public")
			heard := d.overhear(t, host)
			v := d.visitor(t)
			v.signUp("Ada", ada)
			confirm := pathOf(t, d.mail(ada, 1).link(t))
			followLink(t, v, confirm, heard)
			v.press("#sign-out")
			v.visit("/signIn")
			v.fill("#email", ada)
			v.press("#sign-in-form button")
			v.expect("/signIn", 202, v.says("h1"))
			followLink(t, v, pathOf(t, d.mail(ada, 3).link(t)), heard)
		})
	}
}

// followLink looks at a link's page, leaves it by a link and comes back, and
// presses the button.
func followLink(t *testing.T, v *visitor, path string, heard func() []utterance) {
	t.Helper()
	heard()
	v.visit(path)
	v.press("header a.brand")
	v.visit(path)
	v.press("#link-button")
	v.expect("/", 200, english.hello)
	token := path[strings.LastIndex(path, "/")+1:]
	posted := false
	for _, s := range heard() {
		if strings.Contains(s.referer, token) {
			t.Errorf("%s %s tells where the link leads: Referer: %s", s.method, s.path, s.referer)
		}
		if s.method == http.MethodPost && s.path == path {
			posted = true
			if s.origin != v.desk.url {
				t.Errorf("the button's request says Origin: %q, want %q", s.origin, v.desk.url)
			}
		}
	}
	if !posted {
		t.Error("the button has posted nothing")
	}
}
