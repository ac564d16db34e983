package amqp

import "errors"

var (
	// ErrShutdown is what Serve returns after Shutdown.
	ErrShutdown = errors.New("amqp: the server is shut down")

	// ErrDetached tells that a link has ended.
	ErrDetached = errors.New("amqp: the link is detached")

	// ErrWithdrawn tells that the peer does not want a message any more, or does
	// not take what it has been sent already. Wait tells when it does.
	ErrWithdrawn = errors.New("amqp: the demand is withdrawn")
)
