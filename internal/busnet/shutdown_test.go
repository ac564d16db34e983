package busnet_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestShutdownWaitsForTheRequest(t *testing.T) {
	r := open(t)
	r.slow = make(chan struct{})
	r.serve(t, t.Context())
	silent, idle, busy := r.dial(t), r.dial(t), r.dial(t)
	send(t, busy, "GET /queue HTTP/1.1\r\nHost: a\r\n\r\n")
	<-r.asked
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(context.Background()) }()
	closed(t, silent)
	closed(t, idle)
	if conn, err := net.Dial("tcp", r.Addr().String()); err == nil {
		t.Error("connections are still taken")
		conn.Close()
	}
	close(r.slow)
	if answer, err := io.ReadAll(busy); err != nil || !strings.HasSuffix(string(answer), "plain:/queue") {
		t.Errorf("got %q, %v", answer, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestShutdownWaitsForAMQP(t *testing.T) {
	r := open(t).serve(t, t.Context())
	conn := r.dial(t)
	send(t, conn, header)
	expect(t, conn, "plain:"+header)
	silent := r.dial(t)
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(context.Background()) }()
	closed(t, silent)
	send(t, conn, "last words")
	expect(t, conn, "last words")
	conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestShutdownCuts(t *testing.T) {
	r := open(t)
	r.slow = make(chan struct{})
	r.serve(t, t.Context())
	amqp, web := r.dial(t), r.dial(t)
	send(t, amqp, header)
	expect(t, amqp, "plain:"+header)
	send(t, web, "GET /queue HTTP/1.1\r\nHost: a\r\n\r\n")
	<-r.asked
	ctx, cut := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(ctx) }()
	cut()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	closed(t, amqp)
	closed(t, web)
	select {
	case err := <-r.served:
		t.Errorf("Serve returned %v while a handler still runs", err)
	default:
	}
	close(r.slow)
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestClosedBeforeServe(t *testing.T) {
	for name, end := range map[string]func(*rig){
		"closed":    func(r *rig) { r.Close(); r.Close() },
		"shut down": func(r *rig) { _ = r.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			end(r)
			if err := r.serve(t, t.Context()).wait(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// Connections that come while the listener closes must not be left open.
func TestCloseWhileClientsCome(t *testing.T) {
	for range 20 {
		r := open(t).serve(t, t.Context())
		clients := make(chan net.Conn, 20)
		go func() {
			defer close(clients)
			for range cap(clients) {
				conn, err := net.Dial("tcp", r.Addr().String())
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "GET /queue HTTP/1.1\r\nHost: a\r\n\r\n")
				clients <- conn
			}
		}()
		first := <-clients
		r.Close()
		if err := r.wait(t); err != nil {
			t.Fatal(err)
		}
		for conn := first; conn != nil; conn = <-clients {
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}
}

func TestKeepAlive(t *testing.T) {
	r := open(t, withTLS(t)).serve(t, t.Context())
	for _, conn := range []net.Conn{r.dial(t), r.dialTLS(t)} {
		answers := bufio.NewReader(conn)
		for range 3 {
			send(t, conn, "GET /queue HTTP/1.1\r\nHost: a\r\n\r\n")
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("got %s, %v", answer.Status, err)
			}
		}
	}
}
