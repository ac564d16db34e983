package sessions

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MaxBytes is the longest token that is looked at.
	MaxBytes = 4 << 10
	// MaxLife is the longest life a token may have been issued for. Bellhop's
	// own default is 15 minutes.
	MaxLife = time.Hour
	// MaxLeeway is the most that Options.Leeway may be.
	MaxLeeway = time.Minute
	// MaxStale is how long keys are used after they were fetched, if no others
	// can be had.
	MaxStale = 24 * time.Hour

	defaultLeeway = 30 * time.Second
	tokenType     = "at+jwt" // RFC 9068 section 2.1
)

var (
	// ErrInvalid is wrapped by the error for every token that does not verify.
	// What is wrong with it stands in the text, which is for the operator and
	// not for whoever sent the token.
	ErrInvalid = errors.New("token is not valid")
	// ErrUnavailable is wrapped by the error for a token that could not be
	// judged: the issuer's keys cannot be had now. Later it may be valid.
	ErrUnavailable = errors.New("the issuer's keys cannot be had")
)

// Options are the settings of a [Verifier]. The zero value is good.
type Options struct {
	// Client fetches the issuer's keys. A redirect is followed to the same
	// scheme and host only, whatever its CheckRedirect says.
	//
	// Default: a client of its own
	Client *http.Client

	// Now is the clock.
	//
	// Default: time.Now
	Now func() time.Time

	// Leeway is how far the issuer's clock may be from Now: up to [MaxLeeway].
	// Negative is none at all.
	//
	// Default: 30 seconds
	Leeway time.Duration

	// AllowHTTP allows an issuer by plain http on another host than this one.
	// Whoever is on the way can then sign in as anybody.
	//
	// Default: https, or http on a loopback address
	AllowHTTP bool

	// Keys finds keys, instead of the issuer's JWKS: for tests, and for who has
	// them some other way. It returns nil if there is no key of that id (kid). An
	// error makes the token's one wrap [ErrUnavailable]. It may be called
	// concurrently.
	//
	// Default: the keys are fetched from the issuer
	Keys func(ctx context.Context, kid string) (*ecdsa.PublicKey, error)

	// Log is told by the middleware why a request was refused (level debug),
	// and of keys that could not be fetched (level warn). Tokens are never in it.
	//
	// Default: nobody is told
	Log *slog.Logger
}

// Claims are what a valid token says. It names nobody: what else there is to
// know of an account only Bellhop knows.
type Claims struct {
	// Account is the id of the account (sub, RFC 7519 section 4.1.2). It is the
	// same in every token of one person, and nobody else ever gets it.
	Account string
	// Session is the id of the session (sid): one browser or app, from its
	// sign-in to its sign-out.
	Session string
	// Client is the id of the client (client_id, RFC 8693 section 4.3).
	Client string
	// ID is the id of this token (jti, RFC 7519 section 4.1.7).
	ID string
	// IssuedAt and Expires are the token's times (iat, exp), in full seconds.
	IssuedAt, Expires time.Time
}

// Verifier verifies the access tokens of one issuer for one audience. It may be
// used concurrently. It starts nothing that would have to be stopped.
type Verifier struct {
	audience string
	keys     func(ctx context.Context, kid string) (*ecdsa.PublicKey, error)
	log      *slog.Logger
	parser   *jwt.Parser
}

// New returns a verifier for tokens that issuer made for audience. The issuer is
// Bellhop's public URL, the audience what Bellhop's setting token-audience says,
// which is the public URL as well unless it was set: both must be exactly what
// stands in the tokens (iss and aud, RFC 9068 section 4). A nil options is the
// same as the zero value. The error says what is wrong with an argument; nothing
// is fetched yet.
func New(issuer, audience string, options *Options) (*Verifier, error) {
	var o Options
	if options != nil {
		o = *options
	}
	if issuer == "" || audience == "" {
		return nil, errors.New("sessions: want an issuer and an audience, one is empty")
	}
	if o.Leeway > MaxLeeway {
		return nil, fmt.Errorf("sessions: leeway is %v, want at most %v", o.Leeway, MaxLeeway)
	}
	o.fill()
	if o.Keys == nil {
		where, err := jwksURL(issuer, o.AllowHTTP)
		if err != nil {
			return nil, err
		}
		o.Keys = newRemoteKeys(where, &o).key
	}
	return &Verifier{
		audience: audience, keys: o.Keys, log: o.Log,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}),
			jwt.WithStrictDecoding(),
			jwt.WithIssuer(issuer),
			jwt.WithAudience(audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(o.Leeway),
			jwt.WithTimeFunc(o.Now),
		),
	}, nil
}

// fill sets the defaults.
func (o *Options) fill() {
	if o.Client == nil {
		o.Client = new(http.Client)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Leeway == 0 {
		o.Leeway = defaultLeeway
	}
	o.Leeway = max(o.Leeway, 0)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// jwksURL is where an issuer publishes its keys.
func jwksURL(issuer string, allowHTTP bool) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("sessions: want an issuer such as https://desk.example")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && (allowHTTP || loopback(u.Hostname())):
	default:
		return "", fmt.Errorf("sessions: issuer %s: want https, or http on a loopback address (Options.AllowHTTP allows it elsewhere)", u)
	}
	return strings.TrimSuffix(issuer, "/") + "/.well-known/jwks.json", nil
}

// loopback tells whether a host is this one (RFC 6761 section 6.3).
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// Verify returns what a valid token says. The error wraps [ErrInvalid] or
// [ErrUnavailable]. ctx bounds the wait for keys that another caller fetches.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if len(token) > MaxBytes {
		return Claims{}, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxBytes)
	}
	if strings.ContainsAny(token, "\r\n") { // encoding/base64 passes over them
		return Claims{}, fmt.Errorf("%w: line break", ErrInvalid)
	}
	var c claims
	var unavailable error
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		key, err := v.keyFor(ctx, t)
		if errors.Is(err, ErrUnavailable) {
			unavailable = err // without the library's words around it
		}
		return key, err
	})
	switch {
	case unavailable != nil:
		return Claims{}, unavailable
	case err != nil:
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.public(), nil
}

// keyFor pins the header. Only the three members that Bellhop writes are
// allowed, so that no key comes from the token (jku, jwk, x5u) and no critical
// extension (RFC 7515 section 4.1.11) is passed over. The key's type leaves the
// library no other algorithm than the one it was asked for.
func (v *Verifier) keyFor(ctx context.Context, t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	switch {
	case t.Header["typ"] != tokenType:
		return nil, errors.New("header: typ is not " + tokenType)
	case kid == "":
		return nil, errors.New("header: no kid")
	case len(t.Header) != 3:
		return nil, errors.New("header: more than alg, kid and typ")
	}
	key, err := v.keys(ctx, kid)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case key == nil:
		return nil, errors.New("header: kid is not of a key of the issuer")
	}
	return key, nil
}
