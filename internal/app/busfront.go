package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"

	"bellhop/internal/amqp"
	"bellhop/internal/bus"
	"bellhop/internal/busadmin"
	"bellhop/internal/busnet"
	"bellhop/internal/busserver"
	"bellhop/internal/config"
	"bellhop/internal/datadir"
	"bellhop/internal/sas"
)

// keysFile is where a data directory keeps the keys of its bus.
const keysFile = "bus-keys.json"

// busFront is what clients of a bus reach: it answers on one listener in AMQP
// and HTTP.
type busFront struct {
	cfg      frontSettings
	dir      *datadir.Dir
	keys     *sas.Keys
	listener *busnet.Listener
	leaf     *x509.Certificate // nil without TLS
	server   *busserver.Server
	admin    http.Handler
	log      *slog.Logger
}

// frontSettings are the settings that bus and serve both have.
type frontSettings struct {
	flag, listen string // of the address
	tls          *config.BusTLS
	acceptAnyKey bool
}

// openBusFront binds the listener, with the key and the certificate from the
// data directory, which is held; the first start makes them.
func openBusFront(b *bus.Bus, wiring *busserver.Wiring, dir *datadir.Dir, cfg frontSettings, log *slog.Logger) (*busFront, error) {
	f := &busFront{cfg: cfg, dir: dir, log: log}
	var err error
	if f.keys, err = sas.OpenKeys(dir.Path(keysFile)); err != nil {
		return nil, err
	}
	f.listener, err = busnet.Listen(busnet.Options{Address: cfg.listen, TLS: f.tls(), Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", cfg.flag, err)
	}
	f.server = busserver.New(busserver.Options{Bus: b, Wiring: wiring, Keys: f.keys, AcceptAnyKey: cfg.acceptAnyKey, Logger: log})
	f.admin = busadmin.New(busadmin.Options{
		Bus: b, Keys: f.keys, AcceptAnyKey: cfg.acceptAnyKey, Hosts: busnet.KnownHosts(f.host(), f.leaf, cfg.tls.TLSHosts...),
		MaxMessageBytes: busserver.DefaultMaxMessageBytes, Logger: log,
	})
	return f, nil
}

// tls makes the certificate once the port is known; nil without TLS.
func (f *busFront) tls() func(port int) (*tls.Config, error) {
	if !f.cfg.tls.On() {
		return nil
	}
	return func(port int) (*tls.Config, error) {
		cert, err := f.certificate(port)
		if err != nil {
			return nil, err
		}
		f.leaf = cert.Leaf
		return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
	}
}

func (f *busFront) certificate(port int) (tls.Certificate, error) {
	if !f.cfg.tls.TLSSelfSigned {
		return tls.LoadX509KeyPair(f.cfg.tls.TLSCert, f.cfg.tls.TLSKey)
	}
	hosts := f.cfg.tls.TLSHosts
	if host := f.host(); !busnet.EveryAddress(host) {
		hosts = append(hosts[:len(hosts):len(hosts)], host)
	}
	return busnet.Certificate(f.dir.Path(""), hosts, port, f.log)
}

// run is the front as a service. Draining ends AMQP's connections and waits for
// requests under way.
func (f *busFront) run(ctx context.Context, drain <-chan struct{}) error {
	served := make(chan error, 1)
	go func() { served <- f.listener.Serve(ctx, busnet.Routes{AMQP: f.amqp, HTTP: f.admin}) }()
	select {
	case err := <-served:
		served <- err
	case <-drain:
	case <-ctx.Done():
	}
	_ = f.server.Shutdown(ctx) // an error tells that ctx has ended, which cuts all off
	_ = f.listener.Shutdown(ctx)
	return <-served
}

func (f *busFront) amqp(ctx context.Context, conn net.Conn, secure bool) {
	peer, ok := conn.RemoteAddr().(*net.TCPAddr)
	err := f.server.ServeConn(ctx, conn, amqp.Transport{Secure: secure, Loopback: ok && peer.IP.IsLoopback()})
	f.log.Debug("a connection to the bus has ended", "error", err)
}

// close closes what a service that was run has closed already.
func (f *busFront) close() { f.listener.Close() }

// host is the host of the address that was asked for, "" for every address.
func (f *busFront) host() string {
	host, _, _ := net.SplitHostPort(f.cfg.listen) // validated
	return host
}

// name is a host by which clients reach the bus.
func (f *busFront) name(secure bool) string {
	switch {
	case secure && !f.cfg.tls.TLSSelfSigned:
		return certified(f.leaf)
	case !busnet.EveryAddress(f.host()):
		return f.host()
	case len(f.cfg.tls.TLSHosts) > 0:
		return f.cfg.tls.TLSHosts[0]
	}
	return "localhost"
}

// certified is the first host that a certificate names.
func certified(leaf *x509.Certificate) string {
	for _, name := range leaf.DNSNames {
		if !strings.Contains(name, "*") {
			return name
		}
	}
	if len(leaf.IPAddresses) > 0 {
		return leaf.IPAddresses[0].String()
	}
	return "localhost"
}

// connection is the connection string for clients. Only TLS is what they expect
// of a bus that is no emulator.
func (f *busFront) connection(secure bool) sas.ConnectionString {
	root := f.keys.Root()
	return sas.ConnectionString{Endpoint: f.endpoint(secure), KeyName: root.Name, Key: root.Key, Emulator: !secure}
}

func (f *busFront) endpoint(secure bool) string {
	return "sb://" + net.JoinHostPort(f.name(secure), strconv.Itoa(f.listener.Port()))
}
