package token_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"bellhop/internal/token"
)

func newStamps(t testing.TB, keys *keyring, now func() time.Time) *token.Stamps {
	t.Helper()
	s, err := token.NewStamps(context.Background(), keys, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStampsTellTheirAge(t *testing.T) {
	keys, clock := new(keyring), newClock()
	s, other := newStamps(t, keys, clock.Now), newStamps(t, keys, clock.Now)
	stamp := s.Make()
	length := len(stamp)
	for _, age := range []time.Duration{-token.Leeway, -time.Second, 0, 1999 * time.Millisecond, 2 * time.Second, 12 * time.Hour, 90 * 24 * time.Hour} {
		clock.now = issued.Add(age)
		if got, err := other.Age(stamp); err != nil || got != age {
			t.Errorf("Age = %v, %v; want %v", got, err, age)
		}
		if len(s.Make()) != length { // B1.1: pages are equally long
			t.Errorf("stamps of different lengths")
		}
	}
}

func TestStampsRefuse(t *testing.T) {
	clock := newClock()
	s := newStamps(t, new(keyring), clock.Now)
	good := s.Make()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int) string {
		edited := append([]byte(nil), raw...)
		edited[at]++
		return base64.RawURLEncoding.EncodeToString(edited)
	}
	clock.advance(token.Leeway + time.Millisecond)
	future := s.Make()
	clock.now = issued
	for name, stamp := range map[string]string{
		"empty":              "",
		"of the future":      future,
		"another time":       changed(7),
		"another MAC":        changed(23),
		"of another key":     newStamps(t, new(keyring), clock.Now).Make(),
		"shorter":            good[:len(good)-1],
		"longer":             good + "A",
		"padding":            good + "=",
		"newline at the end": good[:len(good)-1] + "\n",
		"1 MB":               strings.Repeat("A", 1<<20),
		"a time in digits":   "1800000000000",
	} {
		if age, err := s.Age(stamp); !errors.Is(err, token.ErrInvalid) || age != 0 {
			t.Errorf("%s: Age = %v, %v; want ErrInvalid", name, age, err)
		}
	}
	if _, err := token.NewStamps(t.Context(), &keyring{err: errors.New("store is down")}, nil); err == nil {
		t.Error("stamps without a key")
	}
}

func FuzzStamps(f *testing.F) {
	s := newStamps(f, new(keyring), newClock().Now)
	good := s.Make()
	f.Add(good)
	f.Add("")
	f.Add(strings.Repeat("A", len(good)))
	f.Fuzz(func(t *testing.T, stamp string) {
		if _, err := s.Age(stamp); (err == nil) != (stamp == good) {
			t.Errorf("Age(%q) = %v", stamp, err)
		}
	})
}
