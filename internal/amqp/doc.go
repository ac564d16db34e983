// Package amqp is the server's side of AMQP 1.0 (OASIS Standard, 29 October
// 2012): connections, sessions, links, SASL and flow control over any
// [net.Conn]. What a link carries and who may attach one is its Handler's
// business. The package knows the codec in amqp/wire and nothing of Bellhop.
package amqp
