package mail

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Phase is how far a transaction had come.
type Phase uint8

// The phases in their order.
const (
	PhaseDial     Phase = iota + 1 // resolving and connecting
	PhaseTLS                       // STARTTLS and the handshake
	PhaseGreeting                  // the server's 220
	PhaseHello                     // EHLO
	PhaseAuth                      // AUTH
	PhaseMail                      // MAIL FROM
	PhaseRcpt                      // RCPT TO
	PhaseData                      // DATA, its 354, the content without the final dot
	PhaseDot                       // the final dot and the answer to it
	PhaseAfter                     // RSET, NOOP, QUIT after an accepted mail
)

// String is the phase in one lower-case word, for logs and metrics.
func (p Phase) String() string {
	names := [...]string{"none", "dial", "tls", "greeting", "hello", "auth", "mail", "rcpt", "data", "dot", "after"}
	if int(p) >= len(names) {
		return names[0]
	}
	return names[p]
}

// Class is what an outcome means for the mail.
type Class uint8

// The classes. Every phase and result has exactly one.
const (
	// Accepted: the server has taken responsibility for the mail.
	Accepted Class = iota + 1
	// Temporary: certainly not delivered, worth another try later.
	Temporary
	// Permanent: certainly not delivered, and trying again will not help.
	Permanent
	// Unknown: the dot was written and nobody knows whether it was taken.
	Unknown
	// ProviderDown: certainly not delivered, and not this mail's fault.
	ProviderDown
)

// String is the class in one lower-case word, for logs and metrics.
func (c Class) String() string {
	names := [...]string{"none", "accepted", "temporary", "permanent", "unknown", "provider-down"}
	if int(c) >= len(names) {
		return names[0]
	}
	return names[c]
}

// Reason is a short stable code for why an outcome is what it is.
type Reason string

// The reasons. [Outcome.Explain] puts them into words.
const (
	ReasonAccepted    Reason = "accepted"
	ReasonCancelled   Reason = "cancelled"
	ReasonLost        Reason = "connection-lost"
	ReasonTimeout     Reason = "timeout"
	ReasonGarbled     Reason = "garbled-reply"
	ReasonUnreachable Reason = "unreachable"
	ReasonTLS         Reason = "tls"
	ReasonAuth        Reason = "auth"
	ReasonThrottled   Reason = "throttled"
	ReasonGreylisted  Reason = "greylisted"
	ReasonMailboxFull Reason = "mailbox-full"
	ReasonNoMailbox   Reason = "no-such-mailbox"
	ReasonBadAddress  Reason = "bad-address"
	ReasonSender      Reason = "sender-refused"
	ReasonPolicy      Reason = "policy"
	ReasonTooLarge    Reason = "too-large"
	ReasonUnavailable Reason = "unavailable"
	ReasonRefused     Reason = "refused"
)

// words says for each reason what happened, without a full stop.
var words = map[Reason]string{
	ReasonAccepted:    "the mail server took the mail",
	ReasonCancelled:   "the attempt was called off before the mail was handed over",
	ReasonLost:        "the connection to the mail server broke",
	ReasonTimeout:     "the mail server did not answer in time",
	ReasonGarbled:     "the mail server's answer made no sense",
	ReasonUnreachable: "the mail server could not be reached",
	ReasonTLS:         "no safe TLS connection to the mail server could be made",
	ReasonAuth:        "the mail server refused our user name or password",
	ReasonThrottled:   "the mail server asks us to slow down",
	ReasonGreylisted:  "the mail server wants to see the mail again a little later (greylisting)",
	ReasonMailboxFull: "the recipient's mailbox is full",
	ReasonNoMailbox:   "the recipient's address does not exist",
	ReasonBadAddress:  "the recipient's address cannot be used in SMTP",
	ReasonSender:      "the mail server refuses our sender address",
	ReasonPolicy:      "the mail server refuses the mail by its policy",
	ReasonTooLarge:    "the mail server finds the mail too large",
	ReasonUnavailable: "the mail server cannot take the mail now",
	ReasonRefused:     "the mail server refuses the mail",
}

// Outcome is how an attempt to hand over a mail ended. It holds no personal
// data: Text has lost its addresses.
type Outcome struct {
	Class  Class
	Phase  Phase
	Reason Reason
	// Code is the reply code (RFC 5321), 0 when there was no usable reply.
	Code int
	// Enhanced is the status code (RFC 3463) such as "4.7.1", or empty.
	Enhanced string
	// Text is the server's words, or those of the local error; at most
	// MaxText bytes on one line, addresses replaced.
	Text string
	// RetryAtLeast is how long to wait before the next try whatever the
	// schedule says; 0 for no opinion.
	RetryAtLeast time.Duration
	// Suppress tells that the address itself is bad for good.
	Suppress bool
	// Throttle tells that the provider, or the recipient's domain, wants fewer
	// mails: slow down. It is not this mail's failure.
	Throttle bool
	// Close tells that the connection must not be used again.
	Close bool
}

// MaxText is the longest Outcome.Text, in bytes.
const MaxText = 500

// CountsAttempt tells whether the attempt counts against the mail: not when
// the provider was down or wanted fewer mails, nor when it was called off.
func (o Outcome) CountsAttempt() bool {
	return o.Class != ProviderDown && !o.Throttle && o.Reason != ReasonCancelled
}

// Explain is one line in words for an operator, without personal data, such as
// "the mail server asks us to slow down (at rcpt: 451 4.7.0 try later)".
func (o Outcome) Explain() string {
	what := words[o.Reason]
	if what == "" {
		what = "nothing is known"
	}
	if o.Class == Unknown {
		what += " after the mail was handed over: it may or may not have been taken"
	}
	said := make([]string, 0, 3)
	if o.Code != 0 {
		said = append(said, fmt.Sprint(o.Code))
	}
	for _, s := range []string{o.Enhanced, o.Text} {
		if s != "" {
			said = append(said, s)
		}
	}
	if len(said) == 0 {
		return fmt.Sprintf("%s (at %s)", what, o.Phase)
	}
	return fmt.Sprintf("%s (at %s: %s)", what, o.Phase, strings.Join(said, " "))
}

// LogValue is the outcome as attributes. It implements [slog.LogValuer].
func (o Outcome) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("class", o.Class.String()),
		slog.String("phase", o.Phase.String()),
		slog.String("reason", string(o.Reason)),
		slog.Int("code", o.Code),
		slog.String("enhanced", o.Enhanced),
		slog.String("text", o.Text),
	)
}

// addressLike is anything that may hold an address, whole or encoded.
var addressLike = regexp.MustCompile(`(?i)[^\s]*(?:@|%40|=40|＠)[^\s]*`)

// tokenLike is anything long enough to be a token of ours in base64url.
var tokenLike = regexp.MustCompile(`[A-Za-z0-9_-]{40,}`)

// hideToken hides a word that is no number, UUID or hexadecimal id: those, by
// which a provider's support finds a mail, keep to one case.
func hideToken(word string) string {
	if word == strings.ToLower(word) || word == strings.ToUpper(word) {
		return word
	}
	return "[secret]"
}

// Scrub makes a server's text fit for logs and for keeping: one line, no
// control characters, what looks like a link's token replaced by "[secret]"
// (filters repeat the links they object to), addresses by "[address]", as well
// as every string in private that is longer than two bytes; at most MaxText bytes.
func Scrub(text string, private ...string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), isBlank), " ")
	if len(text) >= 40 {
		text = tokenLike.ReplaceAllStringFunc(text, hideToken)
	}
	if strings.ContainsAny(text, "@%=＠") { // most replies hold none: spare them the search
		text = addressLike.ReplaceAllString(text, "[address]")
	}
	for _, p := range private {
		if len(p) > 2 {
			text = replaceFold(text, p, "[address]")
		}
	}
	if len(text) <= MaxText {
		return text
	}
	cut := MaxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// replaceFold replaces every occurrence of old, whatever its case. Where
// lowering changes the length of the text, it compares exactly.
func replaceFold(text, old, with string) string {
	lower, find := strings.ToLower(text), strings.ToLower(old)
	if len(lower) != len(text) {
		return strings.ReplaceAll(text, old, with)
	}
	var out strings.Builder
	for {
		i := strings.Index(lower, find)
		if i < 0 {
			return out.String() + text
		}
		out.WriteString(text[:i] + with)
		text, lower = text[i+len(find):], lower[i+len(find):]
	}
}
