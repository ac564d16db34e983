// Package amqp is the server's side of AMQP 1.0 (OASIS Standard, 29 October
// 2012): connections, sessions, links, SASL and flow control over any
// [net.Conn]. What a link carries and who may attach one is its [Handler]'s
// business. The package knows the codec in amqp/wire and nothing of Bellhop.
//
// # What becomes of a connection
//
// [Server.Serve] reads a connection's frames and calls the Handler for what it
// must decide; another goroutine writes what is queued, as much at once as there
// is. Everything else may be called from any goroutine, does not block, and
// takes effect in the order of its calls: [Delivery.Settle], [Outgoing.Send],
// [Outgoing.Settle], the Detach of a link, [Conn.Close]. Only [Outgoing.Wait]
// waits.
//
// What a peer does wrong ends what it did it with, and nothing else: a link is
// detached, a session ended, or the connection closed, with the condition that
// the specification names.
//
// # What bounds it
//
// Config says how many sessions, links and unsettled deliveries there may be.
// Incoming deliveries count from their first byte until they are settled; a
// connection that has too many is not read any more, which its peer feels as a
// full socket. Nobody is asked for messages for a peer that does not read what
// it was sent, and nothing is read from one that does not read its answers; after
// Config.WriteTimeout it is closed. A peer that is silent is closed, too.
//
// # What there is not
//
// Transactions, dynamic nodes, and links that survive their detach: an attach
// that wants to resume is answered with nothing unsettled.
package amqp
