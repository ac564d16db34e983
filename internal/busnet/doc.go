// Package busnet is the bus's one listener: it tells AMQP, TLS and HTTP apart by
// a connection's first bytes, and has the certificate that the TLS side shows.
// It knows no protocol beyond their first bytes, and nothing of the bus.
package busnet
