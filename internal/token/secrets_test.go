package token_test

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"

	"bellhop/internal/token"
)

func newSecrets(t testing.TB, keys *keyring) *token.Secrets {
	t.Helper()
	s, err := token.NewSecrets(context.Background(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecretsRoundTrip(t *testing.T) {
	keys := new(keyring)
	s := newSecrets(t, keys)
	seen := map[string]bool{}
	hashes := map[[32]byte]bool{}
	for _, kind := range []string{"browser", "api"} {
		for _, number := range []int{0, 1, 127, 128, 300, math.MaxInt32} {
			made, hash := s.Make(kind, session, number)
			if again, same := newSecrets(t, keys).Make(kind, session, number); again != made || same != hash {
				t.Error("another process makes another secret: a lost answer could not be given again")
			}
			id, n, opened, err := s.Open(kind, made)
			if err != nil || id != session || n != number || opened != hash {
				t.Errorf("Open(%s, %d) = %s, %d, %v", kind, number, id, n, err)
			}
			if strings.ContainsFunc(made, func(r rune) bool { return r > '~' || strings.ContainsRune(`;,="\ ~`, r) }) {
				t.Errorf("%q does not go into a cookie or a header", made)
			}
			seen[made], hashes[hash] = true, true
		}
	}
	if len(seen) != 12 || len(hashes) != 12 {
		t.Errorf("%d secrets and %d hashes, want 12 of each", len(seen), len(hashes))
	}
	if raw, err := base64.RawURLEncoding.DecodeString(first(s.Make("api", session, 5))); err != nil || len(raw) != 16+1+32 {
		t.Errorf("a secret has %d bytes, want 49, of which 32 nobody can guess: %v", len(raw), err)
	}
}

func first(secret string, _ [32]byte) string { return secret }

func TestSecretsRefuse(t *testing.T) {
	s := newSecrets(t, new(keyring))
	good := first(s.Make("api", session, 1))
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(edit func([]byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(edit(append([]byte(nil), raw...)))
	}
	insert := func(at int, more ...byte) func([]byte) []byte {
		return func(b []byte) []byte { return append(append(append([]byte(nil), b[:at]...), more...), b[at:]...) }
	}
	for name, secret := range map[string]string{
		"empty":                    "",
		"of another kind":          first(s.Make("browser", session, 1)),
		"of another key":           first(newSecrets(t, new(keyring)).Make("api", session, 1)),
		"another session":          changed(func(b []byte) []byte { b[15]++; return b }),
		"another number":           changed(func(b []byte) []byte { b[16]++; return b }),
		"another MAC":              changed(func(b []byte) []byte { b[48]++; return b }),
		"a longer MAC":             changed(insert(49, 0)),
		"a shorter MAC":            changed(func(b []byte) []byte { return b[:48] }),
		"no MAC":                   changed(func(b []byte) []byte { return b[:17] }),
		"no number":                changed(func(b []byte) []byte { return append(b[:16], b[17:]...) }),
		"number written at length": changed(func(b []byte) []byte { b[16] |= 0x80; return insert(17, 0)(b) }),
		"number without an end":    changed(func(b []byte) []byte { b[16] = 0xff; return b }),
		"two numbers":              changed(insert(17, 1)),
		"number too large":         changed(func(b []byte) []byte { b[16] = 0x0f; return insert(16, 0xff, 0xff, 0xff, 0xff)(b) }),
		"padding":                  good + "==",
		"trailing bits":            good[:len(good)-1] + string(good[len(good)-1]+1),
		"trailing newline":         good + "\n",
		"newline within":           good[:20] + "\r\n" + good[20:],
		"standard alphabet":        "+/" + good[2:],
		"1 MB":                     strings.Repeat("A", 1<<20),
		"an access token":          issue(t, newAccess(t, new(documents), nil)),
		"a pending session":        newPending(t, new(keyring), issued).Issue(person, issued),
	} {
		id, number, hash, err := s.Open("api", secret)
		if !errors.Is(err, token.ErrInvalid) || id != "" || number != 0 || hash != [32]byte{} {
			t.Errorf("%s: Open = %q, %d, %x, %v; want ErrInvalid alone", name, id, number, hash, err)
		}
	}
}

func TestSecretsWantIDs(t *testing.T) {
	s := newSecrets(t, new(keyring))
	for name, do := range map[string]func(){
		"no UUID":            func() { s.Make("api", "session", 0) },
		"a negative number":  func() { s.Make("api", session, -1) },
		"a number too large": func() { s.Make("api", session, math.MaxInt32+1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", name)
				}
			}()
			do()
		}()
	}
	if _, err := token.NewSecrets(t.Context(), &keyring{err: errors.New("store is down")}); err == nil {
		t.Error("secrets without a key")
	}
}

func FuzzSecrets(f *testing.F) {
	s := newSecrets(f, new(keyring))
	good := first(s.Make("api", session, 77))
	f.Add(good)
	f.Add("")
	f.Add(good[:40])
	f.Fuzz(func(t *testing.T, secret string) {
		if _, _, _, err := s.Open("api", secret); (err == nil) != (secret == good) || err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Errorf("Open(%q) = %v", secret, err)
		}
	})
}
