package busnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"bellhop/internal/busnet"
)

const header = "AMQP\x03\x01\x00\x00"

func TestTellsApart(t *testing.T) {
	for name, changes := range map[string][]change{"without TLS": nil, "with TLS": {withTLS(t)}} {
		t.Run(name, func(t *testing.T) {
			r := open(t, changes...).serve(t, t.Context())
			conn := r.dial(t)
			send(t, conn, header)
			expect(t, conn, "plain:"+header)
			send(t, conn, "and more")
			expect(t, conn, "and more")
			if got := request(t, r.dial(t)); got != "plain:/queue" {
				t.Error(got)
			}
		})
	}
}

func TestTellsApartInsideTLS(t *testing.T) {
	r := open(t, withTLS(t)).serve(t, t.Context())
	conn := r.dialTLS(t)
	send(t, conn, header)
	expect(t, conn, "secure:"+header)
	send(t, conn, "and more")
	expect(t, conn, "and more")
	if got := request(t, r.dialTLS(t)); got != "secure:/queue" {
		t.Error(got)
	}
}

func TestByteByByte(t *testing.T) {
	r := open(t, withTLS(t)).serve(t, t.Context())
	for _, conn := range []net.Conn{r.dial(t), r.dialTLS(t)} {
		for _, b := range []byte(header) {
			send(t, conn, string(b))
		}
		expect(t, conn, map[bool]string{true: "plain:", false: "secure:"}[isTCP(conn)]+header)
	}
}

func isTCP(conn net.Conn) bool {
	_, ok := conn.(*net.TCPConn)
	return ok
}

func TestOthersAreClosed(t *testing.T) {
	r := open(t, withTLS(t)).serve(t, t.Context())
	for _, text := range []string{"\x00", "\x15\x03\x01", "get / HTTP/1.1\r\n", " AMQP", "\x80\x2e\x01", "{\"a\":1}"} {
		conn := r.dial(t)
		send(t, conn, text)
		closed(t, conn)
		secure := r.dialTLS(t)
		send(t, secure, text)
		closed(t, secure)
	}
	inner := r.dialTLS(t)
	send(t, inner, "\x16\x03\x01")
	closed(t, inner)
}

func TestTLSWithoutCertificate(t *testing.T) {
	r := open(t).serve(t, t.Context())
	for range 3 {
		conn := r.dial(t)
		send(t, conn, "\x16\x03\x01")
		closed(t, conn)
	}
	if n := strings.Count(r.log.String(), "this listener has no certificate"); n != 1 {
		t.Errorf("said %d times; want once a minute:\n%s", n, r.log.String())
	}
}

func TestNobodyServes(t *testing.T) {
	r := open(t)
	go func() { r.served <- r.Serve(t.Context(), busnet.Routes{}) }()
	for _, text := range []string{header, "GET / HTTP/1.1\r\n"} {
		conn := r.dial(t)
		send(t, conn, text)
		closed(t, conn)
	}
	r.Close()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	r := open(t, withTLS(t), within(50*time.Millisecond)).serve(t, t.Context())
	for what, text := range map[string]string{
		"silent": "", "half a header": "AMQ", "half a handshake": "\x16\x03\x01\x02\x00\x01",
	} {
		t.Run(what, func(t *testing.T) {
			conn := r.dial(t)
			send(t, conn, text)
			closed(t, conn)
		})
	}
	t.Run("silent inside TLS", func(t *testing.T) { // after a handshake, which takes its time
		closed(t, open(t, withTLS(t), within(2*time.Second)).serve(t, t.Context()).dialTLS(t))
	})
}

func TestSilentClientsHoldNobodyUp(t *testing.T) {
	r := open(t, withTLS(t)).serve(t, t.Context())
	for i := range 500 {
		send(t, r.dial(t), []string{"", "AM", "\x16", "GET / HT"}[i%4])
	}
	conn := r.dialTLS(t)
	send(t, conn, header)
	expect(t, conn, "secure:"+header)
	if got := request(t, r.dial(t)); got != "plain:/queue" {
		t.Error(got)
	}
}

func TestTimeoutEndsWithTheFirstBytes(t *testing.T) {
	r := open(t, within(time.Second)).serve(t, t.Context())
	conn := r.dial(t)
	send(t, conn, header)
	expect(t, conn, "plain:"+header)
	// A second connection lives until the first's timeout must have passed.
	closed(t, r.dial(t))
	send(t, conn, "still here")
	expect(t, conn, "still here")
}

// short is a listener in a process that has no file descriptors left for a
// while, then fails for good.
type short struct {
	net.Listener
	left  atomic.Int32
	fatal chan struct{}
}

func (s *short) Accept() (net.Conn, error) {
	if s.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	select {
	case <-s.fatal:
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EBADF)}
	default:
		return s.Listener.Accept()
	}
}

func TestOutOfFileDescriptors(t *testing.T) {
	r := open(t)
	s := &short{fatal: make(chan struct{})}
	s.left.Store(4)
	r.Wrap(func(ln net.Listener) net.Listener { s.Listener = ln; return s })
	r.serve(t, t.Context())
	conn := r.dial(t)
	send(t, conn, header)
	expect(t, conn, "plain:"+header)
	if n := strings.Count(r.log.String(), "could not be taken"); n != 1 {
		t.Errorf("said %d times; want once a minute", n)
	}
}

func TestListenerBroken(t *testing.T) {
	r := open(t)
	s := &short{fatal: make(chan struct{})}
	r.Wrap(func(ln net.Listener) net.Listener { s.Listener = ln; return s })
	go func() { r.served <- r.Serve(t.Context(), busnet.Routes{AMQP: r.amqp}) }()
	conn := r.dial(t)
	send(t, conn, header)
	expect(t, conn, "plain:"+header)
	close(s.fatal)
	r.dial(t) // ends the Accept under way
	if err := r.wait(t); !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v", err)
	}
	closed(t, conn)
}

func TestListenFails(t *testing.T) {
	r := open(t)
	defer r.Close()
	if _, err := busnet.Listen(busnet.Options{Address: r.Addr().String()}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

func FuzzTell(f *testing.F) {
	f.Add([]byte(header))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Add([]byte("\x16\x03\x01"))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, head, err := busnet.Tell(strings.NewReader(string(text)))
		if !strings.HasPrefix(string(text), string(head)) {
			t.Fatalf("read %q of %q", head, text)
		}
		if (err == nil) == (whole == "undecided") || err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%q: %s, %v", text, whole, err)
		}
		if bytewise, _, _ := busnet.Tell(iotest.OneByteReader(strings.NewReader(string(text)))); bytewise != whole {
			t.Fatalf("%q is %s, and byte by byte %s", text, whole, bytewise)
		}
	})
}

func TestEndOfContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := open(t, withTLS(t)).serve(t, ctx)
	conns := []net.Conn{r.dial(t), r.dial(t), r.dialTLS(t)}
	send(t, conns[1], header)
	expect(t, conns[1], "plain:"+header)
	cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	for _, conn := range conns {
		closed(t, conn)
	}
}
