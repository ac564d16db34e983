package token

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"bellhop/sessions"
)

// MaxAccessLife is the longest life of an access token. Everybody who verifies
// them relies on it, whatever one process is set to.
const MaxAccessLife = sessions.MaxLife

const (
	accessType   = "at+jwt" // RFC 9068 section 2.1
	accessClient = "bellhop"
	// readWithin bounds a reading of the ring for a token that waits.
	readWithin = 5 * time.Second
	// retryEvery is how often the ring is read while it cannot be.
	retryEvery = time.Second
)

// AccessConfig is how access tokens are issued. Zero durations become the
// defaults.
type AccessConfig struct {
	Issuer   string // the public URL
	Audience string // whom the tokens are for

	Life        time.Duration // of a token, full seconds and at most MaxAccessLife. Default: 15 minutes
	RotateEvery time.Duration // how long a key signs. Default: 90 days
	PublishFor  time.Duration // how long a key is published before it signs. Default: 1 hour
	CacheFor    time.Duration // how long others may keep the published keys. Default: 10 minutes
}

func (c *AccessConfig) fill() error {
	if c.Life > MaxAccessLife || c.Life < 0 {
		return fmt.Errorf("access tokens: life is %v, want up to %v", c.Life, MaxAccessLife)
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&c.Life, 15 * time.Minute}, {&c.RotateEvery, 90 * 24 * time.Hour},
		{&c.PublishFor, defaultPublishFor}, {&c.CacheFor, 10 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	return nil
}

// Claims are what a valid access token says: whose it is, by ids alone.
type Claims struct {
	Account string // sub
	Session string // sid
}

// Access issues and verifies access tokens: JWTs of RFC 9068, signed by ES256
// with a key of the ring. It may be used concurrently.
type Access struct {
	hidden
	cfg      AccessConfig
	now      func() time.Time
	ring     *Ring
	verifier *sessions.Verifier

	reading sync.Mutex // held by whoever reads the ring
	known   atomic.Pointer[reading]
}

// reading is the ring as it was read. It is not changed any more.
type reading struct {
	ring *ring
	at   time.Time
}

// NewAccess reads the ring of signing keys, or makes the first. now is the
// clock; nil for time.Now. The error wraps [ErrRing] if the ring in the store
// cannot be read: it is never replaced then.
//
// Without Run, rotations are neither made nor learned of in time.
func NewAccess(ctx context.Context, docs Documents, cfg AccessConfig, now func() time.Time) (*Access, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	a := &Access{cfg: cfg, now: clock(now), ring: NewRing(docs, cfg.PublishFor, now)}
	var err error
	a.verifier, err = sessions.New(cfg.Issuer, cfg.Audience, &sessions.Options{Now: a.now, Leeway: Leeway, Keys: a.find})
	if err != nil {
		return nil, err
	}
	return a, a.Reload(ctx)
}

// find is how a token's key is found: among those we have. An unknown one is
// not looked for elsewhere; but while the store cannot be read, others may have
// made one meanwhile.
func (a *Access) find(_ context.Context, kid string) (*ecdsa.PublicKey, error) {
	known, now := a.known.Load(), a.now()
	key := known.ring.find(kid, now)
	if old := now.Sub(known.at); key == nil && old > unsureAfter {
		return nil, fmt.Errorf("unknown kid, and the ring was last read %v ago", old.Round(time.Second))
	}
	return key, nil
}

// Reload reads the ring again, and rotates it if its time has come. A ring that
// the store has lost is put back.
func (a *Access) Reload(ctx context.Context) error {
	a.reading.Lock()
	defer a.reading.Unlock()
	k, at, err := a.ring.update(ctx, a.keep)
	if err == nil {
		a.known.Store(&reading{ring: k, at: at})
	}
	return err
}

// keep makes of the ring in the store what it should be now.
func (a *Access) keep(k *ring, now time.Time) (_ *ring, changed bool, err error) {
	if k == nil {
		if known := a.known.Load(); known != nil {
			return known.ring, true, nil
		}
		k, err = newRing(now)
		return k, true, err
	}
	changed = k.prune(now)
	signing := k.keys[k.current(now)].Signs
	if now.Sub(signing) < a.cfg.RotateEvery || k.current(now) != len(k.keys)-2 || now.Sub(k.next().Published) < a.cfg.PublishFor {
		return k, changed, nil
	}
	return k, true, k.rotate(now)
}

// Issue makes a token for a session of an account, both UUIDs, and says how long
// it is good for. It needs no store.
type Issue func(account, session string) (token string, life time.Duration, err error)

// Prepare does all of issuing a token that can fail or wait: what is used up for
// a token is used up after it. The token begins now, whenever it is made. If the
// ring was not read for 10 minutes, it is read first, because others may have
// dropped the key meanwhile. The error wraps [ErrUnavailable] if it cannot be.
func (a *Access) Prepare(ctx context.Context) (Issue, error) {
	now := a.now()
	if now.Sub(a.known.Load().at) >= staleAfter {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		if err := a.Reload(ctx); err != nil {
			return nil, fmt.Errorf("prepare an access token: %w: %w", ErrUnavailable, err)
		}
	}
	k := a.known.Load().ring
	key := k.keys[k.current(now)]
	issue := func(account, session string) (string, time.Duration, error) {
		made := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{ // RFC 9068 section 2.2, and sid
			"iss": a.cfg.Issuer, "aud": a.cfg.Audience, "sub": account, "client_id": accessClient, "sid": session,
			"iat": now.Unix(), "exp": now.Add(a.cfg.Life).Unix(), "jti": uuid.NewString(),
		})
		made.Header["typ"], made.Header["kid"] = accessType, key.id
		token, err := made.SignedString(key.private)
		return token, a.cfg.Life, err
	}
	if _, _, err := issue("", ""); err != nil { // of nobody, and for nobody
		return nil, fmt.Errorf("try the signing key: %w: %w", ErrUnavailable, err)
	}
	return issue, nil
}

// Verify returns what a valid token says. The error wraps [ErrInvalid], or
// [ErrUnavailable] if the token has an unknown key and the ring could not be
// read for more than a minute. Whether the session goes on, only the store
// knows.
func (a *Access) Verify(token string) (Claims, error) {
	c, err := a.verifier.Verify(context.Background(), token)
	if err != nil {
		return Claims{}, err
	}
	return Claims{Account: c.Account, Session: c.Session}, nil
}

// JWKS returns the public keys of the ring (RFC 7517), the next one included,
// and how long they may be cached.
func (a *Access) JWKS() (body []byte, maxAge time.Duration) {
	return a.known.Load().ring.jwks(a.now()), a.cfg.CacheFor
}

// Run reads the ring again every 30 s, and rotates it when its time has come,
// until ctx ends; it returns nil then. Several processes rotate once. What it
// cannot read it tries again soon, with the keys it knows meanwhile.
func (a *Access) Run(ctx context.Context, log *slog.Logger) error {
	wait, failing := readEvery, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		before := a.currentID()
		err := a.Reload(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			log.Error("cannot read the signing keys, going on with those known", "error", err)
		case err == nil && failing:
			log.Info("the signing keys can be read again")
		}
		wait, failing = readEvery, err != nil
		if failing {
			wait = retryEvery
		}
		if now := a.currentID(); now != before {
			log.Info("access tokens are signed with another key", "kid", now)
		}
	}
}

func (a *Access) currentID() string {
	k := a.known.Load().ring
	return k.keys[k.current(a.now())].id
}
