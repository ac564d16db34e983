// Package smtp hands mails to a mail server and knows, whatever happens, how
// far each one came. It keeps connections open between mails.
//
// The final dot of DATA is the moment of handing over. Begin goes up to it,
// Commit writes it. A connection that breaks in between is closed hard: any
// further command, QUIT and RSET included, would make the client library end
// the data with a dot, and the server take half a mail.
//
// The package builds on go-smtp, whose phases can be driven one by one. It
// knows nothing of the ledger, of retries and of circuits.
package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Security is how a connection is encrypted. Nothing is opportunistic: what
// is configured happens, or nothing is sent.
type Security uint8

// The three ways.
const (
	STARTTLS Security = iota + 1 // upgrade required (RFC 3207), usually port 587
	Implicit                     // TLS from the first byte (RFC 8314), usually port 465
	None                         // no TLS
)

// String is the value of the tls parameter in a URL.
func (s Security) String() string {
	return [...]string{"unset", "starttls", "implicit", "none"}[min(s, None)]
}

// Endpoint is the mail server and how to talk to it. The zero Endpoint is
// invalid. It prints without its password.
type Endpoint struct {
	Host     string // a DNS name or an IP address; certificates are checked against it
	Port     string
	Security Security
	// ClearOnPurpose allows None to a host that is not this machine.
	ClearOnPurpose bool
	User           string // empty for no login
	Password       string
}

// ParseURL reads smtp://user:password@host:587 and smtps://host:465. STARTTLS
// is required with smtp, except to loopback, where nothing leaves the machine;
// ?tls=starttls, implicit or none says otherwise on purpose. A login never
// goes in clear to another machine. Errors never hold the URL.
func ParseURL(s string) (Endpoint, error) {
	u, err := url.Parse(s)
	if err != nil { // its text would show the password
		return Endpoint{}, errors.New("the SMTP URL cannot be read: expected smtp://user:password@host:587 or smtps://host:465, with other characters than letters and digits in user and password percent-encoded")
	}
	if u.Scheme != "smtp" && u.Scheme != "smtps" {
		return Endpoint{}, errors.New("the SMTP URL must begin with smtp:// or smtps://")
	}
	e := Endpoint{Host: u.Hostname(), Port: u.Port(), User: u.User.Username()}
	e.Password, _ = u.User.Password()
	if u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return Endpoint{}, errors.New("the SMTP URL must end after host and port; only ?tls= may follow")
	}
	if err := e.choosePort(u.Scheme); err != nil {
		return Endpoint{}, err
	}
	if err := e.chooseSecurity(u); err != nil {
		return Endpoint{}, err
	}
	return e, e.validate()
}

func (e *Endpoint) choosePort(scheme string) error {
	if e.Port == "" {
		e.Port = map[string]string{"smtp": "587", "smtps": "465"}[scheme]
	}
	if n, err := net.LookupPort("tcp", e.Port); err != nil || n == 0 {
		return errors.New("the port in the SMTP URL must be a number from 1 to 65535")
	}
	return nil
}

func (e *Endpoint) chooseSecurity(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("the part after ? in the SMTP URL cannot be read: only tls=starttls, implicit or none may stand there")
	}
	for name, values := range query {
		if name != "tls" || len(values) != 1 {
			return errors.New("after ? the SMTP URL knows only one tls=starttls, implicit or none")
		}
	}
	switch {
	case u.Scheme == "smtps" && (!query.Has("tls") || query.Get("tls") == "implicit"):
		e.Security = Implicit
	case u.Scheme == "smtps":
		return errors.New("smtps:// is TLS from the first byte: use smtp:// with any other ?tls=")
	case query.Get("tls") == "implicit":
		e.Security = Implicit
	case query.Get("tls") == "none":
		e.Security, e.ClearOnPurpose = None, true
	case !query.Has("tls") && isLoopback(e.Host):
		e.Security = None
	case !query.Has("tls"), query.Get("tls") == "starttls":
		e.Security = STARTTLS
	default:
		return errors.New("tls in the SMTP URL must be starttls, implicit or none")
	}
	return nil
}

func (e Endpoint) validate() error {
	var faults []error
	if e.Host == "" {
		faults = append(faults, errors.New("the SMTP URL names no host"))
	}
	if (e.User == "") != (e.Password == "") {
		faults = append(faults, errors.New("the SMTP URL must hold both user and password, or neither"))
	}
	if e.Security < STARTTLS || e.Security > None {
		faults = append(faults, errors.New("the SMTP endpoint says nothing about TLS"))
	}
	if e.Security == None && !isLoopback(e.Host) {
		if !e.ClearOnPurpose {
			faults = append(faults, errors.New("without TLS mails go to loopback only; say ?tls=none in the SMTP URL if that is meant"))
		}
		if e.User != "" {
			faults = append(faults, errors.New("user and password are never sent without TLS to another machine: leave out ?tls=none, or the login"))
		}
	}
	return errors.Join(faults...)
}

// isLoopback tells whether host means this machine whatever DNS says. The
// address is looked at again once the connection stands.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// String is the endpoint without its password.
func (e Endpoint) String() string {
	user := ""
	if e.User != "" {
		user = url.User(e.User).String() + ":xxxxx@"
	}
	return fmt.Sprintf("smtp://%s%s?tls=%s", user, net.JoinHostPort(e.Host, e.Port), e.Security)
}

// Format writes String whatever the verb.
func (e Endpoint) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue is String. It implements [slog.LogValuer].
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalText is String.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Timeouts are how long each phase may last. A zero field has its default,
// which is what RFC 5321 section 4.5.3.2 asks for.
type Timeouts struct {
	Dial     time.Duration // resolving and connecting. Default: 20 s
	TLS      time.Duration // the handshake. Default: 30 s
	Greeting time.Duration // Default: 5 min
	Command  time.Duration // EHLO, STARTTLS, AUTH, MAIL, RCPT. Default: 5 min
	Data     time.Duration // DATA until 354. Default: 2 min
	Block    time.Duration // each block of 32 KiB written. Default: 3 min
	Dot      time.Duration // the answer to the final dot. Default: 12 min
	Quit     time.Duration // QUIT, and RSET after a refusal. Default: 2 s
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Dial, 20 * time.Second}, {&t.TLS, 30 * time.Second}, {&t.Greeting, 5 * time.Minute},
		{&t.Command, 5 * time.Minute}, {&t.Data, 2 * time.Minute}, {&t.Block, 3 * time.Minute},
		{&t.Dot, 12 * time.Minute}, {&t.Quit, 2 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// Config is how a [Client] behaves. A zero field has its default.
type Config struct {
	Endpoint Endpoint
	// Hello is the name said with EHLO. Default: the host's name.
	Hello string
	// Connections is how many are used at once, and kept. Default: 16.
	Connections int
	// MailsPerConnection is after how many mails a connection is renewed.
	// Default: 100.
	MailsPerConnection int
	// IdleTTL is how long an unused connection is kept. Default: 30 s.
	IdleTTL time.Duration
	// Rate is the most mails per second begun, over all connections; 0 for no
	// limit.
	Rate float64
	// CAFile is a PEM file of the only authorities to trust. Default: the
	// system's.
	CAFile string
	// Timeouts are how long each phase may last.
	Timeouts Timeouts
}

func (c Config) withDefaults() (Config, error) {
	if err := c.Endpoint.validate(); err != nil {
		return c, err
	}
	if c.Connections < 0 || c.MailsPerConnection < 0 || c.IdleTTL < 0 || c.Rate < 0 {
		return c, errors.New("SMTP connections, mails per connection, idle time and rate must not be negative")
	}
	if c.Hello == "" {
		c.Hello, _ = os.Hostname()
	}
	if c.Hello == "" || strings.ContainsAny(c.Hello, " \t\r\n") {
		return c, errors.New("the SMTP hello name must be a host name")
	}
	if c.Connections == 0 {
		c.Connections = 16
	}
	if c.MailsPerConnection == 0 {
		c.MailsPerConnection = 100
	}
	if c.IdleTTL == 0 {
		c.IdleTTL = 30 * time.Second
	}
	c.Timeouts = c.Timeouts.withDefaults()
	return c, nil
}

// tlsConfig checks certificates against the configured host (A4.2).
func (c Config) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{ServerName: c.Endpoint.Host, MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read SMTP CA file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read SMTP CA file %s: expected certificates in PEM, found none", c.CAFile)
	}
	return config, nil
}
