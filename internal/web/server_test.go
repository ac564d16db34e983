package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/web"
)

// serveHouse serves on a loopback port until the test ends. The limit is that
// of web.Limit.
func serveHouse(t *testing.T, limit int) (server *http.Server, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, home, nil)
	server = web.NewServer(h, slog.New(slog.DiscardHandler))
	var done sync.WaitGroup
	done.Go(func() {
		if err := server.Serve(web.Limit(l, limit)); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		_ = server.Close()
		done.Wait()
	})
	return server, l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// talk writes a request as it is and returns the answer.
func talk(t *testing.T, conn net.Conn, request string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return answer(t, conn)
}

func answer(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// B6.1: the limits of time and size.
func TestServerLimits(t *testing.T) {
	s, address := serveHouse(t, 0)
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 10*time.Second || s.WriteTimeout != 15*time.Second ||
		s.IdleTimeout != time.Minute || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("limits of %+v", s)
	}
	res := talk(t, dial(t, address), "GET /health HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 32<<10)+"\r\n\r\n")
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("32 KiB of headers: %s", res.Status)
	}
}

// B6.4: without TLS there is no HTTP/2, asked for in whatever way.
func TestServerSpeaksHTTP1(t *testing.T) {
	_, address := serveHouse(t, 0)
	res := talk(t, dial(t, address), "GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 1 || res.Header["Server"] != nil {
		t.Errorf("upgrade to h2c: %s %s, headers %v", res.Proto, res.Status, res.Header)
	}
	if res := talk(t, dial(t, address), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); res.StatusCode < 400 {
		t.Errorf("HTTP/2 preface: %s", res.Status)
	}
}

// The security headers are on every answer, also on the one that net/http would
// give by itself.
func TestServerAnswersOptionsItself(t *testing.T) {
	_, address := serveHouse(t, 0)
	res := talk(t, dial(t, address), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	if res.StatusCode < 400 || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("OPTIONS *: %s, %v", res.Status, res.Header)
	}
}

// The rest of a body that is too long is not read.
func TestServerCutsLongBodies(t *testing.T) {
	_, address := serveHouse(t, 0)
	res := talk(t, dial(t, address), "POST /createUser HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n{")
	if res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close {
		t.Errorf("1 GB: %s, close %t", res.Status, res.Close)
	}
}

func TestServerAnswersBodyCutShort(t *testing.T) {
	_, address := serveHouse(t, 0)
	conn := dial(t, address)
	if _, err := io.WriteString(conn, "POST /createUser HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if res := answer(t, conn); res.StatusCode != http.StatusBadRequest {
		t.Errorf("body cut short: %s", res.Status)
	}
}

// B6.1: a thousand clients that never finish their headers keep nobody else
// waiting.
func TestSlowLoris(t *testing.T) {
	_, address := serveHouse(t, 0)
	for i := range 1000 {
		conn := dial(t, address)
		if _, err := fmt.Fprintf(conn, "POST /createUser HTTP/1.1\r\nHost: slow\r\nX-%d: ", i); err != nil {
			t.Fatal(err)
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	for range 50 {
		res, err := client.Post("http://"+address+"/createUser", "application/json", strings.NewReader(`{"first":"Ada","email":"ada@example.com"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			t.Fatalf("a healthy request got %s", res.Status)
		}
	}
}

// B6.1: connections over the limit wait for one to close.
func TestConnectionLimit(t *testing.T) {
	_, address := serveHouse(t, 2)
	const ask = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
	first := dial(t, address)
	for _, conn := range []net.Conn{first, dial(t, address)} {
		if res := talk(t, conn, ask); res.StatusCode != http.StatusOK {
			t.Fatalf("within the limit: %s", res.Status)
		}
	}
	third := dial(t, address) // the kernel's backlog takes it
	if _, err := io.WriteString(third, ask); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		_, err := http.ReadResponse(bufio.NewReader(third), nil)
		answered <- err
	})
	defer reader.Wait()
	// One that was accepted would be answered as quickly as these.
	for range 20 {
		if res := talk(t, first, ask); res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		}
	}
	select {
	case err := <-answered:
		t.Fatalf("the third of two connections was answered: %v", err)
	default:
	}
	_ = first.Close()
	if err := <-answered; err != nil {
		t.Errorf("after one had closed: %v", err)
	}
}
