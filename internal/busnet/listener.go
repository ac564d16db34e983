package busnet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"bellhop/internal/notice"
)

// Options configure [Listen].
type Options struct {
	// Address is HOST:PORT; port 0 takes a free one.
	Address string
	// TLS makes what the TLS side shows, when the port is known. It is called
	// once. Default: connections that begin TLS are closed.
	TLS func(port int) (*tls.Config, error)
	// Timeout is how long a client may take to say what it speaks, the TLS
	// handshake included. Default: 5 s.
	Timeout time.Duration
	// Logger is told why clients were turned away. Default: none.
	Logger *slog.Logger
}

// Routes say who serves what was told apart.
type Routes struct {
	// AMQP serves one connection to its end. secure tells that it is inside TLS.
	// ctx ends with that of Serve. The connection is closed afterwards. nil:
	// such connections are closed.
	AMQP func(ctx context.Context, conn net.Conn, secure bool)
	// HTTP serves HTTP/1.1, inside TLS and outside of it, which a request's TLS
	// tells. nil: such connections are closed.
	HTTP http.Handler
}

// Listener is an open listener. Its methods may be called concurrently.
type Listener struct {
	ln      net.Listener
	tls     *tls.Config // nil for none
	timeout time.Duration
	log     *slog.Logger
	notices notice.Notices
	web     *web

	conns sync.WaitGroup // one for each of open

	mu   sync.Mutex
	open map[net.Conn]bool // what is being told apart (false), or was (true)
	shut bool              // nothing more is told apart
}

// Listen binds the address. Clients can connect then, and are served once Serve
// is called.
func Listen(o Options) (*Listener, error) {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ln, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, err // it names the address
	}
	l := &Listener{ln: ln, timeout: o.Timeout, log: o.Logger, web: newWeb(o.Logger), open: make(map[net.Conn]bool)}
	if o.TLS != nil {
		if l.tls, err = o.TLS(l.Port()); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
	}
	return l, nil
}

// Addr is the address that was bound.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Port is the port that was bound.
func (l *Listener) Port() int { return l.ln.Addr().(*net.TCPAddr).Port }

// Serve takes connections, tells what they speak and has them served. It
// returns when no connection and no goroutine is left: after Close or Shutdown,
// or after the end of ctx, which does as Close does, with nil; and with an
// error when the listener cannot be used any more. That the process has no file
// descriptors left for a while does not end it. It is called once.
func (l *Listener) Serve(ctx context.Context, r Routes) error {
	release := context.AfterFunc(ctx, l.Close)
	defer release()
	var web sync.WaitGroup
	web.Go(func() { l.web.serve(r.HTTP) })
	err := l.accept(ctx, r)
	if err != nil {
		l.Close()
	}
	l.conns.Wait()
	web.Wait()
	return err
}

// Shutdown takes no more connections, closes those that have not said what they
// speak and the idle ones of HTTP, and waits until requests are answered and
// AMQP's connections have ended: whoever serves these is to be told first. When
// ctx ends before that, it closes them all and returns the error of ctx. It does
// not wait for Serve, which returns soon after.
func (l *Listener) Shutdown(ctx context.Context) error {
	l.ln.Close()
	l.closeOpen(false)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.conns.Wait()
	}()
	err := l.web.shutdown(ctx)
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		l.Close()
	}
	<-ended
	return err
}

// Close closes the listener and every connection at once. It may be called more
// than once, and does not wait for Serve.
func (l *Listener) Close() {
	l.ln.Close()
	l.closeOpen(true)
	l.web.close()
}

// closeOpen closes what is being told apart, or everything, now and later.
func (l *Listener) closeOpen(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = true
	for conn, told := range l.open {
		if all || !told {
			conn.Close()
		}
	}
}

// accept takes connections until the listener is closed.
func (l *Listener) accept(ctx context.Context, r Routes) error {
	var pause backoff
	for {
		conn, err := l.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			l.enter(conn, func() { l.handle(ctx, conn.(*net.TCPConn), r) })
		case errors.Is(err, net.ErrClosed):
			return nil
		case !passing(err):
			return fmt.Errorf("take a connection: %w", err)
		default:
			l.notices.Log(l.log, slog.LevelWarn, "a connection could not be taken", "error", err)
			pause.wait(ctx)
		}
	}
}

// enter notes a new connection and begins to handle it, or closes it when the
// listener was shut.
func (l *Listener) enter(conn net.Conn, handle func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		conn.Close()
		return
	}
	l.open[conn] = false
	l.conns.Go(func() {
		defer l.leave(conn)
		handle()
	})
}

// told notes that it is known what a connection speaks, unless it has been closed.
// From here on Shutdown leaves it to who serves it: in HTTP that may be answering
// before leave is called.
func (l *Listener) told(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	l.open[conn] = true
	return true
}

func (l *Listener) leave(conn net.Conn) {
	l.mu.Lock()
	delete(l.open, conn)
	l.mu.Unlock()
}

// passing tells whether accepting may work again later: the process or the
// machine is short of something, or the client has gone already (accept(2)).
func passing(err error) bool {
	for _, errno := range [...]error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.EINTR, syscall.EPROTO, syscall.EPERM,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// backoff is the last pause.
type backoff time.Duration

// wait pauses for 5 ms, and for twice as long every further time, up to 1 s.
func (b *backoff) wait(ctx context.Context) {
	*b = min(max(2**b, backoff(5*time.Millisecond)), backoff(time.Second))
	timer := time.NewTimer(time.Duration(*b))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
