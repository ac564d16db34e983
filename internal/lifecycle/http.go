package lifecycle

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// HTTP makes a service of a server on an open listener. Draining stops it from
// accepting and waits for the requests under way; the end of ctx closes their
// connections and ends their contexts. Unlike http.Server.Shutdown it also
// waits for the handlers of connections that were closed, so that nothing still
// uses what the caller closes next. Connections that a handler hijacked are the
// handler's own.
//
// The service takes over srv: use it for nothing else.
func HTTP(name string, srv *http.Server, ln net.Listener) Service {
	return Service{Name: name, Run: func(ctx context.Context, drain <-chan struct{}) error {
		var conns sync.WaitGroup
		srv.ConnState = track(&conns, srv.ConnState)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ln) }()
		select {
		case err := <-served:
			srv.Close()
			conns.Wait()
			return err
		case <-drain:
		case <-ctx.Done():
		}
		if err := srv.Shutdown(ctx); err != nil {
			srv.Close()
		}
		err := <-served // no connection is added after this
		conns.Wait()
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}}
}

// track counts open connections. The server reports each as new before it
// serves it, and as closed or hijacked after the last handler has returned.
func track(conns *sync.WaitGroup, next func(net.Conn, http.ConnState)) func(net.Conn, http.ConnState) {
	return func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			conns.Done()
		}
		if next != nil {
			next(c, state)
		}
	}
}
