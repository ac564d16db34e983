package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"bellhop/internal/busserver"
	"bellhop/internal/config"
	"bellhop/internal/datadir"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/queue"
	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// store is what a process needs of whatever keeps people and mails.
type store interface {
	signup.Store
	onboarding.Ledger
	token.Keys
	token.Documents
	// Ping tells whether the store takes writes now.
	Ping(ctx context.Context) error
	// Close closes the store. Calling it twice is harmless.
	Close() error
}

// broker is what a process needs of whatever carries its messages.
type broker interface {
	queue.Queue
	queue.DeadLetterer
	queue.Counter
}

// failing is a store or a broker that can fail for good: nothing may be
// written after a commit has failed, and a new process recovers from what is
// on disk. One outside of the process comes back by itself and is none.
type failing interface {
	// Failed is closed when it has failed.
	Failed() <-chan struct{}
	// Err is why.
	Err() error
}

// watcher is a store that other processes change, too.
type watcher interface {
	// Watch tells of mails made due by others until ctx ends, and returns nil
	// then. It gets over outages by itself.
	Watch(ctx context.Context, notify func(onboarding.Lane)) error
}

// rooms are the parts of a process that hold files or connections open. What
// is not needed is not opened, and nil.
type rooms struct {
	data    *config.Data
	policy  onboarding.Policy
	metrics *metrics.Metrics
	log     *slog.Logger
	// announce tells that relays are in other processes, which must be told
	// of sign-ups.
	announce bool
	// wiring, unless nil, tells that clients reach the embedded queue's bus.
	wiring *busserver.Wiring
	// command tells that nobody is served: a store that is not there is not
	// made.
	command bool

	redis      links
	serviceBus *serviceBus // nil where the queue is elsewhere
	dir        *datadir.Dir
	store      store
	queue      broker
}

// newRooms makes rooms in which nothing is open yet but ways to Redis and Service
// Bus, where the settings name one. These have connected to nothing.
func newRooms(data *config.Data, policy onboarding.Policy, m *metrics.Metrics, log *slog.Logger) (*rooms, error) {
	r := &rooms{data: data, policy: policy, metrics: m, log: log}
	var err error
	if r.redis, err = newLinks(data, m); err != nil {
		return nil, err
	}
	if data.Queue.ServiceBus() {
		if r.serviceBus, err = newServiceBus(data.Queue, &data.ServiceBusAccess, log); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

// openStore opens the store that the settings name. An embedded one recovers
// what the last process left behind; its directory must be held.
func (r *rooms) openStore(ctx context.Context) (err error) {
	if r.data.Store.Embedded() {
		r.store, err = r.embeddedStore()
	} else {
		r.store, err = r.redisStore(ctx)
	}
	return err
}

// openQueue opens the queue that the settings name, with a queue for each
// lane. The directory of an embedded one must be held.
func (r *rooms) openQueue(ctx context.Context) (err error) {
	switch {
	case r.data.Queue.Embedded():
		r.queue, err = r.embeddedQueue(ctx)
	case r.serviceBus != nil:
		r.queue = r.serviceBus
	default:
		r.queue, err = r.redisQueue(ctx)
	}
	return err
}

// laneQueues are the names of the lanes' queues.
func laneQueues() (names []string) {
	for _, lane := range onboarding.Lanes() {
		names = append(names, lane.Queue())
	}
	return names
}

// close closes what is open, the queue first.
func (r *rooms) close() error {
	var errs []error
	if r.queue == nil && r.serviceBus != nil {
		errs = append(errs, r.serviceBus.Close(context.Background()))
	}
	if r.queue != nil {
		errs = append(errs, r.queue.Close(context.Background()))
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	errs = append(errs, r.redis.close())
	if r.dir != nil {
		errs = append(errs, r.dir.Close())
	}
	return errors.Join(errs...)
}

// watch ends the process when a database of its own has failed.
func (r *rooms) watch(ctx context.Context, drain <-chan struct{}) error {
	store, _ := r.store.(failing)
	queue, _ := r.queue.(failing)
	select {
	case <-failed(store):
		return fmt.Errorf("the store: %w", store.Err())
	case <-failed(queue):
		return fmt.Errorf("the queue: %w", queue.Err())
	case <-drain:
	case <-ctx.Done():
	}
	return nil
}

// failed is closed when f has failed; nil, and so never ready, if f is nil.
func failed(f failing) <-chan struct{} {
	if f == nil {
		return nil
	}
	return f.Failed()
}

// queueAnswers tells whether the queue can be used. A process without one
// needs none.
func (r *rooms) queueAnswers(ctx context.Context) error {
	if r.queue == nil {
		return nil
	}
	_, _, err := r.queue.Depth(ctx, onboarding.Urgent.Queue())
	return err
}

// policyOf is the ledger's policy under the settings.
func policyOf(cfg *config.Serve) onboarding.Policy {
	p := onboarding.DefaultPolicy()
	p.Retry = cfg.MailRetry
	p.Expiry = cfg.MailExpiry
	p.SignInExpiry = cfg.SignInExpiry
	p.CodeLife = cfg.CodeExpiry
	p.Budgets = budgetsOf(cfg)
	p.UnknownPause = cfg.UnknownPause
	p.Retention = cfg.MailRetention
	return p
}

// budgetsOf are the mails an address may get. Browsers that are known get twice
// as many to sign in.
func budgetsOf(cfg *config.Serve) onboarding.Budgets {
	allowances := func(list config.Allowances, times int) (out []onboarding.Allowance) {
		for _, a := range list {
			out = append(out, onboarding.Allowance{Mails: a.Mails * times, Per: a.Per})
		}
		return out
	}
	return onboarding.Budgets{
		onboarding.BudgetSignUp: allowances(cfg.MailBudget, 1),
		onboarding.BudgetSignIn: allowances(cfg.SignInBudget, 1),
		onboarding.BudgetDevice: allowances(cfg.SignInBudget, 2),
	}
}
