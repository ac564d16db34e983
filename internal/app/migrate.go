package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/datadir"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	redisstore "bellhop/internal/store/redis"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/store/transfer"
)

// movable is a store that is open to be moved.
type movable interface {
	transfer.Source
	transfer.Target
	Close() error
}

// end is one end of a move.
type end struct {
	movable
	name   string          // for people, without secrets
	dir    *datadir.Dir    // nil unless it is embedded
	client *redisdb.Client // nil unless it is in a Redis
}

// migrate is "bellhop migrate".
func (p Program) migrate(ctx context.Context, cfg *config.Migrate) (err error) {
	from, to := &end{}, &end{}
	defer func() { err = errors.Join(err, to.close(), from.close()) }()
	if err := from.open(ctx, cfg, cfg.From, datadir.OpenExisting); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	if err := to.open(ctx, cfg, cfg.To, datadir.Open); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if err := p.examineTarget(ctx, to, cfg); err != nil {
		return err
	}
	report, err := transfer.Run(ctx, from, to, transfer.Options{From: from.name, To: to.name, Progress: p.progress()})
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return p.printMove(report, from, to)
}

// open opens the store at a location, and whatever it needs.
func (e *end) open(ctx context.Context, cfg *config.Migrate, at config.Location, openDir func(string) (*datadir.Dir, error)) (err error) {
	if at.Embedded() {
		return e.openEmbedded(cfg, openDir)
	}
	e.client, err = redisdb.Open(redisSettings(&config.Data{RedisAccess: cfg.RedisAccess}, at, metrics.New()))
	if err != nil {
		return err
	}
	e.name = e.client.Settings().String()
	store, err := redisstore.OpenTransfer(ctx, redisstore.Options{Client: e.client, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		return err
	}
	e.movable = store
	return nil
}

func (e *end) openEmbedded(cfg *config.Migrate, openDir func(string) (*datadir.Dir, error)) (err error) {
	if e.dir, err = openDir(cfg.DataDir); err != nil {
		return err
	}
	e.name = "the data directory " + e.dir.Path("")
	path := e.dir.Path(storeFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && cfg.From.Embedded() {
		return fmt.Errorf("%s: no sign-up was ever stored here", cfg.DataDir)
	}
	store, err := sqlite.OpenTransfer(sqlite.Options{Path: path, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		return err
	}
	e.movable = store
	return nil
}

func (e *end) close() error {
	var errs []error
	if e.movable != nil {
		errs = append(errs, e.Close())
	}
	if e.client != nil {
		errs = append(errs, e.client.Close())
	}
	if e.dir != nil {
		errs = append(errs, e.dir.Close())
	}
	return errors.Join(errs...)
}

// examineTarget says what a crash could lose where everything goes, and refuses
// what serve would refuse.
func (p Program) examineTarget(ctx context.Context, to *end, cfg *config.Migrate) error {
	if to.client == nil {
		return nil
	}
	found, err := ask(ctx, to.client, cfg.RedisWait, cfg.RedisAllowEviction)
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Level == redisdb.Warning {
			fmt.Fprintf(p.Stderr, "bellhop: warning: doctor: %s\n", f.Text)
		}
	}
	return refusal([]examined{{what: "store", where: to.name, findings: found}})
}

// progressEvery is how often a long move says how far it has come.
const progressEvery = 5 * time.Second

func (p Program) progress() func(transfer.Progress) {
	last := time.Now()
	return func(at transfer.Progress) {
		if time.Since(last) < progressEvery {
			return
		}
		last = time.Now()
		fmt.Fprintf(p.Stderr, "%s: %d %s\n", at.Step, at.Rows, at.Kind)
	}
}

func (p Program) printMove(report transfer.Report, from, to *end) error {
	if report.Already {
		_, err := fmt.Fprintf(p.Stdout, "Everything was moved from %s to %s before. Nothing was done.\n", from.name, to.name)
		return err
	}
	fmt.Fprintf(p.Stdout, "Everything was moved from %s to %s, and is the same there:\n\n", from.name, to.name)
	table := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', 0)
	for _, kind := range transfer.Kinds() {
		fmt.Fprintf(table, "  %s\t%d\tSHA-256 %x\n", kind, report.Moved[kind].Rows, report.Moved[kind].Sum)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(p.Stdout, `
Start bellhop serve with the new store now; with the old one it does not start.
The old one still holds a copy, with people's names and addresses. Delete that
when you trust the new one: who is erased from now on is not erased there.
`)
	return err
}
