package sas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxToken is the most bytes a token may have.
const maxToken = 4096

// scheme is what every token begins with.
const scheme = "SharedAccessSignature "

// Token is a shared access signature: a rule's key was used to sign that its
// holder may do what the rule allows, with one resource and all in it, until a
// time. The zero value is no token.
type Token struct {
	// Resource is what it is for.
	Resource Resource
	// Rule names the rule whose key signed it.
	Rule string
	// Expires is the first moment it is no longer good, in whole seconds.
	Expires time.Time

	signed    string // what the signature is over: sr and se as they are written
	resource  string // sr as it is written
	signature []byte
}

// Sign makes a token for uri, such as sb://HOST/QUEUE, as the Go SDK does. key
// is used as the text it is, and not decoded. expires is cut to seconds.
func Sign(uri, rule, key string, expires time.Time) (Token, error) {
	resource, err := ParseResource(uri)
	if err != nil {
		return Token{}, fmt.Errorf("sign a token: %w", err)
	}
	t := Token{Resource: resource, Rule: rule, Expires: time.Unix(expires.Unix(), 0).UTC(), resource: strings.ToLower(url.QueryEscape(uri))}
	t.signed = t.resource + "\n" + strconv.FormatInt(t.Expires.Unix(), 10)
	t.signature = t.sum(key)
	return t, nil
}

// String is the token as it is sent. Whoever reads it can use it: keep it out
// of logs.
func (t Token) String() string {
	skn := strings.ReplaceAll(url.QueryEscape(t.Rule), "+", "%20")
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(t.signature))
	return fmt.Sprintf("%ssr=%s&sig=%s&se=%d&skn=%s", scheme, t.resource, sig, t.Expires.Unix(), skn)
}

// SignedBy tells whether key made the signature. It takes equally long
// whichever it is not.
func (t Token) SignedBy(key string) bool { return hmac.Equal(t.signature, t.sum(key)) }

func (t Token) sum(key string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(t.signed))
	return mac.Sum(nil)
}

// ParseToken reads SharedAccessSignature sr=...&sig=...&se=...&skn=..., with
// the four in any order; others are ignored. It judges only how the token is
// written; its errors are [ErrMalformed] and repeat nothing of it.
func ParseToken(text string) (Token, error) {
	fields, err := tokenFields(text)
	if err != nil {
		return Token{}, err
	}
	t := Token{resource: fields["sr"], signed: fields["sr"] + "\n" + fields["se"]}
	uri, err := url.QueryUnescape(t.resource)
	if err != nil {
		return Token{}, fmt.Errorf("%w: sr is not percent-encoded", ErrMalformed)
	}
	if t.Resource, err = ParseResource(uri); err != nil {
		return Token{}, fmt.Errorf("%w: sr: %w", ErrMalformed, err)
	}
	if t.Rule, err = url.PathUnescape(fields["skn"]); err != nil || t.Rule == "" {
		return Token{}, fmt.Errorf("%w: skn is not the name of a rule", ErrMalformed)
	}
	// PathUnescape leaves a + alone, which some clients do not escape.
	encoded, err := url.PathUnescape(fields["sig"])
	if err == nil {
		t.signature, err = base64.StdEncoding.DecodeString(encoded)
	}
	if err != nil || len(t.signature) != sha256.Size {
		return Token{}, fmt.Errorf("%w: sig is not a SHA-256 in base64", ErrMalformed)
	}
	t.Expires, err = seconds(fields["se"])
	return t, err
}

// tokenFields cuts a token into its fields, of which the four that make a token
// are there exactly once.
func tokenFields(text string) (map[string]string, error) {
	if len(text) > maxToken {
		return nil, fmt.Errorf("%w: want at most %d bytes, got %d", ErrMalformed, maxToken, len(text))
	}
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return nil, fmt.Errorf("%w: want one that begins with SharedAccessSignature", ErrMalformed)
	}
	fields := make(map[string]string, 4)
	for field := range strings.SplitSeq(text[len(scheme):], "&") {
		name, value, _ := strings.Cut(field, "=")
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("%w: a field is there twice", ErrMalformed)
		}
		fields[name] = value
	}
	for _, name := range [...]string{"sr", "sig", "se", "skn"} {
		if fields[name] == "" {
			return nil, fmt.Errorf("%w: it has no %s", ErrMalformed, name)
		}
	}
	return fields, nil
}

// seconds reads a time in whole seconds since 1970, up to the year 9999.
func seconds(text string) (time.Time, error) {
	const last = 253402300799
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > last {
		return time.Time{}, fmt.Errorf("%w: se is not a time in seconds", ErrMalformed)
	}
	return time.Unix(n, 0).UTC(), nil
}
