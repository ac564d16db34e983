package busadmin

import (
	"encoding/xml"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
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
	// Logger is told what was created, updated and deleted, and of faults of
	// the bus. Default: none.
	Logger *slog.Logger
}

// New serves the admin API: queues are created, read, listed, updated and
// deleted as the Service Bus SDKs' admin clients do. What has no room here yet
// (topics, sessions, forwarding, deleting on idle, partitions) is refused and
// says so. GET /health is the emulator's and wants no credential; a queue of
// that name is reached with one.
//
// The handler may be used concurrently. How long a client may take to send its
// request is for the server to bound.
func New(opts Options) http.Handler {
	if opts.Hosts == nil {
		opts.Hosts = isLoopback
	}
	if opts.MaxMessageBytes == 0 {
		opts.MaxMessageBytes = 256 << 10
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &api{opts, opts.Now()}
}

// api is the handler.
type api struct {
	Options
	started time.Time
}

// answer is what a request gets. A nil body is none.
type answer struct {
	status int
	body   any // encoded as XML
}

// ServeHTTP answers one request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" && r.Header.Get("Authorization") == "" && a.Hosts(hostname(r.Host)) && r.Method == http.MethodGet {
		a.health(w, r)
		return
	}
	got, err := a.serve(w, r)
	if err != nil {
		got = a.refused(r, err)
	}
	if got.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "DELETE, GET, PUT")
	}
	write(w, got)
}

// serve routes a request.
func (a *api) serve(w http.ResponseWriter, r *http.Request) (answer, error) {
	if !a.Hosts(hostname(r.Host)) {
		return answer{}, errHost
	}
	if isWebSocket(r) {
		return answer{}, notSupported("AMQP connections over WebSocket")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return answer{}, errMethod
	}
	caller, err := a.authorize(r)
	if err != nil {
		return answer{}, err
	}
	path := strings.Trim(r.URL.Path, "/")
	if isReserved(path) {
		return a.reserved(r, caller, strings.ToLower(path))
	}
	switch r.Method {
	case http.MethodPut:
		return a.put(w, r, caller, path)
	case http.MethodDelete:
		return a.remove(r, caller, path)
	}
	return a.get(r, caller, path)
}

// isWebSocket tells a client of AMQP from one of the admin API. It shows its token
// only after the handshake.
func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || strings.EqualFold(strings.Trim(r.URL.Path, "/"), "$servicebus/websocket")
}

// isReserved tells paths that can name no queue from those that can.
func isReserved(path string) bool {
	return path == "" || path[0] == '$' || strings.Contains(strings.ToLower(path)+"/", "/subscriptions/")
}

// reserved serves what is not a queue. The path is in lower case.
func (a *api) reserved(r *http.Request, caller caller, path string) (answer, error) {
	if strings.Contains(path+"/", "/subscriptions/") {
		return answer{}, notSupported("Subscriptions")
	}
	if r.Method != http.MethodGet {
		return answer{}, errMethod
	}
	if err := caller.mayRead(); err != nil {
		return answer{}, err
	}
	switch path {
	case "$resources/queues":
		return a.list(r)
	case "$resources/topics":
		return answer{http.StatusOK, placeOf(r).feed("$Resources/Topics", 0, defaultPage, 0, false, a.Now())}, nil // there are none
	case "$namespaceinfo":
		p := placeOf(r)
		entry := p.bare(p.name, a.started, a.started)
		entry.Content.Namespace = &namespaceInfo{
			Xmlns: serviceSpace, Instance: instanceSpace, Name: p.name, MessagingSKU: "Standard", NamespaceType: "Messaging",
			CreatedTime: timestamp(a.started), ModifiedTime: timestamp(a.started),
		}
		return answer{http.StatusOK, entry}, nil
	}
	return answer{}, errNoResource
}

// health says what the emulator's health check says: healthy while the bus can
// be read and no commit has failed.
func (a *api) health(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, err := a.Bus.Queue(r.Context(), "health")
	if a.Bus.Err() != nil || err != nil && !errors.Is(err, bus.ErrQueueNotFound) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"unhealthy","message":"The bus has failed or is ending."}`))
		return
	}
	_, _ = w.Write([]byte(`{"status":"healthy","message":"Service is healthy."}`))
}

// write sends an answer. What goes wrong then is the connection's.
func write(w http.ResponseWriter, got answer) {
	if got.body == nil {
		w.WriteHeader(got.status)
		return
	}
	kind := "application/xml; charset=utf-8"
	switch got.body.(type) {
	case atomEntry:
		kind = "application/atom+xml;type=entry;charset=utf-8"
	case atomFeed:
		kind = "application/atom+xml;type=feed;charset=utf-8"
	}
	text, err := xml.Marshal(got.body)
	if err != nil {
		http.Error(w, "the answer cannot be written as XML", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(got.status)
	_, _ = plainEscapes.WriteString(w, string(text))
}

// plainEscapes writes what encoding/xml escapes by number in the way that
// JavaScript's SDK reads: it knows the names only. Attributes here have neither
// tabs nor ends of lines.
var plainEscapes = strings.NewReplacer("&#34;", "&quot;", "&#39;", "&apos;", "&#x9;", "\t", "&#xA;", "\n")

// hostname is a Host header without its port and brackets.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
