package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"bellhop/internal/bench"
	"bellhop/internal/config"
	"bellhop/internal/onboarding"
	"bellhop/internal/store/sqlite"
)

// bench runs one of the measurements, or a small server that they start.
func (p Program) bench(ctx context.Context, command any) error {
	switch c := command.(type) {
	case *config.BenchChild:
		return bench.Child(c.Kind, os.Stdin, p.Stdout)
	case *config.BenchSignup:
		o, err := p.benchOptions(c.Bench)
		if err != nil {
			return err
		}
		return bench.SignUp(ctx, o)
	case *config.BenchMail:
		o, err := p.benchOptions(c.Bench)
		if err != nil {
			return err
		}
		o.Owed = c.Owed
		return bench.Mail(ctx, o)
	}
	return fmt.Errorf("the command %T is not known here", command)
}

func (p Program) benchOptions(c config.Bench) (bench.Options, error) {
	program, err := os.Executable()
	return bench.Options{
		Program: program, Dir: c.Dir, Rounds: c.Rounds, For: c.For, Workers: c.Workers,
		OpenStore: openBenchStore, JSON: c.JSON, Out: p.Stdout, Progress: p.Stderr,
	}, err
}

func openBenchStore(dir string) (bench.Accepter, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return sqlite.Open(sqlite.Options{Path: filepath.Join(dir, storeFile), Policy: onboarding.DefaultPolicy(), Logger: slog.New(slog.DiscardHandler)})
}
