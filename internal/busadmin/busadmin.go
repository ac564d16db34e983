package busadmin

import (
	"log/slog"
	"net/http"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

// Options configure [New]. Bus and Keys are required.
type Options struct {
	Bus  *bus.Bus
	Keys *sas.Keys
	// AcceptAnyKey takes any credential, a token of Microsoft Entra too, for one
	// that may do everything. For a listener that only this machine reaches.
	AcceptAnyKey bool
	// Hosts tells whether requests for a host are answered; the others get 403,
	// because a page whose DNS name points here asks for its own name. The host
	// has no port and no brackets. Default: localhost and loopback addresses.
	Hosts func(host string) bool
	// MaxMessageBytes is the size of message the bus takes, which descriptions
	// of queues report. Default: 256 KiB.
	MaxMessageBytes int
	// Now is the clock that tokens are judged by. Default: time.Now.
	Now func() time.Time
	// Logger is told what was created, altered and deleted. Default: none.
	Logger *slog.Logger
}

// New serves the admin API: queues are created, read, listed, updated and
// deleted as the Service Bus SDKs' admin clients do. GET /health is the
// emulator's: anybody may ask. The handler may be used concurrently.
func New(opts Options) http.Handler {
	return http.NotFoundHandler()
}
