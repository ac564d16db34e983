package redis_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/store/redis"
	"bellhop/internal/store/storetest"

	goredis "github.com/redis/go-redis/v9"
)

// The suite's server is killed and started again wherever a test ends the
// process: what was answered must be on its disk.
func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Features{Retention: true}, opener(redistest.Start(t, redistest.Options{Persistence: redistest.Always}), 2))
}

// TestLedgerModel proves C2 T7. Run it with -rapid.checks=N for longer.
func TestLedgerModel(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() == checks.DefValue {
		if err := flag.Set(checks.Name, "30"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(checks.Name, checks.DefValue) })
	}
	storetest.Model(t, storetest.Features{}, opener(redistest.Start(t, redistest.Options{}), 0))
}

// opener opens stores in databases of their own, with a clock in hand, for one
// process and some others.
func opener(server *redistest.Server, others int) storetest.Open {
	var used atomic.Int32
	return func(p onboarding.Policy) (*storetest.Harness, error) {
		db := int(used.Add(1)) % 2000
		clock := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		if err := clear(server.URL(db)); err != nil { // there were more than there are databases
			return nil, err
		}
		all := &processes{server: server, db: db, policy: p, now: clock.Now}
		s, err := all.open()
		if err != nil {
			return nil, err
		}
		h := &storetest.Harness{Store: s, Now: clock.Now, Advance: clock.Advance, Reopen: all.crash, Close: all.close}
		for range others {
			other, err := all.open()
			if err != nil {
				return nil, err
			}
			h.Others = append(h.Others, other)
		}
		return h, nil
	}
}

func clear(url string) error {
	options, err := goredis.ParseURL(url)
	if err != nil {
		return err
	}
	client := goredis.NewClient(options)
	defer client.Close()
	return client.FlushDB(context.Background()).Err()
}

// clock is a store's clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// processes are those that have one database open.
type processes struct {
	server  *redistest.Server
	db      int
	policy  onboarding.Policy
	now     func() time.Time
	stores  []*redis.Store
	clients []*redisdb.Client
}

func (p *processes) open() (*redis.Store, error) {
	client, err := redisdb.Open(redisdb.Settings{URL: p.server.URL(p.db), Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	p.clients = append(p.clients, client)
	s, err := redis.Open(context.Background(), redis.Options{Client: client, Policy: p.policy, Now: p.now})
	if err == nil {
		p.stores = append(p.stores, s)
	}
	return s, err
}

// crash kills the server, and with it every process's connections.
func (p *processes) crash() (storetest.Store, error) {
	p.server.Kill()
	p.server.Restart()
	if err := p.end(); err != nil {
		return nil, err
	}
	return p.open()
}

func (p *processes) end() error {
	var errs []error
	for _, s := range p.stores {
		errs = append(errs, s.Close())
	}
	for _, c := range p.clients {
		errs = append(errs, c.Close())
	}
	p.stores, p.clients = nil, nil
	return errors.Join(errs...)
}

// close looks whether what the test left behind fits together.
func (p *processes) close() error {
	err := p.end()
	if faults := inspect(p.server.URL(p.db)); len(faults) > 0 {
		err = errors.Join(err, fmt.Errorf("the structures do not fit the rows: %v", faults))
	}
	return err
}
