package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"bellhop/internal/bench"
	"bellhop/internal/bus"
	"bellhop/internal/busserver"
	"bellhop/internal/config"
	"bellhop/internal/onboarding"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"
)

// bench runs one of the measurements, or a small server that they start. A
// measurement that is interrupted cleans up what it made.
func (p Program) bench(ctx context.Context, command any) error {
	if c, ok := command.(*config.BenchChild); ok {
		return p.benchChild(ctx, c)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch c := command.(type) {
	case *config.BenchSignup:
		o, err := p.benchOptions(c.Bench, c.BenchStore)
		if err != nil {
			return err
		}
		return bench.SignUp(ctx, o)
	case *config.BenchMail:
		o, err := p.benchOptions(c.Bench, c.BenchStore)
		if err != nil {
			return err
		}
		o.Owed = c.Owed
		return bench.Mail(ctx, o)
	case *config.BenchBus:
		return p.benchBus(ctx, c)
	}
	return fmt.Errorf("the command %T is not known here", command)
}

// benchChild is a process of a measurement: a bus whose commits do not wait for
// the disk, which nobody else should have, or one that knows nothing of ours.
func (p Program) benchChild(ctx context.Context, c *config.BenchChild) error {
	if c.Kind != bench.ChildUnsyncedBus {
		return bench.Child(c.Kind, os.Stdin, p.Stdout)
	}
	return p.serveBus(ctx, &config.Bus{Listen: "127.0.0.1:0", DataDir: c.Dir, Queues: []string{c.Queue}, DrainTimeout: time.Second}, sqlitedb.Normal)
}

func (p Program) benchOptions(c config.Bench, store config.BenchStore) (bench.Options, error) {
	program, err := os.Executable()
	return bench.Options{
		Program: program, Dir: c.Dir, Rounds: c.Rounds, For: c.For, Workers: c.Workers,
		Redis: benchRedis(store), OpenStore: openBenchStore, JSON: c.JSON, Out: p.Stdout, Progress: p.Stderr,
	}, err
}

func (p Program) benchBus(ctx context.Context, c *config.BenchBus) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return bench.Bus(ctx, bench.Options{
		Program: program, Dir: c.Dir, Rounds: c.Rounds, For: c.For, JSON: c.JSON, Out: p.Stdout, Progress: p.Stderr,
	}, bench.BusOptions{
		Parts: c.Parts, Messages: c.Messages, Links: 16, Batch: 100,
		Backlog: c.Backlog, Short: 1000, Rest: 10 * time.Second, OpenBus: openBenchBus,
	})
}

func openBenchBus(dir string, durable bool) (*bus.Bus, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	o := new(busserver.Wiring).Bus(bus.Options{Path: filepath.Join(dir, busFile)})
	if !durable {
		o.Durability = sqlitedb.Normal
	}
	return bus.Open(o)
}

// benchRedis is the Redis to measure with, nil for the embedded store.
func benchRedis(store config.BenchStore) *bench.Redis {
	switch {
	case store.Store.Embedded():
		return nil
	case store.OwnRedis():
		return &bench.Redis{}
	default:
		return &bench.Redis{URL: store.Store.Reveal()}
	}
}

func openBenchStore(dir string) (bench.Accepter, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return sqlite.Open(sqlite.Options{Path: filepath.Join(dir, storeFile), Policy: onboarding.DefaultPolicy(), Logger: slog.New(slog.DiscardHandler)})
}
