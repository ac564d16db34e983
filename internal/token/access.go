package token

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// MaxAccessLife is the longest life of an access token. Everybody who verifies
// them relies on it, whatever one process is set to.
const MaxAccessLife = time.Hour

// AccessConfig is how access tokens are issued. Zero durations become the
// defaults.
type AccessConfig struct {
	Issuer   string // the public URL
	Audience string // whom the tokens are for

	Life        time.Duration // of a token, at most MaxAccessLife. Default: 15 minutes
	RotateEvery time.Duration // how long a key signs. Default: 90 days
	PublishFor  time.Duration // how long a key is published before it signs. Default: 1 hour
	CacheFor    time.Duration // how long others may keep the published keys. Default: 10 minutes
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
}

// NewAccess reads the ring of signing keys, or makes the first. now is the
// clock; nil for time.Now. The error wraps [ErrRing] if the ring in the store
// cannot be read: it is never replaced then.
//
// Without Run it works, but neither rotates nor learns of rotations in time.
func NewAccess(ctx context.Context, docs Documents, cfg AccessConfig, now func() time.Time) (*Access, error) {
	return nil, errUnbuilt
}

// Issue returns a new token for a session of an account, both UUIDs, and how
// long it is good for. It fails if the ring could not be read for so long that
// others may have dropped the key it would sign with.
func (a *Access) Issue(account, session string) (token string, life time.Duration, err error) {
	return "", 0, errUnbuilt
}

// Verify returns what a valid token says. The error wraps [ErrInvalid]. Whether
// the session goes on, only the store knows.
func (a *Access) Verify(token string) (Claims, error) { return Claims{}, errUnbuilt }

// JWKS returns the public keys of the ring (RFC 7517), the next one included,
// and how long they may be cached.
func (a *Access) JWKS() (body []byte, maxAge time.Duration) { return nil, 0 }

// Reload reads the ring again, at once.
func (a *Access) Reload(ctx context.Context) error { return errUnbuilt }

// Run reads the ring again every 30 s, and rotates it when its time has come,
// until ctx ends; it returns nil then. Several processes rotate once.
func (a *Access) Run(ctx context.Context, log *slog.Logger) error { return errUnbuilt }

var errUnbuilt = errors.New("not built yet")
