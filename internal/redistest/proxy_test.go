package redistest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/redistest"
)

// far is the server's side of a proxy, played by the test.
type far struct {
	t        *testing.T
	listener net.Listener
}

func newFar(t *testing.T) *far {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return &far{t: t, listener: listener}
}

// connect goes through the proxy, and returns both ends.
func (f *far) connect(p *redistest.Proxy) (client, server *net.TCPConn) {
	f.t.Helper()
	near, err := net.Dial("tcp", p.Addr())
	if err != nil {
		f.t.Fatal(err)
	}
	end, err := f.listener.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	client, server = near.(*net.TCPConn), end.(*net.TCPConn)
	for _, conn := range []*net.TCPConn{client, server} {
		f.t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			f.t.Fatal(err)
		}
	}
	return client, server
}

// pair is a proxy with one connection through it.
func pair(t *testing.T) (p *redistest.Proxy, client, server *net.TCPConn, f *far) {
	t.Helper()
	f = newFar(t)
	p = redistest.NewProxy(t, f.listener.Addr().String())
	client, server = f.connect(p)
	return p, client, server, f
}

func write(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, from io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v, want %q", got[:n], err, text)
	}
}

// silent checks that nothing comes for a while, neither bytes nor an end.
func silent(t *testing.T, from net.Conn) {
	t.Helper()
	if err := from.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := from.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v, want nothing", n, err)
	}
	if err := from.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

// ends reads to the end and checks that this was all that came.
func ends(t *testing.T, from io.Reader, text string) {
	t.Helper()
	got, err := io.ReadAll(from)
	if err != nil || string(got) != text {
		t.Fatalf("read %d bytes (%.20q), %v, want %d (%.20q) and the end", len(got), got, err, len(text), text)
	}
}

// way returns the sender and the receiver of a direction.
func way(d redistest.Direction, client, server *net.TCPConn) (from, to *net.TCPConn) {
	if d == redistest.ToServer {
		return client, server
	}
	return server, client
}

// directions runs a test for each.
func directions(t *testing.T, test func(t *testing.T, d redistest.Direction)) {
	for name, d := range map[string]redistest.Direction{"to server": redistest.ToServer, "to client": redistest.ToClient} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

func TestProxyPassesAllAndCounts(t *testing.T) {
	p, client, server, f := pair(t)
	write(t, client, "question")
	read(t, server, "question")
	write(t, server, "answer")
	client.CloseWrite()
	ends(t, server, "")
	write(t, server, ", late")
	server.Close()
	ends(t, client, "answer, late")
	f.connect(p)
	if p.Connections() != 2 || p.Cuts() != 0 {
		t.Errorf("got %d connections, %d cuts, want 2 and none", p.Connections(), p.Cuts())
	}
}

func TestProxyPassesReset(t *testing.T) {
	directions(t, func(t *testing.T, d redistest.Direction) {
		_, client, server, _ := pair(t)
		from, to := way(d, client, server)
		write(t, from, "before")
		read(t, to, "before")
		from.SetLinger(0)
		from.Close()
		if _, err := io.ReadAll(to); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	})
}

func TestProxyWithoutServerCloses(t *testing.T) {
	f := newFar(t)
	p := redistest.NewProxy(t, f.listener.Addr().String())
	f.listener.Close()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ends(t, conn, "")
}

func TestStallHoldsOneDirection(t *testing.T) {
	directions(t, func(t *testing.T, d redistest.Direction) {
		p, client, server, f := pair(t)
		from, to := way(d, client, server)
		write(t, from, "before")
		read(t, to, "before")
		p.Stall(d)
		write(t, from, "held")
		from.CloseWrite()
		silent(t, to)
		write(t, to, "the other way")
		read(t, from, "the other way")
		late, later := f.connect(p)
		lateFrom, lateTo := way(d, late, later)
		write(t, lateFrom, "new")
		silent(t, lateTo)
		p.Pass(1 - d)
		silent(t, to)
		p.Pass(d)
		ends(t, to, "held")
		read(t, lateTo, "new")
		p.Stall(d)
		write(t, lateFrom, "again")
		silent(t, lateTo)
		p.Heal()
		read(t, lateTo, "again")
	})
}

func TestCutClosesWhatIsOpen(t *testing.T) {
	p, client, server, f := pair(t)
	other, otherServer := f.connect(p)
	p.Stall(redistest.ToServer)
	write(t, client, "held")
	silent(t, server)
	p.Cut()
	ends(t, client, "")
	ends(t, server, "")
	ends(t, other, "")
	ends(t, otherServer, "")
	p.Heal()
	client, server = f.connect(p)
	write(t, client, "new")
	read(t, server, "new")
	if p.Cuts() != 2 {
		t.Errorf("got %d cuts, want 2", p.Cuts())
	}
}

func TestAbruptCutResets(t *testing.T) {
	p, client, server, f := pair(t)
	write(t, client, "request")
	read(t, server, "req")
	p.Abrupt(true)
	p.Cut()
	if _, err := io.ReadAll(client); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("abrupt: got %v, want a reset", err)
	}
	ends(t, server, "uest")
	p.Abrupt(false)
	client, _ = f.connect(p)
	p.Cut()
	ends(t, client, "")
}

func TestHalfCloseEndsOneDirection(t *testing.T) {
	directions(t, func(t *testing.T, d redistest.Direction) {
		p, client, server, f := pair(t)
		from, to := way(d, client, server)
		write(t, from, "before")
		read(t, to, "before")
		p.HalfClose(d)
		ends(t, to, "")
		write(t, from, "swallowed")
		write(t, to, "the other way")
		read(t, from, "the other way")
		to.CloseWrite()
		ends(t, from, "")
		client, server = f.connect(p)
		from, to = way(d, client, server)
		write(t, from, "new")
		read(t, to, "new")
	})
}

func TestCutAfterIsExact(t *testing.T) {
	const sent = 3 << 20 // more than a socket holds
	text := strings.Repeat("0123456789abcde\n", sent/16)
	for _, n := range []int{0, 1, 5, 32 << 10, 1<<20 + 1, sent} {
		directions(t, func(t *testing.T, d redistest.Direction) {
			p, client, server, f := pair(t)
			write(t, client, "not counted")
			read(t, server, "not counted")
			write(t, server, "neither")
			read(t, client, "neither")
			p.CutAfter(d, n, redistest.EachConnection)
			for range 2 { // the connection that is open, and a new one
				exactly(t, d, client, server, text, n)
				client, server = f.connect(p)
			}
			p.Heal()
			client, server = f.connect(p)
			from, to := way(d, client, server)
			write(t, from, "healed")
			read(t, to, "healed")
			if p.Cuts() != 2 {
				t.Errorf("after %d bytes: got %d cuts, want 2", n, p.Cuts())
			}
		})
	}
}

// exactly sends a text and checks that n bytes of it arrive before the cut, and
// that the sender sees the cut, too. The other direction is busy meanwhile.
func exactly(t *testing.T, d redistest.Direction, client, server *net.TCPConn, text string, n int) {
	t.Helper()
	from, to := way(d, client, server)
	var busy sync.WaitGroup
	defer busy.Wait()
	busy.Go(func() { _, _ = io.WriteString(from, text) })
	busy.Go(func() { _, _ = io.Copy(io.Discard, from) })
	busy.Go(func() { _, _ = io.WriteString(to, "some of the other direction") })
	got, err := io.ReadAll(to)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) || string(got) != text[:n] {
		t.Errorf("got %d bytes, %v, want %d and the end", len(got), err, n)
	}
	to.Close()
}

func TestCutAfterAllTogether(t *testing.T) {
	directions(t, func(t *testing.T, d redistest.Direction) {
		const n, connections = 1_000_003, 4
		p, client, server, f := pair(t)
		clients, servers := []*net.TCPConn{client}, []*net.TCPConn{server}
		for range connections - 1 {
			client, server = f.connect(p)
			clients, servers = append(clients, client), append(servers, server)
		}
		p.CutAfter(d, n, redistest.AllTogether)
		var reading, writing sync.WaitGroup
		var total atomic.Int64
		for i := range clients {
			from, to := way(d, clients[i], servers[i])
			writing.Go(func() { _, _ = from.Write(bytes.Repeat([]byte{'x'}, n)) })
			reading.Go(func() {
				got, _ := io.ReadAll(to)
				total.Add(int64(len(got)))
				to.Close()
			})
		}
		reading.Wait()
		if total.Load() != n {
			t.Errorf("%d bytes arrived, want %d", total.Load(), n)
		}
		if p.Cuts() != connections {
			t.Errorf("got %d cuts, want all %d", p.Cuts(), connections)
		}
		client, server = f.connect(p)
		from, to := way(d, client, server)
		write(t, from, strings.Repeat("once", 1000))
		read(t, to, strings.Repeat("once", 1000))
		p.Close() // lets go of senders whose receiver has not read everything
		writing.Wait()
	})
}

func TestCutBeforeReply(t *testing.T) {
	p, client, server, f := pair(t)
	p.CutBeforeReply("MARK", 2)
	for range 2 {
		write(t, client, "HELLO")
		read(t, server, "HELLO")
		write(t, server, "welcome")
		read(t, client, "welcome")
		write(t, client, "a MA")
		read(t, server, "a MA")
		write(t, client, "RKed request")
		read(t, server, "RKed request")
		silent(t, client)
		write(t, server, "never seen")
		ends(t, client, "")
		ends(t, server, "")
		client, server = f.connect(p)
	}
	write(t, client, "MARK")
	read(t, server, "MARK")
	write(t, server, "that was twice")
	read(t, client, "that was twice")
	p.CutBeforeReply("", 0)
	write(t, client, "anything")
	read(t, server, "anything")
	p.Heal()
	write(t, server, "healed")
	read(t, client, "healed")
}

func TestRefuseTakesNobodyIn(t *testing.T) {
	p, client, server, f := pair(t)
	p.Refuse()
	for _, abrupt := range []bool{false, true} {
		p.Abrupt(abrupt)
		if got, err := refused(p.Addr()); len(got) != 0 || errors.Is(err, syscall.ECONNRESET) != abrupt {
			t.Errorf("abrupt %v: got %q, %v", abrupt, got, err)
		}
	}
	write(t, client, "open stays open")
	read(t, server, "open stays open")
	p.Heal()
	client, server = f.connect(p)
	write(t, client, "new")
	read(t, server, "new")
	if p.Connections() != 4 {
		t.Errorf("got %d connections, want 4 with the refused ones", p.Connections())
	}
}

// refused is what comes from where nobody is taken in. A reset may come so soon
// that there never was a connection.
func refused(address string) ([]byte, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return io.ReadAll(conn)
}

func TestCloseEndsConnections(t *testing.T) {
	p, client, server, _ := pair(t)
	p.Stall(redistest.ToServer)
	write(t, client, "held")
	p.Close()
	p.Close()
	if got, _ := io.ReadAll(client); len(got) != 0 {
		t.Errorf("the client got %q", got)
	}
	if got, _ := io.ReadAll(server); len(got) != 0 {
		t.Errorf("the server got %q", got)
	}
	if conn, err := net.Dial("tcp", p.Addr()); err == nil {
		conn.Close()
		t.Error("a closed proxy accepts")
	}
}

// TestRedisExecutesWhatTheClientNeverLearns is what CutBeforeReply is for.
func TestRedisExecutesWhatTheClientNeverLearns(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	p := redistest.NewProxy(t, s.Addr())
	for i := range 20 {
		p.Abrupt(i%2 == 1)
		p.CutBeforeReply("INCR", 1)
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		write(t, conn, "PING\r\n")
		read(t, conn, "+PONG\r\n")
		write(t, conn, "INCR n\r\n")
		if got, _ := io.ReadAll(conn); len(got) != 0 {
			t.Errorf("the client learned of %q", got)
		}
		conn.Close()
		want(t, s, fmt.Sprint(i+1), "GET", "n")
	}
}

// TestFaultsUnderLoad changes faults at random while many clients talk: it is
// for the race detector, and for an end that must come.
func TestFaultsUnderLoad(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	p := redistest.NewProxy(t, s.Addr())
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					talk(p.Addr())
				}
			}
		})
	}
	faults := []func(){
		func() { p.Stall(redistest.ToServer) }, func() { p.Stall(redistest.ToClient) }, p.Cut, p.Refuse,
		func() { p.HalfClose(redistest.ToServer) }, func() { p.HalfClose(redistest.ToClient) },
		func() { p.CutAfter(redistest.ToServer, 10, redistest.EachConnection) },
		func() { p.CutAfter(redistest.ToClient, 100, redistest.AllTogether) },
		func() { p.CutBeforeReply("PING", 3) }, func() { p.Abrupt(true) }, func() { p.Abrupt(false) },
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := range 300 {
		faults[i%len(faults)]()
		<-tick.C
		if i%3 == 2 {
			p.Heal()
		}
	}
	close(stop)
	p.Heal()
	clients.Wait()
	if p.Connections() < 8 || p.Cuts() == 0 {
		t.Errorf("got %d connections, %d cuts: was there any load?", p.Connections(), p.Cuts())
	}
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	write(t, conn, "PING\r\n")
	read(t, conn, "+PONG\r\n")
}

// talk asks for some PONGs until something breaks.
func talk(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()
	for range 20 {
		_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
			return
		}
		if _, err := io.ReadFull(conn, make([]byte, len("+PONG\r\n"))); err != nil {
			return
		}
	}
}
