// Package amqptest is an AMQP client for tests that does what it is told, right
// or wrong, frame by frame: for everything that no polite client sends. It knows
// the codec in amqp/wire and nothing else, and is imported by tests only.
package amqptest
