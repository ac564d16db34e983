package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bellhop/internal/token"
)

// oneDocument is a store of one document.
type oneDocument struct {
	value   []byte
	version int64
}

func (d *oneDocument) Document(context.Context, string) ([]byte, int64, error) {
	return d.value, d.version, nil
}

func (d *oneDocument) SetDocument(_ context.Context, _ string, value []byte, version int64) (bool, error) {
	if version != d.version {
		return false, nil
	}
	d.value, d.version = value, version+1
	return true, nil
}

// What a command changes through the running process, that process uses at once.
func TestKeyDeskTellsItsProcess(t *testing.T) {
	docs := new(oneDocument)
	access, err := token.NewAccess(t.Context(), docs, token.AccessConfig{Issuer: "https://desk.example", Audience: "a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	issue, err := access.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := issue("ada", "session")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&keyDesk{token.NewRing(docs, 0, nil), access}).route(mux)
	ask := func(method, path, body string, want int) (keys []token.Key, text string) {
		t.Helper()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		if w.Code != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
		}
		if want == http.StatusOK {
			if err := json.Unmarshal(w.Body.Bytes(), &keys); err != nil {
				t.Fatal(err)
			}
		}
		return keys, w.Body.String()
	}
	before, _ := ask("GET", "/keys", "", 200)
	if _, text := ask("POST", "/keys/rotate", `{}`, 500); !strings.Contains(text, "too young") {
		t.Errorf("rotate: %s", text)
	}
	if _, text := ask("POST", "/keys/retire", `{"kid":"nobody's"}`, 500); !strings.Contains(text, "no signing key has this id") {
		t.Errorf("retire: %s", text)
	}
	if keys, _ := ask("POST", "/keys/rotate", `{"force":true}`, 200); len(keys) != 3 || keys[1].ID != before[1].ID {
		t.Errorf("keys %v after a rotation", keys)
	}
	if jwks, _ := access.JWKS(); bytes.Count(jwks, []byte(`"kid"`)) != 3 {
		t.Errorf("the process publishes %s", jwks)
	}
	ask("POST", "/keys/retire", `{"kid":"`+before[0].ID+`"}`, 200)
	if _, err := access.Verify(made); err == nil {
		t.Error("the process still takes a token of a retired key")
	}
}

func TestStanding(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	for want, key := range map[string]token.Key{
		"next, published since 2026-05-04 03:02:01": {State: token.NextKey, Published: at},
		"next, signs from 2026-05-04 03:02:01":      {State: token.NextKey, Signs: at},
		"current, signs since 2026-05-04 03:02:01":  {State: token.CurrentKey, Signs: at},
		"retired since 2026-05-04 03:02:01, verifies what it signed until 2026-05-04 04:02:01": {
			State: token.RetiredKey, Signs: at.Add(-time.Hour), Retired: at, Gone: at.Add(time.Hour)},
	} {
		if got := standing(key); got != want {
			t.Errorf("standing = %q, want %q", got, want)
		}
	}
}
