package busnet_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/busnet"
)

const patience = 30 * time.Second

// record is a log that may be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// rig is a listener that serves: AMQP by saying what it got and sending it
// back, HTTP by saying whether it is inside of TLS.
type rig struct {
	*busnet.Listener
	log    record
	pool   *x509.CertPool
	served chan error
	// slow, if not nil, is received from before a request is answered; asked
	// says that one is there.
	slow, asked chan struct{}
}

type change func(*busnet.Options)

func withTLS(t *testing.T) change {
	dir := t.TempDir()
	return func(o *busnet.Options) {
		o.TLS = func(port int) (*tls.Config, error) {
			cert, err := busnet.Certificate(dir, nil, port, nil)
			return &tls.Config{Certificates: []tls.Certificate{cert}}, err
		}
	}
}

func within(d time.Duration) change { return func(o *busnet.Options) { o.Timeout = d } }

func open(t *testing.T, changes ...change) *rig {
	t.Helper()
	r := &rig{served: make(chan error, 1), asked: make(chan struct{}, 1)}
	o := busnet.Options{Address: "127.0.0.1:0", Logger: r.log.logger(), Timeout: patience}
	for _, c := range changes {
		c(&o)
	}
	if makeTLS := o.TLS; makeTLS != nil {
		o.TLS = func(port int) (*tls.Config, error) {
			cfg, err := makeTLS(port)
			if err == nil {
				r.pool = x509.NewCertPool()
				r.pool.AddCert(cfg.Certificates[0].Leaf)
			}
			return cfg, err
		}
	}
	l, err := busnet.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Listener = l
	return r
}

// serve begins to serve until the test ends.
func (r *rig) serve(t *testing.T, ctx context.Context) *rig {
	t.Helper()
	go func() {
		r.served <- r.Serve(ctx, busnet.Routes{AMQP: r.amqp, HTTP: http.HandlerFunc(r.http)})
	}()
	t.Cleanup(func() {
		r.Close()
		if err := r.wait(t); err != nil {
			t.Error(err)
		}
	})
	return r
}

// wait returns what Serve returned.
func (r *rig) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.served:
		r.served <- err
		return err
	case <-time.After(patience):
		t.Fatal("Serve does not return")
		return nil
	}
}

func (r *rig) amqp(_ context.Context, conn net.Conn, secure bool) {
	hello := "plain:"
	if secure {
		hello = "secure:"
	}
	if _, err := io.WriteString(conn, hello); err == nil {
		_, _ = io.Copy(conn, conn)
	}
}

func (r *rig) http(w http.ResponseWriter, req *http.Request) {
	if r.slow != nil {
		r.asked <- struct{}{}
		<-r.slow
	}
	if req.TLS != nil && req.TLS.HandshakeComplete {
		_, _ = io.WriteString(w, "secure:")
	} else {
		_, _ = io.WriteString(w, "plain:")
	}
	_, _ = io.WriteString(w, req.URL.Path)
}

func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.Addr().String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func (r *rig) dialTLS(t *testing.T) net.Conn {
	t.Helper()
	conn := tls.Client(r.dial(t), &tls.Config{RootCAs: r.pool, ServerName: "localhost"})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// closed fails the test unless the other end closes without a word.
func closed(t *testing.T, conn net.Conn) {
	t.Helper()
	got, err := io.ReadAll(conn)
	if len(got) > 0 || os.IsTimeout(err) {
		t.Errorf("got %q, %v; want the end", got, err)
	}
}

// expect reads exactly want.
func expect(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// request asks in HTTP and returns the body.
func request(t *testing.T, conn net.Conn) string {
	t.Helper()
	send(t, conn, "GET /queue HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(conn)
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
		t.Fatalf("got %q, %v", answer, err)
	}
	return body
}
