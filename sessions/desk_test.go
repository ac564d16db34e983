package sessions_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"bellhop/sessions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://desk.example"
	audience = "https://api.example"
	account  = "01900000-0000-7000-8000-000000000001"
	session  = "01900000-0000-7000-8000-00000000abcd"
)

var start = time.Unix(1_800_000_000, 0)

// desk is an issuer with keys, and what it answers who asks for them.
type desk struct {
	issuer string // to others it is called this

	mu     sync.Mutex
	now    time.Time
	keys   []*ecdsa.PrivateKey // kid "0", "1", ...
	hidden int                 // so many keys at the end are not published
	asked  int
	header http.Header
	status int
	body   string // instead of the keys
	err    error
	// answering, unless nil, is told of each question and holds up its answer.
	answering chan chan struct{}
}

func newDesk() *desk {
	d := &desk{issuer: issuer, now: start, header: http.Header{"Cache-Control": {"max-age=600"}}, status: http.StatusOK}
	d.addKey()
	return d
}

func (d *desk) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *desk) advance(by time.Duration) { d.set(func() { d.now = d.now.Add(by) }) }

func (d *desk) addKey() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	d.set(func() { d.keys = append(d.keys, key) })
}

// token is signed with the key of that number.
func (d *desk) token(key int) string {
	made := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": d.issuer, "aud": audience, "sub": account, "client_id": "bellhop", "sid": session,
		"iat": d.Now().Unix(), "exp": d.Now().Add(15 * time.Minute).Unix(), "jti": "a",
	})
	made.Header["typ"], made.Header["kid"] = "at+jwt", fmt.Sprint(key)
	text, err := made.SignedString(d.keys[key])
	if err != nil {
		panic(err)
	}
	return text
}

// published are the keys as JSON objects.
func (d *desk) published() (list []map[string]string) {
	for i, key := range d.keys[:len(d.keys)-d.hidden] {
		point, err := key.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		list = append(list, map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": fmt.Sprint(i),
			"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		})
	}
	return list
}

// RoundTrip makes the desk a network of its own.
func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.answering != nil {
		release := make(chan struct{})
		d.answering <- release
		<-release
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.err != nil {
		return nil, d.err
	}
	if r.Method != http.MethodGet || r.URL.String() != d.issuer+"/.well-known/jwks.json" {
		return nil, errors.New("asked for " + r.Method + " " + r.URL.String())
	}
	return &http.Response{StatusCode: d.status, Header: d.header, Request: r, Body: io.NopCloser(strings.NewReader(d.text()))}, nil
}

func (d *desk) text() string {
	if d.body != "" {
		return d.body
	}
	text, err := json.Marshal(map[string]any{"keys": d.published()})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// ServeHTTP makes it a server.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.URL.Path == "/.well-known/jwks.json" {
		io.WriteString(w, d.text())
	}
}

func (d *desk) verifier(t testing.TB) *sessions.Verifier {
	t.Helper()
	v, err := sessions.New(issuer, audience, &sessions.Options{Client: &http.Client{Transport: d}, Now: d.Now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
