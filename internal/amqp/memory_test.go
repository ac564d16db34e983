package amqp_test

import (
	"fmt"
	"net"
	"runtime"
	"testing"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// TestIdleMemory proves that links which do nothing take little: a connection
// with ten, five each way, of which each has carried a message, takes less than
// 12 KiB a link, goroutines of their own and the client included.
func TestIdleMemory(t *testing.T) {
	const conns, links = 100, 10
	b := newBroker()
	_, address := serve(t, amqp.Config{}, b)
	before := memory()
	var open []net.Conn
	for n := range conns {
		open = append(open, idleClient(t, address, fmt.Sprint("client", n), links))
	}
	perLink := (memory() - before) / conns / links
	t.Logf("%d bytes a link", perLink)
	if perLink > 12<<10 {
		t.Errorf("a link that does nothing takes %d bytes", perLink)
	}
	for _, nc := range open {
		_ = nc.Close()
	}
}

// memory is what is in use, in bytes.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// idleClient has attached links and sent a message around each pair of them.
func idleClient(t *testing.T, address, name string, links int) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := amqptest.New(t, nc)
	p.Open(name)
	p.Begin(0)
	for n := range uint32(links) / 2 {
		queue := fmt.Sprint(name, n)
		p.Sender(0, 2*n, queue, queue)
		p.Receiver(0, 2*n+1, queue, queue, 10)
		p.Message(0, 2*n, n, make([]byte, 1000))
		for confirmed, arrived := false, false; !confirmed || !arrived; {
			switch p.Next().(type) {
			case *wire.Disposition:
				confirmed = true
			case *wire.Transfer:
				arrived = true
			}
		}
		p.Send(0, &wire.Disposition{Role: wire.RoleReceiver, First: n, State: &wire.Accepted{}, Settled: true})
	}
	return nc
}
