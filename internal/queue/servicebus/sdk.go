package servicebus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// sdkClient is what is used of an [azservicebus.Client].
type sdkClient interface {
	newReceiver(name string, sub azservicebus.SubQueue) (sdkReceiver, error)
	newSender(name string) (sdkSender, error)
	Close(ctx context.Context) error
}

// sdkReceiver is what is used of an [azservicebus.Receiver].
type sdkReceiver interface {
	ReceiveMessages(ctx context.Context, most int, options *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error)
	PeekMessages(ctx context.Context, most int, options *azservicebus.PeekMessagesOptions) ([]*azservicebus.ReceivedMessage, error)
	RenewMessageLock(ctx context.Context, m *azservicebus.ReceivedMessage, options *azservicebus.RenewMessageLockOptions) error
	CompleteMessage(ctx context.Context, m *azservicebus.ReceivedMessage, options *azservicebus.CompleteMessageOptions) error
	AbandonMessage(ctx context.Context, m *azservicebus.ReceivedMessage, options *azservicebus.AbandonMessageOptions) error
	DeadLetterMessage(ctx context.Context, m *azservicebus.ReceivedMessage, options *azservicebus.DeadLetterOptions) error
	Close(ctx context.Context) error
}

// sdkSender is what is used of an [azservicebus.Sender].
type sdkSender interface {
	SendMessage(ctx context.Context, m *azservicebus.Message, options *azservicebus.SendMessageOptions) error
	NewMessageBatch(ctx context.Context, options *azservicebus.MessageBatchOptions) (*azservicebus.MessageBatch, error)
	SendMessageBatch(ctx context.Context, batch *azservicebus.MessageBatch, options *azservicebus.SendMessageBatchOptions) error
	Close(ctx context.Context) error
}

// official is the SDK's client.
type official struct{ *azservicebus.Client }

func (o official) newReceiver(name string, sub azservicebus.SubQueue) (sdkReceiver, error) {
	return o.NewReceiverForQueue(name, &azservicebus.ReceiverOptions{SubQueue: sub})
}

func (o official) newSender(name string) (sdkSender, error) { return o.NewSender(name, nil) }

// retries are the SDK's own, few and soon: whoever calls waits and tries again.
// There must be one at least, because the SDK renews its tokens in a loop that
// waits nowhere else.
func retries() azservicebus.RetryOptions {
	return azservicebus.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second}
}

// client makes a client of the SDK. It connects to nothing yet.
func (o Options) client() (sdkClient, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	options := &azservicebus.ClientOptions{TLSConfig: o.TLS.Clone(), ApplicationID: "bellhop", RetryOptions: retries()}
	var client *azservicebus.Client
	var err error
	if o.ConnectionString != "" {
		client, err = azservicebus.NewClientFromConnectionString(o.ConnectionString, options)
	} else {
		client, err = azservicebus.NewClient(o.Namespace, bounded{o.Credential, usualTiming().call}, options)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to Service Bus: %w", err)
	}
	return official{client}, nil
}

func (o Options) check() error {
	switch {
	case o.ConnectionString == "" && (o.Namespace == "" || o.Credential == nil):
		return errors.New("connect to Service Bus: want a connection string, or a namespace and a credential")
	case o.ConnectionString != "" && o.Namespace != "":
		return errors.New("connect to Service Bus: want a connection string or a namespace, not both")
	}
	return nil
}
