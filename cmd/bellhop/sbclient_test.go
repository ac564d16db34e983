package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
)

// sbclient is a program that somebody wrote for Azure Service Bus: it knows a
// connection string and nothing of Bellhop.
func sbclient() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := runClient(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sbclient:", err)
		os.Exit(1)
	}
}

func runClient(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "queues":
		return printQueues(ctx, args[1])
	case len(args) == 4 && args[0] == "send":
		return withClient(ctx, args[1], func(c *azservicebus.Client) error { return sendText(ctx, c, args[2], args[3]) })
	case len(args) == 3 && args[0] == "receive":
		return withClient(ctx, args[1], func(c *azservicebus.Client) error { return receiveText(ctx, c, args[2]) })
	}
	return errors.New("usage: sbclient send CONNECTION QUEUE TEXT | receive CONNECTION QUEUE | queues CONNECTION")
}

func withClient(ctx context.Context, connection string, do func(*azservicebus.Client) error) error {
	client, err := azservicebus.NewClientFromConnectionString(connection, nil)
	if err != nil {
		return err
	}
	return errors.Join(do(client), client.Close(ctx))
}

func sendText(ctx context.Context, client *azservicebus.Client, queue, text string) error {
	sender, err := client.NewSender(queue, nil)
	if err != nil {
		return err
	}
	return errors.Join(sender.SendMessage(ctx, &azservicebus.Message{Body: []byte(text)}, nil), sender.Close(ctx))
}

func receiveText(ctx context.Context, client *azservicebus.Client, queue string) error {
	receiver, err := client.NewReceiverForQueue(queue, nil)
	if err != nil {
		return err
	}
	messages, err := receiver.ReceiveMessages(ctx, 1, nil)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fmt.Printf("%s\n", m.Body)
		if err := receiver.CompleteMessage(ctx, m, nil); err != nil {
			return err
		}
	}
	return receiver.Close(ctx)
}

func printQueues(ctx context.Context, connection string) error {
	client, err := admin.NewClientFromConnectionString(connection, nil)
	if err != nil {
		return err
	}
	pages := client.NewListQueuesPager(nil)
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, q := range page.Queues {
			fmt.Println(q.QueueName)
		}
	}
	return nil
}
