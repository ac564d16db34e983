package redis

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// bellQuiet is how long the bell may be silent before the connection to it is
// exchanged for a new one: it may have died unnoticed, or lead to a server that
// is not the master any more.
const bellQuiet = time.Minute

// ring makes the receiver look, now or when it would wait next.
func (r *receiver) ring() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// listen rings when somebody tells of messages, until ctx ends.
func (r *receiver) listen(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		heard, err := r.hear(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if heard || !failing {
			r.queue.opts.Logger.Warn("nobody tells of new messages: they are looked for once a second", "queue", r.name, "error", err)
		}
		failing = true
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}

// hear rings when the bell's channel is there, which tells of all that was
// missed before, and for each message in it. It returns nil when the bell has
// been silent. The connection is its own; only closing it interrupts it.
func (r *receiver) hear(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var end sync.WaitGroup
	defer end.Wait()
	defer cancel()
	node, err := r.tag.Node(ctx)
	if err != nil {
		return false, err
	}
	bell := node.Subscribe(ctx, r.tag.Name()+":bell")
	end.Go(func() {
		<-ctx.Done()
		_ = bell.Close()
	})
	for {
		_, err := bell.ReceiveTimeout(ctx, bellQuiet)
		if err != nil {
			var network net.Error
			if heard && errors.As(err, &network) && network.Timeout() {
				err = nil
			}
			return heard, err
		}
		heard = true
		r.ring()
	}
}
