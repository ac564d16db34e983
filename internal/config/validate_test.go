package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bellhop/internal/config"
)

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// certificate returns a self-signed certificate in PEM.
func certificate(t *testing.T) string {
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
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// faults parses and returns what is wrong.
func faults(t *testing.T, environ []string, args ...string) config.Faults {
	t.Helper()
	_, err := config.Parse(args, environ)
	var out config.Faults
	if err != nil && !errors.As(err, &out) {
		t.Fatalf("Parse(%q): %v, want Faults", args, err)
	}
	return out
}

// TestRules breaks one rule at a time. Each must be reported once, by the
// setting's name.
func TestRules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "no certificate", 0o600)
	certs := file + ".pem"
	write(t, certs, certificate(t), 0o600)
	redis := []string{"--store=redis://h", "--queue=redis"}
	for _, test := range []struct {
		flag, value string
		more        []string
		want        string
	}{
		{flag: "listen", value: "6969", want: "want HOST:PORT"},
		{flag: "listen", value: "127.0.0.1:http", want: "want HOST:PORT"},
		{flag: "listen", value: "127.0.0.1:65536", want: "want HOST:PORT"},
		{flag: "listen", value: "127.0.0.1:", want: "want HOST:PORT"},
		{flag: "ops-listen", value: "9090", want: "want HOST:PORT"},
		{flag: "ops-listen", value: "127.0.0.1:6969", want: "must not be public"},
		{flag: "public-url", value: "signup.example.com", want: "not an http or https URL"},
		{flag: "public-url", value: "ftp://a.example", more: []string{"--smtp=mailbox"}, want: "not an http or https URL"},
		{flag: "public-url", value: "https://:80", want: "not an http or https URL"},
		{flag: "public-url", value: "https://a.example/x", more: []string{"--smtp=mailbox"}, want: "nothing may stand in it"},
		{flag: "public-url", value: "https://a.example?x", more: []string{"--smtp=mailbox"}, want: "nothing may stand in it"},
		{flag: "public-url", value: "https://u@a.example", more: []string{"--smtp=mailbox"}, want: "nothing may stand in it"},
		{flag: "data-dir", value: "", want: "got an empty one"},
		{flag: "store", value: "redis", want: "want embedded, a redis:// or a rediss:// URL"},
		{flag: "queue", value: "kafka://host", want: "want embedded, servicebus, or a redis://, rediss:// or servicebus:// URL"},
		{flag: "queue", value: "redis", want: "that names none"},
		{flag: "redis-password", value: "x", want: "neither the store nor the queue"},
		{flag: "redis-ca-file", value: file, want: "neither the store nor the queue"},
		{flag: "redis-ca-file", value: file, more: []string{"--store=rediss://h"}, want: "holds no certificate"},
		{flag: "redis-ca-file", value: certs, more: []string{"--store=redis://h"}, want: "no rediss:// URL"},
		{flag: "redis-wait", value: "1", want: "the store is not in Redis"},
		{flag: "redis-wait", value: "1", more: []string{"--queue=redis://h"}, want: "the store is not in Redis"},
		{flag: "redis-wait", value: "-1", more: redis, want: "want 0 to 100"},
		{flag: "redis-wait", value: "101", more: redis, want: "want 0 to 100"},
		{flag: "redis-allow-eviction", value: "true", want: "neither the store nor the queue"},
		{flag: "mail-retention", value: "1h", want: "the store is not in Redis"},
		{flag: "mail-retention", value: "1h", more: []string{"--queue=redis://h"}, want: "the store is not in Redis"},
		{flag: "mail-retention", value: "-1h", more: redis, want: "0 for ever"},
		{flag: "mail-retention", value: "for ever", more: redis, want: "not a duration"},
		{flag: "smtp-connections", value: "0", want: "want 1 to 1000, got 0"},
		{flag: "smtp-connections", value: "1001", want: "want 1 to 1000"},
		{flag: "smtp-connections", value: "many", want: "not a whole number"},
		{flag: "smtp-rate", value: "0", want: "not a number of mails a second"},
		{flag: "smtp-rate", value: "-1", want: "not a number of mails a second"},
		{flag: "smtp-rate", value: "NaN", want: "not a number of mails a second"},
		{flag: "smtp-rate", value: "fast", want: "not a number of mails a second"},
		{flag: "smtp-hello", value: "two words", want: "want a host name"},
		{flag: "smtp-ca-file", value: file + "-missing", want: "no such file"},
		{flag: "smtp-ca-file", value: file, want: "holds no certificate"},
		{flag: "mail-from", value: "nobody", want: "not an address"},
		{flag: "mail-from", value: "a@b.example, c@d.example", want: "not an address"},
		{flag: "mail-templates", value: file + "-missing", want: "no such file"},
		{flag: "mail-templates", value: file, want: "not a directory"},
		{flag: "mail-retry", value: "1m,,5m", want: "not a duration"},
		{flag: "mail-retry", value: "1m,0s", want: "want a duration over 0"},
		{flag: "mail-expiry", value: "-1h", want: "want a duration over 0"},
		{flag: "mail-expiry", value: "three days", want: "not a duration"},
		{flag: "unknown-pause", value: "0", want: "want a duration over 0"},
		{flag: "session-idle", value: "599s", want: "want 10m or more"},
		{flag: "session-idle", value: "721h", want: "longer than --session-life"},
		{flag: "session-life", value: "0", want: "want a duration over 0"},
		{flag: "access-life", value: "59s", want: "want 1m to 1h"},
		{flag: "access-life", value: "61m", want: "want 1m to 1h"},
		{flag: "access-life", value: "1h", more: []string{"--session-life=30m", "--session-idle=30m"}, want: "would outlive its session"},
		{flag: "token-audience", value: "two words", want: "want visible ASCII"},
		{flag: "key-rotation", value: "23h", want: "want 24h or more"},
		{flag: "code-expiry", value: "16m", want: "longer than --sign-in-expiry"},
		{flag: "unconfirmed-retention", value: "215h", want: "for which a link may live"},
		{flag: "sign-in-expiry", value: "31m", want: "want 30m0s or less"},
		{flag: "unconfirmed-retention", value: "-1h", want: "want a duration over 0"},
		{flag: "limit-ip", value: "30", want: "not a number and a time"},
		{flag: "limit-ip", value: "0/10m", want: "want a number from 1 to 1000000"},
		{flag: "limit-ip", value: "1/0s", want: "a time up to 24h"},
		{flag: "limit-total", value: "1/25h", want: "a time up to 24h"},
		{flag: "limit-address", value: "ten/1h", want: "not a number and a time"},
		{flag: "limit-address", value: "1000001/1h", want: "want a number from 1"},
		{flag: "mail-budget", value: "1/10m,,3/24h", want: "not a number and a time"},
		{flag: "mail-budget", value: "1/10m,1/24h", want: "must allow more mails"},
		{flag: "mail-budget", value: "3/24h,5/10m", want: "in a longer time"},
		{flag: "mail-budget", value: "1001/24h", want: "want a number from 1 to 1000"},
		{flag: "sign-in-budget", value: "1/2161h", want: "a time up to 2160h"},
		{flag: "trusted-proxy", value: "10.0.0.0/33", want: "not a block of IP addresses"},
		{flag: "trusted-proxy", value: "proxy.example", want: "not a block of IP addresses"},
		{flag: "trusted-proxy", value: "fe80::1%eth0", want: "not a block of IP addresses"},
		{flag: "trusted-proxy", value: "10.0.0.1/8", want: "inside of the block"},
		{flag: "trusted-proxy", value: "::ffff:10.0.0.0/104", want: "IPv4 in IPv6"},
		{flag: "cors-origin", value: "*", want: "not an http or https origin"},
		{flag: "cors-origin", value: "null", want: "not an http or https origin"},
		{flag: "cors-origin", value: "https://a.example/x", want: "not how browsers write an origin"},
		{flag: "cors-origin", value: "https://a.example/", want: "not how browsers write an origin"},
		{flag: "cors-origin", value: "https://A.example", want: "not how browsers write an origin"},
		{flag: "cors-origin", value: "https://a.example:443", want: "not how browsers write an origin"},
		{flag: "cors-origin", value: "https://u@a.example", want: "not how browsers write an origin"},
		{flag: "form-min", value: "-1s", want: "want a duration, or 0"},
		{flag: "form-min", value: "12h", want: "no less than --form-max"},
		{flag: "form-max", value: "59s", want: "want 1m or more"},
		{flag: "drain-timeout", value: "0s", want: "want a duration over 0"},
		{flag: "log-level", value: "loud", want: "no level"},
		{flag: "roles", value: "web,console", want: "not a role"},
		{flag: "roles", value: "web", want: "one process owns the embedded store"},
		{flag: "public-url", value: "", more: append([]string{"--roles=sender", "--smtp=smtp://h"}, redis...), want: "no address of its own"},
		{flag: "smtp", value: "", more: append([]string{"--roles=sender", "--public-url=http://a.example"}, redis...), want: "no page to show the dev mailbox on"},
		{flag: "mailbox-public", value: "true", more: append([]string{"--roles=web", "--public-url=http://a.example"}, redis...), want: "not both the roles"},
		{flag: "smtp", value: "", more: []string{"--listen", ":80"}, want: "--listen :80 opens Bellhop to other machines"},
		{flag: "smtp", value: "", more: []string{"--listen", "0.0.0.0:80"}, want: "to other machines"},
		{flag: "smtp", value: "", more: []string{"--listen", "bellhop.example:80"}, want: "to other machines"},
		{flag: "smtp", value: "", more: []string{"--public-url", "https://a.example"}, want: "--public-url https://a.example opens Bellhop to other machines"},
		{flag: "smtp", value: "", more: []string{"--public-url", "https://a.example", "--trusted-proxy", "127.0.0.1"}, want: "to other machines"},
		{flag: "smtp", value: "", more: []string{"--trusted-proxy", "127.0.0.1,::1"}, want: "--trusted-proxy 127.0.0.1/32 opens Bellhop to other machines"},
		{flag: "smtp", value: "", more: []string{"--public-url", "http://localhost:80", "--trusted-proxy", "::1"}, want: "to other machines"},
		{flag: "mailbox-public", value: "true", more: []string{"--smtp", "smtp://localhost"}, want: "no mailbox page"},
	} {
		t.Run(test.flag+"="+test.value, func(t *testing.T) {
			args := append([]string{"serve", "--" + test.flag + "=" + test.value}, test.more...)
			got := faults(t, nil, args...)
			if len(got) != 1 || got[0].Flag != test.flag || !strings.Contains(got[0].Problem, test.want) || got[0].Remedy == "" {
				t.Errorf("got %v, want one fault of --%s with %q and a remedy", got, test.flag, test.want)
			}
		})
	}
}

func TestRulesOfOtherCommands(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"verify --store=x", "store"},
		{"doctor --redis-allow-eviction", "redis-allow-eviction"},
		{"doctor --data-dir=", "data-dir"},
		{"dead list --queue=x", "queue"},
		{"dead replay", "all"},
		{"dead replay --all a", "all"},
		{"dead replay --dry-run a", "dry-run"},
		{"dead discard --data-dir= a", "data-dir"},
		{"migrate", "to"},
		{"migrate --from redis://h/1 --to redis://h/1", "to"},
		{"migrate --from redis --to redis://h", "from"},
		{"migrate --to redis", "to"},
		{"migrate --to redis://h --data-dir=", "data-dir"},
		{"migrate --to redis://h --redis-wait=-1", "redis-wait"},
		{"migrate --to rediss://h --redis-ca-file=/dev/null", "redis-ca-file"},
		{"bench signup --rounds=0", "rounds"},
		{"bench mail --owed=1", "owed"},
		{"bench mail --owed=20000 --store=redis", "owed"},
		{"bench signup --store=here", "store"},
	} {
		got := faults(t, nil, strings.Fields(test.args)...)
		if len(got) != 1 || got[0].Flag != test.want {
			t.Errorf("%s: got %v, want one fault of --%s", test.args, got, test.want)
		}
	}
}

// TestAllFaultsAtOnce mixes values that cannot be read with rules that are
// broken, from every source.
func TestAllFaultsAtOnce(t *testing.T) {
	environ := []string{"HTTP_PLATFORM_PORT=pipe", "BELLHOP_MAILBOX_PUBLIC=perhaps", "BELLHOP_SMTP=telnet://h", "BELLHOP_MAIL_EXPIRY=soon"}
	got := faults(t, environ, "serve", "--smtp-rate=x", "--roles=web", "--public-url=a", "--store=redis", "--data-dir=", "--drain-timeout=0s")
	var names []string
	for _, f := range got {
		names = append(names, f.Flag+" "+f.Source)
	}
	want := []string{"data-dir ", "drain-timeout ", "listen HTTP_PLATFORM_PORT", "mail-expiry BELLHOP_MAIL_EXPIRY",
		"mailbox-public BELLHOP_MAILBOX_PUBLIC", "public-url ", "smtp BELLHOP_SMTP", "smtp-rate ", "store "}
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("faults of\n%q, want\n%q", names, want)
	}
	text := got.Error()
	if !strings.HasPrefix(text, "9 settings are wrong:\n") || strings.Count(text, "\n") != 9 {
		t.Errorf("want one line for each fault under a heading, got:\n%s", text)
	}
	if !strings.Contains(text, "\n  --smtp (from BELLHOP_SMTP): want mailbox, an smtp:// or an smtps:// URL; write mailbox") {
		t.Errorf("want the setting, its source, the problem and the remedy, got:\n%s", text)
	}
}

func TestSMTPURL(t *testing.T) {
	for _, test := range []struct{ url, shown, problem string }{
		{"mailbox", "mailbox", ""},
		{"smtp://host", "smtp://host", ""},
		{"smtp://user:hunter2@host:587", "smtp://***@host:587", ""},
		{"smtps://user:hunter2@host:465", "smtps://***@host:465", ""},
		{"smtp://user:hunter2@LOCALHOST?tls=none", "smtp://***@LOCALHOST", ""},
		{"smtp://user:hunter2@localhost?tls=starttls", "smtp://***@localhost", ""},
		{"smtp://host?tls=none", "smtp://host", ""},
		{"smtp://host?tls=implicit", "smtp://host", ""},
		{"smtps://host?tls=implicit", "smtps://host", ""},
		{"smtp://user:hun%40ter2@[::1]:25/", "smtp://***@[::1]:25", ""},
		{"smtp://user:hunt@er2@host", "smtp://***@host", ""},
		{"smtp://user:hun/ter2@host", "***", "not a URL"},
		{"smtp://user:12/hunter2@host", "***", "nothing may follow the port"},
		{"smtp://user:12?hunter2@host", "***", "the only option"},
		{"smtp://user:12#hunter2@host", "***", "nothing may follow the port"},
		{"hunter2", "***", "want mailbox"},
		{"http://user:hunter2@host", "***", "want mailbox"},
		{"smtp://", "***", "names no host"},
		{"smtp://user:hunter2@:25", "***", "names no host"},
		{"smtp://host:0", "***", "the port"},
		{"smtp://host:66666", "***", "the port"},
		{"smtp://:hunter2@host", "***", "no user"},
		{"smtp://host?tls=off", "***", "the only option"},
		{"smtp://host?tls=none&timeout=1s", "***", "the only option"},
		{"smtp://host?tls=none&tls=none", "***", "the only option"},
		{"smtps://host?tls=none", "***", "smtps:// is TLS"},
		{"smtps://host?tls=starttls", "***", "smtps:// is TLS"},
		{"smtp://user:hunter2@host?tls=none", "***", "never sent without TLS"},
		{"smtp://user@host", "***", "no password"},
		{"smtp://host//", "***", "nothing may follow the port"},
	} {
		t.Run(test.url, func(t *testing.T) {
			got := faults(t, []string{"BELLHOP_SMTP=" + test.url}, "serve")
			switch {
			case test.problem == "" && len(got) > 0:
				t.Errorf("got %v, want no fault", got)
			case test.problem != "" && (len(got) != 1 || !strings.Contains(got[0].Problem, test.problem)):
				t.Errorf("got %v, want one with %q", got, test.problem)
			}
			if strings.Contains(got.Error(), "hunter2") || strings.Contains(got.Error(), "ter2") {
				t.Errorf("a fault shows the secret: %v", got)
			}
			if shown := config.NewSMTPURL(test.url).String(); shown != test.shown {
				t.Errorf("String = %q, want %q", shown, test.shown)
			}
			if back := config.NewSMTPURL(test.url).Reveal(); back != test.url {
				t.Errorf("Reveal = %q, want %q", back, test.url)
			}
		})
	}
}

// TestNoFault is what may be set wherever it means something.
func TestNoFault(t *testing.T) {
	for _, args := range []string{
		"--mail-retention=720h --redis-wait=0",
		"--store=redis://h --mail-retention=0 --redis-wait=100 --redis-allow-eviction --redis-password=x",
		"--queue=redis://h --redis-allow-eviction --redis-password=x",
		"--store=redis://h --queue=redis --roles=web --listen=:80 --public-url=http://a.example",
		"--store=redis://h --queue=redis --roles=relay --ops-listen=127.0.0.1:6969",
		"--store=redis://h --queue=redis --roles=sender --smtp=mailbox --public-url=http://a.example",
	} {
		if got := faults(t, nil, append([]string{"serve"}, strings.Fields(args)...)...); len(got) > 0 {
			t.Errorf("%s: %v", args, got)
		}
	}
}

func TestLocation(t *testing.T) {
	for _, test := range []struct{ url, shown, problem string }{
		{"embedded", "embedded", ""},
		{"redis://host", "redis://host", ""},
		{"redis://host:6379/0", "redis://host:6379/0", ""},
		{"rediss://host/15", "rediss://host/15", ""},
		{"redis://user:hunter2@host:6379/0", "redis://***@host:6379/0", ""},
		{"redis://:hunter2@host", "redis://***@host", ""},
		{"redis://user@host", "redis://***@host", ""},
		{"redis://user:hun%2Fter2@host", "redis://***@host", ""},
		{"redis://[::1]:6379", "redis://[::1]:6379", ""},
		{"redis://[::1]", "redis://[::1]", ""},
		{"redis://a:1,b,c:2", "redis://a:1,b,c:2", ""},
		{"redis://:hunter2@[::1]:1,[::2]/0?master=mine", "redis://***@[::1]:1,[::2]/0?master=mine", ""},
		{"REDIS://host", "redis://host", ""},
		{"redis://a,b", "redis://a,b", ""},
		{"redis://:hunter2@a,b?master=mine&sentinel-user=u&sentinel-password=hunter2", "redis://***@a,b?master=mine", ""},
		{"redis://a,b/3?master=mine", "redis://a,b/3?master=mine", ""},
		{"redis://a/0?cluster=true", "redis://a/0", ""},
		{"redis", "***", "want embedded"},
		{"hunter2", "***", "want embedded"},
		{"http://user:hunter2@host", "***", "want embedded"},
		{"redis:host", "***", "want embedded"},
		{"redis://", "***", "want a host"},
		{"redis://user:hunter2@", "***", "want a host"},
		{"redis://user:hunter2@:6379", "***", "want a host"},
		{"redis://host:", "***", "want a host"},
		{"redis://host:0", "***", "want a host"},
		{"redis://host:66666", "***", "want a host"},
		{"redis://a,,b", "***", "want a host"},
		{"redis://a:1:2", "***", "want a host"},
		{"redis://user:hunter2@host:port", "***", "not a URL"},
		{"redis://a,hunter2 b", "***", "want a host"},
		{"redis://[fe80::1%25eth0]", "***", "want a host"},
		{"redis://user:hun/ter2@host", "***", "not a URL"},
		{"redis://user:12/hunter2@host", "***", "not the number of a database"},
		{"redis://user:12?hunter2@host", "***", "the only options"},
		{"redis://user:12#hunter2@host", "***", "nothing may follow a #"},
		{"redis://host/x", "***", "not the number of a database"},
		{"redis://host/-1", "***", "not the number of a database"},
		{"redis://host/0/", "***", "not the number of a database"},
		{"redis://host//", "***", "not the number of a database"},
		{"redis://host/3000000", "***", "not the number of a database"},
		{"redis://a,b/1", "***", "no numbered databases"},
		{"redis://a/1?cluster=true", "***", "no numbered databases"},
		{"redis://host?timeout=1s", "***", "the only options"},
		{"redis://host?master=", "***", "the only options"},
		{"redis://host?master=a&master=b", "***", "the only options"},
		{"redis://host?%zz", "***", "cannot be read"},
		{"redis://host?cluster=perhaps", "***", "want cluster=true"},
		{"redis://host?cluster=true&master=x", "***", "not both"},
		{"redis://host?sentinel-password=hunter2", "***", "go with master only"},
	} {
		t.Run(test.url, func(t *testing.T) {
			got := faults(t, []string{"BELLHOP_STORE=" + test.url}, "serve", "--queue=embedded")
			switch {
			case test.problem == "" && len(got) > 0:
				t.Errorf("got %v, want no fault", got)
			case test.problem != "" && (len(got) != 1 || got[0].Flag != "store" || !strings.Contains(got[0].Problem, test.problem)):
				t.Errorf("got %v, want one with %q", got, test.problem)
			}
			if strings.Contains(got.Error(), "ter2") {
				t.Errorf("a fault shows the secret: %v", got)
			}
			if test.url == "redis" {
				return // the queue's word for the store's Redis
			}
			if shown := config.NewLocation(test.url).String(); shown != test.shown {
				t.Errorf("String = %q, want %q", shown, test.shown)
			}
			if back := config.NewLocation(test.url).Reveal(); back != test.url {
				t.Errorf("Reveal = %q, want %q", back, test.url)
			}
		})
	}
}

// TestSecretsNeverPrint is B7.3: no way of printing the settings shows one.
func TestSecretsNeverPrint(t *testing.T) {
	s := serve(t, []string{"BELLHOP_SMTP=smtp://user:hunter2@host", "BELLHOP_STORE=redis://user:hunter2@store",
		"BELLHOP_QUEUE=rediss://user:hunter2@queue", "BELLHOP_REDIS_PASSWORD=hunter2"})
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, strings.Repeat(verb+" ", 5)+"\n", s, *s, s.SMTP, s.Store, s.RedisPassword)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("settings", "all", s, "value", *s, "smtp", s.SMTP, "store", s.Store, "password", s.RedisPassword)
	}
	hex := fmt.Sprintf("%x", "hunter2")
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), hex) {
		t.Errorf("the password shows:\n%s", out.String())
	}
	for _, shown := range []string{"smtp://***@host", "redis://***@store", "rediss://***@queue"} {
		if !strings.Contains(out.String(), shown) {
			t.Errorf("%s does not show:\n%s", shown, out.String())
		}
	}
}

func TestUsageErrorsHideSecrets(t *testing.T) {
	for _, args := range [][]string{
		{"serve", "smtp://user:hunter2@host"},
		{"serve", "--smpt=smtp://user:hunter2@host"},
		{"serve", "--smtp", "mailbox", "smtp://user:pass hunter2@host"},
		{"smtp://user:hunter2@host"},
		{"serve", "--sotre=redis://:hunter2@host"},
		{"serve", "--redis-pasword=hunter2"},
		{"serve", "redis://:hunter2@host"},
	} {
		if _, err := config.Parse(args, nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: err = %v, want one without the password", args, err)
		}
	}
}

// TestSecretFromFile is B7.3: a secret's file is read, and refused when
// everybody can read it.
func TestSecretFromFile(t *testing.T) {
	dir := t.TempDir()
	const url = "smtp://user:hunter2@host"
	for _, test := range []struct {
		name, content string
		mode          os.FileMode
		environ       []string
		want, problem string
	}{
		{name: "plain", content: url, mode: 0o600, want: url},
		{name: "line end", content: url + "\n", mode: 0o400, want: url},
		{name: "windows line end", content: url + "\r\n", mode: 0o640, want: url},
		{name: "two line ends", content: url + "\n\n", mode: 0o600, problem: "not a URL"},
		{name: "world-readable", content: url, mode: 0o644, problem: "everybody on this machine can read"},
		{name: "empty", content: "\n", mode: 0o600, problem: "is empty"},
		{name: "huge", content: strings.Repeat("x", 1<<17), mode: 0o600, problem: "larger than 64 KiB"},
		{name: "both", content: url, mode: 0o600, environ: []string{"BELLHOP_SMTP=mailbox"}, problem: "both BELLHOP_SMTP and BELLHOP_SMTP_FILE are set"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, test.name)
			write(t, path, test.content, test.mode)
			environ := append(test.environ, "BELLHOP_SMTP_FILE="+path)
			if test.problem == "" {
				if got := serve(t, environ).SMTP.Reveal(); got != test.want {
					t.Errorf("the secret is %q, want %q", got, test.want)
				}
				return
			}
			got := faults(t, environ, "serve")
			if len(got) != 1 || got[0].Source != "BELLHOP_SMTP_FILE" || !strings.Contains(got[0].Problem, test.problem) {
				t.Errorf("got %v, want one with %q from BELLHOP_SMTP_FILE", got, test.problem)
			}
			if strings.Contains(got.Error(), "hunter2") {
				t.Errorf("a fault shows the secret: %v", got)
			}
		})
	}
	for path, problem := range map[string]string{dir: "not a regular file", filepath.Join(dir, "missing"): "no such file"} {
		if got := faults(t, []string{"BELLHOP_SMTP_FILE=" + path}, "serve"); len(got) != 1 || !strings.Contains(got[0].Problem, problem) {
			t.Errorf("%s: got %v, want %q", path, got, problem)
		}
	}
	path := filepath.Join(dir, "password")
	write(t, path, "hunter2\n", 0o600)
	if got := serve(t, []string{"BELLHOP_REDIS_PASSWORD_FILE=" + path, "BELLHOP_STORE=redis://h"}).RedisPassword; got.Reveal() != "hunter2" {
		t.Errorf("the password from a file is %q", got.Reveal())
	}
	write(t, path, "redis://:hunter2@h", 0o600)
	if got := serve(t, []string{"BELLHOP_STORE_FILE=" + path}).Store.Reveal(); got != "redis://:hunter2@h" {
		t.Errorf("the store from a file is %q", got)
	}
	if got := serve(t, []string{"BELLHOP_SMTP_FILE=" + dir}, "--smtp", "mailbox"); !got.SMTP.Explicit() || !got.SMTP.Mailbox() {
		t.Errorf("smtp = %v: the flag must win over the file", got.SMTP)
	}
}
