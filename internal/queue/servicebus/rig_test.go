package servicebus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/bus"
	"bellhop/internal/busadmin"
	"bellhop/internal/busnet"
	"bellhop/internal/busserver"
	"bellhop/internal/porttest"
	"bellhop/internal/sas"
	"bellhop/internal/sqlitedb"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// enough is how long a test waits for what must happen.
const enough = 90 * time.Second

// wire is a bus behind a listener of its own, durable, with a clock that can be
// moved forward.
type wire struct {
	*testing.T
	dir    string
	tls    bool
	anyKey bool // also whoever shows a token of Microsoft Entra
	keys   *sas.Keys
	faults *busserver.Faults
	jump   atomic.Int64
	port   string // the same after a stop

	bus      *bus.Bus
	server   atomic.Pointer[busserver.Server]
	listener *busnet.Listener
	serving  sync.WaitGroup
	queues   []*Queue
}

// The rules of a wire's keys, beside the root's.
const (
	onlySend   = "only-send"
	onlyListen = "only-listen"
	theirKey   = "a key of no importance"
)

func startWire(t *testing.T, tls bool, set ...func(*wire)) *wire {
	t.Helper()
	keys, err := sas.NewKeys(
		sas.Rule{Name: sas.RootRule, Key: "another key of no importance", Rights: sas.Manage},
		sas.Rule{Name: onlySend, Key: theirKey, Rights: sas.Send},
		sas.Rule{Name: onlyListen, Key: theirKey, Rights: sas.Listen},
	)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{T: t, dir: t.TempDir(), tls: tls, keys: keys}
	_, w.port, err = net.SplitHostPort(porttest.Hold(t))
	w.must(err)
	for _, f := range set {
		f(w)
	}
	w.start()
	t.Cleanup(func() {
		for _, q := range w.queues {
			if err := q.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		w.stop()
	})
	return w
}

func (w *wire) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *wire) now() time.Time { return time.Now().Add(time.Duration(w.jump.Load())) }

func (w *wire) start() {
	w.Helper()
	var err error
	var wiring busserver.Wiring
	w.bus, err = bus.Open(wiring.Bus(bus.Options{Path: filepath.Join(w.dir, "bus.db"), Durability: sqlitedb.Off, Now: w.now}))
	w.must(err)
	options := busnet.Options{Address: "127.0.0.1:" + w.port}
	if w.tls {
		options.TLS = func(port int) (*tls.Config, error) {
			cert, err := busnet.Certificate(w.dir, nil, port, nil)
			return &tls.Config{Certificates: []tls.Certificate{cert}}, err
		}
	}
	w.listener, err = busnet.Listen(options)
	w.must(err)
	w.faults = &busserver.Faults{}
	server := busserver.New(busserver.Options{Bus: w.bus, Wiring: &wiring, Keys: w.keys, AcceptAnyKey: w.anyKey, Faults: w.faults})
	w.server.Store(server)
	w.serving.Go(func() {
		err := w.listener.Serve(context.Background(), busnet.Routes{
			AMQP: func(ctx context.Context, conn net.Conn, secure bool) {
				_ = server.ServeConn(ctx, conn, amqp.Transport{Secure: secure, Loopback: true})
			},
			HTTP: busadmin.New(busadmin.Options{Bus: w.bus, Keys: w.keys, AcceptAnyKey: w.anyKey}),
		})
		if err != nil {
			w.Error(err)
		}
	})
}

// stop ends the bus as abruptly as can be without ending the process.
func (w *wire) stop() {
	w.Helper()
	w.listener.Close()
	w.serving.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	if err := w.server.Load().Shutdown(ctx); err != nil {
		w.Error(err)
	}
	if err := w.bus.Close(); err != nil {
		w.Error(err)
	}
}

// options are for whoever has the key of everything.
func (w *wire) options() Options {
	root := w.keys.Root()
	return w.optionsOf(root.Name, root.Key)
}

func (w *wire) optionsOf(rule, key string) Options {
	connection := sas.ConnectionString{Endpoint: "sb://localhost:" + w.port, KeyName: rule, Key: key, Emulator: !w.tls}
	o := Options{ConnectionString: connection.String(), Logger: slog.New(slog.NewTextHandler(testWriter{w}, nil))}
	if w.tls {
		pem, err := os.ReadFile(busnet.CertificateFile(w.dir))
		w.must(err)
		o.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			w.Fatal("no certificate")
		}
	}
	return o
}

// queue opens a queue of the driver. It is closed with the test.
func (w *wire) queue() *Queue {
	w.Helper()
	return w.queueWith(usualTiming())
}

func (w *wire) queueWith(t timing) *Queue {
	w.Helper()
	return w.queueOf(w.options(), t)
}

func (w *wire) queueOf(o Options, t timing) *Queue {
	q := newQueue(o.Logger, t, o.client)
	w.queues = append(w.queues, q)
	return q
}

func (w *wire) makeQueue(name string, s bus.Settings) {
	w.Helper()
	w.must(w.bus.CreateQueue(w.Context(), name, s))
}

// testWriter logs to a test.
type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// within is a context for what must happen.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	t.Cleanup(cancel)
	return ctx
}
