package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/control"
	"bellhop/internal/token"
)

// keyDesk looks after the keys that sign access tokens.
type keyDesk struct {
	ring   *token.Ring
	access *token.Access // learns at once of what is changed here; nil for nobody
}

// turn is a request to rotate, over the control socket.
type turn struct {
	Force bool `json:"force"`
}

// keyName is a request about one key, over the control socket.
type keyName struct {
	ID string `json:"kid"`
}

func (d *keyDesk) list(ctx context.Context) ([]token.Key, error) { return d.ring.Keys(ctx) }

func (d *keyDesk) rotate(ctx context.Context, t turn) ([]token.Key, error) {
	keys, err := d.ring.Rotate(ctx, t.Force)
	return keys, d.learn(ctx, err)
}

func (d *keyDesk) retire(ctx context.Context, k keyName) ([]token.Key, error) {
	keys, err := d.ring.Retire(ctx, k.ID)
	return keys, d.learn(ctx, err)
}

// learn lets this process use what has changed, unless nothing has.
func (d *keyDesk) learn(ctx context.Context, err error) error {
	if err != nil || d.access == nil {
		return err
	}
	return d.access.Reload(ctx)
}

// route lets commands reach the desk of the process that has the store.
func (d *keyDesk) route(mux *http.ServeMux) {
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		keys, err := d.list(r.Context())
		answer(w, keys, err)
	})
	mux.HandleFunc("POST /keys/rotate", on(d.rotate))
	mux.HandleFunc("POST /keys/retire", on(d.retire))
}

// keysList is "bellhop keys list".
func (p Program) keysList(ctx context.Context, cfg *config.KeysList) error {
	keys, err := p.keys(ctx, &cfg.Data)
	if err != nil {
		return err
	}
	if cfg.JSON {
		return json.NewEncoder(p.Stdout).Encode(keys)
	}
	for _, k := range keys {
		fmt.Fprintf(p.Stdout, "%s\n  %s\n", k.ID, standing(k))
	}
	return nil
}

// standing says what a key is for.
func standing(k token.Key) string {
	switch {
	case k.State == token.RetiredKey:
		return fmt.Sprintf("retired since %s, verifies what it signed until %s", local(k.Retired), local(k.Gone))
	case k.State == token.CurrentKey:
		return "current, signs since " + local(k.Signs)
	case !k.Signs.IsZero():
		return "next, signs from " + local(k.Signs)
	}
	return "next, published since " + local(k.Published)
}

func local(t time.Time) string { return t.Local().Format(time.DateTime) }

func (p Program) keys(ctx context.Context, data *config.Data) (keys []token.Key, err error) {
	return keys, p.aboutKeys(ctx, data, "GET", "/keys", nil, &keys, func(d *keyDesk) (err error) {
		keys, err = d.list(ctx)
		return err
	})
}

// keysRotate is "bellhop keys rotate".
func (p Program) keysRotate(ctx context.Context, cfg *config.KeysRotate) error {
	var keys []token.Key
	order := turn{Force: cfg.Force}
	err := p.aboutKeys(ctx, &cfg.Data, "POST", "/keys/rotate", order, &keys, func(d *keyDesk) (err error) {
		keys, err = d.rotate(ctx, order)
		return err
	})
	if err != nil {
		return err
	}
	next := keys[len(keys)-1] // there are three at least
	p.tellSigner(keys)
	old := keys[len(keys)-3]
	fmt.Fprintf(p.Stdout, "%s verifies what it signed until %s.\n", old.ID, local(old.Gone))
	_, err = fmt.Fprintf(p.Stdout, "%s is the next one.\n", next.ID)
	return err
}

// tellSigner says which key signs: the last but one, and the last is the next.
func (p Program) tellSigner(keys []token.Key) {
	switch k := keys[len(keys)-2]; k.State {
	case token.CurrentKey:
		fmt.Fprintf(p.Stdout, "%s signs access tokens.\n", k.ID)
	default:
		fmt.Fprintf(p.Stdout, "%s signs access tokens from %s: everybody who verifies them must know it first.\n", k.ID, local(k.Signs))
	}
}

// keysRetire is "bellhop keys retire".
func (p Program) keysRetire(ctx context.Context, cfg *config.KeysRetire) error {
	before, err := p.keys(ctx, &cfg.Data)
	if err != nil {
		return err
	}
	var keys []token.Key
	order := keyName{ID: cfg.Key}
	err = p.aboutKeys(ctx, &cfg.Data, "POST", "/keys/retire", order, &keys, func(d *keyDesk) (err error) {
		keys, err = d.retire(ctx, order)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "%s is out.\n", cfg.Key)
	effect := "What it signed is refused from now on: by Bellhop within 30 seconds, by other services when they fetch the keys again, 10 minutes from now at most if they reach Bellhop.\nNobody is signed out: apps get a new access token by their refresh token."
	for _, k := range before {
		if k.ID == cfg.Key && k.State == token.NextKey {
			effect = "It has signed nothing, so no token is refused."
		}
	}
	fmt.Fprintln(p.Stdout, effect)
	p.tellSigner(keys)
	return nil
}

// aboutKeys asks the process that has the embedded store, or opens the store for
// fn: one that no process holds, or that is in Redis, where others read the keys
// every 30 seconds.
func (p Program) aboutKeys(ctx context.Context, data *config.Data, method, path string, in, out any, fn func(*keyDesk) error) error {
	if data.Store.Embedded() {
		err := askHolder(ctx, data.DataDir, method, path, in, out)
		if !errors.Is(err, control.ErrNotRunning) {
			return err
		}
	}
	return withStore(ctx, data, data.Store.Embedded(), func(r *rooms) error {
		return fn(&keyDesk{ring: token.NewRing(r.store, 0, nil)})
	})
}
