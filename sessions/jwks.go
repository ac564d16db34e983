package sessions

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxJWKS      = 64 << 10        // bytes of the issuer's answer
	fetchTimeout = 5 * time.Second // of one fetch
	freshAtLeast = time.Minute
	freshAtMost  = 24 * time.Hour
	// fetchEvery is how often keys are fetched at most while there are some.
	fetchEvery = time.Minute
	// startEvery is the same while there are none, and every token waits.
	startEvery = time.Second
)

// remoteKeys are the keys that an issuer publishes, and a cache of them.
type remoteKeys struct {
	url    string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	cache    atomic.Pointer[keyCache]
	fetching chan struct{} // holds one element while somebody fetches
}

// keyCache is what the last fetches gave. It is not changed any more.
type keyCache struct {
	keys    map[string]*ecdsa.PublicKey // by kid
	fetched time.Time                   // when the keys were
	fresh   time.Time                   // until when nobody asks for others
	tried   time.Time                   // when the last fetch ended
	err     error                       // why the last fetch failed, nil if it did not
}

func newRemoteKeys(url string, o *Options) *remoteKeys {
	client := *o.Client
	client.CheckRedirect = sameHost(o.Client.CheckRedirect)
	r := &remoteKeys{url: url, client: &client, now: o.Now, log: o.Log, fetching: make(chan struct{}, 1)}
	r.cache.Store(new(keyCache))
	return r
}

// sameHost follows redirects that stay where they are, if next does.
func sameHost(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
			return errors.New("redirected to another host, which is not the issuer")
		}
		if len(via) > 3 {
			return errors.New("redirected too often")
		}
		if next != nil {
			return next(req, via)
		}
		return nil
	}
}

// key implements Options.Keys.
func (r *remoteKeys) key(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	c, now := r.cache.Load(), r.now()
	usable := c.find(kid, now)
	if usable != nil && now.Before(c.fresh) {
		return usable, nil
	}
	if c.due(now) {
		var err error
		if c, err = r.refresh(ctx, usable != nil); err != nil {
			return nil, err
		}
	}
	if key := c.find(kid, now); key != nil {
		return key, nil
	}
	return nil, c.err
}

// find returns a key that is not too old to be used.
func (c *keyCache) find(kid string, now time.Time) *ecdsa.PublicKey {
	if !now.Before(c.fetched.Add(MaxStale)) {
		return nil
	}
	return c.keys[kid]
}

// due tells whether keys may be fetched again.
func (c *keyCache) due(now time.Time) bool {
	every := fetchEvery
	if !now.Before(c.fetched.Add(MaxStale)) {
		every = startEvery
	}
	return c.tried.IsZero() || now.Sub(c.tried) >= every
}

// refresh fetches the keys, or waits for whoever does. Who has a key that is
// only old does not wait.
func (r *remoteKeys) refresh(ctx context.Context, old bool) (*keyCache, error) {
	select {
	case r.fetching <- struct{}{}:
	default:
		if old {
			return r.cache.Load(), nil
		}
		select {
		case r.fetching <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-r.fetching }()
	c, now := r.cache.Load(), r.now()
	if !c.due(now) {
		return c, nil
	}
	keys, life, err := r.fetch(ctx)
	next := &keyCache{keys: c.keys, fetched: c.fetched, fresh: c.fresh, tried: r.now(), err: err}
	if err != nil {
		r.log.Warn("cannot fetch the issuer's keys", "error", err)
	} else {
		next.keys, next.fetched, next.fresh = keys, now, now.Add(life)
	}
	r.cache.Store(next)
	return next, nil
}

// fetch asks the issuer. It goes on when its caller has left, because others
// wait for it, too.
func (r *remoteKeys) fetch(ctx context.Context) (keys map[string]*ecdsa.PublicKey, life time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Cache-Control", "no-cache") // a cache in between may not know the newest key
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("fetch keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("fetch keys: %s answers %d, want 200", r.url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil {
		return nil, 0, fmt.Errorf("fetch keys: %w", err)
	}
	if len(body) > maxJWKS {
		return nil, 0, fmt.Errorf("fetch keys: %s answers more than %d bytes", r.url, maxJWKS)
	}
	keys, err = parseJWKS(body)
	return keys, freshFor(resp.Header), err
}

// freshFor is how long an answer may be kept (RFC 9111 section 5.2.2.1), within
// our bounds.
func freshFor(h http.Header) time.Duration {
	seconds := 0
	for _, directive := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if strings.EqualFold(name, "max-age") {
			seconds, _ = strconv.Atoi(strings.Trim(value, `"`))
		}
	}
	life := time.Duration(min(seconds, int(freshAtMost/time.Second))) * time.Second
	return max(life, freshAtLeast)
}

// jwk is a key as published (RFC 7517 section 4, RFC 7518 section 6.2.1).
type jwk struct {
	KeyType string `json:"kty"`
	Curve   string `json:"crv"`
	Alg     string `json:"alg"`
	Use     string `json:"use"`
	ID      string `json:"kid"`
	X       string `json:"x"`
	Y       string `json:"y"`
}

// parseJWKS takes the keys we can use, and passes over others (RFC 7517 section
// 5). None is an error: an issuer always has one.
func parseJWKS(body []byte) (map[string]*ecdsa.PublicKey, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("read keys: want a JSON object with a list of keys")
	}
	keys := make(map[string]*ecdsa.PublicKey)
	for _, k := range set.Keys {
		if k.KeyType != "EC" || k.Curve != "P-256" || k.Alg != "ES256" || k.Use != "sig" || k.ID == "" {
			continue
		}
		key, err := k.public()
		if err != nil {
			return nil, err
		}
		if keys[k.ID] != nil {
			return nil, errors.New("read keys: two have one kid")
		}
		keys[k.ID] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("read keys: want one for ES256, there is none")
	}
	return keys, nil
}

// coordinate is the length of one on P-256.
const coordinate = 32

// public refuses a point that is not on the curve.
func (k *jwk) public() (*ecdsa.PublicKey, error) {
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	if errX != nil || errY != nil || len(x) != coordinate || len(y) != coordinate {
		return nil, errors.New("read keys: want coordinates of 32 bytes in base64url")
	}
	point := append(append([]byte{4}, x...), y...) // SEC 1 section 2.3.3: uncompressed
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return key, nil
}
