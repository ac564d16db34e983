package redistest

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Persistence says what a server keeps on disk, and so what it still knows
// after Kill and Restart.
type Persistence int

// What a server keeps on disk.
const (
	None     Persistence = iota // nothing: quick
	Always                      // an append-only file, synced before every answer
	EverySec                    // an append-only file, synced once a second
)

// Options are what a server is started with. The zero value is a single server
// without password that keeps nothing.
type Options struct {
	Persistence Persistence // Default: None.
	Password    string      // what a client must give. Default: none is asked for.
	User        string      // whose password that is; the default user is switched off then. Default: the default user.
	TLS         bool        // listens with TLS only, with a certificate for 127.0.0.1 and localhost. Default: plain only.
	ReplicaOf   *Server     // the master it copies, whose User, Password and TLS it takes. Default: it is a master.
	Cluster     bool        // a Cluster's node that knows no other yet; see StartCluster. Default: false.
	Config      []string    // more lines of redis.conf, such as "maxmemory 2mb"; the last line counts. Default: none.
}

// Server is a redis-server of the test's own. It may be used by several
// goroutines at once, except that the methods without an error fail the test
// and so belong in its goroutine; Kill, Pause and Resume may be called from
// anywhere.
type Server struct {
	t           testing.TB
	options     Options
	dir         string
	port        int
	busPort     int          // a Cluster's nodes speak to each other here
	certificate *certificate // nil: plain
	sentinel    []string     // what a Sentinel watches, as lines of its sentinel.conf; nil: a Redis

	mu      sync.Mutex
	process *process
}

// Start starts a server with 2000 databases (a Cluster's node has one) and
// waits until it answers. The end of the test ends it; if the test failed, the
// end of the server's log is printed.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := newServer(t, o)
	if err == nil {
		err = s.start()
	}
	if err != nil {
		t.Fatalf("start a Redis: %v", err)
	}
	return s
}

// newServer is a server that has still to be started. The end of the test ends
// it.
func newServer(t testing.TB, o Options) (*Server, error) {
	s := &Server{t: t, options: o, dir: t.TempDir()}
	if master := o.ReplicaOf; master != nil {
		s.options.User, s.options.Password, s.options.TLS = master.options.User, master.options.Password, master.options.TLS
		s.certificate = master.certificate
	}
	if o.User != "" && o.Password == "" {
		return nil, errors.New("a user needs a password: set Options.Password, too")
	}
	if s.options.TLS && s.certificate == nil {
		made, err := newCertificate(s.dir)
		if err != nil {
			return nil, err
		}
		s.certificate = made
	}
	t.Cleanup(s.end)
	return s, nil
}

// end is the server's end at the end of the test.
func (s *Server) end() {
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	if p == nil {
		return
	}
	p.kill()
	if s.t.Failed() {
		s.t.Logf("the Redis at %s said last:\n%s", s.Addr(), p.tail())
	}
}

// start runs the server for the first time.
func (s *Server) start() error {
	if err := s.configure(); err != nil {
		return err
	}
	_, err := s.launch()
	return err
}

// launch runs the server and waits until it answers. The process is not nil
// if it could be started at all.
func (s *Server) launch() (*process, error) {
	p, err := run(s.dir, s.command()...)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	return p, await("the Redis at "+s.Addr(), func() error { return s.ready(p) })
}

// ready is nil if p answers on the server's port, and has loaded what it kept.
func (s *Server) ready(p *process) error {
	if err := p.ended(); err != nil {
		return err
	}
	info, err := s.Do("INFO")
	if err != nil {
		return err
	}
	if pid := field(info, "process_id"); pid != strconv.Itoa(p.pid()) {
		return fmt.Errorf("process %s answers, not %d", pid, p.pid())
	}
	if field(info, "loading") == "1" {
		return errors.New("it is still loading")
	}
	return nil
}

// Addr is where the server listens, as host:port. It stays the same after a
// Restart.
func (s *Server) Addr() string { return address(s.port) }

// URL is where to find one of the server's databases, with user and password:
// redis://127.0.0.1:port/db, or rediss:// with TLS.
func (s *Server) URL(db int) string { return s.URLAt(s.Addr(), db) }

// URLAt is URL for a client that gets to the server by another address, such as
// that of a Proxy.
func (s *Server) URLAt(address string, db int) string {
	u := s.base(address)
	u.Path = "/" + strconv.Itoa(db)
	return u.String()
}

// base is a URL of these hosts with the server's scheme, user and password.
func (s *Server) base(hosts ...string) *url.URL {
	u := &url.URL{Scheme: "redis", Host: strings.Join(hosts, ",")}
	if s.options.TLS {
		u.Scheme = "rediss"
	}
	if s.options.Password != "" {
		u.User = url.UserPassword(s.options.User, s.options.Password)
	}
	return u
}

// CAFile is the PEM file of the authority that the server's certificate is
// from, "" without TLS.
func (s *Server) CAFile() string {
	if s.certificate == nil {
		return ""
	}
	return s.certificate.caFile
}

// Do runs one command on a connection of its own, in database 0, and returns
// the answer as text: an integer in decimal, nothing for nil, the elements of
// an array on lines of their own. An answer that is an error is returned as
// one, with Redis's own words. WAIT is of no use here: it waits for what its own
// connection has written. See WaitReplica.
func (s *Server) Do(args ...string) (string, error) {
	answer, err := ask(s.Addr(), s.login(), args...)
	if err != nil {
		return "", fmt.Errorf("do %s at %s: %w", args[0], s.Addr(), err)
	}
	return answer, nil
}

func (s *Server) login() login {
	l := login{user: s.options.User, password: s.options.Password}
	if s.certificate != nil {
		l.tls = s.certificate.client
	}
	return l
}

// must is Do for what cannot fail unless the test has.
func (s *Server) must(args ...string) string {
	s.t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

func (s *Server) running() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Kill ends the server with SIGKILL and waits until it has ended. What had
// been given to the operating system is on disk, as after a crash of the
// process, not of the machine. A server that has ended already stays so.
func (s *Server) Kill() { s.running().kill() }

// Restart starts the server again with the same port and directory, and waits
// until it has loaded what it kept and answers. One that still runs is killed
// first. What the end cut off half-way is removed from the append-only file, as
// an operator is told to do.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := mend(s.dir); err != nil {
		s.t.Fatalf("restart the Redis: %v", err)
	}
	err := await("the port "+s.Addr(), func() error {
		p, err := s.launch()
		if err != nil && p != nil && p.portTaken() {
			return errors.New("what the old process has forked still listens there")
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errGone, err)
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("restart the Redis: %v", err)
	}
}

// Pause stops the server with SIGSTOP and waits until it stands still:
// connections stay open, new ones are taken by the kernel, and nothing is
// answered.
func (s *Server) Pause() {
	if err := s.running().pause(); err != nil {
		s.t.Errorf("pause the Redis at %s: %v", s.Addr(), err)
	}
}

// Resume lets a paused server go on with SIGCONT.
func (s *Server) Resume() {
	if err := s.running().resume(); err != nil {
		s.t.Errorf("resume the Redis at %s: %v", s.Addr(), err)
	}
}
