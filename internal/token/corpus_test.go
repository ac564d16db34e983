package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"bellhop/internal/token"
	"bellhop/sessions"
)

// forge has everything an attacker could wish for, the signing key included.
type forge struct {
	t    *testing.T
	key  *ecdsa.PrivateKey // the current one
	kid  string
	next *ecdsa.PrivateKey
}

// newForge takes the keys out of a ring.
func newForge(t *testing.T, docs *documents) *forge {
	t.Helper()
	var ring struct {
		Keys []struct {
			ID      string `json:"kid"`
			Private []byte `json:"private"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(docs.text(t)), &ring); err != nil || len(ring.Keys) != 2 {
		t.Fatalf("a ring of %d keys, %v", len(ring.Keys), err)
	}
	keys := make([]*ecdsa.PrivateKey, 2)
	for i, k := range ring.Keys {
		key, err := x509.ParsePKCS8PrivateKey(k.Private)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key.(*ecdsa.PrivateKey)
	}
	return &forge{t: t, key: keys[0], kid: ring.Keys[0].ID, next: keys[1]}
}

const accessTokenClaims = `{"aud":"https://api.example","client_id":"bellhop","exp":1800000900,"iat":1800000000,` +
	`"iss":"https://desk.example","jti":"j","sid":"` + session + `","sub":"` + person + `"}`

func (f *forge) header(alg, more string) string {
	return `{"alg":"` + alg + `","kid":"` + f.kid + `","typ":"at+jwt"` + more + `}`
}

// text is what is signed.
func text(header, claims string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
}

func raw(text string, signature []byte) string {
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// signed makes a token of any header and claims, by ES256.
func (f *forge) signed(key *ecdsa.PrivateKey, header, claims string) string {
	f.t.Helper()
	sum := sha256.Sum256([]byte(text(header, claims)))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		f.t.Fatal(err)
	}
	return raw(text(header, claims), append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// der is signed with the signature in the form that X.509 and TLS have.
func (f *forge) der(header, claims string) string {
	f.t.Helper()
	sum := sha256.Sum256([]byte(text(header, claims)))
	signature, err := ecdsa.SignASN1(rand.Reader, f.key, sum[:])
	if err != nil {
		f.t.Fatal(err)
	}
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &parts); err != nil {
		f.t.Fatal(err)
	}
	return raw(text(header, claims), signature)
}

// claims is a good token but for one place in its claims.
func (f *forge) claims(old, replacement string) string {
	f.t.Helper()
	if strings.Count(accessTokenClaims, old) != 1 {
		f.t.Fatalf("%q is not in the claims once", old)
	}
	return f.signed(f.key, f.header("ES256", ""), strings.Replace(accessTokenClaims, old, replacement, 1))
}

// public is the current public key in forms in which it could be taken for a
// shared secret.
func (f *forge) public(jwks []byte) (asPEM, asJWK []byte) {
	f.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	if err != nil {
		f.t.Fatal(err)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(jwks, &set); err != nil {
		f.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), set.Keys[0]
}

// issuerOf answers for the issuer, with the keys of an Access.
type issuerOf struct {
	access func() *token.Access
	asked  int
}

func (i *issuerOf) RoundTrip(r *http.Request) (*http.Response, error) {
	i.asked++
	if r.URL.String() != issuer+"/.well-known/jwks.json" {
		return nil, errors.New("asked for " + r.URL.String())
	}
	body, maxAge := i.access().JWKS()
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(string(body))),
		Header: http.Header{"Cache-Control": {fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds()))}},
	}, nil
}

type refusal struct{ name, token, reason string }

// B3.1, B3.2: whatever is not exactly our token is refused for what is wrong
// with it, even when it is signed with our own key, by Bellhop itself and by
// other services.
func TestAccessRefuses(t *testing.T) {
	docs, clock := new(documents), newClock()
	a := newAccess(t, docs, clock.Now)
	f := newForge(t, docs)
	other, err := sessions.New(issuer, audience, &sessions.Options{
		Client: &http.Client{Transport: &issuerOf{access: func() *token.Access { return a }}}, Now: clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	verifiers := map[string]func(string) error{
		"token": func(made string) error { _, err := a.Verify(made); return err },
		"sessions": func(made string) error {
			c, err := other.Verify(context.Background(), made)
			if err != nil && c != (sessions.Claims{}) {
				t.Error("claims of a refused token")
			}
			return err
		},
	}
	for name, verify := range verifiers {
		for _, good := range []string{
			issue(t, a), f.signed(f.key, f.header("ES256", ""), accessTokenClaims),
			f.claims(`"https://api.example"`, `["https://api.example"]`),       // RFC 7519 section 4.1.3
			f.claims(`"iat":`, `"nbf":1800000000,"scope":"everything","iat":`), // nbf past, and a claim of the future
		} {
			if err := verify(good); err != nil {
				t.Fatalf("%s: the corpus is broken, its good token does not verify: %v", name, err)
			}
		}
		for _, bad := range f.corpus(a) {
			t.Run(name+"/"+bad.name, func(t *testing.T) {
				err := verify(bad.token)
				if !errors.Is(err, token.ErrInvalid) || !errors.Is(err, sessions.ErrInvalid) || errors.Is(err, sessions.ErrUnavailable) {
					t.Fatalf("Verify = %v, want ErrInvalid", err)
				}
				if !strings.Contains(err.Error(), bad.reason) {
					t.Errorf("refused because %q, want because %q", err, bad.reason)
				}
			})
		}
	}
}

func (f *forge) corpus(a *token.Access) []refusal {
	list := f.wrongText(issue(f.t, a))
	list = append(list, f.wrongAlgorithm(a)...)
	list = append(list, f.wrongHeader()...)
	list = append(list, f.wrongClaims()...)
	return append(list, f.otherTokens()...)
}

func (f *forge) wrongText(good string) []refusal {
	const segments, encoding, signature = "number of segments", "could not base64 decode", "signature is invalid"
	dot := strings.LastIndex(good, ".")
	return []refusal{
		{"empty", "", segments},
		{"two segments", good[:dot], segments},
		{"four segments", good + ".e30", segments},
		{"trailing data", good + "AAAA", signature},
		{"trailing character", good + "A", signature},
		{"trailing bits", good[:len(good)-1] + string(good[len(good)-1]+1), encoding},
		{"trailing newline", good + "\n", "line break"},
		{"line break within", good[:50] + "\r\n" + good[50:], "line break"},
		{"trailing space", good + " ", encoding},
		{"leading space", " " + good, encoding},
		{"tab within", good[:dot] + "\t" + good[dot:], encoding},
		{"padding", good + "=", encoding},
		{"standard alphabet", strings.ReplaceAll(strings.ReplaceAll(good[:dot+1]+"-_"+good[dot+3:], "-", "+"), "_", "/"), encoding},
		{"no signature", good[:dot+1], signature},
		{"1 MB", good + strings.Repeat("A", 1<<20), "longer than 4096 bytes"},
		{"1 MB of dots", strings.Repeat(".", 1<<20), "longer than 4096 bytes"},
		{"just over 4 KB", f.claims(`"jti":"j"`, `"jti":"`+strings.Repeat("j", 3000)+`"`), "longer than 4096 bytes"},
	}
}

func (f *forge) wrongAlgorithm(a *token.Access) []refusal {
	const unavailable, invalid, signature = "(alg) is unavailable", "is invalid", "signature is invalid"
	jwks, _ := a.JWKS()
	asPEM, asJWK := f.public(jwks)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	ours := text(f.header("ES256", ""), accessTokenClaims)
	real := f.signed(f.key, f.header("ES256", ""), accessTokenClaims)
	return []refusal{
		{"alg none", sign(nil, f.header("none", ""), accessTokenClaims), "signing method none " + invalid},
		{"alg none, signed", f.signed(f.key, f.header("none", ""), accessTokenClaims), "signing method none " + invalid},
		{"alg None", sign(nil, f.header("None", ""), accessTokenClaims), unavailable},
		{"alg nOnE", sign(nil, f.header("nOnE", ""), accessTokenClaims), unavailable},
		{"alg es256", f.signed(f.key, f.header("es256", ""), accessTokenClaims), unavailable},
		{"alg ES384", f.signed(f.key, f.header("ES384", ""), accessTokenClaims), "signing method ES384 " + invalid},
		{"alg EdDSA", f.signed(f.key, f.header("EdDSA", ""), accessTokenClaims), "signing method EdDSA " + invalid},
		{"alg a number", f.signed(f.key, strings.Replace(f.header("ES256", ""), `"ES256"`, `256`, 1), accessTokenClaims), "(alg) is unspecified"},
		{"alg missing", f.signed(f.key, `{"kid":"`+f.kid+`","typ":"at+jwt"}`, accessTokenClaims), "(alg) is unspecified"},
		{"HS256 with the public key, PEM", sign(asPEM, f.header("HS256", ""), accessTokenClaims), "signing method HS256 " + invalid},
		{"HS256 with the public key, JWK", sign(asJWK, f.header("HS256", ""), accessTokenClaims), "signing method HS256 " + invalid},
		{"HS256 with the JWKS", sign(jwks, f.header("HS256", ""), accessTokenClaims), "signing method HS256 " + invalid},
		{"ES256 of an HMAC", sign(asPEM, f.header("ES256", ""), accessTokenClaims), signature},
		{"ES256 with another key", f.signed(stranger, f.header("ES256", ""), accessTokenClaims), signature},
		{"ES256 with the next key, our kid", f.signed(f.next, f.header("ES256", ""), accessTokenClaims), signature},
		{"r = s = 0", raw(ours, make([]byte, 64)), signature},
		{"DER", f.der(f.header("ES256", ""), accessTokenClaims), signature},
		{"signature of other claims", real[:strings.Index(real, ".")+1] + strings.Split(f.claims(person, session), ".")[1] + real[strings.LastIndex(real, "."):], signature},
	}
}

func (f *forge) wrongHeader() []refusal {
	const kid, typ, more = "kid is not of a key of the issuer", "typ is not at+jwt", "more than alg, kid and typ"
	with := func(header string) string { return f.signed(f.key, header, accessTokenClaims) }
	ofKid := func(kid string) string { return with(`{"alg":"ES256","kid":` + kid + `,"typ":"at+jwt"}`) }
	ofTyp := func(typ string) string { return with(`{"alg":"ES256","kid":"` + f.kid + `","typ":` + typ + `}`) }
	return []refusal{
		{"kid wrong", ofKid(`"other"`), kid},
		{"kid in another case", ofKid(`"` + strings.ToUpper(f.kid) + `"`), kid},
		{"kid a path", ofKid(`"../../../../dev/null"`), kid},
		{"kid SQL", ofKid(`"x' UNION SELECT 'key' --"`), kid},
		{"kid a URL", ofKid(`"https://evil.example/key"`), kid},
		{"kid with a NUL", ofKid(`"` + f.kid + `\u0000"`), kid},
		{"kid missing", with(`{"alg":"ES256","typ":"at+jwt"}`), "no kid"},
		{"kid empty", ofKid(`""`), "no kid"},
		{"kid null", ofKid(`null`), "no kid"},
		{"kid a list", ofKid(`["` + f.kid + `"]`), "no kid"},
		{"typ missing", with(`{"alg":"ES256","kid":"` + f.kid + `"}`), typ},
		{"typ JWT", ofTyp(`"JWT"`), typ},
		{"typ of a pending session", ofTyp(`"pending+jwt"`), typ},
		{"typ of an ID token", ofTyp(`"id+jwt"`), typ},
		{"typ a list", ofTyp(`["at+jwt"]`), typ},
		{"jku", with(f.header("ES256", `,"jku":"https://evil.example/jwks"`)), more},
		{"x5u", with(f.header("ES256", `,"x5u":"https://evil.example/cert"`)), more},
		{"jwk", with(f.header("ES256", `,"jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`)), more},
		{"crit", with(f.header("ES256", `,"crit":["exp"]`)), more},
		{"alg twice", with(f.header("ES256", `,"alg":"none"`)), "signing method none is invalid"},
		{"kid twice", with(f.header("ES256", `,"kid":"other"`)), kid},
		{"typ twice", with(f.header("ES256", `,"typ":"JWT"`)), typ},
		{"b64", with(f.header("ES256", `,"b64":false`)), more},
		{"header no object", with(`["ES256"]`), "could not JSON decode header"},
		{"header null", with(`null`), "(alg) is unspecified"},
		{"header two objects", with(f.header("ES256", "") + "{}"), "could not JSON decode header"},
	}
}

func (f *forge) wrongClaims() []refusal {
	const exp, times = `"exp":1800000900`, `"exp":1800000900,"iat":1800000000`
	const seconds, life = "claim exp: want full seconds", "want a life of up to 1h"
	whole := func(claims string) string { return f.signed(f.key, f.header("ES256", ""), claims) }
	return []refusal{
		{"claims null", whole("null"), "claims"},
		{"claims a list", whole("[]"), "want a JSON object"},
		{"claims empty", whole("{}"), "claim iss: missing"},
		{"claims two objects", whole(accessTokenClaims + accessTokenClaims), "could not JSON decode claim"},
		{"exp missing", f.claims(exp+",", ``), "claim exp: missing"},
		{"exp null", f.claims(exp, `"exp": null`), seconds},
		{"exp a string", f.claims(exp, `"exp":"1800000900"`), seconds},
		{"exp 1e30", f.claims(exp, `"exp":1e30`), seconds},
		{"exp a fraction", f.claims(exp, `"exp":1800000900.5`), seconds},
		{"exp true", f.claims(exp, `"exp":true`), seconds},
		{"exp a list", f.claims(exp, `"exp":[1800000900]`), seconds},
		{"exp negative", f.claims(exp, `"exp":-1`), "token is expired"},
		{"exp zero", f.claims(exp, `"exp":0`), "token is expired"},
		{"exp past", f.claims(times, `"exp":1799999900,"iat":1799999000`), "token is expired"},
		{"exp far away", f.claims(exp, `"exp":9800000000`), life},
		{"exp the largest", f.claims(exp, `"exp":9223372036854775807`), life},
		{"exp a second too late", f.claims(exp, `"exp":1800003601`), life},
		{"exp and iat at both ends", f.claims(times, `"exp":9223372036854775807,"iat":-9223372036854775808`), life},
		{"exp before iat", f.claims(times, `"exp":1800000000,"iat":1800000010`), life},
		{"iat missing", f.claims(`,"iat":1800000000`, ``), "claim iat: missing"},
		{"iat in the future", f.claims(times, `"exp":1800000931,"iat":1800000031`), "used before issued"},
		{"nbf in the future", f.claims(exp, exp+`,"nbf":1800000031`), "not valid yet"},
		{"nbf a string", f.claims(exp, exp+`,"nbf":"1800000000"`), "claim nbf: want full seconds"},
		{"nbf null", f.claims(exp, exp+`,"nbf":null`), "claim nbf: want full seconds"},
		{"iss missing", f.claims(`"iss":"https://desk.example",`, ``), "claim iss: missing"},
		{"iss wrong", f.claims(`https://desk.example`, `https://desk.example.evil`), "invalid issuer"},
		{"iss with a slash", f.claims(`https://desk.example`, `https://desk.example/`), "invalid issuer"},
		{"iss empty", f.claims(`https://desk.example`, ``), "iss claim is required"},
		{"iss a list", f.claims(`"https://desk.example"`, `["https://desk.example"]`), "claim iss: want text"},
		{"aud missing", f.claims(`"aud":"https://api.example",`, ``), "claim aud: missing"},
		{"aud null", f.claims(`"https://api.example"`, `null`), "claim aud: want one text"},
		{"aud wrong", f.claims(`https://api.example`, `https://evil.example`), "invalid audience"},
		{"aud in another case", f.claims(`https://api.example`, `https://API.example`), "invalid audience"},
		{"aud empty", f.claims(`https://api.example`, ``), "aud claim is required"},
		{"aud an empty list", f.claims(`"https://api.example"`, `[]`), "claim aud: want one text"},
		{"aud a list with a foreign one", f.claims(`"https://api.example"`, `["https://evil.example"]`), "invalid audience"},
		{"aud a list of ours and a foreign one", f.claims(`"https://api.example"`, `["https://api.example","https://evil.example"]`), "claim aud: want one text"},
		{"aud a list with null", f.claims(`"https://api.example"`, `[null]`), "aud claim is required"},
		{"aud an object", f.claims(`"https://api.example"`, `{"a":"https://api.example"}`), "claim aud: want one text"},
		{"sub missing", f.claims(`,"sub":"`+person+`"`, ``), "claim sub: missing"},
		{"sub empty", f.claims(person, ``), "an id is empty"},
		{"sub a number", f.claims(`"`+person+`"`, `1`), "claim sub: want text"},
		{"sid missing", f.claims(`"sid":"`+session+`",`, ``), "claim sid: missing"},
		{"client_id missing", f.claims(`"client_id":"bellhop",`, ``), "claim client_id: missing"},
		{"jti missing", f.claims(`"jti":"j",`, ``), "claim jti: missing"},
		{"duplicate sub", f.claims(`"sub":`, `"sub":"someone-else","sub":`), "one name comes twice"},
		{"duplicate exp", f.claims(exp, exp+`,"exp":1800000800`), "one name comes twice"},
		{"duplicate claim, written oddly", f.claims(`"sub":`, `"\u0073ub":"someone-else","sub":`), "one name comes twice"},
		{"duplicate claim of no interest", f.claims(`"sub":`, `"x":1,"x":1,"sub":`), "one name comes twice"},
	}
}

// otherTokens are our own, of other kinds.
func (f *forge) otherTokens() []refusal {
	f.t.Helper()
	keys := new(keyring)
	secrets, err := token.NewSecrets(f.t.Context(), keys)
	if err != nil {
		f.t.Fatal(err)
	}
	refresh, _ := secrets.Make("api", session, 3)
	signIn, err := token.NewPending(f.t.Context(), keys, issuer, token.SignInSession, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	const link = "AZAAAAAAcACAAAAAAAAAAQEBcb2LUszZjzYs7BqbcYMyIQ"
	return []refusal{
		{"a refresh token", refresh, "number of segments"},
		{"a link's token", link, "number of segments"},
		{"the pending session of a sign-up", newPending(f.t, keys, issued).Issue(person, issued), "claim sid: missing"},
		{"the pending session of a sign-in", signIn.Issue(person, issued), "claim sid: missing"},
	}
}
