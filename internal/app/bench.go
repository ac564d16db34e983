package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"bellhop/internal/bench"
	"bellhop/internal/config"
	"bellhop/internal/onboarding"
	"bellhop/internal/store/sqlite"
)

// bench runs one of the measurements, or a small server that they start. A
// measurement that is interrupted cleans up what it made.
func (p Program) bench(ctx context.Context, command any) error {
	if c, ok := command.(*config.BenchChild); ok {
		return bench.Child(c.Kind, os.Stdin, p.Stdout)
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
	}
	return fmt.Errorf("the command %T is not known here", command)
}

func (p Program) benchOptions(c config.Bench, store config.BenchStore) (bench.Options, error) {
	program, err := os.Executable()
	return bench.Options{
		Program: program, Dir: c.Dir, Rounds: c.Rounds, For: c.For, Workers: c.Workers,
		Redis: benchRedis(store), OpenStore: openBenchStore, JSON: c.JSON, Out: p.Stdout, Progress: p.Stderr,
	}, err
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
