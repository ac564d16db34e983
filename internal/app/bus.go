package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"bellhop/internal/bus"
	"bellhop/internal/busadmin"
	"bellhop/internal/busnet"
	"bellhop/internal/busserver"
	"bellhop/internal/config"
	"bellhop/internal/datadir"
	"bellhop/internal/lifecycle"
	"bellhop/internal/sqlitedb"
)

// busHouse is a process of "bellhop bus" ready to run.
type busHouse struct {
	cfg    *config.Bus
	log    *slog.Logger
	wiring busserver.Wiring
	dir    *datadir.Dir
	bus    *bus.Bus
	front  *busFront
}

// serveBus is "bellhop bus". What it confirms is as durable as d says.
func (p Program) serveBus(ctx context.Context, cfg *config.Bus, d sqlitedb.Durability) (err error) {
	ctx, end := untilSignal(ctx)
	defer end()
	h, err := p.buildBus(ctx, cfg, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	greeting, err := h.greeting(ctx)
	if err != nil {
		return err
	}
	_, _ = io.WriteString(p.Stdout, greeting) // nobody may be looking
	return lifecycle.Run(ctx, cfg.DrainTimeout, h.log,
		lifecycle.Service{Name: "database", Run: h.watch}, lifecycle.Service{Name: "bus", Run: h.front.run})
}

// buildBus opens everything. On an error it closes again what it opened.
func (p Program) buildBus(ctx context.Context, cfg *config.Bus, d sqlitedb.Durability) (_ *busHouse, err error) {
	emulated, err := emulatorConfig(cfg.Config)
	if err != nil {
		return nil, err
	}
	h := &busHouse{cfg: cfg, log: p.logger(slog.LevelInfo)}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.dir, err = datadir.Open(cfg.DataDir); err != nil {
		return nil, err
	}
	if h.bus, err = bus.Open(h.wiring.Bus(bus.Options{Path: h.dir.Path(busFile), Durability: d, Logger: h.log})); err != nil {
		return nil, err
	}
	if err := h.makeQueues(ctx, emulated); err != nil {
		return nil, err
	}
	settings := frontSettings{flag: "listen", listen: cfg.Listen, tls: &cfg.BusTLS, acceptAnyKey: cfg.AcceptAnyKey}
	h.front, err = openBusFront(h.bus, &h.wiring, h.dir, settings, h.log)
	return h, err
}

// emulatorConfig reads a Config.json, or nothing when none is named.
func emulatorConfig(path string) (*busadmin.Config, error) {
	if path == "" {
		return &busadmin.Config{}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	c, err := busadmin.ParseConfig(f)
	if err != nil {
		return nil, fmt.Errorf("--config %s: %w", path, err)
	}
	return c, nil
}

// makeQueues makes the queues that the settings name. One that is in the
// Config.json, too, is as that says.
func (h *busHouse) makeQueues(ctx context.Context, emulated *busadmin.Config) error {
	if err := emulated.Apply(ctx, h.bus, h.log); err != nil {
		return err
	}
	for _, name := range h.cfg.Queues {
		if err := h.bus.CreateQueue(ctx, name, bus.Settings{}); err != nil && !errors.Is(err, bus.ErrQueueExists) {
			return fmt.Errorf("--queue %s: %w", name, err)
		}
	}
	return nil
}

// watch ends the process when the database has failed: nothing may be written
// after that, and a new process recovers from what is on disk.
func (h *busHouse) watch(ctx context.Context, drain <-chan struct{}) error {
	select {
	case <-h.bus.Failed():
		return h.bus.Err()
	case <-drain:
	case <-ctx.Done():
	}
	return nil
}

// close closes what buildBus opened.
func (h *busHouse) close() error {
	var errs []error
	if h.front != nil {
		h.front.close()
	}
	if h.bus != nil {
		errs = append(errs, h.bus.Close())
	}
	if h.dir != nil {
		errs = append(errs, h.dir.Close())
	}
	return errors.Join(errs...)
}

// greeting says where everything is, and the key with it: whoever starts a bus
// by hand is about to paste it somewhere.
func (h *busHouse) greeting(ctx context.Context) (string, error) {
	queues, err := h.queueNames(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	say := func(what string, where any) { fmt.Fprintf(&b, "  %-9s %v\n", what, where) }
	b.WriteString("The bus is ready.\n\n")
	say("Listens", h.front.listener.Addr())
	say("Connect", h.front.connection(false))
	if h.cfg.BusTLS.On() {
		say("With TLS", h.front.connection(true))
	}
	if h.cfg.TLSSelfSigned {
		file := busnet.CertificateFile(h.dir.Path(""))
		say("Trust", file)
		say("", "(Go, Python: SSL_CERT_FILE="+file+")")
		say("", "(Node.js: NODE_EXTRA_CA_CERTS="+file+")")
	}
	if h.cfg.AcceptAnyKey {
		say("Keys", "any is accepted (--accept-any-key)")
	}
	say("Queues", queues)
	say("Data", h.dir.Path(""))
	b.WriteString("\n")
	return b.String(), nil
}

// queueNames names the queues there are, or how to make one.
func (h *busHouse) queueNames(ctx context.Context) (string, error) {
	const shown = 10
	queues, err := h.bus.Queues(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, q := range queues[:min(len(queues), shown)] {
		names = append(names, q.Name)
	}
	switch {
	case len(queues) == 0:
		return "none yet (--queue NAME makes one, and so does the admin API)", nil
	case len(queues) > shown:
		names = append(names, fmt.Sprintf("and %d more", len(queues)-shown))
	}
	return strings.Join(names, ", "), nil
}
