// Package token issues and verifies Bellhop's tokens. It knows keys and times,
// no people and no web.
//
// There is one kind so far: [Pending], the session of a sign-up that is not
// confirmed. Bellhop alone issues and verifies it, so it is signed with a
// shared secret (HS256) that the store keeps for all processes. It is good for
// that one sign-up and for nothing else, it names nobody, and it is never
// stored: the same sign-up and time always give the same token again.
package token

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// Lifetime is how long a pending session lasts from its sign-up.
	Lifetime = 72 * time.Hour
	// MaxBytes is the longest token that Verify looks at.
	MaxBytes = 4 << 10
	// Leeway is how far the clocks of two processes may be apart.
	Leeway = 30 * time.Second

	pendingKey      = "pending-session" // the key's name in the store
	pendingType     = "pending+jwt"
	pendingAudience = "bellhop:signup"
	keyBytes        = 32
)

// ErrInvalid is returned for every token that does not verify. What is wrong
// with it is wrapped for the operator and never shown to whoever sent it.
var ErrInvalid = errors.New("token is not valid")

// Keys keeps the keys that all processes share.
type Keys interface {
	// SharedKey returns the key of that name. The first caller's fresh bytes
	// become the key for good; every other caller gets those. It may be called
	// concurrently, from several processes too.
	SharedKey(ctx context.Context, name string, fresh []byte) ([]byte, error)
}

// Pending issues and verifies pending sessions. It may be used concurrently.
type Pending struct {
	key    []byte
	kid    string
	prefix string // the encoded header and the dot after it
	before string // the claims up to the subject
	parser *jwt.Parser
}

// NewPending fetches the key, or creates it, and returns the sessions of
// issuer, the public URL. now is the clock that Verify goes by; nil for
// time.Now.
func NewPending(ctx context.Context, keys Keys, issuer string, now func() time.Time) (*Pending, error) {
	fresh := make([]byte, keyBytes)
	_, _ = rand.Read(fresh) // never fails: crypto/rand crashes the process instead
	key, err := keys.SharedKey(ctx, pendingKey, fresh)
	if err != nil {
		return nil, fmt.Errorf("fetch key %q: %w", pendingKey, err)
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("fetch key %q: want %d bytes, the store has %d", pendingKey, keyBytes, len(key))
	}
	p := &Pending{key: key, kid: keyID(key)}
	p.prefix = encode([]byte(`{"alg":"HS256","kid":"`+p.kid+`","typ":"`+pendingType+`"}`)) + "."
	quoted, err := json.Marshal(issuer)
	if err != nil {
		return nil, fmt.Errorf("encode issuer: %w", err)
	}
	p.before = `{"iss":` + string(quoted) + `,"aud":"` + pendingAudience + `","sub":"`
	p.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(pendingAudience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(Leeway),
		jwt.WithTimeFunc(now),
	)
	return p, nil
}

// keyID names a key without telling anything about it.
func keyID(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("bellhop kid"))
	return encode(mac.Sum(nil)[:9])
}

// Issue returns the token of a sign-up. The same id and second give the same
// token. The id must be a UUID.
//
// It writes the token by hand: with the library the signature is a third of
// the cost, and this runs for every sign-up. Verify leaves nothing to us.
func (p *Pending) Issue(signupID string, issuedAt time.Time) string {
	claims := make([]byte, 0, 256)
	claims = append(claims, p.before...)
	claims = append(claims, signupID...)
	claims = append(claims, `","iat":`...)
	claims = strconv.AppendInt(claims, issuedAt.Unix(), 10)
	claims = append(claims, `,"exp":`...)
	claims = strconv.AppendInt(claims, issuedAt.Add(Lifetime).Unix(), 10)
	claims = append(claims, '}')

	token := make([]byte, 0, 512)
	token = append(token, p.prefix...)
	token = base64.RawURLEncoding.AppendEncode(token, claims)
	mac := hmac.New(sha256.New, p.key)
	mac.Write(token)
	var sum [sha256.Size]byte
	token = append(token, '.')
	token = base64.RawURLEncoding.AppendEncode(token, mac.Sum(sum[:0]))
	return string(token)
}

// Verify returns the sign-up a token was issued for, or an error that wraps
// [ErrInvalid].
func (p *Pending) Verify(token string) (signupID string, err error) {
	if len(token) > MaxBytes {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxBytes)
	}
	if strings.ContainsAny(token, "\r\n") { // encoding/base64 passes over them
		return "", fmt.Errorf("%w: line break", ErrInvalid)
	}
	var c pendingClaims
	if _, err := p.parser.ParseWithClaims(token, &c, p.keyFor); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.sub, nil
}

// keyFor pins the header. Only the three members we write are allowed, so that
// no key comes from the token (jku, jwk, x5u) and no critical extension
// (RFC 7515 section 4.1.11) is passed over.
func (p *Pending) keyFor(t *jwt.Token) (any, error) {
	if len(t.Header) != 3 || t.Header["kid"] != p.kid || t.Header["typ"] != pendingType {
		return nil, errors.New("header: want alg, our kid, and typ " + pendingType)
	}
	return p.key, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
