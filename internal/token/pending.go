package token

import (
	"context"
	"crypto/hmac"
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

// PendingKind is what a pending session is of.
type PendingKind int

const (
	// SignUpSession is the session of a sign-up that is not confirmed. It lasts
	// [Lifetime].
	SignUpSession PendingKind = iota
	// SignInSession is the session of a sign-in request whose mail was not used
	// yet. It lasts [SignInLifetime].
	SignInSession
)

// pendingForm is what tells the tokens of one kind from all others.
type pendingForm struct {
	typ, audience string
	life          time.Duration
}

func (k PendingKind) form() pendingForm {
	if k == SignInSession {
		return pendingForm{typ: "pending-sign-in+jwt", audience: "bellhop:signin", life: SignInLifetime}
	}
	return pendingForm{typ: "pending+jwt", audience: "bellhop:signup", life: Lifetime}
}

// Pending issues and verifies the pending sessions of one kind. A token of one
// kind is refused as the other. It may be used concurrently.
type Pending struct {
	hidden
	form   pendingForm
	key    []byte
	kid    string
	prefix string // the encoded header and the dot after it
	before string // the claims up to the subject
	parser *jwt.Parser
}

// NewPending fetches the key, or creates it, and returns the sessions of
// issuer, the public URL. now is the clock that Verify goes by; nil for
// time.Now.
func NewPending(ctx context.Context, keys Keys, issuer string, kind PendingKind, now func() time.Time) (*Pending, error) {
	key, err := sharedKey(ctx, keys, "pending-session")
	if err != nil {
		return nil, err
	}
	p := &Pending{form: kind.form(), key: key, kid: keyID(key)}
	p.prefix = encode([]byte(`{"alg":"HS256","kid":"`+p.kid+`","typ":"`+p.form.typ+`"}`)) + "."
	quoted, err := json.Marshal(issuer)
	if err != nil {
		return nil, fmt.Errorf("encode issuer: %w", err)
	}
	p.before = `{"iss":` + string(quoted) + `,"aud":"` + p.form.audience + `","sub":"`
	p.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(p.form.audience),
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

// Issue returns the token of a sign-up or sign-in request. The same id and
// second give the same token. The id must be a UUID.
//
// It writes the token by hand: with the library the signature is a third of
// the cost, and this runs for every sign-up. Verify leaves nothing to us.
func (p *Pending) Issue(id string, issuedAt time.Time) string {
	claims := make([]byte, 0, 256)
	claims = append(claims, p.before...)
	claims = append(claims, id...)
	claims = append(claims, `","iat":`...)
	claims = strconv.AppendInt(claims, issuedAt.Unix(), 10)
	claims = append(claims, `,"exp":`...)
	claims = strconv.AppendInt(claims, issuedAt.Add(p.form.life).Unix(), 10)
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

// Verify returns the sign-up or sign-in request a token was issued for, or an
// error that wraps [ErrInvalid].
func (p *Pending) Verify(token string) (id string, err error) {
	if len(token) > MaxBytes {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxBytes)
	}
	if strings.ContainsAny(token, "\r\n") { // encoding/base64 passes over them
		return "", fmt.Errorf("%w: line break", ErrInvalid)
	}
	c := pendingClaims{life: p.form.life}
	if _, err := p.parser.ParseWithClaims(token, &c, p.keyFor); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.sub, nil
}

// keyFor pins the header. Only the three members we write are allowed, so that
// no key comes from the token (jku, jwk, x5u) and no critical extension
// (RFC 7515 section 4.1.11) is passed over.
func (p *Pending) keyFor(t *jwt.Token) (any, error) {
	if len(t.Header) != 3 || t.Header["kid"] != p.kid || t.Header["typ"] != p.form.typ {
		return nil, errors.New("header: want alg, our kid, and typ " + p.form.typ)
	}
	return p.key, nil
}
