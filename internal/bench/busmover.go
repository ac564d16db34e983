package bench

import (
	"context"
	"errors"

	"bellhop/internal/bus"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// official moves messages with the official client.
type official struct{ client *azservicebus.Client }

// withClient calls fn with an official client of a bus that it starts.
func withClient(ctx context.Context, o Options, dir string, durable bool, fn func(mover, *process) error) error {
	start := startBus
	if !durable {
		start = startUnsyncedBus
	}
	server, err := start(ctx, o, dir)
	if err != nil {
		return err
	}
	defer server.process.stop()
	client, err := azservicebus.NewClientFromConnectionString(server.connection.String(), nil)
	if err != nil {
		return err
	}
	return errors.Join(fn(official{client}, server.process), client.Close(ctx))
}

func (m official) senders(w way) (callers, error) {
	var all callers
	body := aBody()
	for range w.callers {
		sender, err := m.client.NewSender(busQueue, nil)
		if err != nil {
			return callers{}, err
		}
		all.add(sender.Close, func(ctx context.Context) (int, error) {
			if w.batch == 1 {
				return 1, sender.SendMessage(ctx, &azservicebus.Message{Body: body}, nil)
			}
			return w.batch, sendBatch(ctx, sender, body, w.batch)
		})
	}
	return all, nil
}

func sendBatch(ctx context.Context, sender *azservicebus.Sender, body []byte, n int) error {
	batch, err := sender.NewMessageBatch(ctx, nil)
	if err != nil {
		return err
	}
	for range n {
		if err := batch.AddMessage(&azservicebus.Message{Body: body}, nil); err != nil {
			return err
		}
	}
	return sender.SendMessageBatch(ctx, batch, nil)
}

func (m official) receivers(w way) (callers, error) {
	var all callers
	for range w.callers {
		receiver, err := m.client.NewReceiverForQueue(busQueue, nil)
		if err != nil {
			return callers{}, err
		}
		all.add(receiver.Close, func(ctx context.Context) (int, error) {
			got, err := receiver.ReceiveMessages(ctx, w.batch, nil)
			if err != nil {
				return 0, err
			}
			return len(got), together(ctx, len(got), func(ctx context.Context, i int) error {
				return receiver.CompleteMessage(ctx, got[i], nil)
			})
		})
	}
	return all, nil
}

// engine moves messages in this process.
type engine struct{ bus *bus.Bus }

// withEngine calls fn with a bus of its own.
func withEngine(b BusOptions, dir string, durable bool, fn func(mover) error) error {
	opened, err := b.OpenBus(dir, durable)
	if err != nil {
		return err
	}
	err = opened.CreateQueue(context.Background(), busQueue, bus.Settings{})
	if err == nil {
		err = fn(engine{opened})
	}
	return errors.Join(err, opened.Close())
}

func (m engine) senders(w way) (callers, error) {
	var all callers
	body := aBody()
	for range w.callers {
		all.add(nil, func(context.Context) (int, error) {
			messages := make([]bus.Message, w.batch)
			for i := range messages {
				messages[i].Body = bus.Body{Kind: bus.BodyData, Bytes: body}
			}
			sent := make(chan error, 1)
			m.bus.StartSend(busQueue, messages, func(_ []int64, err error) { sent <- err })
			return w.batch, <-sent
		})
	}
	return all, nil
}

func (m engine) receivers(w way) (callers, error) {
	var all callers
	for range w.callers {
		all.add(nil, func(ctx context.Context) (int, error) {
			got, err := m.bus.Receive(ctx, busQueue, bus.ReceiveOptions{Limit: w.batch})
			if err != nil {
				return 0, err
			}
			settlements := make([]bus.Settlement, len(got))
			for i := range got {
				settlements[i] = bus.Settlement{Token: got[i].LockToken, Kind: bus.Complete}
			}
			settled := make(chan error, 1)
			m.bus.StartSettle(settlements, func(errs []error) { settled <- errors.Join(errs...) })
			return len(got), <-settled
		})
	}
	return all, nil
}

// ChildUnsyncedBus is the kind of a child, made by the program and not by
// [Child], that is a bus in the directory that follows. It does not wait for the
// disk, which no setting of bellhop bus allows.
const ChildUnsyncedBus = "unsynced-bus"

func startUnsyncedBus(ctx context.Context, o Options, dir string) (*busProcess, error) {
	return startBusWith(ctx, o, dir, "bench", "child", ChildUnsyncedBus, dir, busQueue)
}
