package redisdb

import "context"

// Publish tells a message to everyone who listens to the channel now. It reaches
// all nodes of a Cluster.
func (c *Client) Publish(ctx context.Context, channel, message string) error {
	return classify(c.universe.Publish(ctx, channel, message).Err())
}

// Listen calls tell with each message of a channel until ctx ends, and returns
// nil then. Messages that come while the connection is down are lost; it is made
// again by itself.
func (c *Client) Listen(ctx context.Context, channel string, tell func(message string)) error {
	subscription := c.universe.Subscribe(ctx, channel)
	defer subscription.Close()
	messages := subscription.Channel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, open := <-messages:
			if !open {
				return ErrClosed
			}
			tell(m.Payload)
		}
	}
}
