package busnet

import (
	"io"
	"net"
)

// Wrap puts something between a listener and its socket. It is called before
// Serve.
func (l *Listener) Wrap(wrap func(net.Listener) net.Listener) { l.ln = wrap(l.ln) }

// Tell is tell with the protocol's name.
func Tell(r io.Reader) (name string, head []byte, err error) {
	p, head, err := tell(r)
	return [...]string{"undecided", "TLS", "AMQP", "HTTP", "other"}[p], head, err
}
