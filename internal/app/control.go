package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/control"
	"bellhop/internal/mail/mailbox"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// maxCommand bounds a request over the control socket: a million ids.
const maxCommand = 64 << 20

// order is a request over the control socket: do something with each id.
type order struct {
	IDs []string `json:"ids"`
}

// receipt says what became of each id, "" for done.
type receipt struct {
	Problems map[string]string `json:"problems"`
}

// controlServer lets commands act through the process that holds the files.
type controlServer struct {
	rooms  *rooms
	notify func(onboarding.Lane)
	people *signup.Service  // nil where there are none
	access *token.Access    // nil where there are none
	box    *mailbox.Mailbox // nil where there is none
	log    *slog.Logger
}

func (c *controlServer) http() *http.Server {
	mux := http.NewServeMux()
	c.routeDead(mux)
	c.routePeople(mux)
	(&keyDesk{token.NewRing(c.rooms.store, 0, nil), c.access}).route(mux)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
}

func (c *controlServer) routeDead(mux *http.ServeMux) {
	desk := c.rooms.deadDesk(c.notify)
	mux.HandleFunc("GET /dead", func(w http.ResponseWriter, r *http.Request) {
		items, err := desk.list(r.Context())
		answer(w, items, err)
	})
	mux.HandleFunc("POST /dead/replay", onEach(desk.replay))
	mux.HandleFunc("POST /dead/discard", onEach(desk.discard))
}

func (c *controlServer) routePeople(mux *http.ServeMux) {
	if c.people != nil {
		desk := registry{people: c.people, erased: c.rooms.metrics.Erasure}
		mux.HandleFunc("POST /people/find", onOne(desk.find))
		mux.HandleFunc("POST /people/erase", onOne(desk.erase))
		mux.HandleFunc("POST /people/export", onOne(desk.export))
	}
	if c.box != nil {
		mux.HandleFunc("POST /mailbox/forget", on(func(ctx context.Context, e erasure) (struct{}, error) {
			return struct{}{}, forgetAll(ctx, c.box, e.Addresses)
		}))
	}
}

// deadDesk is the desk over a process's own files.
func (r *rooms) deadDesk(notify func(onboarding.Lane)) *deadDesk {
	return &deadDesk{ledger: r.store, queue: r.queue, notify: notify}
}

// onEach runs do on every id of an order.
func onEach(do func(context.Context, string) error) http.HandlerFunc {
	return on(func(ctx context.Context, o order) (receipt, error) { return each(ctx, o.IDs, do), nil })
}

// onOne runs do on whom a request is about.
func onOne[T any](do func(context.Context, string) (T, error)) http.HandlerFunc {
	return on(func(ctx context.Context, a about) (T, error) { return do(ctx, a.Who) })
}

// on decodes a request for do, and encodes what it returns.
func on[In, Out any](do func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand)).Decode(&in); err != nil {
			http.Error(w, "a request that this version does not understand: "+err.Error(), http.StatusBadRequest)
			return
		}
		out, err := do(r.Context(), in)
		answer(w, out, err)
	}
}

func each(ctx context.Context, ids []string, do func(context.Context, string) error) receipt {
	r := receipt{Problems: make(map[string]string)}
	for _, id := range ids {
		if err := do(ctx, id); err != nil {
			r.Problems[id] = err.Error()
		}
	}
	return r
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
}

// call sends a request to the running process that has the data to itself, and
// decodes its answer. It returns [control.ErrNotRunning] when there is none, or
// everybody can reach the data.
func call(ctx context.Context, data *config.Data, method, path string, in, out any) error {
	if !data.Local() {
		return control.ErrNotRunning
	}
	return askHolder(ctx, data.DataDir, method, path, in, out)
}

// askHolder is call for whatever process holds a data directory.
func askHolder(ctx context.Context, dir, method, path string, in, out any) error {
	client, err := control.Dial(ctx, dir)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, control.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the running bellhop: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return errors.New("the running bellhop: " + string(bytes.TrimSpace(text)))
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
