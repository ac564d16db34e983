package address_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"bellhop/internal/address"
)

// A3.1-A3.4: what is accepted, and in which forms it is kept.
func TestParseAccepts(t *testing.T) {
	long := strings.Repeat("l", 64) + "@" + strings.Repeat("d", 60) + "." + strings.Repeat("e", 60) + "." + strings.Repeat("f", 60) + ".org"
	for _, tc := range []struct{ in, sendable, key string }{
		{"ana@example.com", "ana@example.com", "ana@example.com"},
		{"  ana@example.com\n", "ana@example.com", "ana@example.com"},
		{"Ana.B+Tag@Example.COM", "Ana.B+Tag@example.com", "ana.b+tag@example.com"},
		{"o'hara!#$%&*/=?^_`{|}~-@sub.example.co.uk", "o'hara!#$%&*/=?^_`{|}~-@sub.example.co.uk", "o'hara!#$%&*/=?^_`{|}~-@sub.example.co.uk"},
		{"ana@bücher.example", "ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"},
		{"ana@BÜCHER.example", "ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"},
		{"ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"},
		{"ana@ⓖmail.com", "ana@gmail.com", "ana@gmail.com"},
		{"ana@example。com", "ana@example.com", "ana@example.com"},
		{"ana@exa\u200bmple.com", "ana@example.com", "ana@example.com"},
		{"a@3com.x1", "a@3com.x1", "a@3com.x1"},
		{"a@0xface.com", "a@0xface.com", "a@0xface.com"},
		{"a@b-c.com", "a@b-c.com", "a@b-c.com"},
		{long, long, long},
	} {
		a, err := address.Parse(tc.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tc.in, err)
			continue
		}
		if a.Sendable() != tc.sendable || a.Key() != tc.key {
			t.Errorf("Parse(%q) = %q, %q; want %q, %q", tc.in, a.Sendable(), a.Key(), tc.sendable, tc.key)
		}
		if a.Typed() != strings.TrimSpace(tc.in) {
			t.Errorf("Parse(%q).Typed() = %q", tc.in, a.Typed())
		}
	}
}

// A3.1, A3.2, A3.4 and trap 7: what is refused, and with which reason.
func TestParseRefuses(t *testing.T) {
	label64 := strings.Repeat("d", 64)
	for _, tc := range []struct {
		in   string
		want error
	}{
		{"", address.ErrEmpty},
		{" \t ", address.ErrEmpty},
		{strings.Repeat("a", 1<<20), address.ErrTooLong},
		{strings.Repeat("a", 65) + "@example.com", address.ErrTooLong},
		{"a@" + strings.Repeat("d.", 126) + "com", address.ErrTooLong},
		// 250 bytes as typed, more as A-labels.
		{"a@" + strings.Repeat("ü.", 80) + "example", address.ErrTooLong},
		{"a\xff@example.com", address.ErrEncoding},
		{"example.com", address.ErrNoAt},
		{"@example.com", address.ErrLocal},
		{".a@example.com", address.ErrLocal},
		{"a.@example.com", address.ErrLocal},
		{"a..b@example.com", address.ErrLocal},
		{"a b@example.com", address.ErrLocal},
		{"a@b@example.com", address.ErrLocal},
		{`"a b"@example.com`, address.ErrLocal},
		{`"a@evil.com"@b.com`, address.ErrLocal},
		{"Ana <ana@example.com>", address.ErrLocal},
		{"<ana@example.com>", address.ErrLocal},
		{"ana(comment)@example.com", address.ErrLocal},
		{"a\r\nBcc: x@example.com", address.ErrLocal},
		{"a\x00@example.com", address.ErrLocal},
		{"a,b@example.com", address.ErrLocal},
		{"jürgen@example.com", address.ErrLocalNotASCII},
		{"用户@例子.广告", address.ErrLocalNotASCII},
		{"a@", address.ErrDomain},
		{"a@b", address.ErrDomain},
		{"a@localhost", address.ErrDomain},
		{"a@example.com.", address.ErrDomain},
		{"a@.example.com", address.ErrDomain},
		{"a@example..com", address.ErrDomain},
		{"a@exa mple.com", address.ErrDomain},
		{"a@exa_mple.com", address.ErrDomain},
		{"a@-example.com", address.ErrDomain},
		{"a@example-.com", address.ErrDomain},
		{"a@" + label64 + ".com", address.ErrDomain},
		{"a@ex\u202eample.com", address.ErrDomain},
		{"a@ex\u200dample.com", address.ErrDomain},
		{"a@xn--a.com", address.ErrDomain},
		{"a@example.com\x00", address.ErrDomain},
		{"a@example.com>", address.ErrDomain},
		{"a@example.com\nBcc:b", address.ErrDomain},
		{"a@example。", address.ErrDomain},
		{"a@[127.0.0.1]", address.ErrDomainIP},
		{"a@[IPv6:::1]", address.ErrDomainIP},
		{"a@127.0.0.1", address.ErrDomainIP},
		{"a@127.1", address.ErrDomainIP},
		{"a@2130706433", address.ErrDomainIP},
		{"a@0x7f.0x1", address.ErrDomainIP},
		{"a@１２７.0.0.1", address.ErrDomainIP},
		{"a@example.123", address.ErrDomainIP},
	} {
		a, err := address.Parse(tc.in)
		if !errors.Is(err, tc.want) {
			t.Errorf("Parse(%.60q) = %v, want %v", tc.in, err, tc.want)
		}
		if !a.IsZero() || a.Sendable() != "" || a.Key() != "" {
			t.Errorf("Parse(%.60q) returned an address beside its error", tc.in)
		}
	}
}

func TestErrorsSpeakToPeople(t *testing.T) {
	_, err := address.Parse("jürgen@example.com")
	var reason *address.Error
	if !errors.As(err, &reason) || reason.Code() != "local-part-not-ascii" || !strings.HasSuffix(reason.Sentence(), ".") {
		t.Fatalf("err = %#v", err)
	}
	if strings.Contains(err.Error(), "rgen") {
		t.Errorf("the error holds the address: %v", err)
	}
}

// B7.1: an address reaches no log, error or trace by accident.
func TestAddressRedactsItself(t *testing.T) {
	a, err := address.Parse("canary@example.com")
	if err != nil {
		t.Fatal(err)
	}
	type user struct {
		Address address.Address
		hidden  address.Address
	}
	u := user{a, a}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", a, u, &u)
		fmt.Fprintf(&out, verb+"\n", []address.Address{a})
	}
	fmt.Fprintln(&out, fmt.Errorf("send to %v: %w", a, errors.New("x")))
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "to", a, "user", u)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "to", a, "user", u, "map", map[string]any{"a": a})
	if err := json.NewEncoder(&out).Encode(u); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, "canary") || strings.Contains(s, fmt.Sprintf("%x", "canary")) {
		t.Errorf("the address leaked:\n%s", s)
	}
}

// A3, fuzz invariant: what is accepted round-trips, holds exactly one "@" and
// no CR, LF, space or control character, and net/mail reads the same in it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"ana@example.com", "Ana.B+Tag@Example.COM", "ana@bücher.example", "a@１２７.0.0.1", `"a@evil.com"@b.com`,
		"a@ⓖmail.com", "a@example。com", "a@ex\u202eample.com", "a@[127.0.0.1]", "用户@例子.广告", "a@b", "\r\n@x.y", " a@b.cd ",
		"a@xn--bcher-kva.example", "a@ß.example", "a@0x7f.1", strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 90) + "cc",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := address.Parse(s)
		if err != nil {
			var reason *address.Error
			if !errors.As(err, &reason) || !a.IsZero() {
				t.Fatalf("Parse(%q) = %v", s, err)
			}
			return
		}
		checkForm(t, a.Sendable())
		checkForm(t, a.Key())
		again, err := address.Parse(a.Sendable())
		if err != nil || again.Sendable() != a.Sendable() || again.Key() != a.Key() {
			t.Fatalf("%q does not round-trip: %v", a.Sendable(), err)
		}
		byKey, err := address.Parse(a.Key())
		if err != nil || byKey.Key() != a.Key() {
			t.Fatalf("key %q does not round-trip: %v", a.Key(), err)
		}
		std, err := mail.ParseAddress(a.Sendable())
		if err != nil || std.Address != a.Sendable() || std.Name != "" {
			t.Fatalf("net/mail reads %q as %v, %v", a.Sendable(), std, err)
		}
	})
}

func checkForm(t *testing.T, s string) {
	t.Helper()
	if len(s) > address.MaxBytes || strings.Count(s, "@") != 1 {
		t.Fatalf("%q is too long or has not exactly one @", s)
	}
	for _, r := range s {
		if r > unicode.MaxASCII || r <= ' ' || r == 0x7f || strings.ContainsRune("<>()[],;:\\\"", r) {
			t.Fatalf("%q holds %q", s, r)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, tc := range []struct{ name, in string }{
		{"plain", "ana.maria@example.com"}, {"hyphen", "Ana@mail-1.Example.com"}, {"idn", "ana@bücher.example"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := address.Parse(tc.in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
