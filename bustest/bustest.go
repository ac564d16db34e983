package bustest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/bus"
	"bellhop/internal/busadmin"
	"bellhop/internal/busnet"
	"bellhop/internal/busserver"
	"bellhop/internal/sas"
)

// endWithin is how long the end of a bus may take.
const endWithin = 10 * time.Second

// Bus is a running bus. Its methods may be called concurrently, from any
// goroutine of the test that started it. What cannot be done fails that test:
// naming a queue that is not there, for example.
type Bus struct {
	t      testing.TB
	bus    *bus.Bus
	server *busserver.Server
	faults *busserver.Faults
	keys   *sas.Keys
	ahead  atomic.Int64 // of the real clock, in nanoseconds

	listener    *busnet.Listener
	serving     sync.WaitGroup
	trust       *tls.Config // nil without TLS
	certificate string
}

// Start starts a bus, which ends with the test.
func Start(t testing.TB, opts ...Option) *Bus {
	t.Helper()
	var s settings
	for _, option := range opts {
		option(&s)
	}
	b := &Bus{t: t, faults: &busserver.Faults{}, keys: sas.RandomKeys()}
	b.open()
	b.listen(s.tls)
	for _, q := range s.queues {
		b.create(q)
	}
	return b
}

func (b *Bus) must(doing string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("bustest: %s: %v", doing, err)
	}
}

// check is must for goroutines that may not end the test.
func (b *Bus) check(doing string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Errorf("bustest: %s: %v", doing, err)
	}
}

func (b *Bus) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// open opens the bus and makes the server over it.
func (b *Bus) open() {
	b.t.Helper()
	var wiring busserver.Wiring
	var err error
	b.bus, err = bus.Open(wiring.Bus(bus.Options{InMemory: true, Now: b.now}))
	b.must("start", err)
	b.t.Cleanup(func() {
		if err := b.bus.Close(); err != nil {
			b.t.Errorf("bustest: close: %v", err)
		}
	})
	b.server = busserver.New(busserver.Options{Bus: b.bus, Wiring: &wiring, Keys: b.keys, Faults: b.faults})
}

// listen takes connections until the test ends.
func (b *Bus) listen(secure bool) {
	b.t.Helper()
	options := busnet.Options{Address: "127.0.0.1:0"}
	if secure {
		options.TLS = b.certify
	}
	var err error
	b.listener, err = busnet.Listen(options)
	b.must("listen", err)
	b.serving.Go(func() {
		err := b.listener.Serve(context.Background(), busnet.Routes{
			AMQP: func(ctx context.Context, conn net.Conn, secure bool) {
				_ = b.server.ServeConn(ctx, conn, amqp.Transport{Secure: secure, Loopback: true})
			},
			HTTP: busadmin.New(busadmin.Options{Bus: b.bus, Keys: b.keys}),
		})
		if err != nil {
			b.t.Errorf("bustest: %v", err)
		}
	})
	b.t.Cleanup(b.stop)
}

// certify makes the certificate for the port, and what clients trust.
func (b *Bus) certify(port int) (*tls.Config, error) {
	dir := b.t.TempDir()
	cert, err := busnet.Certificate(dir, nil, port, nil)
	if err != nil {
		return nil, err
	}
	b.certificate = busnet.CertificateFile(dir)
	b.trust = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	b.trust.RootCAs.AddCert(cert.Leaf)
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// stop ends the server. A fault may not hold it up.
func (b *Bus) stop() {
	b.faults.Deaf(false)
	b.faults.Delay(0)
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	if err := b.server.Shutdown(ctx); err != nil {
		b.t.Logf("bustest: clients that do not leave are cut: %v", err)
	}
	b.listener.Close()
	b.serving.Wait()
}

// ConnectionString is what clients connect with. It allows everything. Without
// [TLS] it has UseDevelopmentEmulator=true, which tells the SDKs that there is
// none.
func (b *Bus) ConnectionString() string {
	root := b.keys.Root()
	return sas.ConnectionString{
		Endpoint: "sb://" + b.Host(), KeyName: root.Name, Key: root.Key, Emulator: b.trust == nil,
	}.String()
}

// Host is the host and port that clients connect to.
func (b *Bus) Host() string {
	return net.JoinHostPort("localhost", strconv.Itoa(b.listener.Port()))
}

// TLSConfig is for clients that connect with TLS: it trusts the bus's
// certificate, and nothing else. It is nil without [TLS].
func (b *Bus) TLSConfig() *tls.Config { return b.trust.Clone() }

// CertificateFile is the bus's certificate (PEM), for clients that are told by a
// file or a variable such as NODE_EXTRA_CA_CERTS. It is "" without [TLS].
func (b *Bus) CertificateFile() string { return b.certificate }

// HTTPClient is for the SDK's admin client, as the Transport of its options. The
// SDK knows only https URLs; without [TLS] this client asks in plain HTTP.
func (b *Bus) HTTPClient() *http.Client {
	transport := &http.Transport{TLSClientConfig: b.TLSConfig(), DisableKeepAlives: true}
	if b.trust != nil {
		return &http.Client{Transport: transport}
	}
	return &http.Client{Transport: plain{transport}}
}

// plain asks in plain HTTP.
type plain struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return p.RoundTripper.RoundTrip(r)
}
