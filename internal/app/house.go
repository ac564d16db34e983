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

	"bellhop/internal/busnet"
	"bellhop/internal/busserver"
	"bellhop/internal/config"
	"bellhop/internal/control"
	"bellhop/internal/datadir"
	"bellhop/internal/limit"
	"bellhop/internal/mail"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/token"
	"bellhop/internal/web"
)

// house is a process ready to run: everything that can fail at the start has
// been done. What its roles do not need is nil.
type house struct {
	cfg       *config.Serve
	log       *slog.Logger
	metrics   *metrics.Metrics
	policy    onboarding.Policy
	self      onboarding.Incarnation
	publicURL *url.URL // empty in a process that neither answers people nor mails them

	*rooms
	front     net.Listener
	ops       net.Listener
	control   net.Listener
	busFront  *busFront
	transport mail.Transport
	relay     *onboarding.Relay
	sender    *onboarding.Sender
	people    *signup.Service // nil in a process with the role sender alone
	access    *token.Access   // in a process with the role web
	limiter   limit.Limiter
	ready     *readiness
	handler   http.Handler
	probes    http.Handler

	limitSecret []byte
}

// build opens everything. On an error it closes again what it opened.
func (p Program) build(ctx context.Context, cfg *config.Serve) (_ *house, err error) {
	h := &house{cfg: cfg, log: p.logger(cfg.LogLevel), metrics: metrics.New(), policy: policyOf(cfg), self: onboarding.NewIncarnation()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	var post post
	if cfg.Roles.Has(config.Sender) {
		if post, err = newPost(cfg); err != nil {
			return nil, err
		}
	}
	if err := h.openRooms(ctx); err != nil {
		return nil, err
	}
	if err := h.listen(); err != nil {
		return nil, err
	}
	if err := h.store.Heartbeat(ctx, h.self); err != nil {
		return nil, fmt.Errorf("register this process: %w", err)
	}
	return h, h.buildRoles(ctx, post)
}

// openRooms opens the store, and the queue if a role needs it.
func (h *house) openRooms(ctx context.Context) (err error) {
	if h.rooms, err = newRooms(&h.cfg.Data, h.policy, h.metrics, h.log); err != nil {
		return err
	}
	if h.cfg.BusListen != "" {
		h.wiring = new(busserver.Wiring)
	}
	h.announce = h.cfg.Roles.Has(config.Web) && !h.cfg.Roles.Has(config.Relay)
	if err := h.checkUp(ctx); err != nil {
		return err
	}
	if h.keepsFiles() {
		if h.dir, err = datadir.Open(h.cfg.DataDir); err != nil {
			return err
		}
	}
	if err := h.openStore(ctx); err != nil {
		return err
	}
	if h.needsQueue() {
		return h.openQueue(ctx)
	}
	return nil
}

// needsQueue tells whether a role sends or receives messages.
func (h *house) needsQueue() bool {
	return h.cfg.Roles.Has(config.Relay) || h.cfg.Roles.Has(config.Sender)
}

// ownsData tells whether the store or the queue of this process is in the data
// directory, so that commands reach them through this process alone.
func (h *house) ownsData() bool {
	return h.cfg.Store.Embedded() || h.cfg.Queue.Embedded() && h.needsQueue()
}

// keepsFiles tells whether anything is in the data directory, so that this
// process must hold it.
func (h *house) keepsFiles() bool {
	return h.ownsData() || h.cfg.SMTP.Mailbox() && h.cfg.Roles.Has(config.Sender)
}

// listen opens the listeners, and learns the public URL from the one people
// connect to.
func (h *house) listen() (err error) {
	var bound net.Addr
	if h.cfg.Roles.Has(config.Web) {
		if h.front, err = net.Listen("tcp", h.cfg.Listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		bound = h.front.Addr()
		h.front = web.Limit(h.front, 0)
	}
	if h.cfg.OpsListen != "" {
		if h.ops, err = net.Listen("tcp", h.cfg.OpsListen); err != nil {
			return fmt.Errorf("--ops-listen: %w", err)
		}
	}
	if h.wiring != nil {
		if err := h.listenBus(); err != nil {
			return err
		}
	}
	if h.dir != nil {
		if h.control, err = control.Listen(h.dir.Path("")); err != nil {
			return err
		}
	}
	h.publicURL, err = url.Parse(h.cfg.BaseURL(bound))
	return err
}

// listenBus lets clients reach the embedded queue's bus. Its key is told to
// nobody: logs go to many places.
func (h *house) listenBus() (err error) {
	settings := frontSettings{flag: "bus-listen", listen: h.cfg.BusListen, tls: &h.cfg.BusTLS}
	if h.busFront, err = openBusFront(h.queue.(busQueue).bus, h.wiring, h.dir, settings, h.log); err != nil {
		return err
	}
	told := []any{"endpoint", h.busFront.endpoint(h.cfg.BusTLS.On()), "key", h.dir.Path(keysFile)}
	if h.cfg.TLSSelfSigned {
		told = append(told, "certificate", busnet.CertificateFile(h.dir.Path("")))
	}
	h.log.Info("clients reach the bus", told...)
	return nil
}

// buildRoles makes the parts that do the work of each role.
func (h *house) buildRoles(ctx context.Context, post post) (err error) {
	roles := h.cfg.Roles
	if roles.Has(config.Relay) {
		h.relay = onboarding.NewRelay(h.store, h.queue, h.policy, h.self, h.log)
	}
	if roles.Has(config.Sender) {
		if err := h.buildSender(ctx, post); err != nil {
			return err
		}
	}
	if roles.Has(config.Web) || roles.Has(config.Relay) {
		if err := h.buildPeople(ctx); err != nil {
			return err
		}
	}
	h.watchMetrics()
	h.ready = h.newReadiness()
	if h.probes, err = web.Probes(h.ready, h.log); err != nil {
		return err
	}
	if roles.Has(config.Web) {
		return h.buildWeb(ctx)
	}
	return nil
}

func (h *house) newReadiness() *readiness {
	return newReadiness(h.store.Ping, h.queueAnswers, h.cfg.Roles.Has(config.Web), h.cfg.DrainTimeout/5)
}

func (h *house) buildSender(ctx context.Context, post post) error {
	renderer, err := mail.NewRenderer(post.templates, post.from, h.publicURL.String())
	if err != nil {
		return err
	}
	mint, err := sharedKey(ctx, h.store, mintKey)
	if err != nil {
		return err
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

func (h *house) watchMetrics() {
	h.metrics.WatchLedger(h.store.Books, h.log)
	if h.sender != nil {
		h.metrics.WatchCircuit(h.sender.CircuitOpen)
	}
	if h.queue == nil {
		return
	}
	for _, lane := range onboarding.Lanes() {
		h.metrics.WatchLane(lane, func(ctx context.Context) (int64, int64, error) {
			return h.queue.Depth(ctx, lane.Queue())
		}, h.log)
	}
}

// close closes what build opened. Listeners that a service served are closed
// already, and a second close does no harm.
func (h *house) close() error {
	for _, l := range []net.Listener{h.front, h.ops, h.control} {
		if l != nil {
			_ = l.Close()
		}
	}
	if h.busFront != nil {
		h.busFront.close()
	}
	if h.rooms == nil {
		return nil
	}
	return h.rooms.close()
}
