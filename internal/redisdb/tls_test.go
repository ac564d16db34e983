package redisdb_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

func TestTLS(t *testing.T) {
	server := redistest.Start(t, redistest.Options{TLS: true, Password: "secret"})
	other := redistest.Start(t, redistest.Options{TLS: true})
	for name, c := range map[string]struct {
		settings redisdb.Settings
		want     string // in the error, as a regular expression; "" for none
	}{
		"its authority":     {redisdb.Settings{URL: server.URL(1), CAFile: server.CAFile()}, ""},
		"by name":           {redisdb.Settings{URL: strings.Replace(server.URL(1), "127.0.0.1", "localhost", 1), CAFile: server.CAFile()}, ""},
		"the system's":      {redisdb.Settings{URL: server.URL(0)}, "certificate signed by unknown authority"},
		"another authority": {redisdb.Settings{URL: server.URL(0), CAFile: other.CAFile()}, "certificate signed by unknown authority"},
		"without TLS":       {redisdb.Settings{URL: strings.Replace(server.URL(0), "rediss", "redis", 1)}, "EOF|reset"},
	} {
		t.Run(name, func(t *testing.T) {
			err := answers(t, connect(t, c.settings).Tag(tagName))
			if c.want == "" && err != nil {
				t.Error(err)
			}
			if c.want != "" {
				unavailable(t, name, err)
				if !regexp.MustCompile(c.want).MatchString(fmt.Sprint(err)) {
					t.Errorf("got the error %v, want one with %s", err, c.want)
				}
			}
		})
	}
}

// A server that speaks nothing newer than TLS 1.1 is refused.
func TestTLSVersion(t *testing.T) {
	authority := redistest.Start(t, redistest.Options{TLS: true}).CAFile()
	pair, err := tls.LoadX509KeyPair(filepath.Join(filepath.Dir(authority), "server.crt"), filepath.Join(filepath.Dir(authority), "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[uint16]string{tls.VersionTLS11: "protocol version", tls.VersionTLS12: "EOF"} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			address := hangUp(t, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: version})
			client := connect(t, redisdb.Settings{URL: "rediss://" + address, CAFile: authority})
			err := answers(t, client.Tag(tagName))
			unavailable(t, "a server that hangs up", err)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v", want, err)
			}
		})
	}
}

// hangUp is a server that ends each connection after its TLS handshake: for the
// peer always with an end, never with a reset, because it reads what comes.
func hangUp(t *testing.T, config *tls.Config) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			_ = tls.Server(conn, config).Handshake()
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}
