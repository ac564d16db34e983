package redisdb_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bellhop/internal/redisdb"
)

// Every form of a URL, as it is shown: without secrets, and understood again.
func TestSettingsString(t *testing.T) {
	for url, want := range map[string]string{
		"redis://localhost":                                       "redis://localhost:6379/0",
		"redis://localhost/":                                      "redis://localhost:6379/0",
		"redis://localhost:6380/3":                                "redis://localhost:6380/3",
		"rediss://cache.example.org":                              "rediss://cache.example.org:6379/0",
		"REDIS://Cache.example.org":                               "redis://Cache.example.org:6379/0",
		"redis://:secret@localhost":                               "redis://localhost:6379/0",
		"redis://user:secret@localhost/1":                         "redis://localhost:6379/1",
		"redis://user@localhost":                                  "redis://localhost:6379/0",
		"redis://user:s%40c%2Fr%23t@localhost":                    "redis://localhost:6379/0",
		"redis://user:s@cret@localhost":                           "redis://localhost:6379/0",
		"redis://user:sec,ret@a,b":                                "redis://a:6379,b:6379",
		"redis://127.0.0.1:1":                                     "redis://127.0.0.1:1/0",
		"redis://[::1]":                                           "redis://[::1]:6379/0",
		"redis://[::1]:6380/2":                                    "redis://[::1]:6380/2",
		"redis://a:1,b,c:3":                                       "redis://a:1,b:6379,c:3",
		"redis://a:1,b:2/0":                                       "redis://a:1,b:2",
		"redis://:secret@[::1]:1,[::2]:2,c":                       "redis://[::1]:1,[::2]:2,c:6379",
		"redis://a/?cluster=true":                                 "redis://a:6379?cluster=true",
		"redis://a?cluster=false":                                 "redis://a:6379/0",
		"redis://a,b?cluster=true":                                "redis://a:6379,b:6379",
		"redis://a?master=mymaster":                               "redis://a:26379/0?master=mymaster",
		"redis://a,b:2,c/4?master=mymaster":                       "redis://a:26379,b:2,c:26379/4?master=mymaster",
		"rediss://:x@a?master=m%26y+master":                       "rediss://a:26379/0?master=m%26y+master",
		"redis://a?master=m&sentinel-password=pw":                 "redis://a:26379/0?master=m",
		"redis://a?master=m&sentinel-user=u&sentinel-password=pw": "redis://a:26379/0?master=m",
	} {
		t.Run(url, func(t *testing.T) {
			s := redisdb.Settings{URL: url}
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := s.String(); got != want {
				t.Errorf("shown as %s, want %s", got, want)
			}
			if again := (redisdb.Settings{URL: want}); again.Validate() != nil || again.String() != want {
				t.Errorf("%s is not understood again: %v, %s", want, again.Validate(), again)
			}
		})
	}
}

// What is wrong is said in words that hold no part of the URL, which may be a
// part of the password.
func TestSettingsValidate(t *testing.T) {
	const secret = "s3cr3t"
	for name, c := range map[string]struct {
		settings redisdb.Settings
		want     string
	}{
		"nothing":                     {redisdb.Settings{}, "begins with redis:// or rediss://"},
		"another scheme":              {redisdb.Settings{URL: "http://:s3cr3t@a"}, "begins with redis:// or rediss://"},
		"a password alone":            {redisdb.Settings{URL: "s3cr3t:x"}, "begins with redis:// or rediss://"},
		"no slashes":                  {redisdb.Settings{URL: "redis:s3cr3t"}, "begins with redis:// or rediss://"},
		"a broken escape":             {redisdb.Settings{URL: "redis://:s3cr3t%zz@a"}, "want a URL such as redis://host:6379/0"},
		"a control character":         {redisdb.Settings{URL: "redis://:s3cr3t@a\n"}, "want a URL such as"},
		"no host":                     {redisdb.Settings{URL: "redis://:s3cr3t@"}, "want HOST or HOST:PORT"},
		"a port alone":                {redisdb.Settings{URL: "redis://:6379"}, "want HOST or HOST:PORT"},
		"an empty host":               {redisdb.Settings{URL: "redis://a,,b"}, "want HOST or HOST:PORT"},
		"port 0":                      {redisdb.Settings{URL: "redis://a:0"}, "want HOST or HOST:PORT"},
		"port 65536":                  {redisdb.Settings{URL: "redis://a:65536"}, "want HOST or HOST:PORT"},
		"a port in words":             {redisdb.Settings{URL: "redis://a,b:s3cr3t"}, "want HOST or HOST:PORT"},
		"a slash in a digit password": {redisdb.Settings{URL: "redis://user:12/s3cr3t@a"}, "want the number of a database"},
		"a slash at its beginning":    {redisdb.Settings{URL: "redis://:/s3cr3t@a"}, "want HOST or HOST:PORT"},
		"a slash in a password":       {redisdb.Settings{URL: "redis://user:s3cr3t/x@a"}, "want a URL such as"},
		"a ? in a password":           {redisdb.Settings{URL: "redis://u:1?s3cr3t@a"}, "behind the ?"},
		"a # in a password":           {redisdb.Settings{URL: "redis://u:1#s3cr3t@a"}, "nothing behind a #"},
		"a database in words":         {redisdb.Settings{URL: "redis://a/s3cr3t"}, "want the number of a database"},
		"a negative database":         {redisdb.Settings{URL: "redis://a/-1"}, "want the number of a database"},
		"a Cluster's database":        {redisdb.Settings{URL: "redis://a,b/1"}, "a Cluster has no numbered databases"},
		"an unknown name":             {redisdb.Settings{URL: "redis://a?s3cr3t=1"}, "want master, sentinel-user, sentinel-password or cluster"},
		"no value":                    {redisdb.Settings{URL: "redis://a?master="}, "want one value for each name"},
		"two values":                  {redisdb.Settings{URL: "redis://a?master=s3cr3t&master=b"}, "want one value for each name"},
		"a semicolon":                 {redisdb.Settings{URL: "redis://a?master=b;s3cr3t"}, "want NAME=VALUE pairs"},
		"perhaps a Cluster":           {redisdb.Settings{URL: "redis://a?cluster=s3cr3t"}, "cluster: want true or false"},
		"master and Cluster":          {redisdb.Settings{URL: "redis://a?cluster=true&master=s3cr3t"}, "either master or cluster"},
		"Sentinels' password alone":   {redisdb.Settings{URL: "redis://a?sentinel-password=s3cr3t"}, "want the master's name too"},
		"a zone":                      {redisdb.Settings{URL: "redis://[fe80::1%25eth0]"}, "want HOST or HOST:PORT"},
		"colons that are no address":  {redisdb.Settings{URL: "redis://a:b:1"}, "want HOST or HOST:PORT"},
		"a space in a host":           {redisdb.Settings{URL: "redis://a,b b"}, "want HOST or HOST:PORT"},
		"too many replicas":           {redisdb.Settings{URL: "redis://a", Wait: 101}, "want 0 to 100 replicas to wait for, got 101"},
		"fewer than none":             {redisdb.Settings{URL: "redis://a", Wait: -1}, "want 0 to 100 replicas to wait for, got -1"},
		"a short timeout":             {redisdb.Settings{URL: "redis://a", Timeout: time.Millisecond}, "want a timeout of 30ms or more, got 1ms"},
		"a negative timeout":          {redisdb.Settings{URL: "redis://a", Timeout: -1}, "want a timeout of 30ms or more"},
		"certificates without TLS":    {redisdb.Settings{URL: "redis://a", CAFile: "ca.pem"}, "write rediss://"},
	} {
		t.Run(name, func(t *testing.T) {
			c.settings.Password = secret
			err := c.settings.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
			_, again := redisdb.Open(c.settings)
			if again == nil || again.Error() != err.Error() {
				t.Errorf("Open says %v, Validate %v", again, err)
			}
			if shown := err.Error() + c.settings.String(); strings.Contains(shown, secret) {
				t.Errorf("the password is shown: %s", shown)
			}
		})
	}
}

func TestSettingsInLogs(t *testing.T) {
	s := redisdb.Settings{URL: "redis://user:s3cr3t@a,b?master=m&sentinel-password=s3cr3t", Password: "s3cr3t"}
	var text strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("connected", "to", s)
	slog.New(slog.NewJSONHandler(&text, nil)).Info("connected", "to", s)
	fmt.Fprintf(&text, "%v %+v %s", s, s, s)
	if strings.Contains(text.String(), "s3cr3t") {
		t.Errorf("the password is in %s", &text)
	}
	if n := strings.Count(text.String(), "redis://a:26379,b:26379/0?master=m"); n != 5 {
		t.Errorf("want the address five times, got %d: %s", n, &text)
	}
}

func TestSettingsCAFile(t *testing.T) {
	dir := t.TempDir()
	missing, empty := filepath.Join(dir, "missing.pem"), filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := redisdb.Settings{URL: "rediss://a", CAFile: missing}.Validate()
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing file: %v", err)
	}
	err = redisdb.Settings{URL: "rediss://a", CAFile: empty}.Validate()
	if err == nil || !strings.Contains(err.Error(), empty+" holds no certificate") {
		t.Errorf("a file without certificates: %v", err)
	}
}

func TestSettingsSame(t *testing.T) {
	full := redisdb.Settings{URL: "rediss://u:p@a:1/2", CAFile: "ca.pem", Wait: 1, Timeout: time.Second}
	for name, c := range map[string]struct {
		a, b redisdb.Settings
		want bool
	}{
		"the same":               {full, full, true},
		"written otherwise":      {redisdb.Settings{URL: "redis://a"}, redisdb.Settings{URL: "redis://a:6379/0", Timeout: 3 * time.Second}, true},
		"password beside":        {redisdb.Settings{URL: "redis://:p@a"}, redisdb.Settings{URL: "redis://a", Password: "p"}, true},
		"password not needed":    {redisdb.Settings{URL: "redis://:p@a", Password: "q"}, redisdb.Settings{URL: "redis://:p@a"}, true},
		"a Cluster either way":   {redisdb.Settings{URL: "redis://a,b"}, redisdb.Settings{URL: "redis://a,b?cluster=true"}, true},
		"another host":           {redisdb.Settings{URL: "redis://a"}, redisdb.Settings{URL: "redis://b"}, false},
		"another port":           {redisdb.Settings{URL: "redis://a"}, redisdb.Settings{URL: "redis://a:1"}, false},
		"another database":       {redisdb.Settings{URL: "redis://a"}, redisdb.Settings{URL: "redis://a/1"}, false},
		"another user":           {redisdb.Settings{URL: "redis://u:p@a"}, redisdb.Settings{URL: "redis://v:p@a"}, false},
		"another password":       {redisdb.Settings{URL: "redis://:p@a"}, redisdb.Settings{URL: "redis://a", Password: "q"}, false},
		"TLS":                    {redisdb.Settings{URL: "redis://a"}, redisdb.Settings{URL: "rediss://a"}, false},
		"a Cluster of one":       {redisdb.Settings{URL: "redis://a"}, redisdb.Settings{URL: "redis://a?cluster=1"}, false},
		"another master":         {redisdb.Settings{URL: "redis://a?master=m"}, redisdb.Settings{URL: "redis://a?master=n"}, false},
		"another to Sentinels":   {redisdb.Settings{URL: "redis://a?master=m&sentinel-user=u"}, redisdb.Settings{URL: "redis://a?master=m"}, false},
		"Sentinels' passwords":   {redisdb.Settings{URL: "redis://a?master=m&sentinel-password=u"}, redisdb.Settings{URL: "redis://a?master=m"}, false},
		"more replicas":          {redisdb.Settings{URL: "redis://a", Wait: 1}, redisdb.Settings{URL: "redis://a"}, false},
		"another timeout":        {redisdb.Settings{URL: "redis://a", Timeout: time.Second}, redisdb.Settings{URL: "redis://a"}, false},
		"other certificates":     {redisdb.Settings{URL: "rediss://a", CAFile: "x"}, redisdb.Settings{URL: "rediss://a"}, false},
		"nonsense is never same": {redisdb.Settings{URL: "?"}, redisdb.Settings{URL: "?"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if c.a.Same(c.b) != c.want || c.b.Same(c.a) != c.want {
				t.Errorf("Same(%s, %s) is %v and %v, want %v", c.a.URL, c.b.URL, c.a.Same(c.b), c.b.Same(c.a), c.want)
			}
		})
	}
}

// Whatever is given as a URL: nothing panics, no error shows a part of it, and
// what is accepted is shown without its password in a form that is accepted.
func FuzzSettings(f *testing.F) {
	for _, url := range []string{
		"redis://user:secret@localhost:6379/0", "rediss://:secret@a:1,b:2", "redis://[::1]:1,[::2]/", "redis://a?master=m&sentinel-password=secret",
		"redis://a?cluster=true", "redis://u:1/2@a", "redis://%zz", "redis:", "://", ",", "redis://a,?#", "redis://@@,@:1",
	} {
		f.Add(url)
	}
	said := map[string]bool{}
	for _, wrong := range []string{
		"", "redis://%", "redis://a#b", "redis://a?;", "redis://a?master=", "redis://a?cluster=x", "redis://a?x=y",
		"redis://a?cluster=1&master=m", "redis://a?sentinel-user=u", "redis://", "redis://a/x", "redis://a,b/1",
	} {
		said[redisdb.Settings{URL: wrong}.Validate().Error()] = true
	}
	f.Fuzz(func(t *testing.T, url string) {
		s := redisdb.Settings{URL: url}
		if err := s.Validate(); err != nil {
			if !said[err.Error()] {
				t.Errorf("%q gives an error that no other does: %v", url, err)
			}
			if s.String() != "redis" {
				t.Errorf("%q is wrong, and shown as %s", url, s)
			}
			return
		}
		again := redisdb.Settings{URL: s.String()}
		if err := again.Validate(); err != nil || again.String() != s.String() {
			t.Errorf("%q is shown as %s, and that as %s: %v", url, s, again, err)
		}
		withPassword := redisdb.Settings{URL: s.String(), Password: "%+secret"}
		if withPassword.String() != s.String() {
			t.Errorf("the password is in %s", withPassword)
		}
		if strings.Contains(s.String(), "@") {
			t.Errorf("%q is shown with its user: %s", url, s)
		}
	})
}
