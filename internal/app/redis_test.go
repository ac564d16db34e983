package app

import (
	"testing"

	"bellhop/internal/config"
	"bellhop/internal/redisdb"
)

// What the settings accept as a Redis's URL the client accepts, and the other
// way round.
func TestSettingsAndRedisAgreeOnURLs(t *testing.T) {
	in, err := config.Parse([]string{"verify"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, accepted := in.Command.(*config.Verify), 0
	for _, url := range redisURLs() {
		cfg.Store = config.NewLocation(url)
		settings := cfg.Validate()
		client := redisdb.Settings{URL: url}.Validate()
		if (settings == nil) != (client == nil) {
			t.Errorf("%s: the settings say %v, the client says %v", url, settings, client)
		}
		if client == nil {
			accepted++
			if tls := (redisdb.Settings{URL: url}).String()[:6] == "rediss"; tls != cfg.Store.TLS() {
				t.Errorf("%s: TLS is %v, the client says %v", url, cfg.Store.TLS(), tls)
			}
		}
	}
	if total := len(redisURLs()); accepted < 500 || total-accepted < 500 {
		t.Errorf("%d of %d are accepted: the list is lopsided", accepted, total)
	}
}

// redisURLs is every scheme with every login, hosts, database and options.
func redisURLs() (all []string) {
	for _, scheme := range []string{"redis://", "REDISS://", "rediss://", "http://", "redis:"} {
		for _, login := range []string{"", "@", "user@", "user:p@", ":p@", "us%40er:p%2F@", "u:1/2@", "u:p%zz@"} {
			for _, hosts := range []string{"", "localhost", "127.0.0.1:6379", "[::1]", "[::1]:1,[::2]", "a,b:2,c", "a,,b", "a:0", "a:65536", "a:", "a:x", "a:b:1", "a b", "[::1", "::1", "[fe80::1%25eth0]", "a_b.c-d"} {
				for _, end := range []string{"", "/", "//", "/0", "/7", "/x", "/-1", "/+1", "/0/", "/9999999", "#x", "?", "?x=1", "?master=m", "/3?master=m", "?master=", "?master=a&master=b", "?cluster=true", "/1?cluster=1", "?cluster=x", "?cluster=true&master=m", "?sentinel-user=u", "?master=m&sentinel-password=p", "?%zz"} {
					all = append(all, scheme+login+hosts+end)
				}
			}
		}
	}
	return all
}

// One client serves store and queue where both are in one Redis, however that
// is written.
func TestLinks(t *testing.T) {
	for _, test := range []struct {
		store, queue       string
		hasStore, hasQueue bool
		shared             bool
	}{
		{"embedded", "embedded", false, false, false},
		{"redis://h", "embedded", true, false, false},
		{"embedded", "redis://h", false, true, false},
		{"redis://h", "redis", true, true, true},
		{"redis://h", "redis://h:6379/0", true, true, true},
		{"redis://h", "redis://h/1", true, true, false},
	} {
		in, err := config.Parse([]string{"verify", "--store", test.store, "--queue", test.queue}, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLinks(&in.Command.(*config.Verify).Data, nil)
		if err != nil {
			t.Fatal(err)
		}
		if (l.store != nil) != test.hasStore || (l.queue != nil) != test.hasQueue || (l.store != nil && l.store == l.queue) != test.shared {
			t.Errorf("%+v: got %+v", test, l)
		}
		if err := l.close(); err != nil {
			t.Errorf("%+v: close: %v", test, err)
		}
	}
}
