package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
)

// SMTPURL says where mails go. It may hold a password, so it never prints
// itself: fmt, encoding/json and log/slog all show the user and the password
// as ***. The zero value stands for the default, the dev mailbox.
type SMTPURL struct{ raw string }

// NewSMTPURL wraps a URL. It checks nothing: [Serve.Validate] does.
func NewSMTPURL(raw string) SMTPURL { return SMTPURL{raw: raw} }

// Reveal returns the URL with its password, "mailbox" by default.
func (u SMTPURL) Reveal() string {
	if u.raw == "" {
		return mailbox
	}
	return u.raw
}

// Mailbox tells whether mails are kept in the dev mailbox.
func (u SMTPURL) Mailbox() bool { return u.Reveal() == mailbox }

// Explicit tells whether somebody set it, rather than leaving the default.
func (u SMTPURL) Explicit() bool { return u.raw != "" }

// String returns the scheme and the host, and *** for user and password. A text
// that is not a valid URL is not shown at all: a part of a password that was
// not percent-encoded looks like a host or a query.
func (u SMTPURL) String() string {
	if u.Mailbox() {
		return mailbox
	}
	if problem, _ := u.check(); problem != "" {
		return "***"
	}
	parsed, err := url.Parse(u.raw)
	switch {
	case err != nil:
		return "***"
	case parsed.User != nil:
		return parsed.Scheme + "://***@" + parsed.Host
	}
	return parsed.Scheme + "://" + parsed.Host
}

// Format prints String for every verb, %#v and %d included.
func (u SMTPURL) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.String()) }

// MarshalText returns String, for JSON and the like.
func (u SMTPURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue returns String.
func (u SMTPURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

const (
	mailbox     = "mailbox"
	smtpExample = "write mailbox, smtp://user:password@host:587 (STARTTLS) or smtps://host:465"
)

// check returns what is wrong with the URL, without showing any of it.
func (u SMTPURL) check() (problem, remedy string) {
	if u.Mailbox() {
		return "", ""
	}
	parsed, err := url.Parse(u.raw)
	switch {
	case err != nil:
		// The parser's own words may hold a part of the password.
		return "this is not a URL", smtpExample + ", with the characters @ / : ? # % of a user or password written as %40 %2F %3A %3F %23 %25"
	case parsed.Scheme != "smtp" && parsed.Scheme != "smtps":
		return "want mailbox, an smtp:// or an smtps:// URL", smtpExample
	case parsed.Hostname() == "":
		return "the URL names no host", smtpExample
	case !validPort(parsed.Port()):
		return "the port is not a number from 1 to 65535", smtpExample
	case parsed.Path != "" && parsed.Path != "/" || parsed.Fragment != "":
		return "nothing may follow the port but ?tls=", smtpExample + "; in a password / is written %2F and # is written %23"
	}
	if problem, remedy = checkTLS(parsed); problem != "" {
		return problem, remedy
	}
	return checkLogin(parsed)
}

func checkTLS(parsed *url.URL) (problem, remedy string) {
	query, err := url.ParseQuery(parsed.RawQuery)
	tls := query["tls"]
	delete(query, "tls")
	switch {
	case err != nil || len(query) > 0 || len(tls) > 1 || len(tls) == 1 && !slices.Contains([]string{"starttls", "implicit", "none"}, tls[0]):
		return "the only option a mail server URL takes is one tls=starttls, implicit or none", "remove what else follows the question mark; in a password ? is written %3F"
	case len(tls) == 1 && parsed.Scheme == "smtps" && tls[0] != "implicit":
		return "smtps:// is TLS from the start and ?tls=" + tls[0] + " is not", "remove the option, or write smtp://"
	}
	return "", ""
}

func checkLogin(parsed *url.URL) (problem, remedy string) {
	user := parsed.User.Username()
	password, _ := parsed.User.Password()
	switch {
	case user == "" && password != "":
		return "the URL has a password and no user", smtpExample
	case user != "" && password == "":
		return "the URL has a user and no password", smtpExample
	case user != "" && parsed.Query().Get("tls") == "none" && !loopback(parsed.Hostname()):
		return "user and password are never sent without TLS to another machine", "remove ?tls=none, or the user and password"
	}
	return "", ""
}

// validPort accepts no port too: the scheme's then counts.
func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
