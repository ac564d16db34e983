package amqp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// overTLS is a peer over TLS on loopback.
func overTLS(t *testing.T, cfg amqp.Config, h amqp.Handler) (*amqp.Server, *amqptest.Peer, <-chan error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	leaf, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	s, ended := amqp.NewServer(cfg, h), make(chan error, 1)
	go func() {
		nc, err := listener.Accept()
		if err == nil {
			err = s.Serve(context.Background(), nc, amqp.Transport{Secure: true})
		}
		ended <- err
	}()
	t.Cleanup(func() { _ = listener.Close() })
	nc, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s, amqptest.New(t, tls.Client(nc, &tls.Config{InsecureSkipVerify: true})), ended
}

// TestOverTLS proves that a connection over TLS carries messages larger than a
// write, and ends in peace.
func TestOverTLS(t *testing.T) {
	b := newBroker()
	_, p, ended := overTLS(t, amqp.Config{}, b)
	p.Open("peer")
	p.Begin(0)
	p.Sender(0, 0, "out", "q")
	p.Receiver(0, 1, "in", "q", 1)
	p.Write(encode(t, begun(0, 0), 60_000))
	p.Write(encode(t, &wire.Transfer{More: true}, 60_000))
	p.Write(encode(t, &wire.Transfer{}, 60_000))
	for got := 0; got < 180_000; {
		if _, ok := p.Next().(*wire.Transfer); ok {
			got += len(p.Payload())
		}
	}
	p.Send(0, &wire.Close{})
	p.ExpectClose("")
	if err := <-ended; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	b.links.Wait()
}

// TestCutOverTLS proves that a peer over TLS which reads nothing keeps nobody
// waiting: neither who settles nor Shutdown.
func TestCutOverTLS(t *testing.T) {
	m := newManual()
	s, p, ended := overTLS(t, amqp.Config{WriteTimeout: time.Second}, m)
	p.Open("peer")
	p.Begin(0)
	p.Send(0, attachReceiver(0, "in"), credit(0, 1000))
	l := acceptOutgoing(<-m.attaches)
	message := amqp.OutMessage{Tag: []byte("x"), Message: make([]byte, 256<<10)}
	l.wait(t)
	for l.Send(message) == nil {
	}
	if err := <-ended; err == nil {
		t.Error("a peer that does not read was not closed")
	}
	if err := s.Shutdown(patient(t)); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
}
