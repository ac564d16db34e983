package servicebus

import (
	"errors"
	"fmt"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/go-amqp"
)

// ErrRefused is returned when the namespace does not accept the key or the
// token, or when these do not have the right that is needed: Listen to receive
// and to look, Send to send.
var ErrRefused = errors.New("access refused by Service Bus")

// conditions are those of AMQP's and Service Bus's errors that the SDK has no
// code for. Its own codes are in codes.
func conditions() map[amqp.ErrCond]error {
	return map[amqp.ErrCond]error{
		amqp.ErrCondNotFound:                queue.ErrUnknownQueue,
		amqp.ErrCondMessageSizeExceeded:     queue.ErrTooLarge,
		amqp.ErrCondUnauthorizedAccess:      ErrRefused,
		"com.microsoft:message-lock-lost":   queue.ErrLockLost,
		"com.microsoft:entity-disabled":     errDisabled,
		amqp.ErrCondResourceLimitExceeded:   errFull,
		"com.microsoft:server-busy":         errBusy,
		"com.microsoft:operation-cancelled": errBusy,
	}
}

var (
	errDisabled = errors.New("the queue is disabled")
	errFull     = errors.New("the queue is full")
	errBusy     = errors.New("the namespace is busy")
)

func codes() map[azservicebus.Code]error {
	return map[azservicebus.Code]error{
		azservicebus.CodeLockLost:           queue.ErrLockLost,
		azservicebus.CodeNotFound:           queue.ErrUnknownQueue,
		azservicebus.CodeUnauthorizedAccess: ErrRefused,
	}
}

// translate puts the contract's sentinel, or a word for people, in front of the
// SDK's error.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var meaning error
	var coded *azservicebus.Error
	var remote *amqp.Error
	if errors.As(err, &coded) {
		meaning = codes()[coded.Code]
	}
	if meaning == nil && errors.As(err, &remote) {
		meaning = conditions()[remote.Condition]
	}
	if meaning == nil && errors.Is(err, azservicebus.ErrMessageTooLarge) {
		meaning = queue.ErrTooLarge
	}
	if meaning == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", meaning, err)
}
