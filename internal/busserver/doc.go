// Package busserver speaks Azure Service Bus's dialect of AMQP 1.0 for queues:
// it joins the connections of package amqp to the engine of package bus, so
// that the official clients work with it unchanged.
package busserver
