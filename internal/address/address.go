// Package address decides which e-mail addresses Bellhop accepts and in what
// form it keeps them. It knows nothing of users, mails or the network: no DNS
// is asked, so the answer takes microseconds and tells nobody anything.
//
// The grammar is the part of RFC 5321 section 4.1.2 that people really have:
// a dot-atom before the last "@", a full domain name after it. Quoted local
// parts, comments, address literals and single-label domains are refused.
// Internationalised domains are mapped to A-labels (UTS 46, lookup profile).
package address

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

const (
	// MaxBytes is the longest address, typed or sendable: a path of RFC 5321
	// section 4.5.3.1.3 (256) without its angle brackets.
	MaxBytes = 254

	maxLocalBytes = 64 // RFC 5321 section 4.5.3.1.1
	maxLabelBytes = 63

	redacted = "[address]"
)

// Error says why an address was refused: a short stable code for programs and
// a sentence for the person who typed it. It never holds the address.
type Error struct {
	code, sentence string
}

// Code is short and stable, such as "no-at".
func (e *Error) Code() string { return e.code }

// Sentence is complete and meant for the person who typed the address.
func (e *Error) Sentence() string { return e.sentence }

// Error implements error.
func (e *Error) Error() string { return "address: " + e.code }

// The reasons Parse gives. Compare with errors.Is.
var (
	ErrEmpty    = &Error{"empty", "Please enter an e-mail address."}
	ErrTooLong  = &Error{"too-long", "This e-mail address is too long: at most 254 characters, 64 of them before the @."}
	ErrEncoding = &Error{"encoding", "This e-mail address contains characters that cannot be read."}
	ErrNoAt     = &Error{"no-at", "An e-mail address looks like name@example.com: the @ is missing."}
	ErrLocal    = &Error{"local-part", "The part before the @ may hold letters, digits and signs such as . _ + - but no spaces, and no dot at its start, its end or beside another dot."}
	// ErrLocalNotASCII is on its own because a mail server that offers
	// SMTPUTF8 (RFC 6531) could take such an address.
	ErrLocalNotASCII = &Error{"local-part-not-ascii", "Letters such as ü or 你 before the @ cannot be delivered to yet. Please use an address with plain letters before the @."}
	ErrDomain        = &Error{"domain", "The part after the @ must be a full domain name such as example.com."}
	ErrDomainIP      = &Error{"domain-ip", "The part after the @ must be a domain name such as example.com, not an IP address."}
)

// Address is an accepted e-mail address. It prints as "[address]" in fmt, slog
// and JSON, also as an unexported field of something else, so that it reaches
// a log by no accident; the methods that reveal it are named for what they are
// for. The zero Address is empty. Compare by Key, not with ==.
type Address struct {
	// Behind two pointers: fmt prints the unexported fields of a struct, and
	// for a verb it cannot use even what one pointer points to.
	p **parts
}

type parts struct {
	typed    string
	sendable string
	key      string
	self     *parts // points to this very value
}

// IsZero tells whether a is no address at all.
func (a Address) IsZero() bool { return a.p == nil }

// Typed is the address as the person typed it, without the spaces around it,
// in NFC. For showing it back to that person.
func (a Address) Typed() string { return a.get().typed }

// Sendable is the form for the SMTP envelope and the To header: pure ASCII,
// the local part in its original case, the domain as A-labels in lower case.
func (a Address) Sendable() string { return a.get().sendable }

// Key is the form that identifies: two addresses with one key are one address.
// Local part case-folded; neither dots nor +tags are taken away, because which
// of them matter is the receiving server's business.
func (a Address) Key() string { return a.get().key }

func (a Address) get() parts {
	if a.p == nil {
		return parts{}
	}
	return **a.p
}

// String returns a placeholder. See Sendable, Typed and Key.
func (a Address) String() string { return redacted }

// Format writes a placeholder whatever the verb.
func (a Address) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (a Address) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder, for JSON and text encoders.
func (a Address) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Parse accepts s or says why not with one of the [Error] values of this
// package. The length is checked before anything looks at the content.
func Parse(s string) (Address, error) {
	if len(s) > MaxBytes {
		return Address{}, ErrTooLong
	}
	typed, err := normalise(s)
	if err != nil {
		return Address{}, err
	}
	at := strings.LastIndexByte(typed, '@')
	if at < 0 {
		return Address{}, ErrNoAt
	}
	local := typed[:at]
	if err := checkLocal(local); err != nil {
		return Address{}, err
	}
	domain, err := mapDomain(typed[at+1:])
	if err != nil {
		return Address{}, err
	}
	sendable := typed
	if domain != typed[at+1:] {
		sendable = local + "@" + domain
	}
	if len(sendable) > MaxBytes {
		return Address{}, ErrTooLong
	}
	// An ASCII local part is folded by lowering it, and the domain is lower
	// case already.
	p := &parts{typed: typed, sendable: sendable, key: strings.ToLower(sendable)}
	p.self = p
	return Address{&p.self}, nil
}

// normalise trims the spaces a paste brings along and composes to NFC.
func normalise(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", ErrEncoding
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return "", ErrEmpty
	}
	if !isASCII(s) {
		s = norm.NFC.String(s)
	}
	return s, nil
}

// checkLocal accepts a dot-atom (RFC 5322 section 3.2.3) of at most 64 octets.
func checkLocal(local string) error {
	if len(local) > maxLocalBytes {
		return ErrTooLong
	}
	foreign := false
	last := byte('.')
	for i := range len(local) {
		c := local[i]
		switch {
		case c >= utf8.RuneSelf:
			foreign = true
		case c == '.' && last == '.', c != '.' && !isAtext(c):
			return ErrLocal
		}
		last = c
	}
	if last == '.' { // empty, or a dot at the end
		return ErrLocal
	}
	if foreign {
		return ErrLocalNotASCII
	}
	return nil
}

// mapDomain returns the domain as A-labels. Everything is checked after the
// mapping, which turns full-width digits into an IP address and more.
func mapDomain(domain string) (string, error) {
	if strings.HasPrefix(domain, "[") {
		return "", ErrDomainIP
	}
	if !isPlainDomain(domain) {
		mapped, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", ErrDomain
		}
		domain = mapped
	}
	labels, start := 0, 0
	for i := 0; i <= len(domain); i++ {
		if i < len(domain) && domain[i] != '.' {
			continue
		}
		if !isLabel(domain[start:i]) {
			return "", ErrDomain
		}
		labels++
		if i < len(domain) {
			start = i + 1
		}
	}
	if endsInNumber(domain[start:]) {
		return "", ErrDomainIP
	}
	if labels < 2 {
		return "", ErrDomain
	}
	return domain, nil
}

// isPlainDomain tells whether the IDNA mapping would leave domain as it is:
// lower-case letters, digits and dots only. Hyphens go the long way, for they
// begin A-labels.
func isPlainDomain(domain string) bool {
	for i := range len(domain) {
		if c := domain[i]; !isLower(c) && !isDigit(c) && c != '.' {
			return false
		}
	}
	return true
}

// isLabel accepts letters, digits and inner hyphens (RFC 5321 section 4.1.2).
func isLabel(label string) bool {
	if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; !isLower(c) && !isDigit(c) && c != '-' {
			return false
		}
	}
	return true
}

// endsInNumber tells whether the last label makes the whole name an IPv4
// address to some resolvers: "1", "127.1", "0x7f".
func endsInNumber(label string) bool {
	digits := strings.TrimPrefix(label, "0x")
	hex := len(digits) < len(label)
	for i := range len(digits) {
		if c := digits[i]; !isDigit(c) && !(hex && c >= 'a' && c <= 'f') {
			return false
		}
	}
	return label != ""
}

func isAtext(c byte) bool {
	return isLower(c) || c >= 'A' && c <= 'Z' || isDigit(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
