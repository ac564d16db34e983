package lifecycle_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"bellhop/internal/lifecycle"
	"bellhop/internal/lifecycle/lifecycletest"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// slow answers when it is released or its request is cut.
type slow struct{ entered, release, left chan struct{} }

func newSlow() *slow {
	return &slow{entered: make(chan struct{}), release: make(chan struct{}), left: make(chan struct{})}
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer close(s.left)
	close(s.entered)
	select {
	case <-s.release:
		io.WriteString(w, "done")
	case <-r.Context().Done():
	}
}

// get asks for the page and sends its body, or "cut".
func get(t *testing.T, ln net.Listener) <-chan string {
	body := make(chan string, 1)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	go func() {
		resp, err := client.Get("http://" + ln.Addr().String())
		if err != nil {
			body <- "cut"
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		body <- string(text)
	}()
	return body
}

func TestHTTPStress(t *testing.T) {
	lifecycletest.Stress(t, func(t *testing.T) lifecycle.Service {
		return lifecycle.HTTP("web", &http.Server{Handler: http.NotFoundHandler()}, listen(t))
	})
}

func TestHTTPFinishesRequests(t *testing.T) {
	handler, ln, drain := newSlow(), listen(t), make(chan struct{})
	service := lifecycle.HTTP("web", &http.Server{Handler: handler}, ln)
	ended := make(chan error, 1)
	go func() { ended <- service.Run(t.Context(), drain) }()
	body := get(t, ln)
	<-handler.entered
	close(drain)
	refused(t, ln)
	close(handler.release)
	if got := <-body; got != "done" {
		t.Errorf("the request under way got %q, want its answer", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// refused waits until nothing can connect any more.
func refused(t *testing.T, ln net.Listener) {
	for {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestHTTPCutWaitsForHandlers(t *testing.T) {
	handler, ln, drain := newSlow(), listen(t), make(chan struct{})
	service := lifecycle.HTTP("web", &http.Server{Handler: handler}, ln)
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, drain) }()
	body := get(t, ln)
	<-handler.entered
	close(drain)
	cut()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	select {
	case <-handler.left:
	default:
		t.Error("Run returned while a handler was running")
	}
	if got := <-body; got != "cut" {
		t.Errorf("the request got %q, want it cut", got)
	}
}

func TestHTTPListenerBroken(t *testing.T) {
	ln := listen(t)
	ln.Close()
	service := lifecycle.HTTP("web", &http.Server{}, ln)
	if err := service.Run(t.Context(), nil); err == nil {
		t.Error("Run = nil on a closed listener, want its error")
	}
}
