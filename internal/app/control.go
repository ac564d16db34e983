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
	"bellhop/internal/onboarding"
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
	rooms *rooms
	relay *onboarding.Relay
}

func (c *controlServer) http(log *slog.Logger) *http.Server {
	desk := c.rooms.deadDesk(c.relay.Notify)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dead", func(w http.ResponseWriter, r *http.Request) {
		items, err := desk.list(r.Context())
		answer(w, items, err)
	})
	mux.HandleFunc("POST /dead/replay", onEach(desk.replay))
	mux.HandleFunc("POST /dead/discard", onEach(desk.discard))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// deadDesk is the desk over a process's own files.
func (r *rooms) deadDesk(notify func(onboarding.Lane)) *deadDesk {
	return &deadDesk{ledger: r.store, queue: r.queue, notify: notify}
}

// onEach runs do on every id of an order.
func onEach(do func(context.Context, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand)).Decode(&o); err != nil {
			http.Error(w, "want {\"ids\": [...]}: "+err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, each(r.Context(), o.IDs, do), nil)
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
	client, err := control.Dial(ctx, data.DataDir)
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
