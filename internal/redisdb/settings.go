// Package redisdb is Bellhop's way to a Redis: one server, a master that
// Sentinels watch, or a Cluster. It knows connections, scripts and durability,
// and nothing of what is stored.
//
// # Steps
//
// Every change is one Lua [Script]. Callers do not talk to Redis one by one:
// each [Tag] gathers the calls that are waiting into one pipeline, which costs
// both ends less, and lets a server that syncs its log before it answers sync
// once for all of them.
//
// # Durability
//
// What a reply promises about the disk is the server's setting (appendfsync);
// [Diagnose] says it in words. [Replicated] calls wait in the same pipeline for
// as many replicas as [Settings.Wait] asks for.
//
// # Failure
//
// Nothing is ever repeated in silence: go-redis's retries are off. After an
// error that wraps [ErrUnavailable] it may be unknown whether the step was
// made, so every step must be harmless when its caller makes it again.
package redisdb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultTimeout is how long a call may take when nothing else is said.
const defaultTimeout = 3 * time.Second

// defaultPort is where a Redis listens, and sentinelPort where a Sentinel does.
const (
	defaultPort  = "6379"
	sentinelPort = "26379"
)

// Settings say how a Redis is reached.
type Settings struct {
	// URL is redis://[user:password@]host[:port][,host…][/database] or
	// rediss:// for TLS (1.2 or later). With ?master=NAME the hosts are
	// Sentinels that know the master by that name, and ?sentinel-user= and
	// ?sentinel-password= are for them. Several hosts without it, or
	// ?cluster=true, are a Cluster.
	URL string
	// Password is used when the URL has none.
	Password string
	// CAFile names certificates (PEM) to trust instead of the system's.
	CAFile string
	// Wait is how many replicas must have a [Replicated] write before it is
	// answered. Default: 0, none.
	Wait int
	// Timeout is how long one call may take, 30 ms or more. Default: 3 s.
	Timeout time.Duration
	// AfterGroup, if set, is told of every pipeline: whose it was, how many
	// calls shared it, and how long it took. It must be quick.
	AfterGroup func(tag string, calls int, took time.Duration)
}

// target is what a URL says.
type target struct {
	addresses      []string
	user, password string
	db             int
	master         string // the name the Sentinels know, or ""
	sentinelUser   string
	sentinelPass   string
	cluster        bool
	tls            bool
}

// The fewest and the most that the settings may ask for. WAIT takes no time
// below a millisecond for a limit.
const (
	timeoutLeast = 30 * time.Millisecond
	waitMost     = 100
)

// Validate tells what is wrong with the settings, as far as that can be said
// without connecting. The error holds no part of the URL: any might be the
// piece of a password that was not escaped.
func (s Settings) Validate() error {
	t, err := s.target()
	if err != nil {
		return err
	}
	if s.Wait < 0 || s.Wait > waitMost {
		return fmt.Errorf("want 0 to %d replicas to wait for, got %d", waitMost, s.Wait)
	}
	if s.Timeout != 0 && s.Timeout < timeoutLeast {
		return fmt.Errorf("want a timeout of %v or more, got %v", timeoutLeast, s.Timeout)
	}
	_, err = s.tlsConfig(t)
	return err
}

// Same tells whether one client serves both.
func (s Settings) Same(o Settings) bool {
	a, errA := s.target()
	b, errB := o.target()
	if errA != nil || errB != nil {
		return false
	}
	return a.same(b) && s.CAFile == o.CAFile && s.Wait == o.Wait && s.timeout() == o.timeout()
}

func (t target) same(o target) bool {
	return slices.Equal(t.addresses, o.addresses) && t.user == o.user && t.password == o.password && t.db == o.db && t.master == o.master &&
		t.sentinelUser == o.sentinelUser && t.sentinelPass == o.sentinelPass && t.cluster == o.cluster && t.tls == o.tls
}

// String is the address without secrets: a URL that is understood again.
func (s Settings) String() string {
	t, err := s.target()
	if err != nil {
		return "redis"
	}
	u := url.URL{Scheme: "redis", Host: strings.Join(t.addresses, ",")}
	if t.tls {
		u.Scheme = "rediss"
	}
	if !t.cluster {
		u.Path = "/" + strconv.Itoa(t.db)
	}
	switch {
	case t.master != "":
		u.RawQuery = "master=" + url.QueryEscape(t.master)
	case t.cluster && len(t.addresses) == 1:
		u.RawQuery = "cluster=true"
	}
	return u.String()
}

// LogValue is what a log holds: the address without secrets.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }

// target takes the URL apart.
func (s Settings) target() (target, error) {
	address, more := oneHost(s.URL)
	u, err := url.Parse(address)
	if err != nil {
		return target{}, errors.New("want a URL such as redis://host:6379/0; in a user, password or name write %XX for what is neither letter nor digit")
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" || u.Opaque != "" {
		return target{}, errors.New("want a URL that begins with redis:// or rediss://")
	}
	if u.Fragment != "" {
		return target{}, errors.New("want nothing behind a #: in a password write %23 for one")
	}
	t := target{tls: u.Scheme == "rediss", user: u.User.Username()}
	if t.password, _ = u.User.Password(); t.password == "" {
		t.password = s.Password
	}
	if err := t.query(u.RawQuery); err != nil {
		return target{}, err
	}
	if err := t.hosts(u.Host + more); err != nil {
		return target{}, err
	}
	t.cluster = t.cluster || len(t.addresses) > 1 && t.master == ""
	return t, t.database(u.Path)
}

// oneHost takes all hosts but the first out of an address, because a URL has
// only one: redis://user:password@a:1,b:2/0 is redis://user:password@a:1/0 and
// ",b:2".
func oneHost(address string) (first, more string) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address, ""
	}
	end := strings.IndexAny(rest+"/", "/?#")
	hosts := rest[strings.LastIndex(rest[:end], "@")+1 : end]
	one, _, _ := strings.Cut(hosts, ",")
	return scheme + "://" + strings.TrimSuffix(rest[:end], hosts) + one + rest[end:], strings.TrimPrefix(hosts, one)
}

func (t *target) query(raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("want NAME=VALUE pairs behind the ?")
	}
	for name, value := range values {
		if len(value) > 1 || value[0] == "" {
			return errors.New("want one value for each name behind the ?")
		}
		switch name {
		case "master":
			t.master = value[0]
		case "sentinel-user":
			t.sentinelUser = value[0]
		case "sentinel-password":
			t.sentinelPass = value[0]
		case "cluster":
			if t.cluster, err = strconv.ParseBool(value[0]); err != nil {
				return errors.New("cluster: want true or false")
			}
		default:
			return errors.New("want master, sentinel-user, sentinel-password or cluster behind the ?")
		}
	}
	if t.cluster && t.master != "" {
		return errors.New("want either master or cluster, not both")
	}
	if t.master == "" && (t.sentinelUser != "" || t.sentinelPass != "") {
		return errors.New("sentinel-user and sentinel-password: want the master's name too, as master=NAME")
	}
	return nil
}

func (t *target) hosts(list string) error {
	standard := defaultPort
	if t.master != "" {
		standard = sentinelPort
	}
	for host := range strings.SplitSeq(list, ",") {
		name, port, err := net.SplitHostPort(host)
		if err != nil { // without a port
			name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), standard
		}
		if n, err := strconv.ParseUint(port, 10, 16); !isHost(name) || err != nil || n == 0 {
			return errors.New("want HOST or HOST:PORT, with commas between several")
		}
		t.addresses = append(t.addresses, net.JoinHostPort(name, port))
	}
	return nil
}

// isHost is true for names and for addresses without a zone.
func isHost(name string) bool {
	if strings.Contains(name, ":") {
		address, err := netip.ParseAddr(name)
		return err == nil && address.Zone() == ""
	}
	return name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

func (t *target) database(path string) (err error) {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	if t.db, err = strconv.Atoi(path); err != nil || t.db < 0 || t.db > 1<<20 {
		return errors.New("want the number of a database behind the host, such as /0")
	}
	if t.cluster && t.db != 0 {
		return errors.New("a Cluster has no numbered databases: leave the number out")
	}
	return nil
}

// tlsConfig is nil without TLS.
func (s Settings) tlsConfig(t target) (*tls.Config, error) {
	if !t.tls {
		if s.CAFile != "" {
			return nil, errors.New("certificates are of no use without TLS: write rediss://")
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificates to trust: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the certificates to trust: want PEM, and %s holds no certificate", s.CAFile)
	}
	return config, nil
}

func (s Settings) timeout() time.Duration {
	if s.Timeout <= 0 {
		return defaultTimeout
	}
	return s.Timeout
}
