package app

import (
	"context"
	"errors"
	"os"
	"runtime/debug"

	"bellhop/internal/config"
	"bellhop/internal/lifecycle"
	"bellhop/internal/mail/mailbox"
	"bellhop/internal/onboarding"
	"bellhop/internal/web"
)

// collectAt is the heap's growth, in percent, at which garbage is collected.
// The heap is small beside the databases' caches, and collecting it at Go's
// usual 100 % was a twentieth of a busy server's time.
const collectAt = 400

// untilSignal begins a process that serves: its context ends with the first
// signal to end, and the process itself with the second.
func untilSignal(ctx context.Context) (_ context.Context, end func()) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	received, stop := signals()
	ctx, forget := lifecycle.Signals(ctx, received, func() { os.Exit(exitFailed) })
	return ctx, func() { forget(); stop() }
}

// serve is "bellhop serve".
func (p Program) serve(ctx context.Context, cfg *config.Serve) (err error) {
	ctx, end := untilSignal(ctx)
	defer end()
	h, err := p.build(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p.greet(h)
	return lifecycle.Run(ctx, cfg.DrainTimeout, h.log, h.services()...)
}

// services are the running parts, in the order in which they rely on each
// other; they are drained from the last to the first.
func (h *house) services() []lifecycle.Service {
	services := []lifecycle.Service{
		{Name: "databases", Run: h.watch},
		lifecycle.Worker("heartbeat", func(ctx context.Context) error {
			return onboarding.KeepPresence(ctx, h.store, h.self, h.policy, h.log)
		}),
	}
	if h.control != nil {
		services = append(services, lifecycle.HTTP("control", h.controlServer().http(), h.control))
	}
	if h.relay != nil {
		services = append(services, lifecycle.Worker("relay", h.relay.Run))
	}
	if w, ok := h.store.(watcher); ok && h.relay != nil {
		services = append(services, lifecycle.Worker("watch", func(ctx context.Context) error { return w.Watch(ctx, h.relay.Notify) }))
	}
	if h.relay != nil {
		services = append(services, lifecycle.Worker("retention", func(ctx context.Context) error { return h.people.KeepRetention(ctx, h.log) }))
	}
	if h.access != nil {
		services = append(services, lifecycle.Worker("signing keys", func(ctx context.Context) error { return h.access.Run(ctx, h.log) }))
	}
	if h.sender != nil {
		services = append(services, lifecycle.Service{Name: "sender", Run: h.send})
	}
	if h.ops != nil {
		services = append(services, lifecycle.HTTP("ops", opsServer(h.metrics, h.probes, h.log), h.ops))
	}
	if h.busFront != nil {
		services = append(services, lifecycle.Service{Name: "bus", Run: h.busFront.run})
	}
	if h.handler != nil {
		services = append(services, lifecycle.HTTP("web", web.NewServer(h.handler, h.log), h.front))
	}
	return append(services, lifecycle.Service{Name: "readiness", Run: h.ready.run})
}

// controlServer is for commands that act through this process.
func (h *house) controlServer() *controlServer {
	c := &controlServer{rooms: h.rooms, notify: func(onboarding.Lane) {}, people: h.people, access: h.access, log: h.log}
	c.box, _ = h.transport.(*mailbox.Mailbox)
	if h.relay != nil {
		c.notify = h.relay.Notify
	}
	return c
}

// send runs the sender: draining ends its receiving, the end of ctx cuts what
// is still under way.
func (h *house) send(ctx context.Context, drain <-chan struct{}) error {
	receive, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan struct{})
	defer func() { stop(); <-watched }()
	go func() {
		defer close(watched)
		select {
		case <-drain:
			stop()
		case <-receive.Done():
		}
	}()
	return h.sender.Run(receive, ctx)
}
