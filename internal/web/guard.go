package web

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/limit"
)

// Guard says who may ask how often, and which forms are believed to come from
// people. The zero value lets everything pass.
type Guard struct {
	// Limiter counts. Default: nobody is limited. While it cannot be asked,
	// nobody is, either: the store will say the same.
	Limiter limit.Limiter
	// Secret turns IP addresses into what is kept of them. It is the same in all
	// processes, and required with Limiter. Without it [Config] keeps no origin
	// of a consent.
	Secret []byte
	// PerIP is the rate of one IPv4 address or one IPv6 /64: once for what may
	// cost a mail (sign-ups, sign-ins and further mails together), and once for
	// links and codes. The network around it, an IPv4 /24 or an IPv6 /48, may do
	// ten times as much. Refreshing is not counted: tokens cannot be guessed,
	// what is none costs nothing, and one application may refresh for all of its
	// users. Default: no limit.
	PerIP limit.Rate
	// Total is the rate of everybody together. Default: no limit.
	Total limit.Rate
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	// Default: nobody's.
	TrustedProxies []netip.Prefix
	// FormMin and FormMax are how old the page of a form must be, and may be,
	// when the form is sent. 0 for no such bound.
	FormMin, FormMax time.Duration
}

// counter is what requests of one address are counted under.
type counter string

// The counters.
const (
	asking    counter = "ip"     // what may cost a mail
	redeeming counter = "redeem" // a guess, or a commit
)

// guarded are the routes that cost us a mail, a guess or a commit: what they are
// called when they are refused, and where they count.
var guarded = map[string]struct {
	class   string
	counter counter
}{
	"/createUser":     {"sign-up", asking},
	"/signup/resend":  {"resend", asking},
	"/signup/code":    {"code", redeeming},
	"/confirm/:token": {"redeem", redeeming},
	"/signIn":         {"sign-in", asking},
	"/signIn/code":    {"code", redeeming},
	"/signIn/:token":  {"redeem", redeeming},
}

// wideFactor is how many times the rate of an address a network around it has.
const wideFactor = 10

var errNoSecret = errors.New("guard: a limiter needs a secret, so that it keeps no addresses")

// doorkeeper is a guard at work.
type doorkeeper struct {
	Guard
	metrics Metrics
	wide    limit.Rate
	total   limit.Charge
	lost    func() // says that a proxy seems to be in front of us
}

func newDoorkeeper(c *Config) (*doorkeeper, error) {
	if c.Guard.Limiter != nil && len(c.Guard.Secret) == 0 {
		return nil, errNoSecret
	}
	g := &doorkeeper{Guard: c.Guard, metrics: c.Metrics, wide: c.Guard.PerIP}
	if g.PerIP.Unlimited() && g.Total.Unlimited() {
		g.Limiter = nil
	}
	g.wide.Events *= wideFactor
	g.total = limit.Charge{Key: limit.NewKey(c.Guard.Secret, "total", nil), Rate: c.Guard.Total}
	g.lost = sync.OnceFunc(func() {
		c.Log.Warn("requests come through a proxy that --trusted-proxy does not name: everybody behind it shares one limit")
	})
	return g, nil
}

// admit counts a request to a guarded route, before its body is read, and
// refuses it if there were too many.
func (g *doorkeeper) admit(c *gin.Context) error {
	route, is := guarded[c.FullPath()]
	if !is || c.Request.Method != http.MethodPost || g.Limiter == nil {
		return nil
	}
	ip := g.clientIP(c.Request)
	over, wait, err := g.Limiter.Take(c.Request.Context(),
		limit.Charge{Key: g.key(string(route.counter), ip, 32, 64), Rate: g.PerIP},
		limit.Charge{Key: g.key(string(route.counter)+" network", ip, 24, 48), Rate: g.wide}, g.total)
	if err != nil || over < 0 {
		return nil
	}
	g.metrics.Limited(route.class)
	seconds := retryAfter(wait)
	c.Writer.Header().Set("Retry-After", strconv.Itoa(seconds))
	return limited(seconds)
}

// limited is the problem of whoever has to wait.
func limited(seconds int) *problem {
	p := refusal(http.StatusTooManyRequests, "too_many_requests")
	wait := strconv.Itoa(seconds) + " s"
	if seconds > 90 {
		wait = strconv.Itoa((seconds+59)/60) + " min"
	}
	p.text.values = []any{"wait", wait}
	return p
}

// clientIP is whom a request counts for.
func (g *doorkeeper) clientIP(r *http.Request) netip.Addr {
	ip := clientIP(r, g.TrustedProxies)
	if len(g.TrustedProxies) == 0 && (ip.IsLoopback() || ip.IsPrivate()) && r.Header["X-Forwarded-For"] != nil {
		g.lost()
	}
	return ip
}

// key stands for the network of an address that has so many bits.
func (g *doorkeeper) key(kind string, ip netip.Addr, bits4, bits6 int) limit.Key {
	bits := bits6
	if ip.Is4() {
		bits = bits4
	}
	network, _ := ip.Prefix(bits) // of no address there is none, and all share that
	text, _ := network.MarshalBinary()
	return limit.NewKey(g.Secret, kind, text)
}

// origin stands for the address that a request came from, as evidence of a
// consent (B7.9): zero without a secret.
func (g *doorkeeper) origin(c *gin.Context) [16]byte {
	if len(g.Secret) == 0 {
		return [16]byte{}
	}
	return g.key("origin", g.clientIP(c.Request), 32, 128)
}

// retryAfter is a wait in whole seconds, and a little more, so that those who
// were turned away together do not come back together.
func retryAfter(wait time.Duration) int {
	seconds := int((wait + time.Second - 1) / time.Second)
	return seconds + rand.IntN(2+seconds/10)
}
