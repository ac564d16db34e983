package token_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"bellhop/internal/token"
	"bellhop/sessions"
)

// fleet is several processes over one store, and services that know them by
// their published keys.
type fleet struct {
	t         *testing.T
	random    *rand.Rand
	docs      *documents
	clock     *fakeClock
	ring      *token.Ring
	processes [3]*process
	busy      *sessions.Verifier // a service that sees every token
	idle      *sessions.Verifier // one that sees a few
	live      []*liveToken
	verified  int
}

// process is an Access that reads the ring when Run would.
type process struct {
	*token.Access
	line     *line
	nextRead time.Time
	lastRead time.Time // the last that succeeded
}

// line is the way to the store, which can be cut.
type line struct {
	*documents
	clock    *fakeClock
	cutUntil time.Time
}

var errCut = errors.New("the store cannot be reached")

func (l *line) Document(ctx context.Context, name string) ([]byte, int64, error) {
	if l.cut() {
		return nil, 0, errCut
	}
	return l.documents.Document(ctx, name)
}

func (l *line) cut() bool { return l.clock.Now().Before(l.cutUntil) }

type liveToken struct {
	token, made string
	expires     time.Time
}

func newFleet(t *testing.T, seed uint64) *fleet {
	f := &fleet{
		t: t, random: rand.New(rand.NewPCG(seed, 5)), docs: new(documents), clock: newClock(),
	}
	f.ring = token.NewRing(f.docs, 0, f.clock.Now)
	for i := range f.processes {
		f.start(i)
	}
	for _, service := range []**sessions.Verifier{&f.busy, &f.idle} {
		v, err := sessions.New(issuer, audience, &sessions.Options{
			Client: &http.Client{Transport: &issuerOf{access: f.reachable}}, Now: f.clock.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		*service = v
	}
	return f
}

// reachable is a process that a service asks for keys: any whose way to the
// store is open, because others are not ready.
func (f *fleet) reachable() *token.Access {
	for _, i := range f.random.Perm(len(f.processes)) {
		if p := f.processes[i]; !p.line.cut() {
			return p.Access
		}
	}
	f.start(0)
	return f.processes[0].Access
}

// start starts a process, or starts it again, with settings of its own.
func (f *fleet) start(i int) {
	f.t.Helper()
	p := &process{line: &line{documents: f.docs, clock: f.clock}}
	lives := []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour}
	cfg := token.AccessConfig{Issuer: issuer, Audience: audience, Life: lives[f.random.IntN(len(lives))], RotateEvery: 3 * time.Hour}
	var err error
	if p.Access, err = token.NewAccess(f.t.Context(), p.line, cfg, f.clock.Now); err != nil {
		f.t.Fatal(err)
	}
	p.lastRead, p.nextRead = f.clock.Now(), f.clock.Now().Add(30*time.Second)
	f.processes[i] = p
}

// advance lets time pass, and processes read when it is their turn.
func (f *fleet) advance(d time.Duration) {
	f.t.Helper()
	for end := f.clock.Now().Add(d); ; {
		next := f.processes[0]
		for _, p := range f.processes[1:] {
			if p.nextRead.Before(next.nextRead) {
				next = p
			}
		}
		if next.nextRead.After(end) {
			f.clock.advance(end.Sub(f.clock.Now()))
			return
		}
		f.clock.advance(next.nextRead.Sub(f.clock.Now()))
		wait := 30 * time.Second
		switch err := next.Reload(f.t.Context()); {
		case errors.Is(err, errCut):
			wait = time.Second
		case err != nil:
			f.t.Fatal(err)
		default:
			next.lastRead = f.clock.Now()
		}
		next.nextRead = f.clock.Now().Add(wait)
	}
}

// issue adds a token to those that must be valid. Eight are watched.
func (f *fleet) issue() {
	i := f.random.IntN(len(f.processes))
	p := f.processes[i]
	var made string
	var life time.Duration
	prepared, err := p.Prepare(f.t.Context())
	if err == nil {
		made, life, err = prepared(person, session)
	}
	switch {
	case errors.Is(err, errCut):
		return
	case err != nil:
		f.t.Fatal(err)
	}
	now := f.clock.Now()
	f.live = append(f.live, &liveToken{
		token: made, expires: now.Add(life),
		made: fmt.Sprintf("issued at %v by process %d (cut off: %v), for %v", now.Sub(issued), i, p.line.cut(), life),
	})
	if len(f.live) > 8 {
		f.live = f.live[1:]
	}
}

// check verifies every live token everywhere.
func (f *fleet) check() {
	f.t.Helper()
	now := f.clock.Now()
	for _, l := range f.live {
		if !now.Before(l.expires) {
			continue
		}
		for i, p := range f.processes {
			f.verified++
			_, err := p.Verify(l.token)
			if err == nil || errors.Is(err, token.ErrUnavailable) && now.Sub(p.lastRead) > time.Minute {
				continue
			}
			f.t.Fatalf("at %v process %d, which read the ring %v ago, refuses a token %s: %v",
				now.Sub(issued), i, now.Sub(p.lastRead), l.made, err)
		}
		f.ask("a busy service", f.busy, l)
		if f.random.IntN(8) == 0 {
			f.ask("an idle service", f.idle, l)
		}
	}
}

func (f *fleet) ask(name string, service *sessions.Verifier, l *liveToken) {
	f.t.Helper()
	f.verified++
	if _, err := service.Verify(f.t.Context(), l.token); err != nil {
		f.t.Fatalf("at %v %s refuses a token %s: %v", f.clock.Now().Sub(issued), name, l.made, err)
	}
}

// step does one thing that happens in the life of an installation.
func (f *fleet) step() {
	f.t.Helper()
	r := f.random
	switch r.IntN(12) {
	case 0, 1, 2:
		f.advance(time.Duration(r.Int64N(int64(40 * time.Second))))
	case 3:
		edges := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 10 * time.Minute, time.Hour}
		f.advance(edges[r.IntN(len(edges))] + time.Duration(r.IntN(3)-1)*time.Second)
	case 4:
		f.advance(time.Duration(r.Int64N(int64(20 * time.Minute))))
	case 5, 6, 7:
		f.issue()
	case 8:
		_, err := f.ring.Rotate(f.t.Context(), r.IntN(2) == 0)
		if err != nil && !errors.Is(err, token.ErrTooYoung) && !errors.Is(err, token.ErrTooMany) {
			f.t.Fatal(err)
		}
	case 9:
		f.start(r.IntN(len(f.processes)))
	case 10: // somebody makes a service look for a key that is not there
		_, _ = f.busy.Verify(f.t.Context(), junk())
	case 11:
		p := f.processes[r.IntN(len(f.processes))]
		p.line.cutUntil = f.clock.Now().Add(time.Duration(r.Int64N(int64(5 * time.Hour))))
	}
}

// junk is a token with a key that nobody has.
func junk() string {
	return raw(text(`{"alg":"ES256","kid":"nobody's","typ":"at+jwt"}`, accessTokenClaims), make([]byte, 64))
}

// B3.4: no rotation, by force or by the clock, no restart, no process that has
// lost the store for a while makes anybody refuse a token within its life, nor
// does a service that keeps the published keys. A process that has lost the
// store for more than a minute may say that it does not know.
func TestNoRotationRefusesAValidToken(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			f := newFleet(t, seed)
			for range 250 {
				f.step()
				f.check()
			}
			if f.verified < 1000 || f.docs.written() < 7 {
				t.Errorf("%d tokens verified, the ring written %d times: too little happened", f.verified, f.docs.written())
			}
		})
	}
}

// The narrowest case of a rotation by force: a service asks the last process
// that has not read the ring yet, and may not ask again for a minute.
func TestForceLeavesEverybodyTimeToLearn(t *testing.T) {
	docs, clock := new(documents), newClock()
	signs, late := newAccess(t, docs, clock.Now), newAccess(t, docs, clock.Now)
	v, err := sessions.New(issuer, audience, &sessions.Options{
		Client: &http.Client{Transport: &issuerOf{access: func() *token.Access { return late }}}, Now: clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ring := token.NewRing(docs, 0, clock.Now)
	for range 2 { // so that a key signs that is not older than the rotation
		if _, err := ring.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	reload(t, signs)
	clock.advance(30*time.Second - time.Millisecond)
	if _, err := v.Verify(t.Context(), junk()); !errors.Is(err, sessions.ErrInvalid) { // fetches
		t.Fatal(err)
	}
	clock.advance(time.Millisecond)
	reload(t, late)
	seen := make(map[string]bool)
	for range 120 {
		made := issue(t, signs)
		seen[kidOf(t, made)] = true
		if _, err := late.Verify(made); err != nil {
			t.Errorf("after %v the other process: %v", clock.Now().Sub(issued), err)
		}
		if _, err := v.Verify(t.Context(), made); err != nil {
			t.Errorf("after %v the service: %v", clock.Now().Sub(issued), err)
		}
		clock.advance(time.Second)
		reload(t, signs)
	}
	if len(seen) != 2 {
		t.Errorf("signed with %d keys, want the old and the newest", len(seen))
	}
}
