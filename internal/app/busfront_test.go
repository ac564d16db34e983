package app

import (
	"context"
	"io"
	"net"
	"testing"

	"bellhop/internal/lifecycle"
)

// C1.13: clients that are connected, and say nothing, do not hold up the end.
func TestBusDrainsItsClients(t *testing.T) {
	const header = "AMQP\x03\x01\x00\x00"
	h := newBusHouse(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- lifecycle.Run(ctx, h.cfg.DrainTimeout, h.log, lifecycle.Service{Name: "bus", Run: h.front.run})
	}()
	for _, hello := range []string{header, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		conn, err := net.Dial("tcp", h.front.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, hello); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, len(header))); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
