package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/config"
)

func bus(t *testing.T, environ []string, args ...string) *config.Bus {
	t.Helper()
	return parse(t, environ, append([]string{"bus"}, args...)...).Command.(*config.Bus)
}

// keyPair writes a certificate and its key.
func keyPair(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
	return certFile, keyFile
}

func TestBusDefaults(t *testing.T) {
	want := config.Bus{Listen: "127.0.0.1:5672", DataDir: "bellhop-bus-data", DrainTimeout: 10 * time.Second}
	// Neither a host's port for web apps nor what serve is told concerns it.
	if got := bus(t, []string{"HTTP_PLATFORM_PORT=8123", "BELLHOP_DATA_DIR=d", "BELLHOP_LISTEN=:1", "BELLHOP_QUEUE=redis"}); !reflect.DeepEqual(*got, want) {
		t.Errorf("bus without arguments:\n got %+v\nwant %+v", *got, want)
	}
}

// TestBusSources sets every setting once by its flag and once by its variable,
// and checks that the two agree and that each changed something.
func TestBusSources(t *testing.T) {
	certFile, keyFile := keyPair(t)
	pair := []string{"BELLHOP_BUS_TLS_CERT=" + certFile, "BELLHOP_BUS_TLS_KEY=" + keyFile}
	for name, test := range map[string]struct {
		value   string
		environ []string // of both
	}{
		"listen": {value: "127.0.0.2:1"}, "tls-cert": {certFile, pair[1:]}, "tls-key": {keyFile, pair[:1]},
		"tls-self-signed": {value: "true"}, "tls-host": {value: "bus.example,10.0.0.7"}, "accept-any-key": {value: "true"},
		"data-dir": {value: "d"}, "queue": {value: "orders,a/b.c-d_e"}, "config": {value: certFile}, "drain-timeout": {value: "1s"},
	} {
		t.Run(name, func(t *testing.T) {
			variable := "BELLHOP_BUS_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			byFlag := bus(t, test.environ, "--"+name+"="+test.value)
			byVariable := bus(t, append(test.environ[:len(test.environ):len(test.environ)], variable+"="+test.value))
			if !reflect.DeepEqual(byFlag, byVariable) {
				t.Errorf("flag and variable differ:\n%+v\n%+v", byFlag, byVariable)
			}
			if reflect.DeepEqual(byFlag, bus(t, nil)) {
				t.Error("setting it changed nothing")
			}
		})
	}
	repeated := bus(t, nil, "--queue", "a", "--queue", "b,c", "--tls-host", "x", "--tls-host", "::1")
	if !slices.Equal(repeated.Queues, []string{"a", "b", "c"}) || !slices.Equal(repeated.TLSHosts, []string{"x", "::1"}) {
		t.Errorf("repeated flags give %+v", repeated)
	}
}

func TestServesBusSources(t *testing.T) {
	certFile, keyFile := keyPair(t)
	byFlag := serve(t, nil, "--bus-listen", "127.0.0.1:1", "--bus-tls-cert", certFile, "--bus-tls-key", keyFile, "--bus-tls-host", "bus.example")
	byVariable := serve(t, []string{"BELLHOP_BUS_LISTEN=127.0.0.1:1", "BELLHOP_BUS_TLS_CERT=" + certFile, "BELLHOP_BUS_TLS_KEY=" + keyFile, "BELLHOP_BUS_TLS_HOST=bus.example"})
	want := config.BusTLS{TLSCert: certFile, TLSKey: keyFile, TLSHosts: []string{"bus.example"}}
	if !reflect.DeepEqual(byFlag, byVariable) || byFlag.BusListen != "127.0.0.1:1" || !reflect.DeepEqual(byFlag.BusTLS, want) || !byFlag.BusTLS.On() {
		t.Errorf("got\n%+v\n%+v", byFlag, byVariable)
	}
	if s := serve(t, nil, "--bus-listen", "127.0.0.1:1", "--bus-tls-self-signed"); !s.TLSSelfSigned || !s.BusTLS.On() {
		t.Errorf("got %+v", s.BusTLS)
	}
}

func TestRulesOfTheBus(t *testing.T) {
	certFile, keyFile := keyPair(t)
	otherCert, _ := keyPair(t)
	const roles = "--roles=web --store=redis://h --public-url=http://a.example"
	for _, test := range []struct{ args, flag, want string }{
		{"bus --listen 5672", "listen", "want HOST:PORT"},
		{"bus --listen :5672 --accept-any-key", "accept-any-key", "open to other machines"},
		{"bus --listen 10.0.0.1:5672 --accept-any-key", "accept-any-key", "open to other machines"},
		{"bus --tls-cert " + certFile, "tls-key", "there is none"},
		{"bus --tls-key " + keyFile, "tls-cert", "there is none"},
		{"bus --tls-cert none.pem --tls-key " + keyFile, "tls-cert", "no such file"},
		{"bus --tls-cert " + otherCert + " --tls-key " + keyFile, "tls-cert", "does not match"},
		{"bus --tls-self-signed --tls-key " + keyFile + " --tls-cert " + certFile, "tls-self-signed", "already"},
		{"bus --tls-host bus.example:5672", "tls-host", "without a port"},
		{"bus --tls-host https://bus.example", "tls-host", "without a port"},
		{"bus --tls-host=-bus", "tls-host", "without a port"},
		{"bus --tls-host " + strings.Repeat("a.", 130) + "a", "tls-host", "without a port"},
		{"bus --data-dir=", "data-dir", "got an empty one"},
		{"bus --queue a?b", "queue", `got "a?b"`},
		{"bus --queue /a", "queue", `got "/a"`},
		{"bus --queue " + strings.Repeat("a", 261), "queue", "at most 260"},
		{"bus --config none.json", "config", "no such file"},
		{"bus --config .", "config", "is not a file"},
		{"bus --drain-timeout 0s", "drain-timeout", "want a duration over 0"},
		{"serve --bus-listen 5672", "bus-listen", "want HOST:PORT"},
		{"serve --bus-listen 127.0.0.1:6969", "bus-listen", "the address of something else"},
		{"serve --ops-listen 127.0.0.1:7000 --bus-listen 127.0.0.1:7000", "bus-listen", "the address of something else"},
		{"serve --store redis://h --queue redis --bus-listen 127.0.0.1:1", "bus-listen", "--queue names another queue"},
		{"serve --bus-listen 127.0.0.1:1 " + roles, "bus-listen", "neither the role relay nor sender"},
		{"serve --bus-tls-self-signed", "bus-listen", "nobody can connect"},
		{"serve --bus-tls-host a", "bus-listen", "nobody can connect"},
		{"serve --bus-listen 127.0.0.1:1 --bus-tls-cert " + certFile, "bus-tls-key", "leave out --bus-tls-cert"},
		{"serve --bus-listen 127.0.0.1:1 --bus-tls-host a:1", "bus-tls-host", "without a port"},
	} {
		got := faults(t, nil, strings.Fields(test.args)...)
		if len(got) != 1 || got[0].Flag != test.flag || !strings.Contains(got[0].Problem+got[0].Remedy, test.want) {
			t.Errorf("%s:\n got %v\nwant one fault of --%s with %q", test.args, got, test.flag, test.want)
		}
	}
	for _, args := range []string{
		"bus --listen 127.0.0.1:0 --accept-any-key", "bus --listen [::1]:1 --accept-any-key", "bus --listen localhost:1 --accept-any-key",
		"serve --bus-listen 127.0.0.1:0 --listen 127.0.0.1:0", "bus --tls-host a --tls-host b_c.d-e.F9 --tls-host fd00::1",
	} {
		if got := faults(t, nil, strings.Fields(args)...); got != nil {
			t.Errorf("%s: %v", args, got)
		}
	}
}

func TestBusFaultsAllAtOnce(t *testing.T) {
	got := faults(t, []string{"BELLHOP_BUS_LISTEN=:1"}, "bus", "--accept-any-key", "--tls-cert", "a", "--tls-self-signed", "--queue", "?", "--drain-timeout", "x")
	named := map[string]bool{}
	for _, f := range got {
		named[f.Flag] = true
	}
	want := []string{"accept-any-key", "drain-timeout", "queue", "tls-key", "tls-self-signed"}
	if !slices.Equal(slices.Sorted(maps.Keys(named)), want) || len(got) != len(want) {
		t.Errorf("got %v, want faults of %v", got, want)
	}
}

func TestServeHasNoAcceptAnyKey(t *testing.T) {
	for _, flag := range []string{"--accept-any-key", "--bus-accept-any-key"} {
		if _, err := config.Parse([]string{"serve", "--bus-listen", "127.0.0.1:1", flag}, nil); err == nil || !strings.Contains(err.Error(), "unknown flag") {
			t.Errorf("%s: %v", flag, err)
		}
	}
	if s := serve(t, []string{"BELLHOP_BUS_LISTEN=127.0.0.1:1", "BELLHOP_BUS_ACCEPT_ANY_KEY=true"}); s.BusListen == "" {
		t.Error("no bus")
	}
}

func TestBusWarnings(t *testing.T) {
	for args, want := range map[string]string{
		"bus":                               "",
		"bus --listen [::1]:1":              "",
		"bus --listen :1":                   "add --tls-self-signed",
		"bus --listen :1 --tls-self-signed": "",
		"serve --public-url http://localhost:1 --bus-listen 10.0.0.7:1":                       "--bus-listen 10.0.0.7:1 is open to other machines without TLS",
		"serve --public-url http://localhost:1 --bus-listen 10.0.0.7:1 --bus-tls-self-signed": "",
	} {
		got := strings.Join(parse(t, nil, strings.Fields(args)...).Warnings, "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
}
