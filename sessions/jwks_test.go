package sessions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/sessions"
)

// verdict names an error of Verify.
func verdict(err error) string {
	switch {
	case err == nil:
		return "valid"
	case errors.Is(err, sessions.ErrInvalid) && !errors.Is(err, sessions.ErrUnavailable):
		return "invalid"
	case errors.Is(err, sessions.ErrUnavailable) && !errors.Is(err, sessions.ErrInvalid):
		return "unavailable"
	}
	return "strange: " + err.Error()
}

func TestKeysAreKept(t *testing.T) {
	for cacheControl, kept := range map[string]time.Duration{
		"max-age=600":                   10 * time.Minute,
		`public, Max-Age="600", x=y`:    10 * time.Minute,
		"":                              time.Minute,
		"no-store":                      time.Minute,
		"max-age=0":                     time.Minute,
		"max-age=-5":                    time.Minute,
		"max-age=soon":                  time.Minute,
		"s-maxage=600":                  time.Minute,
		"max-age=99999999999999999999":  24 * time.Hour,
		"max-age=31536000, immutable":   24 * time.Hour,
		"max-age=86401":                 24 * time.Hour,
		"stale-if-error=9, max-age=120": 2 * time.Minute,
	} {
		d := newDesk()
		d.header = http.Header{"Cache-Control": {cacheControl}}
		v := d.verifier(t)
		for _, step := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {0, 1}, {kept - time.Second, 1}, {time.Second, 2}, {time.Second, 2}} {
			d.advance(step.after)
			if _, err := v.Verify(t.Context(), d.token(0)); err != nil || d.asked != step.asked {
				t.Errorf("%q: asked %d times, want %d; %v", cacheControl, d.asked, step.asked, err)
			}
		}
	}
}

// A key that nobody knows yet is asked for, once a minute at most.
func TestUnknownKeys(t *testing.T) {
	d := newDesk()
	d.addKey()
	d.hidden = 1
	v := d.verifier(t)
	for i, step := range []struct {
		after   time.Duration
		key     int
		publish bool
		want    string
		asked   int
	}{
		{0, 0, false, "valid", 1},
		{0, 1, false, "invalid", 1}, // just asked
		{59 * time.Second, 1, false, "invalid", 1},
		{time.Second, 1, false, "invalid", 2},
		{0, 1, true, "invalid", 2},
		{time.Minute, 1, false, "valid", 3},
		{0, 0, false, "valid", 3},
	} {
		d.advance(step.after)
		if step.publish {
			d.hidden = 0
		}
		if _, err := v.Verify(t.Context(), d.token(step.key)); verdict(err) != step.want || d.asked != step.asked {
			t.Errorf("step %d: %s after %d questions, want %s after %d: %v", i, verdict(err), d.asked, step.want, step.asked, err)
		}
	}
}

// A key that is not published any more is refused once the keys are fetched
// again.
func TestKeysThatLeave(t *testing.T) {
	d := newDesk()
	d.addKey()
	v := d.verifier(t)
	if _, err := v.Verify(t.Context(), d.token(1)); err != nil {
		t.Fatal(err)
	}
	d.hidden = 1
	d.advance(10*time.Minute - time.Second)
	if _, err := v.Verify(t.Context(), d.token(1)); err != nil {
		t.Errorf("kept as long as the issuer said: %v", err)
	}
	d.advance(time.Second)
	if _, err := v.Verify(t.Context(), d.token(1)); verdict(err) != "invalid" {
		t.Errorf("after that: %v, want ErrInvalid", err)
	}
}

// While the issuer is down, keys at hand are good for a day, and other tokens
// are neither right nor wrong.
func TestIssuerDown(t *testing.T) {
	d := newDesk()
	d.addKey()
	d.hidden = 1
	v, down := d.verifier(t), errors.New("no route to host")
	for i, step := range []struct {
		after time.Duration
		err   error
		key   int
		want  string
		asked int
	}{
		{0, down, 0, "unavailable", 1}, // from the start
		{999 * time.Millisecond, nil, 0, "unavailable", 1},
		{time.Millisecond, nil, 0, "valid", 2},
		{9 * time.Minute, down, 0, "valid", 2},
		{0, down, 1, "unavailable", 3},
		{59 * time.Second, nil, 1, "unavailable", 3},
		{time.Second, nil, 1, "invalid", 4},
		{24*time.Hour - time.Second, down, 0, "valid", 5}, // old, and asked for in vain
		{time.Second, down, 0, "unavailable", 6},          // too old
		{999 * time.Millisecond, nil, 0, "unavailable", 6},
		{time.Millisecond, nil, 0, "valid", 7},
	} {
		d.advance(step.after)
		d.err = step.err
		_, err := v.Verify(t.Context(), d.token(step.key))
		if verdict(err) != step.want || d.asked != step.asked {
			t.Errorf("step %d: %s after %d questions, want %s after %d: %v", i, verdict(err), d.asked, step.want, step.asked, err)
		}
	}
}

// Many tokens at once make one question, and who has a key does not wait.
func TestOneQuestionForMany(t *testing.T) {
	d := newDesk()
	d.answering = make(chan chan struct{})
	v := d.verifier(t)
	var group sync.WaitGroup
	verify := func(ctx context.Context, made string) {
		group.Go(func() {
			if _, err := v.Verify(ctx, made); err != nil {
				t.Error(err)
			}
		})
	}
	for range 20 {
		verify(t.Context(), d.token(0))
	}
	release := <-d.answering

	hurried, leave := context.WithCancel(t.Context())
	leave()
	if _, err := v.Verify(hurried, d.token(0)); verdict(err) != "unavailable" || !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves: %v, want ErrUnavailable and why", err)
	}
	close(release)
	group.Wait()

	d.advance(10 * time.Minute)
	first, leaveFirst := context.WithCancel(t.Context())
	verify(first, d.token(0)) // asks for the sake of all
	release = <-d.answering
	leaveFirst()
	if _, err := v.Verify(t.Context(), d.token(0)); err != nil {
		t.Errorf("while somebody asks, with a key that is only old: %v", err)
	}
	close(release)
	group.Wait()
	if d.asked != 2 {
		t.Errorf("asked %d times, want 2", d.asked)
	}
}

func TestStrangeAnswers(t *testing.T) {
	good := newDesk().published()[0]
	with := func(name, value string) string {
		key := map[string]string{}
		for n, v := range good {
			key[n] = v
		}
		key[name] = value
		text, err := json.Marshal(map[string]any{"keys": []any{key}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	one, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	const none = "want one for ES256, there is none"
	for name, tt := range map[string]struct{ body, reason string }{
		"no JSON":           {"<html>", "want a JSON object"},
		"a list":            {"[]", "want a JSON object"},
		"no keys":           {`{}`, none},
		"empty":             {`{"keys":[]}`, none},
		"RSA":               {`{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"0","n":"AQAB","e":"AQAB"}]}`, none},
		"a secret":          {`{"keys":[{"kty":"oct","alg":"HS256","use":"sig","kid":"0","k":"AAAA"}]}`, none},
		"another curve":     {with("crv", "P-384"), none},
		"another algorithm": {with("alg", "ES384"), none},
		"no algorithm":      {with("alg", ""), none},
		"for encryption":    {with("use", "enc"), none},
		"no kid":            {with("kid", ""), none},
		"not on the curve":  {with("x", good["y"]), "not on"},
		"at infinity":       {with("x", strings.Repeat("A", 43)), "not on"},
		"a short x":         {with("x", "AAAA"), "want coordinates of 32 bytes"},
		"a padded y":        {with("y", good["y"]+"="), "want coordinates of 32 bytes"},
		"one kid twice":     {`{"keys":[` + string(one) + `,` + string(one) + `]}`, "two have one kid"},
		"too much":          {`{"x":"` + strings.Repeat("x", 64<<10) + `","keys":[` + string(one) + `]}`, "more than 65536 bytes"},
	} {
		d := newDesk()
		d.body = tt.body
		if _, err := d.verifier(t).Verify(t.Context(), d.token(0)); verdict(err) != "unavailable" || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v, want ErrUnavailable: %s", name, err, tt.reason)
		}
	}
	d := newDesk()
	d.status = http.StatusNotFound
	if _, err := d.verifier(t).Verify(t.Context(), d.token(0)); verdict(err) != "unavailable" || !strings.Contains(err.Error(), "answers 404, want 200") {
		t.Errorf("404: %v", err)
	}
}

// Keys of other kinds are passed over, and nothing stops who has ours.
func TestOtherKeysBesideOurs(t *testing.T) {
	d := newDesk()
	ours := d.text()
	d.body = strings.Replace(ours, `{"keys":[`, `{"more":1,"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"e","use":"sig","alg":"EdDSA"},{"kty":"RSA","kid":"r"},`, 1)
	if _, err := d.verifier(t).Verify(t.Context(), d.token(0)); err != nil {
		t.Error(err)
	}
}

// Whoever can redirect the issuer's answer cannot redirect it to their own keys.
func TestRedirects(t *testing.T) {
	evil := newDesk()
	other := httptest.NewServer(evil)
	defer other.Close()
	d, target := newDesk(), ""
	var redirects int
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/jwks.json" && r.URL.RawQuery == "" || target == "around" {
			redirects++
			http.Redirect(w, r, map[bool]string{true: fmt.Sprintf("%s?n=%d", r.URL.Path, redirects), false: target}[target == "around"], http.StatusFound)
			return
		}
		d.ServeHTTP(w, r)
	}))
	defer desk.Close()
	d.issuer, evil.issuer = desk.URL, desk.URL
	for _, tt := range []struct {
		target string
		made   string
		want   string
	}{
		{other.URL + "/.well-known/jwks.json", evil.token(0), "redirected to another host"},
		{strings.Replace(desk.URL, "http:", "https:", 1) + "/.well-known/jwks.json", d.token(0), "redirected to another host"},
		{"around", d.token(0), "redirected too often"},
		{"/.well-known/jwks.json?here", d.token(0), ""},
	} {
		target = tt.target
		client := &http.Client{Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		v, err := sessions.New(desk.URL, audience, &sessions.Options{Client: client, Now: d.Now})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(t.Context(), tt.made)
		if fine := tt.want == ""; fine != (err == nil) || !fine && (verdict(err) != "unavailable" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("redirected to %s: %v, want %q", tt.target, err, tt.want)
		}
		client.CloseIdleConnections()
	}
}

func FuzzJWKS(f *testing.F) {
	d := newDesk()
	made := d.token(0)
	f.Add(d.text())
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"0","x":"AA","y":"AA"}]}`)
	f.Add(`{"keys":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		d.body = body
		if body == "" {
			return
		}
		if got := verdict(second(d.verifier(t).Verify(t.Context(), made))); strings.HasPrefix(got, "strange") {
			t.Error(got)
		}
	})
}

func second(_ sessions.Claims, err error) error { return err }
