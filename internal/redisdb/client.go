package redisdb

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
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
	third := s.timeout() / 3
	options := &redis.UniversalOptions{
		Addrs: t.addresses, MasterName: t.master, IsClusterMode: t.cluster, DB: t.db,
		Username: t.user, Password: t.password, SentinelUsername: t.sentinelUser, SentinelPassword: t.sentinelPass,
		TLSConfig: certificates,
		// A repeat is the caller's to decide, who knows whether it is harmless.
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: third, ReadTimeout: 2 * third, WriteTimeout: 2 * third, PoolTimeout: third,
		ContextTimeoutEnabled: true,
		Protocol:              2, DisableIdentity: true, ClientName: "bellhop",
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	c := &Client{settings: s, universe: redis.NewUniversalClient(options), tags: make(map[string]*Tag)}
	return c, nil
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
	tags := c.tags
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

// moved makes a Cluster's client look again which node has which keys.
func (c *Client) moved(ctx context.Context) {
	if cluster, ok := c.universe.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}
