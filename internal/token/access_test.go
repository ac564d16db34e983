package token_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/token"
)

const (
	audience = "https://api.example"
	session  = "01900000-0000-7000-8000-00000000abcd"
)

// documents is a store of documents that can be down.
type documents struct {
	mu       sync.Mutex
	values   map[string][]byte
	versions map[string]int64
	err      error
	// before is called once, by the next change, before it is made.
	before func()
}

func (d *documents) Document(ctx context.Context, name string) ([]byte, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.values[name]), d.versions[name], cmp.Or(d.err, ctx.Err())
}

func (d *documents) SetDocument(_ context.Context, name string, value []byte, version int64) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before := d.before; before != nil {
		d.before = nil
		d.mu.Unlock()
		before()
		d.mu.Lock()
	}
	if d.err != nil || d.versions[name] != version {
		return false, d.err
	}
	if d.values == nil {
		d.values, d.versions = map[string][]byte{}, map[string]int64{}
	}
	d.values[name], d.versions[name] = slices.Clone(value), version+1
	return true, nil
}

func (d *documents) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// text returns the one document there is.
func (d *documents) text(t testing.TB) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	names := slices.Collect(maps.Keys(d.values))
	if len(names) != 1 || names[0] != "signing-keys" {
		t.Fatalf("documents %q, want signing-keys alone", names)
	}
	return string(d.values[names[0]])
}

// written is how often the ring was written.
func (d *documents) written() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.versions["signing-keys"]
}

// put replaces the ring behind everybody's back.
func (d *documents) put(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values, d.versions = map[string][]byte{"signing-keys": []byte(text)}, map[string]int64{"signing-keys": 99}
}

// fakeClock is a clock that is set by hand.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *fakeClock { return &fakeClock{now: issued} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newAccess(t testing.TB, docs *documents, now func() time.Time) *token.Access {
	t.Helper()
	a, err := token.NewAccess(t.Context(), docs, token.AccessConfig{Issuer: issuer, Audience: audience}, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t testing.TB, a *token.Access) string {
	t.Helper()
	made, _ := issueFor(t, a)
	return made
}

// issueFor also tells how long the token is good for.
func issueFor(t testing.TB, a *token.Access) (made string, life time.Duration) {
	t.Helper()
	prepared, err := a.Prepare(t.Context())
	if err == nil {
		made, life, err = prepared(person, session)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made, life
}

func TestAccessRoundTrip(t *testing.T) {
	docs, clock := new(documents), newClock()
	a := newAccess(t, docs, clock.Now)
	made, life := issueFor(t, a)
	if life != 15*time.Minute {
		t.Fatalf("a token is good for %v, want 15 minutes", life)
	}
	want := token.Claims{Account: person, Session: session}
	for name, process := range map[string]*token.Access{
		"its own": a, "another process": newAccess(t, docs, clock.Now), "after a restart": newAccess(t, docs, clock.Now),
	} {
		if got, err := process.Verify(made); err != nil || got != want {
			t.Errorf("%s: Verify = %v, %v", name, got, err)
		}
	}
	if _, err := newAccess(t, new(documents), clock.Now).Verify(made); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("another store's ring: %v, want ErrInvalid", err)
	}
	if issue(t, a) == made {
		t.Error("two tokens are the same: jti must differ")
	}
}

// B3.7: a token tells ids and times and nothing else. RFC 9068 section 2.
func TestAccessHoldsNothingElse(t *testing.T) {
	parts := strings.Split(issue(t, newAccess(t, new(documents), newClock().Now)), ".")
	header, claims := decode(t, parts[0]), decode(t, parts[1])
	if len(header) != 3 || header["alg"] != "ES256" || header["typ"] != "at+jwt" || header["kid"] == "" {
		t.Errorf("header %v", header)
	}
	if id, _ := claims["jti"].(string); uuid.Validate(id) != nil {
		t.Errorf("jti %q", id)
	}
	delete(claims, "jti")
	want := map[string]any{"iss": issuer, "aud": audience, "sub": person, "client_id": "bellhop", "sid": session,
		"iat": 1.8e9, "exp": 1.8e9 + 900}
	if fmt.Sprint(claims) != fmt.Sprint(want) {
		t.Errorf("claims %v, want %v", claims, want)
	}
}

func TestAccessLifetime(t *testing.T) {
	clock := newClock()
	a := newAccess(t, new(documents), clock.Now)
	made := issue(t, a)
	for _, tt := range []struct {
		name string
		at   time.Duration
		ok   bool
	}{
		{"a clock a little behind", -token.Leeway, true},
		{"a clock far behind", -token.Leeway - time.Second, false},
		{"the last second", 15*time.Minute - time.Second, true},
		{"within the leeway", 15*time.Minute + token.Leeway - time.Second, true},
		{"past the leeway", 15*time.Minute + token.Leeway, false},
	} {
		clock.now = issued.Add(tt.at)
		if _, err := a.Verify(made); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A rolling restart with another life refuses no token of the old one (B3.4).
func TestAccessLifeIsSetPerProcess(t *testing.T) {
	docs, clock := new(documents), newClock()
	with := func(life time.Duration) (*token.Access, error) {
		return token.NewAccess(t.Context(), docs, token.AccessConfig{Issuer: issuer, Audience: audience, Life: life}, clock.Now)
	}
	long, err := with(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	short, err := with(5 * time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	made := issue(t, long)
	clock.advance(59 * time.Minute)
	if _, err := short.Verify(made); err != nil {
		t.Errorf("a token of a process with a longer life: %v", err)
	}
	for _, life := range []time.Duration{time.Hour + time.Second, -time.Second} {
		if _, err := with(life); err == nil {
			t.Errorf("a life of %v was taken", life)
		}
	}
}

func TestNewAccessErrors(t *testing.T) {
	down := errors.New("store is down")
	cfg := token.AccessConfig{Issuer: issuer, Audience: audience}
	if _, err := token.NewAccess(t.Context(), &documents{err: down}, cfg, nil); !errors.Is(err, down) {
		t.Errorf("store down: %v", err)
	}
	if _, err := token.NewAccess(t.Context(), new(documents), token.AccessConfig{Issuer: issuer}, nil); err == nil {
		t.Error("an empty audience was taken")
	}
}

// A process that cannot read the ring signs for ten minutes, and not for longer:
// others may have dropped its key by the time its tokens expire.
func TestPrepareNeedsAFreshRing(t *testing.T) {
	docs, clock := new(documents), newClock()
	a := newAccess(t, docs, clock.Now)
	down := errors.New("store is down")
	docs.fail(down)
	clock.advance(10*time.Minute - time.Second)
	made := issue(t, a)
	clock.advance(time.Second)
	if _, err := a.Prepare(t.Context()); !errors.Is(err, down) || !errors.Is(err, token.ErrUnavailable) {
		t.Errorf("Prepare after ten minutes = %v, want why the ring cannot be read", err)
	}
	if _, err := a.Verify(made); err != nil {
		t.Errorf("Verify needs no store, and yet: %v", err)
	}
	docs.fail(nil)
	issue(t, a) // reads the ring by itself
	docs.fail(down)
	clock.advance(10 * time.Minute)
	gone, leave := context.WithCancel(t.Context())
	leave()
	docs.fail(nil)
	if _, err := a.Prepare(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare for somebody who has left = %v", err)
	}
}

// Once it is prepared a token is made, whatever happens to the store, and the
// time that this takes is part of the token's: the key may leave the ring when
// the last token that was prepared under it is over.
func TestPreparedTokensAreMade(t *testing.T) {
	docs, clock := new(documents), newClock()
	a := newAccess(t, docs, clock.Now)
	prepared, err := a.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	docs.fail(errors.New("store is down"))
	clock.advance(11 * time.Minute)
	made, _, err := prepared(person, session)
	if err != nil {
		t.Fatal(err)
	}
	if claims := decode(t, strings.Split(made, ".")[1]); claims["iat"] != 1.8e9 || claims["exp"] != 1.8e9+900 {
		t.Errorf("claims %v, want the times of Prepare", claims)
	}
	again, _, err := prepared(person, session)
	if err != nil || again == made {
		t.Errorf("a second one: %v, want another jti", err)
	}
}

// The types that hold keys never show them.
func TestKeysAreHidden(t *testing.T) {
	keys, docs := new(keyring), new(documents)
	a := newAccess(t, docs, nil)
	p := newPending(t, keys, issued)
	secrets, err := token.NewSecrets(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	stamps, err := token.NewStamps(t.Context(), keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{a, p, secrets, stamps, *p, *secrets, *stamps} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("shown", "value", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%x", v), fmt.Sprintf("%s", v), string(text)} {
			if strings.Trim(shown, `"`) != "[keys]" {
				t.Errorf("%T shows %q", v, shown)
			}
		}
		if !strings.Contains(log.String(), "value=[keys]") {
			t.Errorf("%T is logged as %s", v, log.String())
		}
	}
}

func BenchmarkAccess(b *testing.B) {
	a := newAccess(b, new(documents), newClock().Now)
	made := issue(b, a)
	b.Run("Issue", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			issue(b, a)
		}
	})
	b.Run("Verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Verify(made); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("JWKS", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.JWKS()
		}
	})
}
