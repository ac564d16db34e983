package busserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
)

// Conditions of Service Bus.
const (
	conditionDeadLetter      wire.Symbol = "com.microsoft:dead-letter"
	conditionEntityDisabled  wire.Symbol = "com.microsoft:entity-disabled"
	conditionLockLost        wire.Symbol = "com.microsoft:message-lock-lost"
	conditionMessageNotFound wire.Symbol = "com.microsoft:message-not-found"
	conditionServerBusy      wire.Symbol = "com.microsoft:server-busy"
	conditionTimeout         wire.Symbol = "com.microsoft:timeout"
)

const lockLostText = "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue."

// failures says which condition a client gets for an error of the bus, and
// which status if it asked through $management. The first that matches counts.
//
// What the SDKs make of them is in their recovery tables: the Go SDK reconnects
// for a status it does not know, and gives up at once on 401, 404 and 410.
var failures = []struct {
	err       error
	condition wire.Symbol
	status    int32
	text      string // "": the error's own
}{
	{bus.ErrLockLost, conditionLockLost, http.StatusGone, lockLostText},
	{bus.ErrMessageNotFound, conditionMessageNotFound, http.StatusNotFound, "The message that was asked for was not found, or someone has it."},
	{bus.ErrQueueNotFound, wire.ConditionNotFound, http.StatusNotFound, ""},
	{bus.ErrDisabled, conditionEntityDisabled, http.StatusForbidden, "The messaging entity is disabled for this operation."},
	{bus.ErrFull, wire.ConditionResourceLimitExceeded, http.StatusForbidden, "The messaging entity has reached its maximum size."},
	{bus.ErrTooLarge, wire.ConditionMessageSizeExceeded, http.StatusForbidden, ""},
	{bus.ErrInvalid, wire.ConditionNotAllowed, http.StatusBadRequest, ""},
	{context.DeadlineExceeded, conditionTimeout, http.StatusRequestTimeout, "The operation did not end in the time it was given."},
	{context.Canceled, conditionServerBusy, http.StatusServiceUnavailable, "The connection has ended."}, // so nobody hears it, and it is no fault
	{bus.ErrFailed, wire.ConditionInternalError, http.StatusInternalServerError, "The bus has failed and takes nothing until it is started again."},
	{bus.ErrClosed, conditionServerBusy, http.StatusServiceUnavailable, "The bus is shutting down."},
}

// failure is the error that a client gets for err, and its status. What is
// wrong inside is not told to clients.
func (s *Server) failure(err error) (*wire.Error, int32) {
	var wrong *wire.Error
	if errors.As(err, &wrong) {
		return s.tracked(wrong), statusOf(wrong.Condition)
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			text := f.text
			if text == "" {
				text = err.Error()
			}
			return s.tracked(&wire.Error{Condition: f.condition, Description: text}), f.status
		}
	}
	s.opts.Logger.Error("an operation failed", "error", err)
	return s.tracked(&wire.Error{
		Condition: wire.ConditionInternalError, Description: "The bus could not carry out the operation.",
	}), http.StatusInternalServerError
}

// statusOf is the status of an error that was made by this package or by wire.
func statusOf(condition wire.Symbol) int32 {
	switch condition {
	case wire.ConditionUnauthorizedAccess:
		return http.StatusUnauthorized
	case wire.ConditionNotFound, wire.ConditionNotImplemented:
		return http.StatusNotFound // the Go SDK would reconnect for 501
	case conditionServerBusy:
		return http.StatusServiceUnavailable
	case wire.ConditionResourceLimitExceeded, conditionEntityDisabled:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// tracked is err with what the service puts at the end of its descriptions.
func (s *Server) tracked(err *wire.Error) *wire.Error {
	return &wire.Error{Condition: err.Condition, Info: err.Info, Description: s.track(err.Description)}
}

func (s *Server) track(description string) string {
	return fmt.Sprintf("%s TrackingId:%s, SystemTracker:bellhop, Timestamp:%s", description, uuid.NewString(),
		s.opts.Now().UTC().Format(time.DateOnly+"T15:04:05"))
}

func notImplemented(text string) *wire.Error {
	return &wire.Error{Condition: wire.ConditionNotImplemented, Description: text}
}

// notFoundText has the words by which the JavaScript SDK recognises that an
// entity is missing: HOST/ENTITY.
func notFoundText(where string) string {
	return "The messaging entity 'sb://" + where + "' could not be found."
}
