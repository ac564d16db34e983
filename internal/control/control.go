// Package control is how a command reaches the process that holds a data
// directory: HTTP over a unix socket in that directory. Whoever may open the
// directory may give commands; there is no other password.
//
// The package carries requests. What they are is up to those who use it.
package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// ErrNotRunning is returned by Dial when no process listens. One that holds the
// directory may still be starting, or be about to stop.
var ErrNotRunning = errors.New("no bellhop is running on this data directory")

// BaseURL begins the URL of every request through a client of Dial.
const BaseURL = "http://bellhop"

const (
	socketName = "control.sock"
	// longest is how long a socket's path may be on every system Bellhop runs
	// on: sun_path has 108 bytes on Linux and 104 elsewhere, and ends with a 0.
	longest = 103
)

// Listen opens the socket in dir, for its owner alone (0600). Only the process
// that holds the directory may call it: a socket that is there is a dead
// process's and is removed. Closing the listener removes the socket.
func Listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old control socket: %w", err)
	}
	short, release, err := shorten(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open the control socket %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false) // short may not mean the same by then
	l := &listener{UnixListener: ln, remove: sync.OnceValue(func() error { return os.Remove(path) })}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect the control socket: %w", err), l.Close())
	}
	return l, nil
}

// listener removes its socket when it is closed.
type listener struct {
	*net.UnixListener
	remove func() error
}

// Close stops listening. A second call returns net.ErrClosed.
func (l *listener) Close() error {
	return errors.Join(l.remove(), l.UnixListener.Close())
}

// Dial returns a client whose requests all go to the process that holds dir.
// [ErrNotRunning] if there is none. The caller closes its idle connections.
func Dial(ctx context.Context, dir string) (*http.Client, error) {
	conn, err := dial(ctx, dir)
	if err != nil {
		return nil, err
	}
	conn.Close()
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
	}}, nil
}

func dial(ctx context.Context, dir string) (net.Conn, error) {
	short, release, err := shorten(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", short)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w: %s", ErrNotRunning, dir)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("you may not open %s: run this as the user who runs bellhop serve", filepath.Join(dir, socketName))
	case err != nil:
		return nil, fmt.Errorf("reach the running bellhop: %w", err)
	}
	return conn, nil
}

// shorten returns a path of the socket that is short enough for the system,
// valid until release is called.
func shorten(dir string) (path string, release func(), err error) {
	path = filepath.Join(dir, socketName)
	if len(path) <= longest {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("the path %s is %d bytes long and a socket's may have %d: name a shorter --data-dir, or a relative one", path, len(path), longest)
	}
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("%w: %s", ErrNotRunning, dir)
	}
	if err != nil {
		return "", nil, fmt.Errorf("open the data directory: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName), func() { d.Close() }, nil
}
