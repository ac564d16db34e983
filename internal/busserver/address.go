package busserver

import (
	"strings"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// nodeKind is what an address leads to.
type nodeKind uint8

const (
	nodeEntity     nodeKind = iota // a queue or its dead-letter queue
	nodeManagement                 // requests about an entity
	nodeCBS                        // requests with tokens
	nodeUnsupported
)

// node is what a link is attached to.
type node struct {
	kind nodeKind
	// entity is the name of the queue or dead-letter queue as the client wrote
	// it, without what stands for management.
	entity string
	// queue is entity's queue.
	queue string
	// missing says what an unsupported node is.
	missing string
}

const (
	cbsAddress       = "$cbs"
	managementSuffix = "/$management"
	transferSuffix   = "/$transfer" + bus.DeadLetterSuffix
	subscriptions    = "/subscriptions/"
)

// parseAddress reads an address, in any case; it may be a URL, as some clients
// write it.
func parseAddress(address string) node {
	path := address
	if _, rest, ok := strings.Cut(path, "://"); ok {
		_, path, _ = strings.Cut(rest, "/")
	}
	path = strings.Trim(path, "/")
	if strings.EqualFold(path, cbsAddress) {
		return node{kind: nodeCBS, entity: cbsAddress}
	}
	n := node{}
	if base, ok := cutSuffixFold(path, managementSuffix); ok {
		n.kind, path = nodeManagement, base
	}
	n.entity, n.queue = path, path
	if strings.Contains(strings.ToLower(path), subscriptions) {
		return node{kind: nodeUnsupported, entity: path, missing: "Subscriptions of topics"}
	}
	if _, ok := cutSuffixFold(path, transferSuffix); ok {
		return node{kind: nodeUnsupported, entity: path, missing: "Transfer dead-letter queues"}
	}
	if base, ok := cutSuffixFold(path, bus.DeadLetterSuffix); ok {
		n.queue = base
	}
	return n
}

// path is the node as tokens name it.
func (n node) path() string {
	switch n.kind {
	case nodeManagement:
		return strings.ToLower(n.entity + managementSuffix)
	default:
		return strings.ToLower(n.entity)
	}
}

func (n node) isDeadLetter() bool { return len(n.entity) > len(n.queue) }

func (n node) unsupported() *wire.Error {
	return notImplemented(n.missing + " are not supported; see the list of what is not in the documentation.")
}

// cutSuffixFold is strings.CutSuffix in any case.
func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}
