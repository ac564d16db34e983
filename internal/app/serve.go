package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"

	"bellhop/internal/config"
	"bellhop/internal/control"
	"bellhop/internal/datadir"
	"bellhop/internal/lifecycle"
	"bellhop/internal/mail"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/token"
	"bellhop/internal/web"
)

// collectAt is the heap's growth, in percent, at which garbage is collected.
// The heap is small beside the databases' caches, and collecting it at Go's
// usual 100 % was a twentieth of a busy server's time.
const collectAt = 400

// serve is "bellhop serve".
func (p Program) serve(ctx context.Context, cfg *config.Serve) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	received, stop := signals()
	defer stop()
	ctx, end := lifecycle.Signals(ctx, received, func() { os.Exit(exitFailed) })
	defer end()
	h, err := p.build(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p.greet(h)
	return lifecycle.Run(ctx, cfg.DrainTimeout, h.log, h.services()...)
}

// house is a process ready to run: everything that can fail at the start has
// been done.
type house struct {
	cfg       *config.Serve
	log       *slog.Logger
	metrics   *metrics.Metrics
	policy    onboarding.Policy
	self      onboarding.Incarnation
	publicURL *url.URL

	*rooms
	front     net.Listener
	ops       net.Listener // nil when off
	control   net.Listener
	transport mail.Transport
	relay     *onboarding.Relay
	sender    *onboarding.Sender
	web       *readiness
	handler   http.Handler
}

// build opens everything. On an error it closes again what it opened.
func (p Program) build(ctx context.Context, cfg *config.Serve) (_ *house, err error) {
	h := &house{cfg: cfg, log: p.logger(), metrics: metrics.New(), policy: policyOf(cfg), self: onboarding.NewIncarnation()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	post, err := newPost(cfg)
	if err != nil {
		return nil, err
	}
	dir, err := datadir.Open(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if h.rooms, err = openRooms(ctx, dir, h.policy, h.metrics, h.log); err != nil {
		return nil, err
	}
	if err := h.listen(); err != nil {
		return nil, err
	}
	if err := h.store.Heartbeat(ctx, h.self); err != nil {
		return nil, fmt.Errorf("register this process: %w", err)
	}
	h.relay = onboarding.NewRelay(h.store, h.queue, h.policy, h.self, h.log)
	if err := h.buildSender(ctx, post); err != nil {
		return nil, err
	}
	h.watchMetrics()
	return h, h.buildWeb(ctx)
}

// listen opens the listeners, and learns the public URL from the one people
// connect to.
func (h *house) listen() (err error) {
	if h.front, err = net.Listen("tcp", h.cfg.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	h.front = web.Limit(h.front, 0)
	if h.cfg.OpsListen != "" {
		if h.ops, err = net.Listen("tcp", h.cfg.OpsListen); err != nil {
			return fmt.Errorf("--ops-listen: %w", err)
		}
	}
	if h.control, err = control.Listen(h.dir.Path("")); err != nil {
		return err
	}
	h.publicURL, err = url.Parse(h.cfg.BaseURL(h.front.Addr()))
	return err
}

func (h *house) buildSender(ctx context.Context, post post) error {
	renderer, err := mail.NewRenderer(post.templates, post.from, h.publicURL.String())
	if err != nil {
		return err
	}
	mint, err := h.store.SharedKey(ctx, "mint", freshKey())
	if err != nil {
		return fmt.Errorf("read the mint key: %w", err)
	}
	if h.transport, err = post.transport(h.dir); err != nil {
		return err
	}
	h.sender = onboarding.NewSender(onboarding.SenderDeps{
		Claims: h.store, Arrivals: h.store, Queue: h.queue, Transport: h.transport,
		Composer: &composer{renderer: renderer, links: onboarding.NewLinks(h.publicURL.String(), mint), policy: h.policy},
		Policy:   h.policy, Self: h.self, Workers: workersPerConnection * h.cfg.SMTPConnections, Log: h.log, Observe: h.metrics.Attempt,
	})
	return nil
}

// workersPerConnection is how many mails are under way for each connection to
// the mail server: while one has the connection, others wait for the ledger's
// disk before or after, and share its commits.
const workersPerConnection = 4

// freshKey is a new secret, used if the store has none under its name yet.
func freshKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, crypto/rand says
	return key
}

func (h *house) buildWeb(ctx context.Context) (err error) {
	sessions, err := token.NewPending(ctx, h.store, h.publicURL.String(), nil)
	if err != nil {
		return fmt.Errorf("read the session key: %w", err)
	}
	h.web = newReadiness(h.store.Ping, h.queueAnswers, h.cfg.DrainTimeout/5)
	h.handler, err = web.New(web.Config{
		PublicURL: h.publicURL,
		SignUps:   signup.NewService(h.store, h.policy, h.relay.Notify),
		Sessions:  sessions,
		Readiness: h.web,
		Mailbox:   h.mailboxPage(),
		Metrics:   h.metrics,
		Log:       h.log,
	})
	return err
}

func (h *house) watchMetrics() {
	h.metrics.WatchLedger(h.store.Books, h.log)
	h.metrics.WatchCircuit(h.sender.CircuitOpen)
	for _, lane := range onboarding.Lanes() {
		h.metrics.WatchLane(lane, func(ctx context.Context) (int64, int64, error) {
			return h.queue.Depth(ctx, lane.Queue())
		}, h.log)
	}
}

// services are the running parts, in the order in which they rely on each
// other; they are drained from the last to the first.
func (h *house) services() []lifecycle.Service {
	services := []lifecycle.Service{
		{Name: "databases", Run: h.watch},
		lifecycle.Worker("heartbeat", func(ctx context.Context) error {
			return onboarding.KeepPresence(ctx, h.store, h.self, h.policy, h.log)
		}),
		lifecycle.HTTP("control", (&controlServer{h.rooms, h.relay}).http(h.log), h.control),
		lifecycle.Worker("relay", h.relay.Run),
		{Name: "sender", Run: h.send},
	}
	if h.ops != nil {
		services = append(services, lifecycle.HTTP("ops", opsServer(h.metrics, h.log), h.ops))
	}
	return append(services,
		lifecycle.HTTP("web", web.NewServer(h.handler, h.log), h.front),
		lifecycle.Service{Name: "readiness", Run: h.web.run},
	)
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

// greet says where everything is.
func (p Program) greet(h *house) {
	fmt.Fprintf(p.Stdout, "Bellhop is ready.\n\n  Sign up   %s/createUser\n", h.publicURL)
	switch {
	case h.cfg.MailboxPage():
		fmt.Fprintf(p.Stdout, "  Mailbox   %s/mailbox (mails stay here until --smtp names a mail server)\n", h.publicURL)
	case h.cfg.SMTP.Mailbox():
		fmt.Fprintf(p.Stdout, "  Mailbox   %s (its page is off: see --mailbox-public)\n", h.dir.Path(mailboxDir))
	default:
		fmt.Fprintf(p.Stdout, "  Mails to  %s\n", h.cfg.SMTP)
	}
	if h.cfg.PublicURL != "" {
		fmt.Fprintf(p.Stdout, "  Listens   http://%s\n", h.front.Addr())
	}
	fmt.Fprintf(p.Stdout, "  Data      %s\n", h.dir.Path(""))
	if h.ops != nil {
		fmt.Fprintf(p.Stdout, "  Metrics   http://%s/metrics\n", h.ops.Addr())
	}
	fmt.Fprintln(p.Stdout)
}

// close closes what build opened. Listeners that a service served are closed
// already, and a second close does no harm.
func (h *house) close() error {
	for _, l := range []net.Listener{h.front, h.ops, h.control} {
		if l != nil {
			_ = l.Close()
		}
	}
	if h.rooms == nil {
		return nil
	}
	return h.rooms.close()
}
