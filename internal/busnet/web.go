package busnet

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// web serves HTTP on connections that are handed to it. It is a net.Listener
// for its own server.
type web struct {
	srv    *http.Server
	conns  sync.WaitGroup // one for each connection the server has
	handed chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// newWeb makes a server with a limit on everything a client can be slow or long
// at. A token in a header has 4 KiB at most.
func newWeb(log *slog.Logger) *web {
	w := &web{handed: make(chan net.Conn), closed: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	w.srv = &http.Server{
		Protocols:         protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ConnState:         w.track,
		ConnContext:       withSecure,
		// What net/http itself has to say is about clients, not about us.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return w
}

// serve runs until shutdown or close, and until the last handler has returned.
func (w *web) serve(handler http.Handler) {
	w.srv.Handler = tellSecure(handler)
	_ = w.srv.Serve(w) // http.ErrServerClosed: Accept has no other error
	w.conns.Wait()
}

// take hands a connection over, or closes it when nobody takes any.
func (w *web) take(conn net.Conn) {
	select {
	case w.handed <- conn:
	case <-w.closed:
		conn.Close()
	}
}

func (w *web) shutdown(ctx context.Context) error { return w.srv.Shutdown(ctx) }

func (w *web) close() { _ = w.srv.Close() }

// track counts open connections. The server reports each as new before it
// serves it, and as closed or hijacked after the last handler has returned. One
// that came while the server was closing may have been missed by it.
func (w *web) track(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		w.conns.Add(1)
		select {
		case <-w.closed:
			conn.Close()
		default:
		}
	case http.StateClosed, http.StateHijacked:
		w.conns.Done()
	}
}

// Accept implements [net.Listener].
func (w *web) Accept() (net.Conn, error) {
	select {
	case conn := <-w.handed:
		return conn, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (w *web) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

// Addr implements [net.Listener]. It is only a name: connections have their own
// addresses.
func (w *web) Addr() net.Addr { return &net.TCPAddr{} }

// secureKey is the key of a connection's secureConn in its requests' contexts.
type secureKey struct{}

func withSecure(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*secureConn); ok {
		return context.WithValue(ctx, secureKey{}, c)
	}
	return ctx
}

// tellSecure sets a request's TLS as net/http itself does where it sees a
// tls.Conn.
func tellSecure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(secureKey{}).(*secureConn); ok {
			state := c.ConnectionState()
			r.TLS = &state
		}
		next.ServeHTTP(w, r)
	})
}
