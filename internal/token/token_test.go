package token_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bellhop/internal/token"
)

const (
	issuer = "https://desk.example"
	person = "01900000-0000-7000-8000-000000000001"
)

var issued = time.Unix(1_800_000_000, 0)

// keyring is a store of keys: the first writer wins.
type keyring struct {
	mu   sync.Mutex
	keys map[string][]byte
	err  error
}

func (k *keyring) SharedKey(_ context.Context, name string, fresh []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string][]byte{}
	}
	if k.keys[name] == nil {
		k.keys[name] = fresh
	}
	return k.keys[name], k.err
}

// only returns the one key there is.
func (k *keyring) only(t testing.TB) []byte {
	if len(k.keys) != 1 {
		t.Fatalf("%d keys in the store, want 1", len(k.keys))
	}
	for _, key := range k.keys {
		return key
	}
	return nil
}

func newPending(t testing.TB, keys *keyring, now time.Time) *token.Pending {
	t.Helper()
	p, err := token.NewPending(t.Context(), keys, issuer, token.SignUpSession, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPendingRoundTrip(t *testing.T) {
	keys := new(keyring)
	p := newPending(t, keys, issued)
	made := p.Issue(person, issued)
	if got, err := p.Verify(made); err != nil || got != person {
		t.Fatalf("Verify = %q, %v", got, err)
	}
	if again := p.Issue(person, issued.Add(999*time.Millisecond)); again != made {
		t.Error("the same sign-up and second gave another token")
	}
	// B3.4: another process with the same store agrees.
	if got, err := newPending(t, keys, issued).Verify(made); err != nil || got != person {
		t.Errorf("another process: Verify = %q, %v", got, err)
	}
	if _, err := newPending(t, new(keyring), issued).Verify(made); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("another store's key: %v, want ErrInvalid", err)
	}
}

// B3.7: a token tells no more than which sign-up, for whom and for how long.
func TestPendingHoldsNothingElse(t *testing.T) {
	parts := strings.Split(newPending(t, new(keyring), issued).Issue(person, issued), ".")
	header, claims := decode(t, parts[0]), decode(t, parts[1])
	if len(header) != 3 || header["alg"] != "HS256" || header["typ"] != "pending+jwt" || header["kid"] == "" {
		t.Errorf("header %v", header)
	}
	want := map[string]any{"iss": issuer, "aud": "bellhop:signup", "sub": person,
		"iat": 1.8e9, "exp": 1.8e9 + 72*3600}
	if fmt.Sprint(claims) != fmt.Sprint(want) {
		t.Errorf("claims %v, want %v", claims, want)
	}
}

func decode(t *testing.T, segment string) (object map[string]any) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err == nil {
		err = json.Unmarshal(raw, &object)
	}
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func TestPendingLifetime(t *testing.T) {
	keys := new(keyring)
	made := newPending(t, keys, issued).Issue(person, issued)
	for _, tt := range []struct {
		name string
		now  time.Time
		ok   bool
	}{
		{"just issued", issued, true},
		{"a clock a little behind", issued.Add(-token.Leeway), true},
		{"a clock far behind", issued.Add(-token.Leeway - time.Second), false},
		{"the last second", issued.Add(token.Lifetime - time.Second), true},
		{"within the leeway", issued.Add(token.Lifetime + token.Leeway - time.Second), true},
		{"past the leeway", issued.Add(token.Lifetime + token.Leeway + time.Second), false},
	} {
		if _, err := newPending(t, keys, tt.now).Verify(made); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if token.Leeway > time.Minute {
		t.Error("B3.1: leeway over 60 s")
	}
}

// One kind of pending session is refused as the other (B2.4), though both are
// signed with one key.
func TestPendingKindsAreApart(t *testing.T) {
	keys, clock := new(keyring), newClock()
	kinds := map[token.PendingKind]time.Duration{token.SignUpSession: 72 * time.Hour, token.SignInSession: time.Hour}
	for kind, life := range kinds {
		for other := range kinds {
			clock.now = issued
			p, err := token.NewPending(t.Context(), keys, issuer, kind, clock.Now)
			if err != nil {
				t.Fatal(err)
			}
			v, err := token.NewPending(t.Context(), keys, issuer, other, clock.Now)
			if err != nil {
				t.Fatal(err)
			}
			made := p.Issue(person, issued)
			got, err := v.Verify(made)
			if kind != other {
				if !errors.Is(err, token.ErrInvalid) || got != "" || !strings.Contains(err.Error(), "typ pending") {
					t.Errorf("kind %d as kind %d: %q, %v; want ErrInvalid for its typ", kind, other, got, err)
				}
				continue
			}
			clock.advance(life - time.Second)
			if got, err := v.Verify(made); err != nil || got != person {
				t.Errorf("kind %d in its last second: %q, %v", kind, got, err)
			}
			clock.advance(token.Leeway + time.Second)
			if _, err := v.Verify(made); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("kind %d after its life of %v: %v", kind, life, err)
			}
		}
	}
}

// Tokens that were issued before there were kinds stay valid: their sign-ups
// are still waited for.
func TestPendingOfOldStaysValid(t *testing.T) {
	keys := &keyring{keys: map[string][]byte{"pending-session": []byte("0123456789abcdef0123456789abcdef")}}
	const old = "eyJhbGciOiJIUzI1NiIsImtpZCI6InBPRTR2MzkwVU93aSIsInR5cCI6InBlbmRpbmcrand0In0.eyJpc3MiOiJodHRwczovL2Rlc2suZXhhbXBsZSIsImF1ZCI6ImJlbGxob3A6c2lnbnVwIiwic3ViIjoiMDE5MDAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAxIiwiaWF0IjoxODAwMDAwMDAwLCJleHAiOjE4MDAyNTkyMDB9.tlyBQg3apfD3MfnBRNW4oHPh9cMEOajjDPU5kIyHVKA"
	p := newPending(t, keys, issued)
	if got, err := p.Verify(old); err != nil || got != person {
		t.Errorf("Verify = %q, %v", got, err)
	}
	if p.Issue(person, issued) != old {
		t.Error("the same sign-up and second give another token than before")
	}
}

func TestNewPendingErrors(t *testing.T) {
	down := errors.New("store is down")
	if _, err := token.NewPending(t.Context(), &keyring{err: down}, issuer, token.SignUpSession, time.Now); !errors.Is(err, down) {
		t.Errorf("store down: %v", err)
	}
	short := &keyring{keys: map[string][]byte{"pending-session": []byte("short")}}
	if _, err := token.NewPending(t.Context(), short, issuer, token.SignUpSession, time.Now); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
}

// B3.1, B3.2: whatever is not exactly our token is refused, even when it is
// signed with our own key.
func TestPendingRefuses(t *testing.T) {
	keys := new(keyring)
	p := newPending(t, keys, issued)
	key := keys.only(t)
	good := p.Issue(person, issued)
	kid := decode(t, strings.Split(good, ".")[0])["kid"].(string)
	header := func(alg, more string) string {
		return `{"alg":"` + alg + `","kid":"` + kid + `","typ":"pending+jwt"` + more + `}`
	}
	const okClaims = `{"iss":"https://desk.example","aud":"bellhop:signup","sub":"` + person + `","iat":1800000000,"exp":1800259200}`
	if got, err := p.Verify(sign(key, header("HS256", ""), okClaims)); err != nil || got != person {
		t.Fatalf("the corpus is broken: its good token does not verify: %v", err)
	}
	claims := func(old, replacement string) string {
		if !strings.Contains(okClaims, old) {
			t.Fatalf("no %q in the claims", old)
		}
		return sign(key, header("HS256", ""), strings.Replace(okClaims, old, replacement, 1))
	}
	rsaPEM, rsaToken := rsaForgery(t, header("RS256", ""), okClaims)

	refused := map[string]string{
		"empty":                          "",
		"two segments":                   good[:strings.LastIndex(good, ".")],
		"four segments":                  good + ".e30",
		"trailing data":                  good + "A",
		"trailing newline":               good + "\n",
		"padding":                        good + "=",
		"leading space":                  " " + good,
		"signature removed":              good[:strings.LastIndex(good, ".")+1],
		"signature bits changed":         good[:len(good)-2] + "AA",
		"1 MB":                           good + strings.Repeat("A", 1<<20),
		"just over 4 KB":                 sign(key, header("HS256", ""), okClaims[:len(okClaims)-1]+`,"x":"`+strings.Repeat("a", 4096)+`"}`),
		"alg none":                       sign(nil, header("none", ""), okClaims),
		"alg None":                       sign(nil, header("None", ""), okClaims),
		"alg nOnE":                       sign(nil, header("nOnE", ""), okClaims),
		"alg none, signed":               sign(key, header("none", ""), okClaims),
		"alg HS512":                      sign(key, header("HS512", ""), okClaims),
		"alg hs256":                      sign(key, header("hs256", ""), okClaims),
		"alg RS256":                      rsaToken,
		"HS256 with a public key":        sign(rsaPEM, header("HS256", ""), okClaims),
		"alg missing":                    sign(key, `{"kid":"`+kid+`","typ":"pending+jwt"}`, okClaims),
		"alg a number":                   sign(key, `{"alg":256,"kid":"`+kid+`","typ":"pending+jwt"}`, okClaims),
		"another key":                    sign([]byte("another key, just as long as ours"), header("HS256", ""), okClaims),
		"the empty key":                  sign([]byte{}, header("HS256", ""), okClaims),
		"kid wrong":                      sign(key, `{"alg":"HS256","kid":"other","typ":"pending+jwt"}`, okClaims),
		"kid missing":                    sign(key, `{"alg":"HS256","typ":"pending+jwt"}`, okClaims),
		"kid a path":                     sign(key, `{"alg":"HS256","kid":"../../../dev/null","typ":"pending+jwt"}`, okClaims),
		"kid SQL":                        sign(key, `{"alg":"HS256","kid":"' OR 1=1 --","typ":"pending+jwt"}`, okClaims),
		"kid a list":                     sign(key, `{"alg":"HS256","kid":["`+kid+`"],"typ":"pending+jwt"}`, okClaims),
		"typ JWT":                        sign(key, `{"alg":"HS256","kid":"`+kid+`","typ":"JWT"}`, okClaims),
		"typ of an access token":         sign(key, `{"alg":"HS256","kid":"`+kid+`","typ":"at+jwt"}`, okClaims),
		"typ missing":                    sign(key, `{"alg":"HS256","kid":"`+kid+`"}`, okClaims),
		"jku":                            sign(key, header("HS256", `,"jku":"https://evil.example/jwks"`), okClaims),
		"x5u":                            sign(key, header("HS256", `,"x5u":"https://evil.example/cert"`), okClaims),
		"jwk":                            sign(key, header("HS256", `,"jwk":{"kty":"oct","k":"AAAA"}`), okClaims),
		"crit":                           sign(key, header("HS256", `,"crit":["exp"]`), okClaims),
		"header no object":               sign(key, `["HS256"]`, okClaims),
		"header null":                    sign(key, `null`, okClaims),
		"header two objects":             sign(key, header("HS256", "")+"{}", okClaims),
		"claims null":                    sign(key, header("HS256", ""), "null"),
		"claims a list":                  sign(key, header("HS256", ""), "[]"),
		"claims empty":                   sign(key, header("HS256", ""), "{}"),
		"claims two objects":             sign(key, header("HS256", ""), okClaims+okClaims),
		"exp missing":                    claims(`,"exp":1800259200`, ``),
		"exp null":                       claims(`"exp":1800259200`, `"exp":null`),
		"exp a string":                   claims(`"exp":1800259200`, `"exp":"1800259200"`),
		"exp negative":                   claims(`"exp":1800259200`, `"exp":-1`),
		"exp 1e30":                       claims(`"exp":1800259200`, `"exp":1e30`),
		"exp far away":                   claims(`"exp":1800259200`, `"exp":9800259200`),
		"exp past":                       claims(`"iat":1800000000,"exp":1800259200`, `"iat":1700000000,"exp":1700259200`),
		"iat missing":                    claims(`"iat":1800000000,`, ``),
		"iat in the future":              claims(`"iat":1800000000,"exp":1800259200`, `"iat":1800000100,"exp":1800259300`),
		"iss wrong":                      claims(`https://desk.example`, `https://desk.example.evil`),
		"iss missing":                    claims(`"iss":"https://desk.example",`, ``),
		"iss a list":                     claims(`"https://desk.example"`, `["https://desk.example"]`),
		"aud wrong":                      claims(`bellhop:signup`, `bellhop:link`),
		"aud missing":                    claims(`"aud":"bellhop:signup",`, ``),
		"aud a list":                     claims(`"bellhop:signup"`, `["bellhop:signup","other"]`),
		"sub missing":                    claims(`"sub":"`+person+`",`, ``),
		"sub empty":                      claims(person, ``),
		"sub a number":                   claims(`"`+person+`"`, `1`),
		"duplicate claim":                claims(`"sub":`, `"sub":"someone-else","sub":`),
		"duplicate claim, written oddly": claims(`"sub":`, `"\u0073ub":"someone-else","sub":`),
	}
	for name, bad := range refused {
		t.Run(name, func(t *testing.T) {
			got, err := p.Verify(bad)
			if !errors.Is(err, token.ErrInvalid) || got != "" {
				t.Errorf("Verify = %q, %v; want ErrInvalid", got, err)
			}
		})
	}
}

// sign makes an HS256-signed token of any header and claims. A nil key leaves
// the signature empty.
func sign(key []byte, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	if key == nil {
		return text + "."
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// rsaForgery returns a public key, and a token signed with its private one.
func rsaForgery(t *testing.T, header, claims string) (publicPEM []byte, forged string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(sign(nil, header, claims), ".")
	signature, err := jwt.SigningMethodRS256.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func FuzzVerify(f *testing.F) {
	keys := new(keyring)
	p, err := token.NewPending(context.Background(), keys, issuer, token.SignUpSession, func() time.Time { return issued })
	if err != nil {
		f.Fatal(err)
	}
	good := p.Issue(person, issued)
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, made string) {
		if got, err := p.Verify(made); err == nil && (made != good || got != person) {
			t.Errorf("a token that was never issued verifies as %q", got)
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	keys := new(keyring)
	p := newPending(b, keys, issued)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Issue(person, issued)
		}
	})
	key := keys.only(b)
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			made := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
				Issuer: issuer, Audience: jwt.ClaimStrings{"bellhop:signup"}, Subject: person,
				IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(issued.Add(token.Lifetime)),
			})
			made.Header["kid"], made.Header["typ"] = "0123456789ab", "pending+jwt"
			if _, err := made.SignedString(key); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	p := newPending(b, new(keyring), issued)
	made := p.Issue(person, issued)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Verify(made); err != nil {
			b.Fatal(err)
		}
	}
}
