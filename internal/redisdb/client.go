package redisdb

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Client is one Redis, however many servers it is. Its methods may be called
// concurrently.
type Client struct {
	settings Settings
	universe redis.UniversalClient

	mu     sync.Mutex
	tags   map[string]*Tag
	closed bool
}

// Open makes a client. It connects to nothing yet, so that only wrong settings
// are errors.
func Open(s Settings) (*Client, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	t, err := s.target()
	if err != nil {
		return nil, err
	}
	certificates, err := s.tlsConfig(t)
	if err != nil {
		return nil, err
	}
	// Whatever it would print is in the error of a call, too.
	redis.SetLogger(new(logging.VoidLogger))
	c := &Client{settings: s, universe: redis.NewUniversalClient(s.options(t, certificates)), tags: make(map[string]*Tag)}
	if cluster, ok := c.universe.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(scout{cluster}) })
	}
	return c, nil
}

// poolSize is how many connections there may be to a server: far more than the
// pipelines and blocking reads of a process need. They are made when they are
// needed.
const poolSize = 128

// options are go-redis's for these settings. What waits on something else is
// given a third of the timeout each, so that a caller hears what went wrong
// before it gives up itself.
func (s Settings) options(t target, certificates *tls.Config) *redis.UniversalOptions {
	third := s.timeout() / 3
	return &redis.UniversalOptions{
		Addrs: t.addresses, MasterName: t.master, IsClusterMode: t.cluster, DB: t.db,
		Username: t.user, Password: t.password, SentinelUsername: t.sentinelUser, SentinelPassword: t.sentinelPass,
		// A repeat is the caller's to decide, who knows whether it is harmless.
		MaxRetries: -1, DialerRetries: 1,
		Dialer: dialer(third, certificates), PoolTimeout: third, ReadTimeout: 2 * third, WriteTimeout: 2 * third,
		// With Sentinels, dialing includes asking one of them. It must not be
		// over before a silent one has been given up (ReadTimeout), or the
		// others are never asked.
		DialTimeout:           s.timeout(),
		ContextTimeoutEnabled: true,
		// A pool for pipelines beside the other one would be a second try to
		// connect for every failed one.
		PoolSize: poolSize, PipelinePoolSize: -1,
		Protocol: 2, DisableIdentity: true, ClientName: "bellhop",
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// dialer connects within the limit, TLS included.
func dialer(limit time.Duration, certificates *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: limit, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}}
	if certificates == nil {
		return plain.DialContext
	}
	return (&tls.Dialer{NetDialer: plain, Config: certificates}).DialContext
}

// Settings are those the client was opened with.
func (c *Client) Settings() Settings { return c.settings }

// Tag returns the keys that share a hash tag, such as "{bellhop}". It is always
// the same one for a name.
func (c *Client) Tag(name string) *Tag {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tags[name]
	if t == nil {
		t = newTag(c, name)
		if c.closed {
			t.close()
		}
		c.tags[name] = t
	}
	return t
}

// Close waits for the calls under way and closes all connections. Calls made
// after it fail with [ErrClosed]; calling it again is harmless.
func (c *Client) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	tags := slices.Collect(maps.Values(c.tags))
	c.mu.Unlock()
	if closed {
		return nil
	}
	for _, t := range tags {
		t.close()
	}
	return c.universe.Close()
}

// node is the server that takes writes to keys of a tag.
func (c *Client) node(ctx context.Context, tag string) (*redis.Client, error) {
	switch u := c.universe.(type) {
	case *redis.Client:
		return u, nil
	case *redis.ClusterClient:
		node, err := u.MasterForKey(ctx, tag)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return node, nil
	default:
		return nil, fmt.Errorf("no way to find a master with a %T", u)
	}
}
