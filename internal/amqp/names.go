package amqp

import (
	"sync"

	"bellhop/internal/amqp/wire"
)

// linkName is what a peer's container calls a link (part 2, 2.6.1). It is the
// same link on whichever connection it is attached. A container without a name
// is another one on each connection.
type linkName struct {
	container string
	conn      *Conn // nil when the container has a name
	name      string
	role      wire.Role
}

// names are the links that are attached, on all connections.
type names struct {
	mu    sync.Mutex
	links map[linkName]*link
}

// take gives a name to l and returns the link that had it, nil if none.
func (n *names) take(name linkName, l *link) (robbed *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	robbed = n.links[name]
	n.links[name] = l
	return robbed
}

// drop frees a name unless another link has taken it.
func (n *names) drop(name linkName, l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links[name] == l {
		delete(n.links, name)
	}
}
