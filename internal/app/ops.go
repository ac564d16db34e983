package app

import (
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"bellhop/internal/metrics"
)

// opsServer serves metrics and profiles, on a listener of its own: they say
// too much about a process for the public one. Whether it is well is there,
// too, because a process without the web role has no other.
func opsServer(m *metrics.Metrics, probes http.Handler, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.Handle("GET /health", probes)
	mux.Handle("GET /readyz", probes)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
