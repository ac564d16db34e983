package busserver

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	goamqp "github.com/Azure/go-amqp"
)

// BenchmarkSendReceive sends b.N messages with 16 senders that each wait for
// their confirmation, and receives and accepts them with 16 receivers.
func BenchmarkSendReceive(b *testing.B) {
	const clients = 16
	r := newRig(b, func(o *Options) { o.Faults = nil })
	var senders []*goamqp.Sender
	var receivers []*goamqp.Receiver
	for range clients {
		s, err := r.session().NewSender(r.ctx, "orders", nil)
		r.must(err)
		senders = append(senders, s)
		rec, err := r.session().NewReceiver(r.ctx, "orders", &goamqp.ReceiverOptions{Credit: 100, SettlementMode: goamqp.ReceiverSettleModeSecond.Ptr()})
		r.must(err)
		receivers = append(receivers, rec)
	}
	var all sync.WaitGroup
	body := make([]byte, 1024)
	total := int64(clients * (b.N/clients + 1))
	b.ResetTimer()
	for _, s := range senders {
		all.Go(func() {
			for range total / clients {
				r.must(s.Send(r.ctx, goamqp.NewMessage(body), nil))
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "sends/s")
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var done atomic.Int64
	for _, rec := range receivers {
		all.Go(func() {
			for done.Load() < total {
				m, err := rec.Receive(ctx, nil)
				if err != nil {
					return
				}
				r.must(rec.AcceptMessage(r.ctx, m))
				if done.Add(1) == total {
					cancel()
				}
			}
		})
	}
	all.Wait()
}
