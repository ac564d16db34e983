package busnet_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/busnet"
)

func certificate(t *testing.T, dir string, port int, hosts ...string) (*x509.Certificate, string) {
	t.Helper()
	var log record
	cert, err := busnet.Certificate(dir, hosts, port, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf, log.String()
}

func TestCertificateNames(t *testing.T) {
	leaf, _ := certificate(t, t.TempDir(), 5672, "Bus.Example", "10.0.0.7", "fd00::7", "localhost")
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "[::1]", "bus.example", "10.0.0.7", "fd00::7"} {
		named := []string{host}
		if !strings.HasPrefix(host, "[") {
			named = append(named, net.JoinHostPort(host, "5672"))
		}
		for _, name := range named {
			if err := leaf.VerifyHostname(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, name := range []string{"localhost:5671", "bus.example:443", "example", "10.0.0.8", "10.0.0.7:1"} {
		if leaf.VerifyHostname(name) == nil {
			t.Errorf("it is for %s, too", name)
		}
	}
	if leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage&x509.KeyUsageCertSign != 0 {
		t.Error("it can sign others")
	}
}

func TestCertificateStays(t *testing.T) {
	dir := t.TempDir()
	first, said := certificate(t, dir, 5672, "bus.example", "10.0.0.7")
	if !strings.Contains(said, "level=INFO") || !strings.Contains(said, busnet.CertificateFile(dir)) {
		t.Errorf("said %q", said)
	}
	if again, said := certificate(t, dir, 5672, "10.0.0.7", "BUS.example", "bus.example"); !again.Equal(first) || said != "" {
		t.Errorf("another one; said %q", said)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(busnet.CertificateFile(dir)); err != nil || bytes.Contains(text, []byte("PRIVATE")) {
		t.Errorf("the file to hand out has the key, or %v", err)
	}
}

func TestCertificateIsMadeAnew(t *testing.T) {
	for name, again := range map[string]struct {
		spoil  func(t *testing.T, dir string)
		port   int
		hosts  []string
		reason string
	}{
		"another port":    {nil, 5671, nil, "for other names or another port"},
		"another host":    {nil, 5672, []string{"bus.example"}, "for other names or another port"},
		"another address": {nil, 5672, []string{"10.0.0.7"}, "for other names or another port"},
		"no key": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "tls-key.pem"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, 5672, nil, "cannot be used"},
		"another's key": {func(t *testing.T, dir string) {
			other := t.TempDir()
			certificate(t, other, 5672)
			if err := os.Rename(filepath.Join(other, "tls-key.pem"), filepath.Join(dir, "tls-key.pem")); err != nil {
				t.Fatal(err)
			}
		}, 5672, nil, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first, _ := certificate(t, dir, 5672)
			if again.spoil != nil {
				again.spoil(t, dir)
			}
			second, said := certificate(t, dir, again.port, again.hosts...)
			if second.Equal(first) || !strings.Contains(said, "level=WARN") || !strings.Contains(said, again.reason) {
				t.Errorf("said %q", said)
			}
			if third, said := certificate(t, dir, again.port, again.hosts...); !third.Equal(second) || said != "" {
				t.Errorf("and another one; said %q", said)
			}
		})
	}
}

func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		first, _ := certificate(t, dir, 5672)
		<-time.After(time.Until(first.NotAfter) - 30*24*time.Hour)
		if again, said := certificate(t, dir, 5672); !again.Equal(first) {
			t.Errorf("too early: %q", said)
		}
		<-time.After(time.Hour)
		again, said := certificate(t, dir, 5672)
		if again.Equal(first) || !strings.Contains(said, "the last one ends on 20") {
			t.Errorf("said %q", said)
		}
	})
}

func TestCertificateCannotBeWritten(t *testing.T) {
	if _, err := busnet.Certificate(filepath.Join(t.TempDir(), "none"), nil, 1, nil); err == nil {
		t.Error("no error")
	}
}

// Clients that trust this very certificate, and nothing else, connect.
func TestClientsTrustTheLeaf(t *testing.T) {
	dir := t.TempDir()
	r := open(t, func(o *busnet.Options) {
		o.TLS = func(port int) (*tls.Config, error) {
			cert, err := busnet.Certificate(dir, []string{"bus.example"}, port, nil)
			return &tls.Config{Certificates: []tls.Certificate{cert}}, err
		}
	}).serve(t, t.Context())
	port := strconv.Itoa(r.Port())
	for _, name := range []string{"localhost", "localhost:" + port, "127.0.0.1", "127.0.0.1:" + port, "[::1]:" + port, "bus.example:" + port} {
		t.Run("Go as "+name, func(t *testing.T) {
			conn := tls.Client(r.dial(t), &tls.Config{RootCAs: r.pool, ServerName: name})
			if err := conn.Handshake(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("Go as another", func(t *testing.T) {
		conn := tls.Client(r.dial(t), &tls.Config{RootCAs: r.pool, ServerName: "other.example"})
		if conn.Handshake() == nil {
			t.Error("it is taken for another")
		}
	})
	for _, as := range [][]string{{"-verify_hostname", "localhost"}, {"-verify_ip", "127.0.0.1"}, {"-verify_hostname", "bus.example", "-x509_strict"}} {
		t.Run("openssl as "+as[1], func(t *testing.T) {
			args := append([]string{"s_client", "-connect", r.Addr().String(), "-CAfile", busnet.CertificateFile(dir), "-verify_return_error", "-brief"}, as...)
			cmd := exec.CommandContext(t.Context(), "openssl", args...)
			cmd.Stdin = io.MultiReader() // nothing more to say
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Verification: OK") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestKnownHosts(t *testing.T) {
	leaf, _ := certificate(t, t.TempDir(), 1, "certified.example")
	for _, c := range []struct {
		listen string
		leaf   *x509.Certificate
		host   string
		want   bool
	}{
		{"127.0.0.1", nil, "localhost", true},
		{"127.0.0.1", nil, "LOCALHOST.", true},
		{"127.0.0.1", nil, "127.0.0.1", true},
		{"127.0.0.1", nil, "127.1.2.3", true},
		{"127.0.0.1", nil, "::1", true},
		{"127.0.0.1", nil, "named.example", true},
		{"127.0.0.1", nil, "Named.Example.", true},
		{"127.0.0.1", nil, "", false},
		{"127.0.0.1", nil, "evil.example", false},
		{"127.0.0.1", nil, "localhost.evil.example", false},
		{"127.0.0.1", nil, "127.0.0.1.evil.example", false},
		{"127.0.0.1", nil, "10.0.0.7", false},
		{"127.0.0.1", nil, "certified.example", false},
		{"127.0.0.1", leaf, "certified.example", true},
		{"127.0.0.1", leaf, "evil.example", false},
		{"bus.example", nil, "bus.example", true},
		{"10.0.0.7", nil, "10.0.0.7", true},
		{"10.0.0.7", nil, "10.0.0.8", false},
		{"0.0.0.0", nil, "10.0.0.8", true},
		{"0.0.0.0", nil, "evil.example", false},
		{"", nil, "fd00::1", true},
		{"", nil, "", false},
		{"::", nil, "10.0.0.8", true},
	} {
		if got := busnet.KnownHosts(c.listen, c.leaf, "named.example")(c.host); got != c.want {
			t.Errorf("bound to %q, certificate %t: %q is known: %t", c.listen, c.leaf != nil, c.host, got)
		}
	}
}
