package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"bellhop/internal/config"
	"bellhop/internal/queue/servicebus"
	"bellhop/internal/redisdb"
)

// serviceBus is a queue in a namespace of Azure Service Bus.
type serviceBus struct {
	*servicebus.Queue
	host string
	log  *slog.Logger
}

// newServiceBus makes a queue that has connected to nothing.
func newServiceBus(at config.Location, access *config.ServiceBusAccess, log *slog.Logger) (*serviceBus, error) {
	opts, err := serviceBusOptions(at, access)
	if err != nil {
		return nil, err
	}
	opts.Logger = log
	q, err := servicebus.New(opts)
	if err != nil {
		return nil, fmt.Errorf("--queue: %w", err)
	}
	return &serviceBus{Queue: q, host: opts.Host(), log: log}, nil
}

// serviceBusOptions are how a namespace is reached.
func serviceBusOptions(at config.Location, access *config.ServiceBusAccess) (opts servicebus.Options, err error) {
	opts.ConnectionString = access.ServiceBusConnectionString.Reveal()
	if opts.Namespace = at.Namespace(); opts.Namespace != "" {
		if opts.Credential, err = servicebus.NewCredential(access.ServiceBusDeveloperLogin, os.Getenv); err != nil {
			return opts, err
		}
	}
	if access.ServiceBusCAFile == "" {
		return opts, nil
	}
	pem, err := os.ReadFile(access.ServiceBusCAFile)
	if err != nil {
		return opts, fmt.Errorf("--servicebus-ca-file: %w", err)
	}
	opts.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	opts.TLS.RootCAs.AppendCertsFromPEM(pem)
	return opts, nil
}

// Close closes the queue. That it takes too long is worth a word and no more:
// nothing depends on it.
func (s *serviceBus) Close(ctx context.Context) error {
	if err := s.Queue.Close(ctx); err != nil {
		s.log.Warn("the connection to Service Bus was left as it is", "error", err)
	}
	return nil
}

// examine says whether the namespace can be used. That it cannot be reached now
// is no reason not to start: sign-ups need no queue.
func (s *serviceBus) examine(ctx context.Context) []redisdb.Finding {
	missing, err := s.Missing(ctx, laneQueues()...)
	switch {
	case errors.Is(err, servicebus.ErrRefused):
		return []redisdb.Finding{{Level: redisdb.Refused, Text: "The namespace does not let Bellhop in: " + err.Error() + "."}}
	case err != nil:
		return []redisdb.Finding{{Level: redisdb.Warning, Text: "The namespace cannot be reached: " + err.Error() + ". Sign-ups are taken, and mails wait until it can be."}}
	case len(missing) > 0:
		return []redisdb.Finding{{Level: redisdb.Refused, Text: "There is no queue " + strings.Join(missing, ", and no ") + ". bellhop setup servicebus makes what is missing."}}
	}
	return []redisdb.Finding{
		{Level: redisdb.OK, Text: "The queues are there. bellhop setup servicebus says whether they are as they should be."},
		messagesReturn("an outage"),
	}
}

// queuePlace says where the queue is.
func (r *rooms) queuePlace() string {
	if r.serviceBus != nil {
		return "servicebus://" + r.serviceBus.host
	}
	return r.data.QueueLocation().String()
}

// setupServiceBus is "bellhop setup servicebus".
func (p Program) setupServiceBus(ctx context.Context, cfg *config.SetupServiceBus) error {
	if cfg.Print {
		return p.printServiceBus(cfg)
	}
	opts, err := serviceBusOptions(cfg.Location(), &cfg.ServiceBusAccess)
	if err != nil {
		return err
	}
	all, err := servicebus.Prepare(ctx, opts, laneQueues()...)
	differ := false
	for _, queue := range all {
		state := "is there"
		if queue.Created {
			state = "created"
		}
		fmt.Fprintf(p.Stdout, "%s: %s\n", queue.Queue, state)
		for _, d := range queue.Differences {
			differ = true
			fmt.Fprintf(p.Stdout, "  %s is %q, want %q\n", d.Setting, d.Have, d.Want)
		}
	}
	if err == nil && differ {
		fmt.Fprintln(p.Stdout, "What differs was left as it is.")
		return errFindings
	}
	return err
}

// printServiceBus prints what somebody with more rights can run.
func (p Program) printServiceBus(cfg *config.SetupServiceBus) error {
	host := cfg.Location().Namespace()
	if host == "" {
		host = servicebus.Options{ConnectionString: cfg.ServiceBusConnectionString.Reveal()}.Host()
	}
	var b strings.Builder
	b.WriteString("# The queues that Bellhop needs. RESOURCE_GROUP is that of the namespace.\n")
	if host == "" {
		b.WriteString("# NAMESPACE is the part of its name before .servicebus.windows.net.\n")
	}
	b.WriteString(servicebus.Commands(host, laneQueues()...))
	_, err := io.WriteString(p.Stdout, b.String())
	return err
}
