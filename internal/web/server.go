package web

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// MaxConnections is how many connections [Limit] keeps open by default.
	MaxConnections = 10_000

	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 16 << 10
)

// NewServer returns a server for a handler of [New], with a limit on
// everything a client can be slow or long at (B6.1). Serve it on a listener of
// [Limit]. It speaks HTTP/1.1: TLS is the business of whatever is in front.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
		// OPTIONS * is answered like everything else, by the handler.
		DisableGeneralOptionsHandler: true,
		// What net/http itself has to say is about clients, not about us.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Limit returns a listener that keeps at most n connections open at a time and
// lets others wait in the backlog. 0 means [MaxConnections].
func Limit(l net.Listener, n int) net.Listener {
	if n == 0 {
		n = MaxConnections
	}
	return netutil.LimitListener(l, n)
}
