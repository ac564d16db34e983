package bench

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	redisstore "bellhop/internal/store/redis"

	"github.com/google/uuid"
)

func open(t *testing.T, url string) *redisUnderTest {
	t.Helper()
	r, err := openRedis(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.close() })
	return r
}

// TestBareWritesAreTheStores compares the floor's writes with what the store
// leaves behind for a sign-up: the same keys, with the same fields in them.
func TestBareWritesAreTheStores(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	bare, real := open(t, server.URL(0)), open(t, server.URL(1))
	p := newPipelines(bare.node)
	if err := p.write(form{First: "Ada", Last: "Lovelace", Email: "ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	p.close()
	store, err := redisstore.Open(t.Context(), redisstore.Options{Client: real.client, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	before := contents(t, real)
	to, err := address.Parse("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.NewString()
	if _, err := store.Accept(t.Context(), signup.Acceptance{
		Person:      signup.Person{ID: id, First: "Ada", Last: "Lovelace", Address: to, Consent: signup.Consent{Origin: [16]byte{1}}},
		Fingerprint: to.Fingerprint([]byte("secret")),
		Mails:       []onboarding.Owed{{ID: onboarding.NewMailID(id, onboarding.SignUp, 1), Expiry: 72 * time.Hour}},
	}); err != nil {
		t.Fatal(err)
	}
	want := contents(t, real)
	maps.DeleteFunc(want, func(key, _ string) bool { _, there := before[key]; return there })
	if got := contents(t, bare); len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("the bare writes leave\n%v\nand the store's\n%v", got, want)
	}
}

// anID is a UUID or a fingerprint.
var anID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}`)

// contents are the fields of each key, without the values that differ from one
// sign-up to the next.
func contents(t *testing.T, r *redisUnderTest) map[string]string {
	t.Helper()
	ctx, all := t.Context(), map[string]string{}
	for _, key := range r.node.Keys(ctx, "*").Val() {
		kind := r.node.Type(ctx, key).Val()
		var parts []string
		switch kind {
		case "hash":
			parts = slices.Sorted(maps.Keys(r.node.HGetAll(ctx, key).Val()))
		case "zset":
			parts = r.node.ZRange(ctx, key, 0, -1).Val()
		case "stream":
			for _, entry := range r.node.XRange(ctx, key, "-", "+").Val() {
				parts = append(parts, slices.Sorted(maps.Keys(entry.Values))...)
			}
		}
		all[anID.ReplaceAllString(key, "ID")] = kind + " " + anID.ReplaceAllString(strings.Join(parts, " "), "ID")
	}
	return all
}

// TestRedisInUse leaves a database alone that holds anything.
func TestRedisInUse(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	if _, err := server.Do("SET", "{bellhop}:mine", "1"); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: t.TempDir(), Rounds: 1, For: time.Second, Workers: 1, Redis: &Redis{URL: server.URL(0)}, Progress: t.Output(), Out: t.Output()}
	for name, measure := range map[string]func(context.Context, Options) error{"SignUp": SignUp, "Mail": Mail} {
		if err := measure(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds 1 keys") {
			t.Errorf("%s: err = %v, want it to refuse a database with a key", name, err)
		}
	}
	if got, err := server.Do("GET", "{bellhop}:mine"); err != nil || got != "1" {
		t.Errorf("the key is %q afterwards, %v; want it untouched", got, err)
	}
}

// TestRedisIsCleanedUp also when a measurement failed or was interrupted, and
// leaves keys alone that came meanwhile.
func TestRedisIsCleanedUp(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	ctx, interrupt := context.WithCancel(t.Context())
	err := withTheirs(ctx, server.URL(0), func(r *redisUnderTest) error {
		p := newPipelines(r.node)
		defer p.close()
		for range 1500 {
			if err := p.write(form{First: "Ada", Email: "ada@example.com"}); err != nil {
				return err
			}
		}
		if err := r.node.Set(ctx, "other", 1, 0).Err(); err != nil {
			return err
		}
		if err := r.node.Set(ctx, "{"+onboarding.Urgent.Queue()+"}:messages", 1, 0).Err(); err != nil {
			return err
		}
		interrupt()
		return ctx.Err()
	})
	if err == nil || err.Error() != context.Canceled.Error() {
		t.Fatalf("err = %v, want that of the interrupt alone", err)
	}
	r := open(t, server.URL(0))
	if left := r.node.Keys(t.Context(), "*").Val(); !slices.Equal(left, []string{"other"}) {
		t.Errorf("%v are left, want what others made and nothing else", left)
	}
}

// TestHandlersWrite measures both handlers, as processes of their own.
func TestHandlersWrite(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	r := open(t, server.URL(0))
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Program: program, For: time.Second, Workers: 4, Progress: t.Output()}
	for kind, keys := range map[string]string{"pipelines": "{bellhop}:mail:*", "connections": "{bellhop}:user:*"} {
		s := newSheet()
		if err := measureHandler(t.Context(), o, r, kind, kind, s); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		written := len(r.node.Keys(t.Context(), keys).Val())
		if rate := s.last(kind); rate <= 0 || float64(written) < rate*o.For.Seconds()/2 {
			t.Errorf("%s: %v requests a second for %v, and %d were written", kind, rate, o.For, written)
		}
	}
}

// TestOwnRedis starts one with the persistence that is asked for.
func TestOwnRedis(t *testing.T) {
	dir := t.TempDir()
	server, err := startRedis(t.Context(), filepath.Join(dir, "redis"), "always")
	if err != nil {
		t.Fatal(err)
	}
	defer server.stop()
	client, err := redisdb.Open(redisdb.Settings{URL: server.url()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	facts, err := client.Tag(storeTag).Facts(t.Context())
	if err != nil || !facts.AOF || facts.Sync != "always" {
		t.Errorf("facts = %+v, %v; want an append-only file with appendfsync always", facts, err)
	}
	t.Setenv("PATH", dir)
	if _, err := startRedis(t.Context(), filepath.Join(dir, "none"), "always"); err == nil || !strings.Contains(err.Error(), "no redis-server in PATH") {
		t.Errorf("err = %v, want it to say that there is no redis-server", err)
	}
}
