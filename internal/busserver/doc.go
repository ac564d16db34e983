// Package busserver speaks Azure Service Bus's dialect of AMQP 1.0 for queues:
// it joins the connections of package amqp to the engine of package bus, so
// that the official clients work with it unchanged. Who may do what it asks of
// package sas. It opens no listener and knows no TLS.
//
// # A connection
//
// A client comes in as ANONYMOUS, or as MSSBCBS, which is the same, and shows
// tokens on the node $cbs: each is for one audience, a queue or the whole
// namespace, and good on this connection until it expires, when the links that
// lived by it are detached. With PLAIN a rule's name and key are the password,
// and no token is needed.
//
// Links lead to a queue, to QUEUE/$DeadLetterQueue, or to either followed by
// /$management, where requests are answered that need no delivery: renewing
// locks, peeking, scheduling, deferred messages, settling from elsewhere.
// Sessions, topics and transactions are refused with amqp:not-implemented.
//
// # A message
//
// What comes in is translated once: into the fields of bus.Message, so that a
// receiver within the process can read it, and into an extra beside them, which
// keeps what those fields cannot say. What goes out is put together from both:
// the bare message and the footer byte for byte as they came, with a header and
// annotations that only the broker can write. The application-properties are
// written anew when a settlement has changed some; the properties when the
// message expires, or was replayed under another id. No body of data is looked
// into on either way.
//
// # Who waits for whom
//
// A connection's goroutine, on which amqp calls, never waits for the disk: sends
// and settlements are started, and confirmed by the bus's goroutine after their
// commit. Each receiving link has a goroutine that waits for the client's credit,
// then for messages, and before that a while if the client gives back all it
// gets. A request has one as long as it is open. All of them end with the
// connection, which waits for them.
//
// Locks are a matter of the bus: they outlive the link and the connection, and
// whoever has a lock's token may settle, from anywhere.
//
// conn.mu may be taken while Server.mu is held, never the other way round, and
// nothing of amqp or bus is called with either.
package busserver
