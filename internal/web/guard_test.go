package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"bellhop/internal/limit"
	"bellhop/internal/limit/limittest"
	"bellhop/internal/web"
)

// guardedHouse is a house with limits: two requests an hour from an address,
// and as many as they like from everybody together.
func guardedHouse(t testing.TB, change func(*web.Config)) *house {
	return houseWith(t, home, nil, func(c *web.Config) {
		c.Guard = web.Guard{
			Limiter: limit.NewMemory(64, func() time.Time { return accepted }), Secret: []byte("secret"),
			PerIP: limit.Rate{Events: 2, Per: time.Hour},
		}
		if change != nil {
			change(c)
		}
	})
}

// from makes a request come from a peer, with what proxies said.
func from(peer string, r *http.Request, forwarded ...string) *http.Request {
	r.RemoteAddr = withPort(peer)
	for _, line := range forwarded {
		r.Header.Add("X-Forwarded-For", line)
	}
	return r
}

func withPort(peer string) string {
	if ip, err := netip.ParseAddr(peer); err == nil {
		return netip.AddrPortFrom(ip, 4711).String()
	}
	return peer
}

func adaJSON(n int) *http.Request {
	return request("POST", "/createUser", fmt.Sprintf(`{"first":"Ada","email":"ada%d@example.com"}`, n), "Content-Type: application/json")
}

// guardedTargets are the routes that are counted for an address, by the class
// they are counted as.
func guardedTargets() map[string][]string {
	return map[string][]string{
		"sign-up": {"/createUser"},
		"resend":  {"/signup/resend"},
		"code":    {"/signup/code", "/signIn/code"},
		"redeem":  {"/confirm/x", "/signIn/x"},
		"sign-in": {"/signIn"},
	}
}

func brokenJSON(target string) *http.Request {
	return request("POST", target, "{", "Content-Type: application/json")
}

// An application refreshes for all of its users, from one address; what may cost
// a mail is counted by itself, and so are links and codes.
func TestCountersOfAnAddress(t *testing.T) {
	h := guardedHouse(t, nil)
	for _, target := range []string{"/createUser", "/signIn", "/confirm/x", "/signup/code", "/token/refresh", "/token/refresh", "/token/refresh"} {
		if w := serve(h, from("192.0.2.1", brokenJSON(target))); w.Code == http.StatusTooManyRequests {
			t.Fatalf("%s: within the limit, and refused", target)
		}
	}
	for _, target := range []string{"/signup/resend", "/signIn/x"} {
		wantStatus(t, serve(h, from("192.0.2.1", brokenJSON(target))), http.StatusTooManyRequests)
	}
}

// B5.2, B5.5: whoever asks too often is told when to come back, whatever it was
// they asked, and others are not.
func TestLimitPerAddress(t *testing.T) {
	for class, targets := range guardedTargets() {
		for _, target := range targets {
			t.Run(class+" "+target, func(t *testing.T) {
				h := guardedHouse(t, nil)
				for range 2 {
					if w := serve(h, from("192.0.2.1", brokenJSON(target))); w.Code == http.StatusTooManyRequests {
						t.Fatal("within the limit, and refused")
					}
				}
				w := serve(h, from("192.0.2.1", brokenJSON(target)))
				wantStatus(t, w, http.StatusTooManyRequests)
				if got := object[problem](t, w); got.Error.Code != "too_many_requests" || !regexp.MustCompile(`try again in 3[0-4] min\.$`).MatchString(got.Error.Message) {
					t.Errorf("answer %+v", got.Error)
				}
				// One more may come after half an hour.
				if after, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || after < 1800 || after > 1800+181 {
					t.Errorf("Retry-After %q, want 30 minutes or a little more", w.Header().Get("Retry-After"))
				}
				if fmt.Sprint(h.metrics.limited) != "["+class+"]" {
					t.Errorf("counted %v", h.metrics.limited)
				}
				if w := serve(h, from("192.0.3.1", adaJSON(2))); w.Code != http.StatusAccepted {
					t.Errorf("somebody else got %d", w.Code)
				}
			})
		}
	}
}

// What is only looked at is not counted, and is not refused.
func TestLookingIsNotLimited(t *testing.T) {
	h := guardedHouse(t, nil)
	for range 3 {
		serve(h, from("192.0.2.1", adaJSON(1)))
	}
	for _, target := range []string{"/createUser", "/signIn", "/health"} {
		for range 3 {
			if w := serve(h, from("192.0.2.1", request("GET", target, "", "Accept: "+browser))); w.Code == http.StatusTooManyRequests {
				t.Errorf("GET %s: %d", target, w.Code)
			}
		}
	}
}

func TestLimitedPage(t *testing.T) {
	h := guardedHouse(t, nil)
	var w *httptest.ResponseRecorder
	for range 3 {
		w = serve(h, from("192.0.2.1", request("POST", "/createUser", "first=Ada", "Content-Type: application/x-www-form-urlencoded", "Accept: "+browser)))
	}
	wantStatus(t, w, http.StatusTooManyRequests)
	if page(t, w).Find("main h1").Text() == "" || w.Header().Get("Retry-After") == "" {
		t.Errorf("want a page, and when to come back:\n%s", w.Body)
	}
}

// B5.2: who is one sender and who is another.
func TestWhoIsOneSender(t *testing.T) {
	proxy := func(c *web.Config) { c.Guard.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }
	for _, tt := range []struct {
		name   string
		change func(*web.Config)
		one    [2]string // peer, X-Forwarded-For
		other  [2]string
		same   bool
	}{
		{"two ports", nil, [2]string{"192.0.2.1:1000"}, [2]string{"192.0.2.1:2000"}, true},
		{"neighbours in IPv4", nil, [2]string{"192.0.2.1"}, [2]string{"192.0.2.2"}, false},
		{"one /64 of IPv6", nil, [2]string{"2001:db8::1"}, [2]string{"2001:db8::ffff:0:0:2"}, true},
		{"two /64 of IPv6", nil, [2]string{"2001:db8::1"}, [2]string{"2001:db8:0:1::1"}, false},
		{"IPv4 in IPv6", nil, [2]string{"192.0.2.1"}, [2]string{"::ffff:192.0.2.1"}, true},
		{"two without an address", nil, [2]string{"@"}, [2]string{"/run/proxy.sock"}, true},
		{"nobody is believed", nil, [2]string{"10.0.0.1", "192.0.2.1"}, [2]string{"10.0.0.1", "192.0.2.2"}, true},
		{"two behind a proxy", proxy, [2]string{"10.0.0.1", "192.0.2.1"}, [2]string{"10.0.0.1", "192.0.2.2"}, false},
		{"one behind two proxies", proxy, [2]string{"10.0.0.1", "192.0.2.1"}, [2]string{"10.0.0.2", "192.0.2.1, 10.0.0.7"}, true},
		{"one who makes something up", proxy, [2]string{"10.0.0.1", "192.0.2.1"}, [2]string{"10.0.0.1", "8.8.8.8, 192.0.2.1"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := guardedHouse(t, tt.change)
			for range 2 {
				serve(h, from(tt.one[0], adaJSON(1), tt.one[1:]...))
			}
			w := serve(h, from(tt.other[0], adaJSON(1), tt.other[1:]...))
			if limited := w.Code == http.StatusTooManyRequests; limited != tt.same {
				t.Errorf("status %d, want the same sender: %v", w.Code, tt.same)
			}
		})
	}
}

// B5.2: a network may do ten times what one of its addresses may.
func TestLimitPerNetwork(t *testing.T) {
	for _, tt := range []struct{ name, pattern, elsewhere string }{
		{"IPv4 /24", "192.0.2.%d", "192.0.3.1"},
		{"IPv6 /48", "2001:db8:0:%x::1", "2001:db8:1::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := guardedHouse(t, nil)
			passed := 0
			for n := range 40 {
				if w := serve(h, from(fmt.Sprintf(tt.pattern, n), adaJSON(n))); w.Code == http.StatusAccepted {
					passed++
				}
			}
			if w := serve(h, from(tt.elsewhere, adaJSON(0))); passed != 20 || w.Code != http.StatusAccepted {
				t.Errorf("%d passed, want 20; elsewhere: status %d", passed, w.Code)
			}
		})
	}
}

func TestLimitInTotal(t *testing.T) {
	h := guardedHouse(t, func(c *web.Config) { c.Guard.Total = limit.Rate{Events: 3, Per: time.Second} })
	for n := range 5 {
		w := serve(h, from(fmt.Sprintf("198.51.%d.1", n), adaJSON(n)))
		if (w.Code == http.StatusTooManyRequests) != (n >= 3) {
			t.Errorf("request %d: status %d", n, w.Code)
		}
	}
}

// A request is refused before anything of its body is read.
func TestLimitComesBeforeTheBody(t *testing.T) {
	h := guardedHouse(t, nil)
	for range 2 {
		serve(h, from("192.0.2.1", adaJSON(1)))
	}
	r := from("192.0.2.1", adaJSON(1))
	r.Body = unread{t}
	wantStatus(t, serve(h, r), http.StatusTooManyRequests)
}

type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}

func (unread) Close() error { return nil }

// While limits cannot be counted nobody is turned away for them: the store says
// for itself that it is down.
func TestLimiterThatCannotBeAsked(t *testing.T) {
	h := guardedHouse(t, func(c *web.Config) { c.Guard.Limiter = limittest.Broken{} })
	for n := range 5 {
		wantStatus(t, serve(h, from("192.0.2.1", adaJSON(n))), http.StatusAccepted)
	}
}

func TestLimiterNeedsASecret(t *testing.T) {
	if _, err := build(t, home, nil, func(c *web.Config) { c.Guard.Limiter = limittest.Broken{} }); err == nil {
		t.Error("a limiter without a secret was taken")
	}
}

// B7.1: a limiter sees nothing that could be turned back into an address.
func TestLimiterSeesNoAddress(t *testing.T) {
	one, other := new(spy), new(spy)
	h := guardedHouse(t, func(c *web.Config) { c.Guard.Limiter = one })
	serve(h, from("192.0.2.1", adaJSON(1)))
	h = guardedHouse(t, func(c *web.Config) { c.Guard.Limiter, c.Guard.Secret = other, []byte("another") })
	serve(h, from("192.0.2.1", adaJSON(1)))
	if len(one.charges) != 3 || len(other.charges) != 3 {
		t.Fatalf("%d and %d charges, want 3", len(one.charges), len(other.charges))
	}
	for i := range one.charges {
		if one.charges[i].Key == other.charges[i].Key {
			t.Errorf("charge %d does not depend on the secret", i)
		}
	}
}

// spy is a limiter that remembers what it was asked.
type spy struct{ charges []limit.Charge }

func (s *spy) Take(_ context.Context, charges ...limit.Charge) (int, time.Duration, error) {
	s.charges = append(s.charges, charges...)
	return -1, 0, nil
}

// B5.1: a proxy that nobody told us of would make everybody one sender. That is
// said, once.
func TestProxyThatNobodyNamed(t *testing.T) {
	named := func(c *web.Config) { c.Guard.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	for _, tt := range []struct {
		peer, forwarded string
		change          func(*web.Config)
		records         int
	}{
		{"127.0.0.1", "192.0.2.1", nil, 1},
		{"::1", "192.0.2.1", nil, 1},
		{"172.17.0.1", "192.0.2.1", nil, 1},
		{"127.0.0.1", "", nil, 0},
		{"192.0.2.9", "192.0.2.1", nil, 0}, // anybody can send the header
		{"127.0.0.1", "10.0.0.9", named, 0},
	} {
		h := guardedHouse(t, tt.change)
		for range 3 {
			r := from(tt.peer, adaJSON(1))
			if tt.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			serve(h, r)
		}
		if got := strings.Count(h.log.String(), "--trusted-proxy"); got != tt.records || strings.Contains(h.log.String(), tt.peer) {
			t.Errorf("%s: %d records, want %d, and no address:\n%s", tt.peer, got, tt.records, h.log)
		}
	}
}

// Whoever waits as long as they are told is not too early, and those who were
// turned away together are not told the same.
func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]int{
		time.Nanosecond: 1, time.Second: 1, 1001 * time.Millisecond: 2, 20 * time.Second: 20, time.Hour: 3600,
	} {
		told := map[int]bool{}
		for range 200 {
			got := web.RetryAfter(wait)
			if got < want || got > want+1+want/10 {
				t.Fatalf("%v: told %d s, want %d or a little more", wait, got, want)
			}
			told[got] = true
		}
		if len(told) < 2 {
			t.Errorf("%v: everybody is told the same", wait)
		}
	}
}
