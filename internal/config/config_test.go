package config_test

import (
	"errors"
	"flag"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/config"
)

// update rewrites the expected help: go test ./internal/config -update
var update = flag.Bool("update", false, "rewrite testdata")

func parse(t *testing.T, environ []string, args ...string) *config.Invocation {
	t.Helper()
	in, err := config.Parse(args, environ)
	if err != nil {
		t.Fatalf("Parse(%q): %v", args, err)
	}
	return in
}

func serve(t *testing.T, environ []string, args ...string) *config.Serve {
	t.Helper()
	return parse(t, environ, append([]string{"serve"}, args...)...).Command.(*config.Serve)
}

func TestServeDefaults(t *testing.T) {
	want := config.Serve{
		Listen:          "127.0.0.1:6969",
		Data:            config.Data{DataDir: "bellhop-data"},
		MailRetention:   720 * time.Hour,
		SMTPConnections: 16,
		MailFrom:        "Bellhop <hello@localhost>",
		MailRetry: config.Retry{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
			time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour},
		MailExpiry:   72 * time.Hour,
		UnknownPause: 5 * time.Second,
		Accounts: config.Accounts{
			SignInExpiry: 15 * time.Minute, CodeExpiry: 15 * time.Minute, SessionIdle: 7 * 24 * time.Hour, SessionLife: 30 * 24 * time.Hour,
			AccessLife: 15 * time.Minute, KeyRotation: 90 * 24 * time.Hour, UnconfirmedRetention: 14 * 24 * time.Hour,
		},
		Abuse: config.Abuse{
			LimitIP: config.Limit{Events: 30, Per: 10 * time.Minute}, LimitTotal: config.Limit{Events: 1000, Per: time.Second}, LimitAddress: config.Limit{Events: 10, Per: time.Hour},
			MailBudget:   config.Allowances{{Mails: 1, Per: 10 * time.Minute}, {Mails: 3, Per: 24 * time.Hour}, {Mails: 10, Per: 30 * 24 * time.Hour}},
			SignInBudget: config.Allowances{{Mails: 3, Per: 15 * time.Minute}, {Mails: 10, Per: 24 * time.Hour}},
			FormMin:      2 * time.Second, FormMax: 12 * time.Hour,
		},
		Roles:        config.Roles{config.Web, config.Relay, config.Sender},
		DrainTimeout: 25 * time.Second,
	}
	if got := serve(t, nil); !reflect.DeepEqual(*got, want) {
		t.Errorf("serve without arguments:\n got %+v\nwant %+v", *got, want)
	}
}

// TestServeSources sets every setting once by its flag and once by its
// variable, and checks that the two agree and that each changed something.
func TestServeSources(t *testing.T) {
	dir := t.TempDir()
	certs := filepath.Join(dir, "ca.pem")
	write(t, certs, certificate(t), 0o644)
	values := map[string]string{
		"listen": "127.0.0.2:80", "public-url": "https://a.example", "ops-listen": "127.0.0.1:9", "data-dir": "d",
		"smtp": "smtp://u:p@h:25", "smtp-connections": "3", "smtp-rate": "0.5", "smtp-hello": "me.example", "smtp-ca-file": certs,
		"mail-from": "a@b.example", "mail-templates": dir, "mail-retry": "1s, 2s", "mail-expiry": "1h", "unknown-pause": "1s",
		"drain-timeout": "3s", "log-level": "debug", "store": "rediss://s/0", "queue": "redis://q/1", "redis-password": "secret", "redis-ca-file": certs,
		"redis-wait": "2", "mail-retention": "1h", "roles": "web,sender",
		"sign-in-expiry": "20m", "code-expiry": "5m", "session-idle": "1h", "session-life": "200h", "access-life": "5m", "token-audience": "https://api.example",
		"key-rotation": "24h", "unconfirmed-retention": "300h",
		"limit-ip": "5/1m", "limit-total": "off", "limit-address": "1/1s", "mail-budget": "off", "sign-in-budget": "1/1m, 2/2m", "form-min": "0", "form-max": "1h",
		"trusted-proxy": "10.0.0.0/8, 127.0.0.1,::1", "cors-origin": "https://b.example,http://localhost:3000",
	}
	shared := []string{"BELLHOP_STORE=rediss://h", "BELLHOP_QUEUE=redis"} // where everything can be set
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			variable := "BELLHOP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			var more []string
			if name == "public-url" || name == "trusted-proxy" { // they open the dev mailbox
				more = []string{"--smtp", "mailbox"}
			}
			byDefault := *serve(t, shared, more...)
			byFlag := serve(t, append(shared[:2:2], variable+"=ignored"), append(more, "--"+name, value)...)
			byVariable := serve(t, append(shared[:2:2], variable+"="+value), more...)
			if !reflect.DeepEqual(byFlag, byVariable) {
				t.Errorf("flag and variable differ:\n%+v\n%+v", byFlag, byVariable)
			}
			if reflect.DeepEqual(*byFlag, byDefault) {
				t.Error("setting it changed nothing")
			}
			if empty := serve(t, append([]string{variable + "="}, shared...), more...); !reflect.DeepEqual(*empty, byDefault) {
				t.Error("an empty variable does not count as not set")
			}
		})
	}
	if !serve(t, []string{"BELLHOP_MAILBOX_PUBLIC=true"}).MailboxPublic || serve(t, []string{"BELLHOP_MAILBOX_PUBLIC=0"}).MailboxPublic {
		t.Error("BELLHOP_MAILBOX_PUBLIC is not read as true or false")
	}
}

func TestPlatformPort(t *testing.T) {
	environ := []string{"HTTP_PLATFORM_PORT=8123"}
	if got := serve(t, environ).Listen; got != "127.0.0.1:8123" {
		t.Errorf("listen = %q, want the host of the default and the port of the host", got)
	}
	if got := serve(t, environ, "--listen", "127.0.0.1:1").Listen; got != "127.0.0.1:1" {
		t.Errorf("listen = %q, want the flag to win", got)
	}
	if got := serve(t, append(environ, "BELLHOP_LISTEN=127.0.0.1:2")).Listen; got != "127.0.0.1:2" {
		t.Errorf("listen = %q, want Bellhop's own variable to win", got)
	}
	if _, err := config.Parse([]string{"serve"}, []string{"HTTP_PLATFORM_PORT=pipe"}); err == nil || !strings.Contains(err.Error(), "from HTTP_PLATFORM_PORT") {
		t.Errorf("err = %v, want it to name HTTP_PLATFORM_PORT", err)
	}
}

func TestBaseURL(t *testing.T) {
	bound := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4321}
	s := serve(t, nil, "--listen", "127.0.0.1:0")
	if got := s.BaseURL(bound); got != "http://localhost:4321" {
		t.Errorf("BaseURL = %q, want the bound port", got)
	}
	if got := s.BaseURL(nil); got != "" {
		t.Errorf("BaseURL = %q without a bound address, want none", got)
	}
	s = serve(t, nil, "--public-url", "https://a.example/", "--smtp", "mailbox")
	if got := s.BaseURL(bound); got != "https://a.example" {
		t.Errorf("BaseURL = %q, want no slash at the end", got)
	}
}

func TestMailboxPage(t *testing.T) {
	for _, test := range []struct {
		args []string
		want bool
	}{
		{nil, true},
		{[]string{"--listen", "localhost:80"}, true},
		{[]string{"--listen", "[::1]:80"}, true},
		{[]string{"--listen", ":80", "--smtp", "mailbox"}, false},
		{[]string{"--listen", ":80", "--smtp", "mailbox", "--mailbox-public"}, true},
		{[]string{"--public-url", "http://localhost:80"}, true},
		{[]string{"--public-url", "http://127.0.0.1:80"}, true},
		{[]string{"--public-url", "https://a.example", "--smtp", "mailbox"}, false},
		{[]string{"--public-url", "https://a.example", "--smtp", "mailbox", "--mailbox-public"}, true},
		{[]string{"--public-url", "https://a.example", "--trusted-proxy", "127.0.0.1", "--smtp", "mailbox"}, false},
		{[]string{"--trusted-proxy", "127.0.0.1", "--smtp", "mailbox"}, false},
		{[]string{"--trusted-proxy", "127.0.0.1", "--smtp", "mailbox", "--mailbox-public"}, true},
		{[]string{"--smtp", "smtp://localhost"}, false},
		{[]string{"--store", "redis://h", "--queue", "redis", "--roles", "web,sender"}, true},
		{[]string{"--store", "redis://h", "--queue", "redis", "--roles", "web,relay"}, false},
		{[]string{"--store", "redis://h", "--queue", "redis", "--roles", "sender", "--smtp", "mailbox", "--public-url", "http://a.example"}, false},
	} {
		if got := serve(t, nil, test.args...).MailboxPage(); got != test.want {
			t.Errorf("%q: MailboxPage = %v, want %v", test.args, got, test.want)
		}
	}
}

func TestOtherCommands(t *testing.T) {
	data := config.Data{DataDir: "d"}
	for _, test := range []struct {
		args string
		want any
	}{
		{"verify --json", &config.Verify{JSON: true, Data: data}},
		{"dead list --json", &config.DeadList{JSON: true, Data: data}},
		{"dead replay a b", &config.DeadReplay{IDs: []string{"a", "b"}, Data: data}},
		{"dead replay --all --dry-run", &config.DeadReplay{All: true, DryRun: true, IDs: []string{}, Data: data}},
		{"dead discard a", &config.DeadDiscard{IDs: []string{"a"}, Data: data}},
		{"erase ada@example.com", &config.Erase{Who: "ada@example.com", Data: data}},
		{"erase 0198 --yes", &config.Erase{Who: "0198", Yes: true, Data: data}},
		{"export ada@example.com", &config.Export{Who: "ada@example.com", Data: data}},
		{"keys list --json", &config.KeysList{JSON: true, Data: data}},
		{"keys rotate --force", &config.KeysRotate{Force: true, Data: data}},
		{"keys retire _a", &config.KeysRetire{Key: "_a", Data: data}},
		{"verify --store redis://h", &config.Verify{Data: config.Data{DataDir: "d", Store: config.NewLocation("redis://h")}}},
		{"doctor", &config.Doctor{Data: data}},
		{"migrate --to redis://h --redis-wait 1", &config.Migrate{To: config.NewLocation("redis://h"), DataDir: "d", RedisAccess: config.RedisAccess{RedisWait: 1}}},
		{"version", &config.Version{}},
		{"bench signup", &config.BenchSignup{Bench: config.Bench{Rounds: 3, For: 10 * time.Second, Workers: 64}}},
		{"bench signup --store redis", &config.BenchSignup{Bench: config.Bench{Rounds: 3, For: 10 * time.Second, Workers: 64}, BenchStore: config.BenchStore{Store: config.NewLocation("redis")}}},
		{"bench mail --rounds 1 --owed 1000000", &config.BenchMail{Bench: config.Bench{Rounds: 1, For: 10 * time.Second, Workers: 64}, Owed: 1_000_000}},
	} {
		got := parse(t, []string{"BELLHOP_DATA_DIR=d"}, strings.Fields(test.args)...).Command
		if r, ok := got.(*config.DeadReplay); ok && r.IDs == nil {
			r.IDs = []string{}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.args, got, test.want)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"serve --lisen=x", `did you mean "--listen"?; bellhop serve --help`},
		{"serve --smtp", "--smtp: needs a value"},
		{"dead", `expected one of "list", "replay", "discard"; bellhop dead --help`},
		{"erase", "expected <address-or-id>; bellhop erase --help"},
		{"keys retire", "expected <kid>; bellhop keys retire --help"},
		{"dead discard", "expected <id> ...; bellhop dead discard --help"},
		{"frobnicate", "bellhop --help"},
	} {
		_, err := config.Parse(strings.Fields(test.args), nil)
		var usage *config.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: err = %v, want a UsageError with %q", test.args, err, test.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ []string
		args    []string
		want    string
	}{
		{"typing error", []string{"BELLHOP_LISEN=x"}, nil, "did you mean BELLHOP_LISTEN?"},
		{"no secret", []string{"BELLHOP_LISTEN_FILE=x"}, nil, "BELLHOP_LISTEN_FILE is not a setting"},
		{"nothing near", []string{"BELLHOP_COLOUR_SCHEME=x"}, nil, "BELLHOP_COLOUR_SCHEME is not a setting of Bellhop and is ignored"},
		{"links, open", nil, []string{"--listen", ":80", "--smtp", "mailbox"}, "http://localhost:80, which leads nowhere"},
		{"links, remote", nil, []string{"--smtp", "smtp://mail.example"}, "set --public-url"},
		{"sessions of one process", nil, []string{"--store", "redis://h", "--queue", "redis", "--roles", "web"}, "sessions are made for http://localhost:6969"},
		{"http", nil, []string{"--public-url", "http://a.example", "--listen", "10.0.0.1:80", "--smtp", "mailbox"}, "whoever is on the way can read links and cookies"},
		{"proxy not named", nil, []string{"--smtp", "mailbox", "--public-url", "https://a.example"}, "shares one --limit-ip"},
		{"everybody is a proxy", nil, []string{"--smtp", "mailbox", "--public-url", "https://a.example", "--trusted-proxy", "0.0.0.0/0"}, "--trusted-proxy 0.0.0.0/0 is everybody"},
		{"http origin", nil, []string{"--cors-origin", "http://a.example"}, "--cors-origin http://a.example is http"},
		{"one visitor for all", nil, []string{"--limit-total", "30/10m"}, "a single visitor can then keep everybody else out"},
		{"links, any port", nil, []string{"--listen", ":0", "--smtp", "mailbox"}, "http://localhost:…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := parse(t, test.environ, append([]string{"serve"}, test.args...)...).Warnings
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("warnings = %q, want one with %q", got, test.want)
			}
		})
	}
	quiet := []string{"BELLHOP_LISTEN=127.0.0.1:1", "PATH=x", "BELLHOP_SMTP_FILE="}
	for _, args := range []string{
		"--smtp mailbox --public-url https://a.example --trusted-proxy 127.0.0.1", "--smtp mailbox --public-url https://a.example --limit-ip off", "--public-url http://localhost:80",
		"--limit-total off", "--limit-ip 30/1s", "--limit-ip 2000/1h", "--limit-total 31/10m",
		"--public-url http://127.0.0.1:80 --listen 127.0.0.1:81 --cors-origin http://localhost:3000",
	} {
		if got := parse(t, quiet, append([]string{"serve"}, strings.Fields(args)...)...).Warnings; len(got) != 0 {
			t.Errorf("%s: warnings = %q, want none", args, got)
		}
	}
	if got := parse(t, nil, "doctor", "--public-url", "http://a.example").Warnings; len(got) != 1 {
		t.Errorf("the doctor's warnings = %q, want one of http", got)
	}
	if got := parse(t, quiet, "verify").Warnings; len(got) != 0 {
		t.Errorf("warnings = %q: another command's variable is no mistake", got)
	}
}

// TestHelp compares the references with testdata/*.help.
func TestHelp(t *testing.T) {
	for name, args := range map[string][]string{
		"bellhop": nil, "setup-servicebus": {"setup", "servicebus", "--help"}, "bus": {"bus", "--help"}, "doctor": {"doctor", "--help"}, "migrate": {"migrate", "--help"}, "serve": {"serve", "--help"}, "verify": {"help", "verify"},
		"erase": {"erase", "--help"}, "keys-rotate": {"keys", "rotate", "--help"}, "dead": {"dead", "--help"}, "dead-replay": {"dead", "replay", "-h"}, "version": {"version", "--help"},
	} {
		t.Run(name, func(t *testing.T) {
			environ := []string{"BELLHOP_SMTP=smtp://user:hunter2@host", "BELLHOP_MAIL_FROM=secret@example.com", "BELLHOP_STORE=redis://:hunter2@host", "BELLHOP_REDIS_PASSWORD=hunter2"}
			got := parse(t, environ, args...).Command.(*config.Help).Text
			path := filepath.Join("testdata", name+".help")
			if *update {
				write(t, path, got, 0o644)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the help changed; if it should, run: go test ./internal/config -update\n%s", got)
			}
			for line := range strings.SplitSeq(got, "\n") {
				if len(line) > 100 {
					t.Errorf("line too wide: %q", line)
				}
			}
		})
	}
}

// TestHelpIsComplete checks that every setting of the commands that run on is
// told in their help, with its variable and its default.
func TestHelpIsComplete(t *testing.T) {
	for _, command := range []struct {
		name, variables string
		settings        reflect.Type
	}{{"serve", "BELLHOP_", reflect.TypeFor[config.Serve]()}, {"bus", "BELLHOP_BUS_", reflect.TypeFor[config.Bus]()}} {
		text := parse(t, nil, command.name, "--help").Command.(*config.Help).Text
		for name, tag := range flags(command.settings, "") {
			variable := tag.Get("var")
			_, entry, found := strings.Cut(text, "  --"+name+" ")
			entry, _, _ = strings.Cut(entry, "\n  --")
			if !found || variable == "" || !strings.Contains(entry, variable) || !strings.Contains(entry, "Default: ") {
				t.Errorf("%s --%s: want its variable and its default in the help, got %q", command.name, name, entry)
			}
			if want := command.variables + strings.ToUpper(strings.ReplaceAll(name, "-", "_")); variable != want {
				t.Errorf("%s --%s: variable %s, want %s", command.name, name, variable, want)
			}
		}
	}
}

// flags are the tags of a struct's fields, and of those of the structs in it,
// by their flags' names.
func flags(settings reflect.Type, prefix string) map[string]reflect.StructTag {
	all := map[string]reflect.StructTag{}
	for i := range settings.NumField() {
		if f := settings.Field(i); f.Anonymous {
			maps.Copy(all, flags(f.Type, prefix+f.Tag.Get("prefix")))
		} else {
			all[prefix+f.Tag.Get("name")] = f.Tag
		}
	}
	return all
}

func TestRoles(t *testing.T) {
	s := serve(t, nil, "--roles", "sender, relay,web,web")
	if !slices.Equal(s.Roles, config.Roles{config.Sender, config.Relay, config.Web}) || s.Roles.String() != "sender, relay, web" {
		t.Errorf("roles = %v", s.Roles)
	}
	if !s.Roles.Has(config.Web) || s.Roles.Has("console") {
		t.Error("Has is wrong")
	}
	if !s.Roles.All() || s.Roles[:2].All() {
		t.Error("All is wrong")
	}
}

// TestDivisions is which roles may be processes of their own.
func TestDivisions(t *testing.T) {
	const all, redis, queue = "web,relay,sender", "redis://h", "redis"
	for _, test := range []struct {
		store, queue, roles string
		fault               string
	}{
		{"embedded", "embedded", all, ""},
		{"embedded", "redis://q", all, ""},
		{"embedded", "redis://q", "relay,sender", "owns the embedded store"},
		{redis, "embedded", all, ""},
		{redis, "embedded", "web", ""},
		{redis, "embedded", "relay,sender", ""},
		{redis, "embedded", "web,relay,sender", ""},
		{redis, "embedded", "relay", "owns the embedded queue"},
		{redis, "embedded", "web,sender", "owns the embedded queue"},
		{redis, queue, "web", ""},
		{redis, queue, "relay", ""},
		{redis, queue, "sender", ""},
		{redis, queue, "web,sender", ""},
		{redis, "redis://q", "relay", ""},
	} {
		got := faults(t, nil, "serve", "--store", test.store, "--queue", test.queue, "--roles", test.roles,
			"--public-url", "http://a.example", "--smtp", "smtp://localhost")
		if test.fault == "" && len(got) > 0 || test.fault != "" && (len(got) != 1 || got[0].Flag != "roles" || !strings.Contains(got[0].Problem, test.fault)) {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

func TestQueueLocation(t *testing.T) {
	for queue, want := range map[string]string{"embedded": "embedded", "redis": "redis://s", "redis://q": "redis://q"} {
		if got := serve(t, nil, "--store", "redis://s", "--queue", queue).QueueLocation().Reveal(); got != want {
			t.Errorf("--queue %s is at %s, want %s", queue, got, want)
		}
	}
}

// TestLists is how flags that hold several values are read.
func TestLists(t *testing.T) {
	want := config.Networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("::1/128")}
	s := serve(t, []string{"BELLHOP_TRUSTED_PROXY=1.2.3.4"}, "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::ffff:192.0.2.1, ::1,10.0.0.0/8", "--smtp", "mailbox")
	if !slices.Equal(s.TrustedProxy, want) {
		t.Errorf("trusted %v, want %v", s.TrustedProxy, want)
	}
	s = serve(t, []string{"BELLHOP_CORS_ORIGIN=https://a.example,https://b.example:8443"})
	if !slices.Equal(s.CORSOrigin, config.Origins{"https://a.example", "https://b.example:8443"}) {
		t.Errorf("origins %v", s.CORSOrigin)
	}
}

func TestOff(t *testing.T) {
	s := serve(t, nil, "--limit-ip", "off", "--mail-budget", "off")
	if s.LimitIP != (config.Limit{}) || s.MailBudget != nil {
		t.Errorf("off is %v and %v", s.LimitIP, s.MailBudget)
	}
}
