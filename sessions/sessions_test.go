package sessions_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"bellhop/sessions"
)

func TestVerify(t *testing.T) {
	d := newDesk()
	got, err := d.verifier(t).Verify(t.Context(), d.token(0))
	want := sessions.Claims{Account: account, Session: session, Client: "bellhop", ID: "a", IssuedAt: start, Expires: start.Add(15 * time.Minute)}
	if err != nil || got != want {
		t.Errorf("Verify = %v, %v", got, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		issuer, audience string
		options          *sessions.Options
		reason           string
	}{
		"no issuer":              {"", audience, nil, "one is empty"},
		"no audience":            {issuer, "", nil, "one is empty"},
		"no URL":                 {"desk", audience, nil, "want an issuer such as"},
		"no host":                {"https://", audience, nil, "want an issuer such as"},
		"no scheme":              {"//desk.example", audience, nil, "want https"},
		"control characters":     {"https://desk.example\x00", audience, nil, "want an issuer such as"},
		"a query":                {"https://desk.example/?tenant=1", audience, nil, "want an issuer such as"},
		"a password":             {"https://ada:hunter2@desk.example", audience, nil, "want an issuer such as"},
		"http":                   {"http://desk.example", audience, nil, "want https"},
		"http, looks like local": {"http://localhost.desk.example", audience, new(sessions.Options), "want https"},
		"http, another network":  {"http://10.0.0.1:6969", audience, nil, "want https"},
		"ftp":                    {"ftp://desk.example", audience, &sessions.Options{AllowHTTP: true}, "want https"},
		"much leeway":            {issuer, audience, &sessions.Options{Leeway: 61 * time.Second}, "want at most 1m0s"},
	} {
		v, err := sessions.New(tt.issuer, tt.audience, tt.options)
		if err == nil || v != nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.reason)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the password", name)
		}
	}
	for _, fine := range []string{
		issuer, issuer + "/desk", issuer + "/", "http://localhost:6969", "http://127.0.0.1:6969", "http://[::1]:6969", "http://desk.localhost",
	} {
		if _, err := sessions.New(fine, audience, nil); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	if _, err := sessions.New("http://desk.example", audience, &sessions.Options{AllowHTTP: true}); err != nil {
		t.Error(err)
	}
}

// An issuer below a path, or with a slash at its end, is asked at the right
// place, and its tokens must name it to the letter.
func TestIssuerWithPath(t *testing.T) {
	for _, name := range []string{"https://desk.example/desk", "https://desk.example/"} {
		d := newDesk()
		d.issuer = strings.TrimSuffix(name, "/")
		v, err := sessions.New(name, audience, &sessions.Options{Client: &http.Client{Transport: d}, Now: d.Now})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(t.Context(), d.token(0))
		if same := name == d.issuer; same != (err == nil) || !same && !strings.Contains(err.Error(), "invalid issuer") {
			t.Errorf("issuer %s, token of %s: %v", name, d.issuer, err)
		}
	}
}

func TestLeeway(t *testing.T) {
	for _, tt := range []struct{ leeway, used time.Duration }{
		{0, 30 * time.Second}, {time.Second, time.Second}, {time.Minute, time.Minute}, {-1, 0},
	} {
		d := newDesk()
		v, err := sessions.New(issuer, audience, &sessions.Options{Client: &http.Client{Transport: d}, Now: d.Now, Leeway: tt.leeway})
		if err != nil {
			t.Fatal(err)
		}
		made := d.token(0)
		d.advance(15*time.Minute + tt.used - time.Millisecond)
		if _, err := v.Verify(t.Context(), made); err != nil {
			t.Errorf("leeway %v: just within: %v", tt.leeway, err)
		}
		d.advance(time.Millisecond)
		if _, err := v.Verify(t.Context(), made); !errors.Is(err, sessions.ErrInvalid) {
			t.Errorf("leeway %v: just past: %v", tt.leeway, err)
		}
	}
}

// Keys can come from elsewhere.
func TestKeysOption(t *testing.T) {
	d, down := newDesk(), errors.New("no keys today")
	var problem error
	v, err := sessions.New("desk", audience, &sessions.Options{
		Now: d.Now,
		Keys: func(_ context.Context, kid string) (*ecdsa.PublicKey, error) {
			if kid != "0" {
				return nil, problem
			}
			return &d.keys[0].PublicKey, problem
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.issuer = "desk"
	d.addKey()
	if _, err := v.Verify(t.Context(), d.token(0)); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(t.Context(), d.token(1)); !errors.Is(err, sessions.ErrInvalid) {
		t.Errorf("a key that is not there: %v, want ErrInvalid", err)
	}
	problem = down
	if _, err := v.Verify(t.Context(), d.token(0)); !errors.Is(err, sessions.ErrUnavailable) || !errors.Is(err, down) || errors.Is(err, sessions.ErrInvalid) {
		t.Errorf("keys that cannot be had: %v, want ErrUnavailable and why", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	d := newDesk()
	v, made := d.verifier(b), d.token(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), made); err != nil {
			b.Fatal(err)
		}
	}
}
