package wire

import "fmt"

// Error is AMQP's error (part 2, 2.8.14). It is what a peer sends in a close,
// end, detach or rejected, and also what this package returns for bad input,
// so that a server can answer with the very error it got.
type Error struct {
	Condition   Symbol // mandatory, such as ConditionDecodeError
	Description string // a sentence; "" is left out
	Info        Map    // nil is left out
}

// Error is the condition and the description.
func (e *Error) Error() string {
	if e.Description == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Description
}

// Conditions of the specification (part 2, 2.8.15 to 2.8.18; part 4, 4.5.8).
const (
	ConditionInternalError         Symbol = "amqp:internal-error"
	ConditionNotFound              Symbol = "amqp:not-found"
	ConditionUnauthorizedAccess    Symbol = "amqp:unauthorized-access"
	ConditionDecodeError           Symbol = "amqp:decode-error"
	ConditionResourceLimitExceeded Symbol = "amqp:resource-limit-exceeded"
	ConditionNotAllowed            Symbol = "amqp:not-allowed"
	ConditionInvalidField          Symbol = "amqp:invalid-field"
	ConditionNotImplemented        Symbol = "amqp:not-implemented"
	ConditionResourceLocked        Symbol = "amqp:resource-locked"
	ConditionPreconditionFailed    Symbol = "amqp:precondition-failed"
	ConditionResourceDeleted       Symbol = "amqp:resource-deleted"
	ConditionIllegalState          Symbol = "amqp:illegal-state"
	ConditionFrameSizeTooSmall     Symbol = "amqp:frame-size-too-small"

	ConditionConnectionForced   Symbol = "amqp:connection:forced"
	ConditionFramingError       Symbol = "amqp:connection:framing-error"
	ConditionConnectionRedirect Symbol = "amqp:connection:redirect"

	ConditionWindowViolation  Symbol = "amqp:session:window-violation"
	ConditionErrantLink       Symbol = "amqp:session:errant-link"
	ConditionHandleInUse      Symbol = "amqp:session:handle-in-use"
	ConditionUnattachedHandle Symbol = "amqp:session:unattached-handle"

	ConditionDetachForced          Symbol = "amqp:link:detach-forced"
	ConditionTransferLimitExceeded Symbol = "amqp:link:transfer-limit-exceeded"
	ConditionMessageSizeExceeded   Symbol = "amqp:link:message-size-exceeded"
	ConditionLinkRedirect          Symbol = "amqp:link:redirect"
	ConditionStolen                Symbol = "amqp:link:stolen"

	ConditionTransactionUnknownID Symbol = "amqp:transaction:unknown-id"
	ConditionTransactionRollback  Symbol = "amqp:transaction:rollback"
	ConditionTransactionTimeout   Symbol = "amqp:transaction:timeout"
)

func errorf(condition Symbol, format string, args ...any) *Error {
	return &Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
}

// encodeErrorf is for values of our own that cannot be written. The peer did
// nothing wrong, which is what internal-error tells it.
func encodeErrorf(format string, args ...any) error {
	return errorf(ConditionInternalError, "encode: "+format, args...)
}
