package redistest_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bellhop/internal/redistest"
)

// patience is far more than anything here takes.
const patience = 60 * time.Second

// want runs a command and compares its answer.
func want(t *testing.T, s *redistest.Server, answer string, command ...string) {
	t.Helper()
	got, err := s.Do(command...)
	if err != nil {
		t.Fatal(err)
	}
	if got != answer {
		t.Fatalf("%s: got %q, want %q", strings.Join(command, " "), got, answer)
	}
}

// eventually asks until a command has this answer.
func eventually(t *testing.T, s *redistest.Server, answer string, command ...string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		got, err := s.Do(command...)
		if err == nil && got == answer {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: got %q, %v, want %q", strings.Join(command, " "), got, err, answer)
		}
	}
}

func TestServerIsAnEmptyRedisOfOurOwn(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	want(t, s, "0", "DBSIZE")
	want(t, s, "databases\n2000", "CONFIG", "GET", "databases")
	want(t, s, "OK", "SET", "key", "a value\r\nof two lines")
	want(t, s, "a value\r\nof two lines", "GET", "key")
	want(t, s, "", "GET", "no such key")
	if _, err := s.Do("INCR", "key"); err == nil || !strings.Contains(err.Error(), "not an integer") {
		t.Errorf("a refused command: got %v, want Redis's own words", err)
	}
	if url := s.URL(1999); url != "redis://"+s.Addr()+"/1999" {
		t.Errorf("URL: got %s", url)
	}
	if url := s.URLAt("127.0.0.1:7", 0); url != "redis://127.0.0.1:7/0" {
		t.Errorf("URLAt: got %s", url)
	}
	if s.CAFile() != "" {
		t.Errorf("CAFile: got %s, want none without TLS", s.CAFile())
	}
	if other := redistest.Start(t, redistest.Options{}); other.Addr() == s.Addr() {
		t.Errorf("two servers share %s", other.Addr())
	}
}

func TestServerTakesMoreLines(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Persistence: redistest.EverySec, Config: []string{"maxmemory 2mb", "databases 3"}})
	want(t, s, "maxmemory\n2097152", "CONFIG", "GET", "maxmemory")
	want(t, s, "databases\n3", "CONFIG", "GET", "databases")
	want(t, s, "appendfsync\neverysec", "CONFIG", "GET", "appendfsync")
}

// TestKillLosesNothingAnswered writes without a pause, kills the server in the
// midst of it, and finds everything that was answered.
func TestKillLosesNothingAnswered(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	address := s.Addr()
	answered, enough := make(chan int, 1), make(chan struct{})
	go func() {
		n := 0
		for ; ; n++ {
			if n == 100 {
				close(enough)
			}
			if _, err := s.Do("RPUSH", "list", strconv.Itoa(n)); err != nil {
				break
			}
		}
		answered <- n
	}()
	<-enough
	s.Kill()
	n := <-answered
	if _, err := s.Do("PING"); err == nil {
		t.Error("a killed server answers")
	}
	s.Restart()
	if s.Addr() != address {
		t.Errorf("restarted at %s, want %s as before", s.Addr(), address)
	}
	length, err := s.Do("LLEN", "list")
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := strconv.Atoi(length); err != nil || kept < n {
		t.Errorf("%d were answered, the server kept %s", n, length)
	}
}

// TestRestartMendsWhatWasWrittenByHalves cuts the last command of a script out of
// the file, as a kill in the midst of a write does. Left as it is, what is written
// after that is read as a part of the script, and gone with it at the start after
// the next.
func TestRestartMendsWhatWasWrittenByHalves(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	want(t, s, "OK", "SET", "before", "1")
	want(t, s, "", "EVAL", "redis.call('SET', 'first', '1') redis.call('SET', 'second', '1')", "0")
	dir, err := s.Do("CONFIG", "GET", "dir")
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	path := filepath.Join(strings.TrimPrefix(dir, "dir\n"), "appendonlydir", "appendonly.aof.1.incr.aof")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(bytes.LastIndex(whole, []byte("second")))); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	want(t, s, "1\n\n", "MGET", "before", "first", "second")
	want(t, s, "OK", "SET", "after", "1")
	s.Restart()
	want(t, s, "1", "GET", "after")
}

func TestRestartKillsAServerThatRuns(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	want(t, s, "OK", "SET", "key", "value")
	s.Restart()
	want(t, s, "0", "DBSIZE")
}

func TestPausedServerAnswersLater(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.Pause()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read from a paused server: got %v, want no answer", err)
	}
	s.Resume()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "+PONG\r\n" {
		t.Errorf("after Resume: got %q, %v", line, err)
	}
	s.Pause()
	s.Kill() // a server that stands still can be killed, too
}

func TestServerAsksForPassword(t *testing.T) {
	for _, test := range []struct{ user, password, base string }{
		{"", "se:cret", "redis://:se%3Acret@"},
		{"alice", "secret", "redis://alice:secret@"},
	} {
		t.Run("user "+test.user, func(t *testing.T) {
			s := redistest.Start(t, redistest.Options{User: test.user, Password: test.password})
			want(t, s, "PONG", "PING")
			if want := test.base + s.Addr() + "/7"; s.URL(7) != want {
				t.Errorf("URL: got %s, want %s", s.URL(7), want)
			}
			conn, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "PING\r\n")
			if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "-NOAUTH") {
				t.Errorf("without password: got %q, %v, want NOAUTH", line, err)
			}
		})
	}
}

func TestTLSRefusesPlainAndStrangers(t *testing.T) {
	s := redistest.Start(t, redistest.Options{TLS: true, Password: "secret"})
	want(t, s, "PONG", "PING")
	u, err := url.Parse(s.URL(0))
	if err != nil || u.Scheme != "rediss" || u.Host != s.Addr() {
		t.Errorf("URL: got %s, %v", s.URL(0), err)
	}

	plain, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	fmt.Fprint(plain, "PING\r\n")
	if answer, _ := io.ReadAll(plain); strings.Contains(string(answer), "PONG") || strings.Contains(string(answer), "NOAUTH") {
		t.Errorf("a plain connection: got %q, want it closed", answer)
	}

	if conn, err := tls.Dial("tcp", s.Addr(), nil); err == nil {
		conn.Close()
		t.Error("the system's authorities vouch for the certificate")
	}
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	for _, name := range []string{"127.0.0.1", "localhost"} {
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: authorities, ServerName: name})
		if err != nil {
			t.Errorf("with the CA file, as %s: %v", name, err)
			continue
		}
		conn.Close()
	}
}

func TestReplicaIsPromoted(t *testing.T) {
	for _, test := range []struct {
		name    string
		options redistest.Options
	}{
		{"plain", redistest.Options{}},
		{"user and TLS", redistest.Options{User: "alice", Password: "secret", TLS: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			master := redistest.Start(t, test.options)
			want(t, master, "OK", "SET", "key", "before")
			replica := redistest.Start(t, redistest.Options{ReplicaOf: master, Persistence: redistest.Always})
			replica.WaitReplica()
			want(t, replica, "before", "GET", "key")
			want(t, master, "OK", "SET", "key", "after")
			replica.WaitReplica()
			want(t, replica, "after", "GET", "key")
			if _, err := replica.Do("SET", "key", "mine"); err == nil || !strings.Contains(err.Error(), "READONLY") {
				t.Errorf("write to a replica: got %v, want READONLY", err)
			}
			master.Kill()
			replica.Promote()
			want(t, replica, "OK", "SET", "key", "mine")
			replica.Restart()
			want(t, replica, "mine", "GET", "key")
			want(t, replica, "OK", "SET", "key", "still mine")
		})
	}
}
