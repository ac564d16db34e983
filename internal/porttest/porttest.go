// Package porttest keeps ports for servers that a test stops and starts again.
// It knows nothing of Bellhop, and only tests import it.
package porttest

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// Hold returns an address of 127.0.0.1 as host:port that is the test's until it
// ends. A server that reuses addresses, as Go's and most others do, can listen
// there, as often as it likes; while none does, connections are refused, and the
// system gives the port to nobody who asks for any.
//
// It does so by a socket that is bound and never listens, of which Linux alone
// is known to make that much. Elsewhere the port was free a moment ago.
func Hold(t testing.TB) string {
	t.Helper()
	socket, address, err := bind()
	if err != nil {
		t.Fatalf("hold a port of 127.0.0.1: %v", err)
	}
	if runtime.GOOS != "linux" {
		syscall.Close(socket)
		return address
	}
	t.Cleanup(func() { syscall.Close(socket) })
	return address
}

// bind takes any port for a socket that no child process inherits.
func bind() (socket int, address string, err error) {
	syscall.ForkLock.RLock()
	socket, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, "", os.NewSyscallError("socket", err)
	}
	if address, err = bindTo(socket); err != nil {
		syscall.Close(socket)
	}
	return socket, address, err
}

func bindTo(socket int) (address string, err error) {
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.(*syscall.SockaddrInet4).Port)), nil
}
