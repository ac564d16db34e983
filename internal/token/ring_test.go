package token_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/token"
)

// states lists the keys of a ring, with their times since the first.
func states(keys []token.Key) string {
	var list []string
	at := func(name string, t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return fmt.Sprintf(" %s %v", name, t.Sub(issued))
	}
	for _, k := range keys {
		list = append(list, string(k.State)+at("from", k.Signs)+at("to", k.Retired))
	}
	return strings.Join(list, ", ")
}

// kidOf is the key that a token was signed with.
func kidOf(t testing.TB, made string) string {
	t.Helper()
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(made, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Kid string }
	if err := json.Unmarshal(header, &h); err != nil {
		t.Fatal(err)
	}
	return h.Kid
}

func keysOf(t testing.TB, r *token.Ring) []token.Key {
	t.Helper()
	keys, err := r.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func reload(t testing.TB, a *token.Access) {
	t.Helper()
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// B3.3: from the first start there is a key that signs, and a next one that is
// published already.
func TestFirstRing(t *testing.T) {
	docs, clock := new(documents), newClock()
	ring := token.NewRing(docs, 0, clock.Now)
	if _, err := ring.Keys(t.Context()); !errors.Is(err, token.ErrNoRing) {
		t.Errorf("before the first start: %v, want ErrNoRing", err)
	}
	if _, err := ring.Rotate(t.Context(), true); !errors.Is(err, token.ErrNoRing) {
		t.Errorf("before the first start: %v, want ErrNoRing", err)
	}
	a := newAccess(t, docs, clock.Now)
	keys := keysOf(t, ring)
	if got := states(keys); got != "current from 0s, next" {
		t.Errorf("keys %s", got)
	}
	if got := kidOf(t, issue(t, a)); got != keys[0].ID {
		t.Errorf("signed with %s, want %s", got, keys[0].ID)
	}
	body, maxAge := a.JWKS()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) != 2 || maxAge != 10*time.Minute {
		t.Fatalf("JWKS %s for %v: %v", body, maxAge, err)
	}
	for i, k := range set.Keys {
		// RFC 7638 section 3.3
		sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + k["x"] + `","y":"` + k["y"] + `"}`))
		if id := base64.RawURLEncoding.EncodeToString(sum[:]); k["kid"] != id || id != keys[i].ID {
			t.Errorf("key %d has the kid %s, want its thumbprint %s", i, k["kid"], id)
		}
		if len(k) != 7 || k["kty"] != "EC" || k["crv"] != "P-256" || k["alg"] != "ES256" || k["use"] != "sig" {
			t.Errorf("key %d: %v", i, k)
		}
	}
}

// Processes that start together agree on one ring.
func TestFirstRingOfMany(t *testing.T) {
	docs := new(documents)
	var group sync.WaitGroup
	all := make([]*token.Access, 8)
	for i := range all {
		group.Go(func() {
			var err error
			if all[i], err = token.NewAccess(t.Context(), docs, token.AccessConfig{Issuer: issuer, Audience: audience}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	made := issue(t, all[0])
	for _, a := range all {
		if _, err := a.Verify(made); err != nil {
			t.Error(err)
		}
	}
	if docs.written() != 1 {
		t.Errorf("the ring was written %d times", docs.written())
	}
}

// B3.4: publish, wait, sign, and retire after the life of what was signed.
func TestRotate(t *testing.T) {
	docs, clock := new(documents), newClock()
	a, ring := newAccess(t, docs, clock.Now), token.NewRing(docs, 0, clock.Now)
	first := keysOf(t, ring)
	clock.advance(59 * time.Minute)
	_, err := ring.Rotate(t.Context(), false)
	if !errors.Is(err, token.ErrTooYoung) || !strings.Contains(err.Error(), "59m0s ago, want 1h0m0s") {
		t.Errorf("rotate too early: %v", err)
	}
	clock.advance(time.Minute)
	old := issue(t, a)
	keys, err := ring.Rotate(t.Context(), false)
	if err != nil || states(keys) != "retired from 0s to 1h0m0s, current from 1h0m0s, next" || keys[1].ID != first[1].ID {
		t.Fatalf("rotate: %s, %v", states(keys), err)
	}
	if got := kidOf(t, issue(t, a)); got != first[0].ID {
		t.Errorf("a process that has not read the ring signs with %s, want the old key", got)
	}
	reload(t, a)
	made := issue(t, a)
	if got := kidOf(t, made); got != first[1].ID {
		t.Errorf("then it signs with %s, want the next key", got)
	}
	if _, err := a.Verify(old); err != nil {
		t.Errorf("what the old key has signed: %v", err)
	}
	if gone := keys[0].Gone.Sub(keys[0].Retired); gone != 70*time.Minute+token.Leeway {
		t.Errorf("the old key leaves %v later, want 1h10m30s", gone)
	}
	for _, step := range []struct {
		after time.Duration
		keys  int
	}{{70*time.Minute + token.Leeway - time.Second, 3}, {time.Second, 2}} {
		clock.advance(step.after)
		body, _ := a.JWKS()
		if n := bytes.Count(body, []byte(`"kid"`)); n != step.keys || len(keysOf(t, ring)) != step.keys {
			t.Errorf("%d keys are published, %d listed, want %d", n, len(keysOf(t, ring)), step.keys)
		}
	}
	if reload(t, a); strings.Contains(docs.text(t), first[0].ID) {
		t.Error("the old key is still in the store")
	}
}

// Force does not wait for everybody's caches, but for every process.
func TestRotateByForce(t *testing.T) {
	docs, clock := new(documents), newClock()
	a, ring := newAccess(t, docs, clock.Now), token.NewRing(docs, 0, clock.Now)
	keys, err := ring.Rotate(t.Context(), true)
	if err != nil || states(keys) != "current from 0s to 2m0s, next from 2m0s, next" {
		t.Fatalf("rotate by force: %s, %v", states(keys), err)
	}
	reload(t, a)
	if got := kidOf(t, issue(t, a)); got != keys[0].ID {
		t.Errorf("signed with %s before everybody can know it", got)
	}
	clock.advance(time.Minute)
	if keys, err = ring.Rotate(t.Context(), true); err != nil || states(keys) != "current from 0s to 2m0s, next from 2m0s to 2m0s, next from 2m0s, next" {
		t.Fatalf("and once more: %s, %v", states(keys), err)
	}
	if keys, err = ring.Rotate(t.Context(), true); err != nil || states(keys) != "current from 0s to 2m0s, next from 2m0s to 2m0s, next from 2m0s to 3m0s, next from 3m0s, next" {
		t.Fatalf("and another time: %s, %v", states(keys), err)
	}
	reload(t, a)
	for at, i := range map[time.Duration]int{time.Minute: 0, 2*time.Minute - 1: 0, 2 * time.Minute: 2, 3 * time.Minute: 3} {
		clock.now = issued.Add(at)
		if got := kidOf(t, issue(t, a)); got != keys[i].ID {
			t.Errorf("after %v signed with %s, want %s", at, got, keys[i].ID)
		}
	}
	for range 32 - 5 {
		if _, err := ring.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ring.Rotate(t.Context(), true); !errors.Is(err, token.ErrTooMany) {
		t.Errorf("a full ring: %v, want ErrTooMany", err)
	}
	clock.advance(3 * time.Hour)
	if _, err := ring.Rotate(t.Context(), true); err != nil {
		t.Errorf("a ring whose keys have expired: %v", err)
	}
}

func TestRetire(t *testing.T) {
	for _, tt := range []struct {
		name   string
		force  bool // a second rotation, by force
		retire int  // which of "retired, current, [coming,] next"
		want   string
	}{
		{"the retired one", false, 0, "current from 1h0m0s, next"},
		{"the current one", false, 1, "retired from 0s to 1h1m0s, current from 1h1m0s, next"},
		{"the next one", false, 2, "retired from 0s to 1h0m0s, current from 1h0m0s, next"},
		{"the current one, while another comes", true, 1, "retired from 0s to 1h1m0s, current from 1h1m0s, next"},
		{"the one that comes", true, 2, "retired from 0s to 1h0m0s, current from 1h0m0s, next"},
		{"the next one, while another comes", true, 3, "retired from 0s to 1h0m0s, current from 1h0m0s to 1h2m0s, next from 1h2m0s, next"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs, clock := new(documents), newClock()
			a, ring := newAccess(t, docs, clock.Now), token.NewRing(docs, 0, clock.Now)
			clock.advance(time.Hour)
			rotations := []bool{false}
			if tt.force {
				rotations = append(rotations, true)
			}
			for _, force := range rotations {
				if _, err := ring.Rotate(t.Context(), force); err != nil {
					t.Fatal(err)
				}
			}
			before := keysOf(t, ring)
			reload(t, a)
			clock.advance(time.Minute)
			made := issue(t, a)
			out := before[tt.retire].ID
			keys, err := ring.Retire(t.Context(), out)
			if err != nil || states(keys) != tt.want {
				t.Fatalf("keys %s, %v; want %s", states(keys), err, tt.want)
			}
			for _, k := range keys {
				if k.ID == out {
					t.Error("the key is still there")
				}
			}
			reload(t, a)
			if _, err := a.Verify(made); errors.Is(err, token.ErrInvalid) != (kidOf(t, made) == out) {
				t.Errorf("a token of the key %v retired: %v", kidOf(t, made) == out, err)
			}
			if _, err := a.Verify(issue(t, a)); err != nil {
				t.Error(err)
			}
			if _, err := ring.Retire(t.Context(), out); !errors.Is(err, token.ErrNoKey) {
				t.Errorf("once more: %v, want ErrNoKey", err)
			}
		})
	}
}

// What cannot be read is named, and never replaced.
func TestDamagedRing(t *testing.T) {
	docs, clock := new(documents), newClock()
	newAccess(t, docs, clock.Now)
	good := docs.text(t)
	type ringText struct {
		Form int              `json:"form"`
		Keys []map[string]any `json:"keys"`
	}
	var ring ringText
	change := func(edit func()) string {
		ring = ringText{}
		if err := json.Unmarshal([]byte(good), &ring); err != nil {
			t.Fatal(err)
		}
		edit()
		text, err := json.Marshal(ring)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	// P-384, in PKCS #8
	const p384 = "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDsyxiZEMv+4LDlgSQFhPEqMEHdb0h+1n6ktcm4HHpVyD4KrWi/7eEMeD7wJ8JbbeihZANiAASgHgvxJqTlRkTBqyWiqUCsmZxBYNHIBPK1sPxQDHpvg5BVOjlzlXBHpXbnSfX8WT1lh0wlM+SFp7p2m9TvAWJoZGPyUeVDIVtWtGsEBLNvPWZgsNpMVHbWRg6NBoUZ6yo="
	for name, tt := range map[string]struct{ text, reason string }{
		"empty":           {"", "damaged: not a JSON object"},
		"cut":             {good[:len(good)/2], "damaged: not a JSON object"},
		"null":            {"null", "damaged: not of form 1"},
		"a list":          {"[]", "damaged: not a JSON object"},
		"no form":         {strings.Replace(good, `"form":1,`, ``, 1), "damaged: not of form 1"},
		"a newer form":    {strings.Replace(good, `"form":1`, `"form":2`, 1), "written by a newer Bellhop: form 2, this one knows 1"},
		"an unknown part": {strings.Replace(good, `"form":1`, `"form":1,"more":1`, 1), "damaged: not of form 1"},
		"no keys":         {`{"form":1,"keys":[]}`, "want keys in the order"},
		"one key":         {change(func() { ring.Keys = ring.Keys[1:] }), "want keys in the order"},
		"no next key":     {change(func() { ring.Keys[1]["signs"] = issued }), "want keys in the order"},
		"two next keys":   {change(func() { delete(ring.Keys[0], "signs") }), "want keys in the order"},
		"a key twice":     {change(func() { ring.Keys = append(ring.Keys[:1], ring.Keys[0], ring.Keys[1]) }), "want keys in the order"},
		"another's kid":   {change(func() { ring.Keys[0]["kid"] = ring.Keys[1]["kid"] }), "key 1: its id is another key's"},
		"no private part": {change(func() { ring.Keys[1]["private"] = "" }), "key 2: want a private key on P-256"},
		"another curve":   {change(func() { ring.Keys[1]["private"] = p384 }), "key 2: want a private key on P-256"},
	} {
		t.Run(name, func(t *testing.T) {
			docs := new(documents)
			running := newAccess(t, docs, clock.Now)
			docs.put(tt.text)
			ring := token.NewRing(docs, 0, clock.Now)
			for what, do := range map[string]func() error{
				"NewAccess": func() error {
					_, err := token.NewAccess(t.Context(), docs, token.AccessConfig{Issuer: issuer, Audience: audience}, clock.Now)
					return err
				},
				"Reload": func() error { return running.Reload(t.Context()) },
				"Keys":   func() error { _, err := ring.Keys(t.Context()); return err },
				"Rotate": func() error { _, err := ring.Rotate(t.Context(), true); return err },
				"Retire": func() error { _, err := ring.Retire(t.Context(), "x"); return err },
			} {
				err := do()
				if !errors.Is(err, token.ErrRing) || !strings.Contains(err.Error(), tt.reason) {
					t.Errorf("%s: %v, want ErrRing: %s", what, err, tt.reason)
				}
			}
			if docs.text(t) != tt.text {
				t.Error("it was replaced")
			}
			if _, err := running.Verify(issue(t, running)); err != nil {
				t.Errorf("a running process goes on with what it knows: %v", err)
			}
		})
	}
}

// A store that lost its documents gets the ring back from a running process.
func TestLostRingIsPutBack(t *testing.T) {
	docs, clock := new(documents), newClock()
	a := newAccess(t, docs, clock.Now)
	made := issue(t, a)
	*docs = documents{}
	reload(t, a)
	if _, err := newAccess(t, docs, clock.Now).Verify(made); err != nil {
		t.Errorf("a process that started later: %v", err)
	}
}

// Two who change the ring at the same time both have their way.
func TestRingChangesAtTheSameTime(t *testing.T) {
	docs, clock := new(documents), newClock()
	newAccess(t, docs, clock.Now)
	ring := token.NewRing(docs, 0, clock.Now)
	docs.before = func() {
		if _, err := ring.Rotate(t.Context(), true); err != nil {
			t.Error(err)
		}
	}
	keys, err := ring.Rotate(t.Context(), true)
	if err != nil || len(keys) != 4 {
		t.Errorf("%d keys after two rotations, want 4: %v", len(keys), err)
	}
}

// Several processes rotate once when the time has come, without any restart.
func TestRunRotates(t *testing.T) {
	const every = 6 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		docs := new(documents)
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var logs [3]bytes.Buffer
		all := make([]*token.Access, 3)
		for i := range all {
			var err error
			all[i], err = token.NewAccess(t.Context(), docs, token.AccessConfig{Issuer: issuer, Audience: audience, RotateEvery: every}, nil)
			if err != nil {
				t.Fatal(err)
			}
			group.Go(func() {
				if err := all[i].Run(ctx, slog.New(slog.NewTextHandler(&logs[i], nil))); err != nil {
					t.Error(err)
				}
			})
			<-time.After(7 * time.Second) // so that their readings are not in step
		}
		first := kidOf(t, issue(t, all[0]))
		<-time.After(every - time.Minute)
		if got := kidOf(t, issue(t, all[0])); got != first || docs.written() != 1 {
			t.Errorf("rotated a minute early")
		}
		<-time.After(2 * time.Minute)
		second := kidOf(t, issue(t, all[0]))
		for i, a := range all {
			if got := kidOf(t, issue(t, a)); got != second || got == first {
				t.Errorf("process %d signs with %s; the first key was %s, the second is %s", i, got, first, second)
			}
		}
		if docs.written() != 2 {
			t.Errorf("the ring was written %d times, want 2", docs.written())
		}
		<-time.After(71 * time.Minute)
		if strings.Contains(docs.text(t), first) {
			t.Error("the first key is still there, 71 minutes later")
		}
		stop()
		group.Wait()
		for i := range logs {
			if n := strings.Count(logs[i].String(), "another key"); n != 1 {
				t.Errorf("process %d tells of %d rotations", i, n)
			}
		}
	})
}

// An outage is told once, and over soon after it ends.
func TestRunGetsOverOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		docs := new(documents)
		a := newAccess(t, docs, nil)
		ctx, stop := context.WithCancel(t.Context())
		var log bytes.Buffer
		var group sync.WaitGroup
		group.Go(func() { _ = a.Run(ctx, slog.New(slog.NewTextHandler(&log, nil))) })
		docs.fail(errors.New("store is down"))
		<-time.After(time.Hour)
		docs.fail(nil)
		<-time.After(2 * time.Second)
		stop()
		group.Wait()
		if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "store is down") || !strings.Contains(got, "can be read again") {
			t.Errorf("logged:\n%s", got)
		}
	})
}
