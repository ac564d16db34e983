package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	embedded    = "embedded"
	storesRedis = "redis" // the queue is in the Redis of the store

	noLocation   = "want embedded, a redis:// or a rediss:// URL"
	redisExample = "redis://user:password@host:6379/0, or rediss:// for TLS"
	escaping     = "; in a user or password the characters @ / : ? # % are written %40 %2F %3A %3F %23 %25"
)

// Location says where the store or the queue is: embedded, in a Redis named by a
// URL, or, for a queue, in a namespace of Azure Service Bus. It may hold a password, so it never prints itself: fmt,
// encoding/json and log/slog all show user and password as ***. The zero value
// stands for the default, embedded.
type Location struct{ raw string }

// NewLocation wraps embedded or a URL. It checks nothing: Validate does.
func NewLocation(raw string) Location { return Location{raw: raw} }

// Reveal returns the URL with its password, or embedded.
func (l Location) Reveal() string {
	if l.raw == "" {
		return embedded
	}
	return l.raw
}

// Embedded tells whether it is in the data directory.
func (l Location) Embedded() bool { return l.Reveal() == embedded }

// String returns the scheme, the hosts, the database and the name that Sentinels
// know the master by, and *** for user and password. A text that is not a valid URL is not shown at all: a part of a
// password that was not percent-encoded looks like a host or a query.
func (l Location) String() string {
	if l.Embedded() || l.raw == storesRedis {
		return l.Reveal()
	}
	if problem, _ := l.checkServiceBus(); l.ServiceBus() && problem == "" {
		return l.Reveal()
	}
	if problem, _ := l.check(); problem != "" {
		return "***"
	}
	u, more, err := l.parse()
	if err != nil {
		return "***"
	}
	user, sentinels := "", ""
	if u.User != nil {
		user = "***@"
	}
	if master := u.Query().Get("master"); master != "" {
		sentinels = "?master=" + url.QueryEscape(master)
	}
	return u.Scheme + "://" + user + u.Host + more + u.Path + sentinels
}

// Format prints String for every verb, %#v and %d included.
func (l Location) Format(f fmt.State, _ rune) { fmt.Fprint(f, l.String()) }

// MarshalText returns String, for JSON and the like.
func (l Location) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// LogValue returns String.
func (l Location) LogValue() slog.Value { return slog.StringValue(l.String()) }

// TLS tells whether it is reached by TLS.
func (l Location) TLS() bool {
	u, _, err := l.parse()
	return err == nil && u.Scheme == "rediss"
}

// parse takes the URL apart. A URL has one host: further ones are in more, each
// after a comma.
func (l Location) parse() (u *url.URL, more string, err error) {
	scheme, rest, ok := strings.Cut(l.raw, "://")
	if ok {
		end := strings.IndexAny(rest+"/", "/?#")
		hosts := rest[strings.LastIndex(rest[:end], "@")+1 : end]
		first, _, _ := strings.Cut(hosts, ",")
		more = strings.TrimPrefix(hosts, first)
		u, err = url.Parse(scheme + "://" + strings.TrimSuffix(rest[:end], hosts) + first + rest[end:])
		return u, more, err
	}
	u, err = url.Parse(l.raw)
	return u, "", err
}

// check returns what is wrong with a Redis's URL, without showing any of it.
func (l Location) check() (problem, remedy string) {
	if l.Embedded() {
		return "", ""
	}
	u, more, err := l.parse()
	switch {
	case err != nil:
		// The parser's own words may hold a part of the password.
		return "this is not a URL", "write " + redisExample + escaping
	case u.Scheme != "redis" && u.Scheme != "rediss" || u.Opaque != "":
		return noLocation, "write " + redisExample
	case u.Fragment != "":
		return "nothing may follow a #", "write # as %23 in a password"
	}
	cluster, problem := redisOptions(u.RawQuery)
	switch {
	case problem != "":
		return problem, "after the question mark write master=NAME for Sentinels or cluster=true for a Cluster" + escaping
	case !redisHosts(u.Host + more):
		return "want a host, or several with commas between them, each with a port from 1 to 65535 or none", "write " + redisExample + escaping
	}
	if problem := redisDatabase(u.Path, cluster || more != "" && !u.Query().Has("master")); problem != "" {
		return problem, "write " + redisExample
	}
	return "", ""
}

// redisOptions reads what follows the question mark.
func redisOptions(query string) (cluster bool, problem string) {
	options, err := url.ParseQuery(query)
	if err != nil {
		return false, "what follows the question mark cannot be read"
	}
	for name, values := range options {
		known := slices.Contains([]string{"master", "cluster", "sentinel-user", "sentinel-password"}, name)
		if !known || len(values) != 1 || values[0] == "" {
			return false, "the only options a Redis URL takes are one master, one cluster, one sentinel-user and one sentinel-password, each with a value"
		}
	}
	sentinels := options.Has("master")
	if options.Has("cluster") {
		cluster, err = strconv.ParseBool(options.Get("cluster"))
	}
	switch {
	case err != nil:
		return false, "want cluster=true or cluster=false"
	case cluster && sentinels:
		return false, "a Redis is either a Cluster or watched by Sentinels, not both"
	case !sentinels && (options.Has("sentinel-user") || options.Has("sentinel-password")):
		return false, "sentinel-user and sentinel-password go with master only"
	}
	return cluster, ""
}

func redisHosts(list string) bool {
	for host := range strings.SplitSeq(list, ",") {
		name, port, err := net.SplitHostPort(host)
		switch {
		case err != nil: // without a port
			name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		case port == "":
			return false
		}
		if !redisHost(name) || !validPort(port) {
			return false
		}
	}
	return true
}

// hostLetters is what the name of a host may be made of.
var hostLetters = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// redisHost is true for names and for addresses without a zone.
func redisHost(name string) bool {
	if strings.Contains(name, ":") {
		address, err := netip.ParseAddr(name)
		return err == nil && address.Zone() == ""
	}
	return hostLetters.MatchString(name)
}

func redisDatabase(path string, cluster bool) (problem string) {
	number := strings.TrimPrefix(path, "/")
	if number == "" {
		return ""
	}
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 0 || n > 1<<20:
		return "what follows the host is not the number of a database"
	case n != 0 && cluster:
		return "a Cluster has no numbered databases"
	}
	return ""
}
