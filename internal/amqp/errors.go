package amqp

import (
	"errors"
	"fmt"

	"bellhop/internal/amqp/wire"
)

var (
	// ErrShutdown is what Serve returns after Shutdown.
	ErrShutdown = errors.New("amqp: the server is shut down")

	// ErrDetached tells that a link has ended.
	ErrDetached = errors.New("amqp: the link is detached")

	// ErrWithdrawn tells that the peer does not want a message any more, or does
	// not take what it has been sent already. Wait tells when it does.
	ErrWithdrawn = errors.New("amqp: the demand is withdrawn")
)

func failure(condition wire.Symbol, format string, args ...any) *wire.Error {
	return &wire.Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
}

// asFailure is what a peer is told of an error.
func asFailure(err error) *wire.Error {
	if told, ok := errors.AsType[*wire.Error](err); ok {
		return told
	}
	return failure(wire.ConditionInternalError, "the server could not do it")
}

// asError keeps an absent error from becoming an error that is not nil.
func asError(e *wire.Error) error {
	if e == nil {
		return nil
	}
	return e
}
