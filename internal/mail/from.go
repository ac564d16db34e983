package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// quoted escapes what a quoted string must (RFC 5322 section 3.2.4).
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// From is whom mails come from: the From header, the envelope sender, and the
// domain of every Message-ID.
type From struct {
	// Name is shown to people. May be empty.
	Name string
	// Address is an ASCII address.
	Address string
}

// ParseFrom reads a setting such as "Bellhop <hello@example.com>" or a bare
// address. Unlike a recipient, it may be at a host without a dot: localhost.
func ParseFrom(s string) (From, error) {
	if len(s) > 512 {
		return From{}, errors.New("the sender of mails must be at most 512 bytes long")
	}
	parsed, err := netmail.ParseAddress(s)
	if err != nil {
		return From{}, fmt.Errorf("the sender of mails must look like Bellhop <hello@example.com>: %w", err)
	}
	local, domain, _ := strings.Cut(parsed.Address, "@")
	domain, err = idna.Lookup.ToASCII(domain)
	if err != nil {
		return From{}, fmt.Errorf("the sender's domain is not a domain name: %w", err)
	}
	f := From{Name: oneLine(parsed.Name), Address: local + "@" + domain}
	if !isAddrSpec(f.Address) {
		return From{}, fmt.Errorf("the sender of mails: %w", errBadAddrSpec)
	}
	return f, nil
}

// Domain is the part after the "@".
func (f From) Domain() string {
	_, domain, _ := strings.Cut(f.Address, "@")
	return domain
}

// header is the value of the From field (RFC 5322 section 3.4), in words.
func (f From) header() []string {
	name := oneLine(f.Name)
	if name == "" {
		return []string{f.Address}
	}
	addr := "<" + f.Address + ">"
	if !isPlain(name) || len(name) > maxLine/2 || strings.Contains(name, "=?") {
		return append(encodedWords(name), addr)
	}
	return []string{`"` + quoted.Replace(name) + `"`, addr}
}

// MessageID is the Message-ID of a mail: the same for every attempt and every
// copy of it (RFC 5322 section 3.6.4). domain is [From.Domain].
func MessageID(mailID, domain string) string { return "<" + mailID + "@" + domain + ">" }
